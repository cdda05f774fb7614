//! Lines of a file of hashes: `<type> <value>`, or values alone where the type is given.

use vigie_formats::programme::{Fault, HashText, Key, OtherHash, Record, Tally};
use vigie_model::{Hash, HashType};

/// A file is refused as a whole if more than one line in so many cannot be read: it is of another format, or damaged.
const BAD_LINES_ONE_IN: u64 = 10;

/// Refuses a text of which too little can be read.
pub(crate) fn check(text: &str, hash_type: Option<HashType>) -> Result<(), Fault> {
    let (mut good, mut bad) = (0_u64, 0_u64);
    for line in text.lines() {
        match read(line, hash_type) {
            Line::Blank => {}
            Line::Bad => bad += 1,
            Line::Hash(..) | Line::Other(..) => good += 1,
        }
    }
    if bad > (good + bad) / BAD_LINES_ONE_IN {
        return Err(Fault::Field { syntax: "text", field: "list of hashes" });
    }
    Ok(())
}

/// The records of the first lines of a text, at most so many, and the bytes of these lines.
pub(crate) fn records(
    text: &str,
    hash_type: Option<HashType>,
    records_max: usize,
    tally: &mut Tally,
) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut len = 0;
    for line in text.split_inclusive('\n') {
        if records.len() == records_max {
            break;
        }
        len += line.len();
        match read(line, hash_type) {
            Line::Blank => {}
            Line::Bad => tally.bad_records += 1,
            Line::Hash(hash) => {
                let kind = hash.hash_type().to_string();
                if let Ok(key) = Key::of_value(&kind, &HashText::of(&hash), Some(&hash)) {
                    records.push(Record { hashes: vec![hash], ..Record::new(key) });
                }
            }
            Line::Other(kind, value) => {
                tally.unknown_types += 1;
                if let Ok(key) = Key::of_value(kind, &value, None) {
                    let other_hashes = vec![OtherHash { kind: kind.to_owned(), value }];
                    records.push(Record { other_hashes, ..Record::new(key) });
                }
            }
        }
    }
    (records, len)
}

/// What a line is.
enum Line<'a> {
    /// Nothing, or a comment.
    Blank,
    /// A hash.
    Hash(Hash),
    /// A hash of a type that this build does not know.
    Other(&'a str, HashText),
    /// Neither.
    Bad,
}

fn read(line: &str, hash_type: Option<HashType>) -> Line<'_> {
    let line = line.trim().trim_start_matches('\u{feff}');
    if line.is_empty() || line.starts_with('#') {
        return Line::Blank;
    }
    let (kind, value) = match (hash_type, line.split_once([' ', '\t'])) {
        (Some(hash_type), None) => (Some(hash_type), line),
        (_, Some((kind, value))) => match kind.parse() {
            Ok(hash_type) => (Some(hash_type), value.trim()),
            Err(_) if is_word(kind) && !value.trim().is_empty() => {
                return Line::Other(kind, HashText::new(value.trim()));
            }
            Err(_) => return Line::Bad,
        },
        (None, None) => return Line::Bad,
    };
    let hash = kind.and_then(|kind| Hash::from_text(kind, value).ok());
    // An all-zero value is a filler that lists have held, and no content's hash.
    hash.filter(|hash| hash.as_bytes().iter().any(|byte| *byte != 0)).map_or(Line::Bad, Line::Hash)
}

/// Whether a text can be a type's name.
fn is_word(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.len() <= 64 && text.bytes().all(is_fit) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_types_and_values_or_values_alone() {
        let md5 = "00112233445566778899aabbccddeeff";
        let text = format!(
            "\u{feff}# comment\n\nmd5 {md5}\r\nHASH_VIDEO_MD5\t{md5}\nvpdq whatever\nmd5 {}\n{md5}",
            "0".repeat(32)
        );
        let mut tally = Tally::default();
        let (list, len) = records(&text, None, 10, &mut tally);
        assert_eq!((list.len(), len), (3, text.len()));
        assert_eq!(tally, Tally { bad_records: 2, unknown_types: 1, ..Tally::default() });
        assert_eq!(list[0].key, list[1].key);
        let (list, len) = records(&text, Some(HashType::MD5), 2, &mut tally);
        assert_eq!(list.len(), 2);
        let (rest, _) = records(&text[len..], Some(HashType::MD5), 10, &mut tally);
        assert_eq!(rest.len(), 2);
    }

    #[test]
    fn a_file_of_another_format_is_refused_as_a_whole() {
        let fault = Err(Fault::Field { syntax: "text", field: "list of hashes" });
        assert_eq!(check("<html>\n<body>\n</html>\n", None), fault);
        let good = format!("md5 {}\n", "ab".repeat(16)).repeat(20);
        assert_eq!(check(&good, None), Ok(()));
        assert_eq!(check(&format!("{good}?\n?\n"), None), Ok(()));
        assert_eq!(check(&format!("{good}?\n?\n?\n"), None), fault);
        assert_eq!(check("", None), Ok(()));
    }
}
