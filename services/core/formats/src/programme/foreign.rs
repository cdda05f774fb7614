//! The data of a record for which an item has no field, as one JSON object that is kept beside the item.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use vigie_consortium::EntryDigest;

use super::record::{Opinion, OtherHash, Record};

/// The largest length of the JSON of one record, in bytes.
pub const FOREIGN_LEN_MAX: usize = 4_096;

/// Returns the owner, the media, hashes of other types and opinions of a record as a JSON object of at most
/// [`FOREIGN_LEN_MAX`] bytes.
///
/// Keys: `owner`, `media`, `changed_at_ms`, `entry` (hexadecimal digits, see [`entry_of`]), `other_hashes`
/// (`type`, `value`), `opinions` (`by`, `about`, `view`, `words`, `at_ms`), and `left_out`, the number of
/// hashes and opinions that did not fit.
#[must_use]
pub fn foreign(record: &Record) -> String {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    put("owner", record.owner.as_deref().map(|owner| json!(cut(owner))));
    put("media", record.media.map(|media| json!(media.name())));
    put("changed_at_ms", record.changed_at.map(|at| json!(at.0)));
    put(ENTRY, record.entry.map(|entry| json!(HEXLOWER.encode(&entry.0))));
    // Reserves space for the braces, and for the count of what does not fit.
    let mut room = FOREIGN_LEN_MAX.saturating_sub(Value::Object(object.clone()).to_string().len() + 64);
    let mut left_out = 0;
    let mut fitting = |values: Vec<Value>| {
        let mut fits = Vec::new();
        for value in values {
            let len = value.to_string().len() + 1;
            if len <= room {
                room -= len;
                fits.push(value);
            } else {
                left_out += 1;
            }
        }
        fits
    };
    let hashes = fitting(record.other_hashes.iter().map(other_hash).collect());
    let opinions = fitting(record.opinions.iter().map(opinion).collect());
    for (name, values) in [("other_hashes", hashes), ("opinions", opinions)] {
        if !values.is_empty() {
            object.insert(name.to_owned(), Value::Array(values));
        }
    }
    if left_out > 0 {
        object.insert("left_out".to_owned(), json!(left_out));
    }
    Value::Object(object).to_string()
}

/// The key of an entry's digest.
const ENTRY: &str = "entry";

/// Returns the digest of the entry from which the record came, from the JSON of [`foreign`]; `None` if it has
/// none.
#[must_use]
pub fn entry_of(foreign: &str) -> Option<EntryDigest> {
    let object: Map<String, Value> = serde_json::from_str(foreign).ok()?;
    let digest = HEXLOWER.decode(object.get(ENTRY)?.as_str()?.as_bytes()).ok()?;
    digest.try_into().ok().map(EntryDigest)
}

fn other_hash(hash: &OtherHash) -> Value {
    json!({"type": hash.kind, "value": hash.value.as_str()})
}

fn opinion(opinion: &Opinion) -> Value {
    let Opinion { by, about, view, words, at, .. } = opinion;
    let mut object = Map::new();
    object.insert("view".to_owned(), json!(view.name()));
    for (name, text) in [("by", by), ("about", about)] {
        if let Some(text) = text {
            object.insert(name.to_owned(), json!(text));
        }
    }
    if !words.is_empty() {
        object.insert("words".to_owned(), json!(words));
    }
    if let Some(at) = at {
        object.insert("at_ms".to_owned(), json!(at.0));
    }
    Value::Object(object)
}

/// Returns the first bytes of an owner's name, which is text of the programme and may have any length.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(256);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::{HashText, Key, View};

    #[test]
    fn foreign_words_are_kept_up_to_the_bound_and_the_rest_is_counted() {
        let mut record = Record::new(Key::new("k").unwrap());
        assert_eq!(foreign(&record), "{}");
        record.owner = Some("é".repeat(1_000));
        let words = vec!["Blocked".to_owned(), "Nude".to_owned()];
        let opinion = Opinion {
            by: Some("Ann".into()),
            about: None,
            view: View::Positive,
            reason: None,
            words,
            at: None,
        };
        record.opinions = vec![opinion; 500];
        record.other_hashes =
            vec![OtherHash { kind: "TMK".into(), value: HashText::new(&"x".repeat(5_000)) }];
        let text = foreign(&record);
        assert!((3_900..=FOREIGN_LEN_MAX).contains(&text.len()), "{}", text.len());
        let object: Value = serde_json::from_str(&text).unwrap();
        let kept = object["opinions"].as_array().unwrap().len();
        assert_eq!(object["left_out"], json!(500 - kept + 1));
        assert_eq!(object["opinions"][0]["words"], json!(["Blocked", "Nude"]));
        assert_eq!(object.get("other_hashes"), None);
    }
}
