//! A hash in JSON: a text, or for a vector the list of its elements.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::Number;
use vigie_model::vectors::VECTOR_ELEMENTS_MAX;

/// A hash in JSON, in the form for [`Hash::from_text`](vigie_model::Hash::from_text): a text, or a list of
/// numbers, which becomes the text of a JSON list. Numbers of up to 15 digits, and numbers that programs
/// print from an `f64`, keep their digits, so a list and the same list within a text give the same vector.
/// `Debug` shows only the length.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonHash(String);

impl JsonHash {
    /// Creates a hash from its text.
    #[must_use]
    pub const fn of_text(text: String) -> Self {
        Self(text)
    }

    /// Returns the text of the hash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JsonHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonHash({} bytes)", self.0.len())
    }
}

impl Serialize for JsonHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for JsonHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;

        impl<'de> Visitor<'de> for TextOrList {
            type Value = JsonHash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of numbers")
            }

            fn visit_str<E>(self, text: &str) -> Result<JsonHash, E> {
                Ok(JsonHash(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<JsonHash, E> {
                Ok(JsonHash(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonHash, A::Error> {
                let mut elements: Vec<String> = Vec::new();
                while let Some(element) = list.next_element::<Number>()? {
                    elements.push(element.to_string());
                    // One element too many is enough for a length error.
                    if elements.len() > VECTOR_ELEMENTS_MAX {
                        while list.next_element::<IgnoredAny>()?.is_some() {}
                        break;
                    }
                }
                Ok(JsonHash(format!("[{}]", elements.join(","))))
            }
        }

        deserializer.deserialize_any(TextOrList)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_numbers_keeps_its_digits() {
        let read =
            |json: &str| serde_json::from_str::<JsonHash>(json).map(|hash| hash.as_str().to_owned()).ok();
        assert_eq!(read("[0.1, -2e-7, 12,0]").as_deref(), Some("[0.1,-2e-7,12,0]"));
        assert_eq!(read("\"0a\"").as_deref(), Some("0a"));
        assert_eq!(read("[]").as_deref(), Some("[]"));
        for wrong in ["1", "null", "[\"1\"]", "[[1]]", "[null]", "{}"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let long = read(&format!("[{}0]", "0,".repeat(100_000))).unwrap();
        assert_eq!(long.matches('0').count(), VECTOR_ELEMENTS_MAX + 1);
        assert_eq!(format!("{:?}", JsonHash::of_text("ab".to_owned())), "JsonHash(2 bytes)");
    }
}
