//! Reads documents that are incomplete, hostile, or have unknown parts.

use super::*;
use crate::files::Unknown;

fn lines(read: &Read) -> Vec<u64> {
    read.bad.iter().map(|(line, _)| *line).collect()
}

fn entry(content: &str) -> String {
    format!("<queryResult><images>\n<image><id>1</id>{content}</image>\n</images></queryResult>")
}

#[test]
fn a_torn_document_keeps_what_was_whole_and_says_so() {
    let record = format!("{{\"signalType\":\"ImagePDQ\",\"hashValue\":\"{}\"}}", pdq(1));
    let image = format!("<image><fingerprints><pdq>{}</pdq></fingerprints></image>", pdq(1));
    for (text, line) in [
        (format!("{{\"hashRecords\":[\n{record},\n{}", &record[..40]), 3),
        (format!("{{\"hashRecords\":[\n{record}"), 2),
        (format!("<queryResult><images>\n{image}\n{}", &image[..30]), 3),
        (format!("<queryResult><images>\n{image}"), 2),
        (format!("[\n{{\"pdq\":\"{}\"}}\n", pdq(1)), 3),
    ] {
        let read = Read::plain(&text);
        assert_eq!((read.items.len(), lines(&read)), (1, vec![line]), "{text}");
        assert!(
            read.bad[0].1.contains("not whole") || read.bad[0].1.contains("well-formed"),
            "{:?}",
            read.bad
        );
    }
}

#[test]
fn a_document_that_would_expand_or_not_end_is_refused() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]>\n<queryResult><images/></queryResult>";
    assert!(Read::plain(bomb).bad[0].1.contains("document type"));
    let entity = entry("<fingerprints><md5>&a;</md5></fingerprints>");
    assert!(Read::plain(&entity).bad[0].1.contains("entity"));
    let deep = format!("<queryResult>{}", "<a>".repeat(40));
    assert!(Read::plain(&deep).bad[0].1.contains("within each other"));
    let endless = entry(&format!("<fingerprints><md5>{}</md5></fingerprints>", "a".repeat(3 << 20)));
    assert!(Read::plain(&endless).bad[0].1.contains("more than"));
    let large =
        entry(&format!("<fingerprints>{}</fingerprints>", format!("<md5>{}</md5>\n", md5(1)).repeat(40_000)));
    let read = Read::plain(&large);
    assert!(read.items.is_empty() && read.bad[0].1.contains("an entry of more than"), "{:?}", read.bad);
}

#[test]
fn fingerprints_that_are_not_known_are_named_or_counted() {
    let text = entry(&format!("<fingerprints><netclean>x</netclean><md5>{}</md5></fingerprints>", md5(1)));
    let read = Read::plain(&text);
    assert_eq!((read.items.len(), lines(&read)), (1, vec![2]));
    let ignoring = ReadOptions { unknown: Unknown::Ignored, ..ReadOptions::default() };
    let read = Read::of(&text, ignoring.clone()).unwrap();
    assert_eq!(
        (read.items.len(), read.bad.len(), read.left_out.unknown.get("type netclean")),
        (1, 0, Some(&1))
    );
    let record = "{\"hashRecords\":[{\"signalType\":\"Text\",\"hashValue\":\"x\"}]}";
    assert_eq!(lines(&Read::plain(record)), [1]);
    assert_eq!(Read::of(record, ignoring.clone()).unwrap().left_out.unknown.get("type Text"), Some(&1));
    let content = "{\"id\":1,\"signals\":{\"raw_text\":\"x\"}}";
    assert_eq!(lines(&Read::plain(content)), [1]);
    assert_eq!(Read::of(content, ignoring).unwrap().bad.len(), 0);
}

#[test]
fn the_hashes_of_a_file_are_read_as_hma_answers_them() {
    let (p, m) = (pdq(1), md5(2));
    let read = Read::plain(&format!("{{\n  \"pdq\": \"{p}\",\n  \"video_md5\": \"{m}\"\n}}\n"));
    assert_eq!((read.format, read.hashes().len()), (Format::Hma, 2));
    let read = Read::plain(&format!("[{{\"pdq\":\"{p}\"}},{{\"pdq\":\"\"}},{{}},{{\"pdq\":7}}]"));
    assert_eq!((read.format, read.items.len(), lines(&read).len()), (Format::Hma, 1, 3));
}

#[test]
fn texts_with_references_are_read_as_they_are_meant() {
    let text =
        entry(&format!("<fingerprints><md5>&#x{:x};{}</md5></fingerprints>", b'0', &"00".repeat(16)[1..]));
    assert_eq!(Read::plain(&text).items.len(), 1);
    let text = "<queryResult><images><image><member id=\"7\"/><id>a&amp;b</id><fingerprints><md5><![CDATA["
        .to_owned()
        + &md5(1)
        + "]]></md5></fingerprints></image></images></queryResult>";
    assert_eq!(Read::plain(&text).items[0].1.external_reference(), Some("a&b"));
}
