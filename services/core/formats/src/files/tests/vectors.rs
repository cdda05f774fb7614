//! Checks vectors of declared types: they are recognised only by name, read from every text form, and written
//! as base64.

use vigie_model::vectors::{self, VectorClass};
use vigie_model::{Declaration, Distance, declared};

use super::*;
use crate::files::{FileWriter, Unknown, Written, any_hash};

fn declare(name: &str, hash_type: HashType, elements: u16) -> HashType {
    let (distance_default, distance_max) = (Distance(100_000), Distance(500_000));
    let name = name.into();
    declared::register(&Declaration { hash_type, name, elements, distance_default, distance_max }).unwrap();
    hash_type
}

/// Returns a type of 4 elements of `f32` with the cosine, whose vectors have as many bytes as MD5.
pub(super) fn small() -> HashType {
    declare("formats_small", VectorClass::ALL[0].hash_type(31), 4)
}

/// Returns a type of 32 bytes, as many as PDQ has.
pub(super) fn bytes() -> HashType {
    declare("formats_bytes", VectorClass::ALL[3].hash_type(31), 32)
}

/// Returns the type with the longest vectors.
fn long() -> HashType {
    declare("formats_long", VectorClass::ALL[1].hash_type(31), 4_096)
}

/// Returns a vector of the longest type, and its elements as a JSON list.
fn long_vector() -> (Hash, String) {
    let numbers: Vec<f32> = (0..4_096_u16).map(|at| (f32::from(at) - 2_048.5) / 7.0).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let elements: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    (Hash::from_bytes(long(), &bytes).unwrap(), format!("[{}]", elements.join(", ")))
}

/// Reads a text without faults, and returns the hashes of its items.
fn check(text: &str, options: ReadOptions) -> Vec<Hash> {
    let read = Read::of(text, options).unwrap();
    assert_eq!(read.bad, [], "{}", &text[..text.len().min(200)]);
    read.items.iter().flat_map(|(_, item)| item.hashes().to_vec()).collect()
}

fn given(hash_type: HashType) -> ReadOptions {
    ReadOptions { hash_type: Some(hash_type), ..ReadOptions::default() }
}

#[test]
fn a_vector_is_read_from_a_list_of_numbers_and_from_base64() {
    let hash_type = small();
    // 3-4-5: at length 1 the elements are 0.6 and 0.8.
    let numbers = [0.6_f32, 0.0, -0.8, 0.0];
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let hash = Hash::from_bytes(hash_type, &bytes).unwrap();
    let (base64, list) = (hash.to_text(), "[3, 0, -4e0, 0.0]");
    assert!(base64.ends_with('='));
    let lines = [
        format!("{{\"formats_small\":{list}}}"),
        format!("{{\"formats_small\":[{list}],\"labels\":[\"x\"]}}"),
        format!("{{\"formats_small\":\"{base64}\"}}"),
        format!("{{\"formats_small\":[\"{base64}\"]}}"),
        format!("{{\"hashes\":[{{\"hash_type\":\"formats_small\",\"hash\":{list}}}]}}"),
        format!("{{\"hashes\":[{{\"hash_type\":\"formats_small\",\"hash\":\"{base64}\"}}]}}"),
    ];
    assert_eq!(check(&lines.join("\n"), ReadOptions::default()), vec![hash.clone(); 6]);
    let tables = [
        format!("formats_small,labels\n\"{list}\",x\n{base64},\n"),
        format!("formats_small\tlabels\n{list}\tx\n{base64}\t\n"),
        format!("type;hash\nformats_small;{list}\nFORMATS_SMALL;{base64}\n"),
        format!("formats_small:{base64}\nformats_small:{list}\n"),
        format!("formats_small {base64}\nformats_small {list}\n"),
        format!("formats_small,{base64}\nformats_small,{base64}\n"),
    ];
    for table in tables {
        assert_eq!(check(&table, ReadOptions::default()), vec![hash.clone(); 2], "{table}");
    }
    for list_of_one_type in [format!("{base64}\n{list}\n"), format!("{list}\n{base64}\n")] {
        assert_eq!(check(&list_of_one_type, given(hash_type)), vec![hash.clone(); 2]);
    }
    let named = Read::of(&format!("{list} a/b.jpg\n{base64}\tc.jpg\n"), given(hash_type)).unwrap();
    let names: Vec<_> = named.items.iter().map(|(_, item)| item.external_reference()).collect();
    assert_eq!(names, [Some("b.jpg"), Some("c.jpg")]);
}

