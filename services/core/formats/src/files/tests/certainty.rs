//! Checks that uncertain types and formats are refused, and that the error lists the choices.

use super::*;

/// Returns the message with which a file is refused.
fn refused(text: &str, options: ReadOptions) -> String {
    let message = Read::of(text, options).err().unwrap_or_else(|| panic!("{text} is read")).to_string();
    assert!(!message.contains("abab"), "a hash is repeated: {message}");
    message
}

#[test]
fn a_list_of_an_uncertain_type_is_refused_with_the_choice() {
    let digits = "ab".repeat(32);
    let base64 = "q6ur".repeat(10) + "q6s=";
    for (text, types) in [
        (digits.clone(), ["pdq", "sha256", "text_sha256"].as_slice()),
        (format!("nonsense\n{digits}"), &["pdq", "sha256", "text_sha256"]),
        (format!("{digits} a.jpg"), &["pdq", "sha256", "text_sha256"]),
        ("ab".repeat(16), &["md5", "url_md5"]),
        (base64, &["sha256", "text_sha256"]),
    ] {
        let message = refused(&text, ReadOptions::default());
        for hash_type in types {
            assert!(message.contains(&format!("--type {hash_type}")), "{message}");
        }
        for hash_type in types.iter().map(|name| name.parse().unwrap()) {
            let options = ReadOptions { hash_type: Some(hash_type), ..ReadOptions::default() };
            let read = Read::of(&text, options).unwrap();
            assert_eq!(read.items[0].1.hashes()[0].hash_type(), hash_type);
        }
    }
    assert!(
        refused(&digits, ReadOptions { format: Some(Format::List), ..ReadOptions::default() })
            .contains("--type pdq")
    );
}

#[test]
fn a_list_of_the_only_type_that_is_written_so_is_read() {
    for hash_type in [HashType::SHA1, HashType::SHA512, HashType::PHOTODNA, HashType::TLSH] {
        let read = Read::plain(&text_of(hash_type, 0xab));
        assert_eq!((read.format, read.items[0].1.hashes()[0].hash_type()), (Format::List, hash_type));
    }
}

#[test]
fn a_column_of_hashes_without_a_type_is_refused() {
    let text = format!("hash,file\n{},a\n", "ab".repeat(32));
    assert!(refused(&text, ReadOptions::default()).contains("--type"));
    let options = ReadOptions { hash_type: Some(HashType::SHA256), ..ReadOptions::default() };
    assert_eq!(Read::of(&text, options).unwrap().hashes()[0].1.as_deref(), Some("a"));
}

#[test]
fn what_is_no_file_of_hashes_is_refused() {
    for text in ["some words", "colour,shape\nred,round\n", "\u{0}\u{1}"] {
        assert!(refused(text, ReadOptions::default()).contains("--format"), "{text}");
    }
    let table = format!("{0};{0};x\n", "ab".repeat(16));
    assert!(refused(&table, ReadOptions::default()).contains("--columns"));
    assert!(
        refused("pdq,\"x\n", ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() })
            .contains("quote")
    );
    let utf16 = FileReader::open(Box::new([0xff, 0xfe, b'p', 0].as_slice()), ReadOptions::default());
    assert!(utf16.unwrap_err().to_string().contains("UTF-8"));
}
