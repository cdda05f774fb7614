//! The number of a matcher among the replicas of its shard.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The number of a replica among those of its shard, from 0.
///
/// In a configuration it is a number, or a name that ends in one. A pod of a StatefulSet only knows such a
/// name: `vigie-matcher-a-3-1` is replica 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct ReplicaNumber(u32);

impl ReplicaNumber {
    /// Returns whether this is the replica of its shard that publishes snapshots.
    pub(crate) const fn is_first(self) -> bool {
        self.0 == 0
    }

    fn of_name(name: &str) -> Option<Self> {
        let (_, number) = name.rsplit_once('-')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| number.parse().ok()).flatten().map(Self)
    }
}

impl JsonSchema for ReplicaNumber {
    fn schema_name() -> Cow<'static, str> {
        "ReplicaNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            { "type": "string", "pattern": "-[0-9]+$" },
        ] })
    }
}

impl<'de> Deserialize<'de> for ReplicaNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrName)
    }
}

struct NumberOrName;

impl Visitor<'_> for NumberOrName {
    type Value = ReplicaNumber;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0, or a name that ends in one, such as `matcher-1`")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ReplicaNumber, E> {
        u32::try_from(number).map(ReplicaNumber).map_err(|_| E::custom(format!("{number} is too large")))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ReplicaNumber, E> {
        let number = u64::try_from(number).map_err(|_| E::custom(format!("{number} is less than 0")))?;
        self.visit_u64(number)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<ReplicaNumber, E> {
        ReplicaNumber::of_name(name)
            .ok_or_else(|| E::custom(format!("`{name}` does not end in a number, as `matcher-1` does")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: serde_json::Value) -> Result<u32, String> {
        serde_json::from_value::<ReplicaNumber>(value)
            .map(|number| number.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_replica_is_a_number_or_the_end_of_a_name() {
        assert_eq!(read(0.into()), Ok(0));
        assert_eq!(read(3.into()), Ok(3));
        assert_eq!(read("vigie-matcher-a-3-1".into()), Ok(1));
        assert_eq!(read("matcher-0".into()), Ok(0));
        assert_eq!(read("matcher-012".into()), Ok(12));
    }

    #[test]
    fn what_ends_in_no_number_is_refused_in_words() {
        let refused = |value: serde_json::Value, part: &str| {
            let said = read(value).unwrap_err();
            assert!(said.contains(part), "{said}");
        };
        refused("matcher".into(), "does not end in a number");
        refused("matcher-".into(), "does not end in a number");
        refused("matcher-+1".into(), "does not end in a number");
        refused("1".into(), "does not end in a number");
        refused("matcher-99999999999".into(), "does not end in a number");
        refused((-1).into(), "less than 0");
        refused(5_000_000_000_u64.into(), "too large");
        refused(true.into(), "a number from 0, or a name");
    }

    #[test]
    fn it_is_written_as_a_number() {
        assert_eq!(serde_json::to_string(&ReplicaNumber(2)).unwrap(), "2");
    }
}