#[test]
fn text_without_a_name_is_never_a_vector() {
    let (small, bytes) = (small(), bytes());
    let expected = [HashType::MD5, HashType::URL_MD5].to_vec();
    let types = |text: &str| any_hash(text).map(|all| all.iter().map(Hash::hash_type).collect::<Vec<_>>());
    let of_numbers = Hash::sample(small, 1);
    // Bytes of this length are a digest, whatever types are declared.
    assert_eq!(types(&of_numbers.to_text()), Ok(expected));
    assert_eq!(types(&"ab".repeat(32)).unwrap().len(), 3);
    assert!(types("[1,2,3,4]").is_err());
    assert_eq!(types("formats_small:[1,2,3,4]"), Ok(vec![small]));
    assert_eq!(types(&format!("formats_bytes:{}", Hash::sample(bytes, 1).to_text())), Ok(vec![bytes]));
    let refused = Read::of("[1,2,3,4]\n", ReadOptions::default()).map(|read| read.items.len());
    assert!(!matches!(refused, Ok(1)), "{refused:?}");
    assert!(!any_hash("x").unwrap_err().contains("formats_"));
}

#[test]
fn what_is_no_vector_of_its_type_costs_its_line_and_is_not_repeated() {
    small();
    let wrong = [
        ("[0.25, 0.5, 0.75]", "4 elements"),
        ("[0.25, 0.5, 0.75, 1, 1]", "4 elements"),
        ("[0, 0, 0, 0]", "zero"),
        ("[0.25, 0.5, 0.75, 1e99]", "1e15"),
        ("[]", "at least one hash"),
        ("[0.25, null, 0.75, 1]", "wrong kind"),
        ("[0.25, [0.5], 0.75, 1]", "wrong kind"),
        ("{\"x\": 0.25}", "wrong kind"),
        ("\"0.25,0.5,0.75,1\"", "something else"),
    ];
    let good = "{\"formats_small\":[0.25, 0.5, 0.75, 1]}\n";
    for (value, words) in wrong {
        let read = Read::plain(&format!("{good}{{\"formats_small\":{value}}}\n{good}"));
        assert_eq!((read.items.len(), read.bad.len()), (2, 1), "{value}");
        let reason = &read.bad[0].1;
        assert!(reason.contains(words), "{value}: {reason}");
        assert!(!reason.contains("0.25") && !reason.contains("0.75"), "{reason}");
    }
    let refused = Read::plain(&format!("{{\"pdq\":\"{}\"}}\n{{\"pdq\":[1,2]}}\n", pdq(7)));
    assert!(refused.bad[0].1.contains("64 hexadecimal digits"), "{:?}", refused.bad);
}

#[test]
fn the_longest_vectors_are_read_from_every_form_and_from_files_that_begin_with_one() {
    let (hash, list) = long_vector();
    let base64 = hash.to_text();
    assert!(base64.len() > 16 << 10 && list.len() > 32 << 10);
    assert_eq!(vectors::numbers_of(hash.as_bytes()).len(), vectors::VECTOR_ELEMENTS_MAX);
    for text in [
        format!("{{\"formats_long\":{list}}}"),
        format!("{{\"hashes\":[{{\"hash_type\":\"formats_long\",\"hash\":{list}}}]}}"),
        format!("{{\"formats_long\":\"{base64}\"}}"),
        format!("formats_long:{base64}"),
        format!("formats_long:{list}"),
        format!("formats_long {base64}"),
        format!("formats_long,labels\n\"{list}\",x"),
        format!("formats_long\n{base64}"),
    ] {
        assert_eq!(check(&text, ReadOptions::default()), std::slice::from_ref(&hash), "{}", &text[..40]);
    }
    for text in [list.clone(), base64.clone(), format!("{list} a.jpg\n{base64}"), format!("{base64}  a.jpg")]
    {
        let hashes = check(&text, given(long()));
        assert!(!hashes.is_empty() && hashes.iter().all(|one| *one == hash));
    }
}

#[test]
fn a_type_that_is_declared_while_a_table_is_written_is_left_out_and_counted() {
    let mut file = Vec::new();
    let mut writer = FileWriter::begin(Box::new(&mut file), Format::Csv, None, "").unwrap();
    let late = declare("formats_late", VectorClass::ALL[2].hash_type(31), 8);
    let hashes = [Hash::md5([7; 16]), Hash::sample(late, 1)];
    let (id, added_at_unix_ms, added_at, external_reference) = (1, 0, "", "r");
    let item = Written { id, added_at_unix_ms, added_at, hashes: &hashes, labels: &[], external_reference };
    writer.item(&item).unwrap();
    let counts = writer.finish().unwrap();
    assert_eq!((counts.hashes, counts.left_out), (1, 1));
    let text = String::from_utf8(file).unwrap();
    assert!(!text.contains("formats_late"));
    assert_eq!(check(&text, ReadOptions::default()), hashes[..1]);
}

#[test]
fn a_name_that_nobody_declared_is_unknown() {
    let text = "{\"formats_none\":[1,2],\"md5\":\"01010101010101010101010101010101\"}";
    assert!(Read::plain(text).bad[0].1.contains("unknown field"));
    let options = ReadOptions { unknown: Unknown::Ignored, ..ReadOptions::default() };
    assert_eq!(check(text, options), [Hash::md5([1; 16])]);
}
