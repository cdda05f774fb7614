//! Reads pages of JSON: with limits, with bad records that cost only themselves, and in the spellings that
//! programmes use.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use crate::programme::fault::{Fault, text};

/// Reads a page. The errors of `serde_json` repeat values, so only their kind and line are kept.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let text = text(bytes)?;
    serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Eof => Fault::Torn,
        Category::Syntax | Category::Io => {
            Fault::Malformed { syntax: "JSON", at: u64::try_from(error.line()).unwrap_or(u64::MAX) }
        }
        Category::Data => Fault::Field { syntax: "JSON", field: "page of the format" },
    })
}

/// The records of a page; elements of another form are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Records<T> {
    pub(crate) records: Vec<T>,
    pub(crate) bad: u64,
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Self { records: Vec::new(), bad: 0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Records<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);

        /// An element of the list. An element that is not a record is skipped as a whole.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Element<T> {
            Record(T),
            Other(IgnoredAny),
        }

        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Records<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of records")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut read = Records::default();
                while let Some(element) = list.next_element()? {
                    match element {
                        Element::Record(record) => read.records.push(record),
                        Element::Other(IgnoredAny) => read.bad += 1,
                    }
                }
                Ok(read)
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// Reads a number or a text as text, because ids occur as both.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
        Text(String),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Number(number) => number.to_string(),
        Id::Text(text) => text,
    })
}

/// Reads a whole number in any notation: `7`, `7.0` or `"7"`.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Whole(u64),
        Broken(f64),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Whole(number) => Ok(number),
        Number::Broken(number) => {
            micros(number).map(|micros| micros / 1_000_000).ok_or_else(|| D::Error::custom("no number"))
        }
        Number::Text(text) => text.parse().map_err(|_| D::Error::custom("no number")),
    }
}

/// Returns a number from 0 to 1e12 in millionths; `None` for other numbers.
pub(crate) fn micros(number: f64) -> Option<u64> {
    let is_fit = (0.0..=1e12).contains(&number);
    // The cast is valid: the number is at most 1e18, and not negative.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    is_fit.then_some((number * 1e6).round() as u64)
}

/// Reads `null` as the default.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_record_costs_itself_and_a_torn_page_all() {
        let read: Records<u8> = read(b"[1, 2, 300, {\"a\": [1]}, null, 3]").unwrap();
        assert_eq!(read, Records { records: vec![1, 2, 3], bad: 3 });
        let fault = |text: &[u8]| super::read::<Records<u8>>(text).unwrap_err();
        assert_eq!(fault(b"[1, 2"), Fault::Torn);
        assert_eq!(fault(b"[1, \xc3"), Fault::Torn);
        assert_eq!(fault(b"[1, \xff]"), Fault::Encoding);
        assert_eq!(fault(b"[1, }"), Fault::Malformed { syntax: "JSON", at: 1 });
        assert_eq!(fault(b"{}"), Fault::Field { syntax: "JSON", field: "page of the format" });
        assert!(matches!(fault("[".repeat(1_000).as_bytes()), Fault::Malformed { .. }));
        assert!(matches!(fault(&vec![b' '; (32 << 20) + 1]), Fault::TooLong { .. }));
    }
}
