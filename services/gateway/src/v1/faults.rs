//! Problems of deserialization: the wrong field and the reason, without its value. The value may be a hash or
//! a credential.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::{Path, Segment};

use crate::problem::Problem;

/// The longest unknown name that a problem repeats: shorter than the shortest hash in hexadecimal digits.
const NAME_LEN_MAX: usize = 24;
/// The beginning of the error of [`at_most`] and [`at_most_entries`].
const TOO_MANY: &str = "has more than";

/// Returns the problem of a value at a path. Of the deserializer's error text, the problem repeats only the
/// parts that are not the caller's.
pub(crate) fn of(path: &Path, text: &str) -> Problem {
    let within = shown(path);
    let quoted = |before: &str| text.strip_prefix(before)?.split('`').next();
    if let Some(missing) = quoted("missing field `") {
        return Problem::field(joined(&within, missing), "is required");
    }
    if let Some(unknown) = quoted("unknown field `") {
        let unknown = name(unknown);
        let at = if within.ends_with(&unknown) { within } else { joined(&within, &unknown) };
        return Problem::field(at, format!("is unknown{}", after_expected(text)));
    }
    if let Some(twice) = quoted("duplicate field `") {
        let at = if within.ends_with(twice) { within } else { joined(&within, twice) };
        return Problem::field(at, "is given twice");
    }
    let why = match text.strip_prefix(TOO_MANY) {
        Some(rest) => format!("{TOO_MANY}{}", without_place(rest)),
        None => format!("has the wrong form{}", after_expected(text)),
    };
    if within.is_empty() { Problem::bad(format!("the body {why}")) } else { Problem::field(within, why) }
}

/// Returns `; expected ...` with the last part of the deserializer's error text; empty if it has none.
fn after_expected(text: &str) -> String {
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| without_place(expected));
    expected.map_or_else(String::new, |expected| format!("; expected {expected}"))
}

fn without_place(text: &str) -> &str {
    text.split(" at line ").next().unwrap_or_default()
}

fn joined(within: &str, name: &str) -> String {
    if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") }
}

/// Returns a name, or `...` if the text may be a value that was sent where a name belongs.
fn name(text: &str) -> String {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_short = text.len() <= NAME_LEN_MAX && text.bytes().all(is_fit);
    if is_short { text.to_owned() } else { "...".to_owned() }
}

fn shown(path: &Path) -> String {
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => shown.push_str(&format!("[{index}]")),
            Segment::Map { key } => shown = joined(&shown, &name(key)),
            Segment::Enum { variant } => shown = joined(&shown, &name(variant)),
            Segment::Unknown => {}
        }
    }
    shown
}

/// Reads a list of at most `MAX` elements; one more is refused before the rest is read.
pub(crate) fn at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(element) = elements.next_element()? {
                if all.len() == MAX {
                    return Err(A::Error::custom(format!("{TOO_MANY} {MAX} elements")));
                }
                all.push(element);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

/// Reads a list as [`at_most`] does, for a field that may be left out.
pub(crate) fn some_at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    at_most::<D, T, MAX>(deserializer).map(Some)
}

/// Reads an object of at most `MAX` entries; one more is refused before the rest is read.
pub(crate) fn at_most_entries<'de, D, T, const MAX: usize>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object of at most {MAX} entries")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((name, value)) = entries.next_entry()? {
                if all.len() == MAX {
                    return Err(A::Error::custom(format!("{TOO_MANY} {MAX} entries")));
                }
                all.insert(name, value);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_map(Bounded::<T, MAX>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Listed {
        #[serde(deserialize_with = "at_most::<_, _, 2>")]
        all: Vec<u8>,
        #[serde(default, deserialize_with = "at_most_entries::<_, _, 1>")]
        named: BTreeMap<String, u8>,
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_by_its_name() {
        let of = |text: &str| {
            let mut json = serde_json::Deserializer::from_str(text);
            serde_path_to_error::deserialize::<_, Listed>(&mut json)
                .map_err(|error| super::of(error.path(), &error.inner().to_string()))
        };
        assert_eq!(of(r#"{"all":[1,2]}"#).unwrap().all, [1, 2]);
        assert_eq!(of(r#"{"all":[],"named":{"a":1}}"#).unwrap().named.len(), 1);
        assert_eq!(
            of(r#"{"all":[],"named":{"a":1,"b":2}}"#).unwrap_err().field.as_deref().map(|at| &at[..5]),
            Some("named")
        );
        let problem = of(r#"{"all":[1,2,3]}"#).unwrap_err();
        assert_eq!(problem.message, "all: has more than 2 elements");
        assert_eq!(
            of(r#"{"all":7}"#).unwrap_err().message,
            "all: has the wrong form; expected a list of at most 2"
        );
    }

    #[test]
    fn what_may_be_a_hash_is_no_name() {
        assert_eq!(name("labels"), "labels");
        assert_eq!(name(&"f8".repeat(16)), "...");
        assert_eq!(name("a b"), "...");
    }
}
