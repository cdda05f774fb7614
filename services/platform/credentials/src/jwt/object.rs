//! A JSON object in which no name occurs twice.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::jwt::refused::{Part, TokenRefused};

/// The header or the claims of a token. Its size is bounded by that of the token.
#[derive(Debug)]
pub(super) struct Object(HashMap<String, Value>);

impl Object {
    pub(super) fn parse(bytes: &[u8], part: Part) -> Result<Self, TokenRefused> {
        let members: Members = serde_json::from_slice(bytes).map_err(|_| TokenRefused::Malformed { part })?;
        if members.has_a_name_twice {
            Err(TokenRefused::NameTwice { part })
        } else {
            Ok(Self(members.by_name))
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

struct Members {
    by_name: HashMap<String, Value>,
    has_a_name_twice: bool,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members { by_name: HashMap::new(), has_a_name_twice: false };
        while let Some((name, value)) = map.next_entry()? {
            members.has_a_name_twice |= members.by_name.insert(name, value).is_some();
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_twice_is_refused_also_in_other_spelling() {
        let parse = |text: &str| Object::parse(text.as_bytes(), Part::Claims).map(|_| ());
        assert_eq!(parse(r#"{"a": 1, "b": {"a": 1}}"#), Ok(()));
        for twice in [r#"{"a": 1, "a": 1}"#, r#"{"sub": "x", "\u0073ub": "y"}"#, r#"{"": 0, "": 0}"#] {
            assert_eq!(parse(twice), Err(TokenRefused::NameTwice { part: Part::Claims }), "{twice}");
        }
        for wrong in ["", "{", "[]", "1", "null", r#"{"a": 1} "#.repeat(2).as_str(), "{\"a\": \"\u{0}\"}"] {
            assert_eq!(parse(wrong), Err(TokenRefused::Malformed { part: Part::Claims }), "{wrong}");
        }
        assert!(parse(&format!("{{\"a\": {}}}", "[".repeat(4_000))).is_err());
    }
}
