//! Checks tables and lines: the effect of each fault and of the options.

use vigie_model::HashType;

use super::*;
use crate::files::Unknown;

/// Checks which lines are items, and which are not and why.
fn check(text: &str, options: ReadOptions, good: &[u64], bad: &[(u64, &str)]) -> Vec<ItemContent> {
    let read = Read::of(text, ReadOptions { labels: vec!["given".to_owned()], ..options }).unwrap();
    assert_eq!(read.items.iter().map(|(line, _)| *line).collect::<Vec<_>>(), good, "{text}");
    assert_eq!(read.bad.len(), bad.len(), "{:?}", read.bad);
    for ((line, reason), (expected_line, words)) in read.bad.iter().zip(bad) {
        assert_eq!(line, expected_line);
        assert!(reason.contains(words), "{reason}");
        assert!(!reason.contains("abab"), "a hash is repeated: {reason}");
    }
    read.items.into_iter().map(|(_, item)| item).collect()
}

fn plain() -> ReadOptions {
    ReadOptions::default()
}

fn of_type(hash_type: HashType) -> ReadOptions {
    ReadOptions { hash_type: Some(hash_type), ..ReadOptions::default() }
}

fn p() -> String {
    pdq(0xab)
}

fn m() -> String {
    md5(0xcd).to_uppercase()
}

#[test]
fn csv_is_read_by_its_header_and_bad_lines_are_named_by_number() {
    let (p, m) = (p(), m());
    let text = format!(
        "md5,pdq,labels,external_reference\n{m},{p},a; b,first\n,{p},,\nxyz,,,\n,,only labels,\n,{p}0,,\n{m},,,\n,,,,,\n"
    );
    let bad = [(4, "hexadecimal"), (5, "at least one hash"), (6, "hexadecimal"), (8, "6 columns")];
    let items = check(&text, plain(), &[2, 3, 7], &bad);
    assert_eq!(items[0].hashes().len(), 2);
    assert_eq!(items[0].labels().iter().map(|label| &**label).collect::<Vec<_>>(), ["a", "b", "given"]);
    assert_eq!(items[0].external_reference(), Some("first"));
    assert_eq!(items[2].hashes()[0].to_text(), m.to_lowercase());
}

#[test]
fn lists_end_as_on_any_system_and_hold_either_case_and_base64() {
    let p = p();
    let text = format!("\u{feff}{p}\n{}\r\nabab\n\"{p}\"\n{p}", p.to_uppercase());
    assert_eq!(check(&text, of_type(HashType::PDQ), &[1, 2, 4, 5], &[(3, "64 hexadecimal")]).len(), 4);
    let text = "zc3Nzc3Nzc3Nzc3Nzc3NzQ==\nabab\ncdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
    let items = check(text, of_type(HashType::MD5), &[1, 3], &[(2, "not 2")]);
    assert_eq!(items[0].hashes(), items[1].hashes());
    let text = format!("md5:{}\nsimhash:0\npdq:{p}", m());
    check(&text, plain(), &[1, 3], &[(2, "unknown hash type")]);
}

#[test]
fn json_lines_are_read_in_both_shapes() {
    let (p, m) = (p(), m());
    let text = format!(
        "{{\"pdq\":\"{p}\",\"md5\":[\"{m}\"],\"labels\":[\"x\"]}}\n\n{{\"item_id\":4,\"bank\":\"b\",\"added_at_unix_ms\":1,\
         \"external_reference\":\"r\",\"labels\":[],\"hashes\":[{{\"hash_type\":\"pdq\",\"hash\":\"{p}\"}}]}}\n{{\"pqd\":\"{p}\"}}\n\
         {{\"pdq\":\"{p}ab\"}}\nnot json {p}\n{{\"hashes\":[{{\"hash_type\":\"no\",\"hash\":\"\"}}]}}"
    );
    let bad = [(4, "unknown field"), (5, "32 bytes"), (6, "not JSON"), (7, "unknown hash type")];
    let items = check(&text, plain(), &[1, 3], &bad);
    assert_eq!(items[0].hashes().len(), 2);
    assert_eq!(items[1].external_reference(), Some("r"));
}

#[test]
fn an_endless_line_is_skipped() {
    let json = format!("{{\"pdq\":\"{}\"}}", p());
    let text = format!("{json}\n{{{}\n{json}\n", " ".repeat(3 << 20));
    check(&text, plain(), &[1, 3], &[(2, "more than 1048576 bytes")]);
    let csv = format!("labels,pdq\n,{0}\n\"{1},{0}\n,{0}\n", p(), "x".repeat(3 << 20));
    check(&csv, plain(), &[2, 4], &[(3, "more than 1048576 bytes")]);
}

#[test]
fn a_quote_that_does_not_end_costs_its_own_line() {
    let text = format!(
        "pdq,labels\n{0},\"one, two\"\n{0},\"three\n{0},four\n{0},fi\"ve\n\n{0},six\n{0},\"se\"\"ven\"\n",
        p()
    );
    let items = check(&text, plain(), &[2, 4, 7, 8], &[(3, "quote that does not end"), (5, "quote")]);
    assert_eq!((&*items[0].labels()[0], &*items[3].labels()[0]), ("one, two", "se\"ven"));
}

#[test]
fn hashed_files_are_read_as_they_are_printed() {
    let line = |file: &str, quality: u8| {
        let (pdq, md5, variants) = (p(), m(), vec![p(); 8]);
        let line = serde_json::json!({
            "file": file, "width": 640, "height": 480, "pdq": pdq, "quality": quality, "variants": variants,
            "md5": md5, "sha256": pdq,
        });
        line.to_string()
    };
    let failed = r#"{"file":"c","error":{"code":"unknown_format","message":"x"}}"#;
    let text = [line("some/where/a.jpg", 50), line("b.jpg", 49), failed.to_owned()].join("\n");
    let items = check(&text, plain(), &[1, 2], &[(3, "could not be hashed")]);
    assert_eq!(items[0].external_reference(), Some("a.jpg"));
    let types = |item: &ItemContent| item.hashes().iter().map(Hash::hash_type).collect::<Vec<_>>();
    assert_eq!(types(&items[0]), [HashType::PDQ, HashType::MD5, HashType::SHA256]);
    assert_eq!(types(&items[1]), [HashType::MD5, HashType::SHA256]);
}

#[test]
fn columns_are_named_for_a_table_without_a_header_or_instead_of_it() {
    let named = |names: &str| ReadOptions {
        columns: Some(names.split(',').map(str::to_owned).collect()),
        ..ReadOptions::default()
    };
    let text = format!("{};one;{}\n{};two;\n", m(), p(), m());
    let items = check(&text, named("md5,reference,pdq"), &[1, 2], &[]);
    assert_eq!((items[0].hashes().len(), items[1].external_reference()), (2, Some("two")));
    // The header says PDQ, and the caller's type has precedence.
    let items = check(&format!("pdq,name\n{},x\n", p()), named("sha256,-"), &[2], &[]);
    assert_eq!(items[0].hashes()[0].hash_type(), HashType::SHA256);
    let of_format = ReadOptions { format: Some(Format::JsonLines), ..named("md5") };
    assert!(matches!(Read::of("{}", of_format), Err(FileError::NoTable(Format::JsonLines))));
}

#[test]
fn unknown_types_and_columns_are_refused_or_counted() {
    let ignoring = || ReadOptions { unknown: Unknown::Ignored, ..ReadOptions::default() };
    let text = format!("type,indicator\nHASH_PDQ,{}\nURI,example\nHASH_MD5,{}\n", p(), m());
    check(&text, plain(), &[2, 4], &[(3, "unknown hash type")]);
    check(&text, ignoring(), &[2, 4], &[]);
    let read = Read::of(&text, ignoring()).unwrap();
    assert_eq!(read.left_out.unknown.into_iter().collect::<Vec<_>>(), [("type URI".to_owned(), 1)]);

    let text = format!("pdq,colour\n{},red\n", p());
    let error = Read::of(&text, plain()).err().unwrap().to_string();
    assert!(error.contains("`colour`") && error.contains("--ignore-unknown"), "{error}");
    check(&text, ignoring(), &[2], &[]);
    assert_eq!(Read::of(&text, ignoring()).unwrap().left_out.unknown.get("column colour"), Some(&1));
}

#[test]
fn the_text_of_a_bad_line_is_kept_on_demand() {
    let options = ReadOptions { keeps_text: true, ..of_type(HashType::MD5) };
    let text = format!("{}\nx{}\n", m(), "é".repeat(4_000));
    let reader = FileReader::open(Box::new(text.as_bytes()), options).unwrap();
    let bad: Vec<BadLine> = reader.filter_map(|entry| entry.unwrap().item.err()).collect();
    assert_eq!(bad[0].text.as_ref().map(String::len), Some(4_095));
}

#[test]
fn a_file_that_ends_in_the_middle_of_a_line_costs_that_line() {
    let text = format!("pdq,md5\n{},{}\n{},{}", p(), m(), p(), &m()[..9]);
    check(&text, plain(), &[2], &[(3, "hexadecimal")]);
}
