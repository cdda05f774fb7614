//! Conversions of values in requests to the types of the model, and back. An error names the field of a wrong
//! value.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;
use vigie_consortium::{DocumentKey, Expiry, Flag, Flags, PrincipalId, Text};
use vigie_formats::files::JsonHash;
use vigie_hashes::hex;
use vigie_model::vectors::PARTS_OF_ONE;
use vigie_model::{BankRef, Distance, Hash, HashType, ItemId, UnixMillis};

use crate::problem::Problem;

/// A hash.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashObject {
    /// The name of its type, such as `pdq`, `md5` or `sha256`. `type` is another name of this field in
    /// requests.
    #[serde(alias = "type")]
    pub(crate) hash_type: String,
    /// Hexadecimal digits. A vector of a declared type is base64; in requests also hexadecimal digits of its
    /// bytes, or the list of its elements.
    #[schema(value_type = HashForm)]
    pub(crate) hash: JsonHash,
}

/// The forms of a hash.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is read as another type")]
pub(crate) enum HashForm {
    /// A text.
    Text(String),
    /// The elements of a vector, in requests.
    Elements(Vec<f64>),
}

impl From<&Hash> for HashObject {
    fn from(hash: &Hash) -> Self {
        Self { hash_type: hash.hash_type().to_string(), hash: JsonHash::of_text(hash.to_text()) }
    }
}

impl HashObject {
    /// Converts to a hash. `field`: its object, for errors.
    pub(crate) fn read(&self, field: &str) -> Result<Hash, Problem> {
        hash(field, &self.hash_type, self.hash.as_str())
    }
}

/// Reads the hashes of a field.
pub(crate) fn hashes(field: &str, all: &[HashObject]) -> Result<Vec<Hash>, Problem> {
    all.iter().enumerate().map(|(at, one)| one.read(&format!("{field}[{at}]"))).collect()
}

/// Reads a hash.
pub(crate) fn hash(field: &str, name: &str, text: &str) -> Result<Hash, Problem> {
    let hash_type: HashType = value(&format!("{field}.hash_type"), name)?;
    Hash::from_text(hash_type, text).map_err(|why| Problem::field(format!("{field}.hash"), why))
}

/// Returns a distance as people write it: a number of bits, or for a vector the distance in its metric, such
/// as 0.15.
pub(crate) fn distance_number(hash_type: HashType, distance: Distance) -> Number {
    metric_distance(hash_type, distance).and_then(Number::from_f64).unwrap_or_else(|| distance.0.into())
}

/// Returns the distance of a vector in its metric; `None` for other types.
pub(crate) fn metric_distance(hash_type: HashType, distance: Distance) -> Option<f64> {
    hash_type.vector_class().map(|_| f64::from(distance.0) / f64::from(PARTS_OF_ONE))
}

/// Reads a distance: a whole number, or for a vector a number in its metric, rounded to the millionth.
pub(crate) fn distance(field: &str, hash_type: HashType, number: &Number) -> Result<Distance, Problem> {
    if hash_type.vector_class().is_none() {
        let bits = number.as_u64().and_then(|bits| u32::try_from(bits).ok());
        return bits
            .map(Distance)
            .ok_or_else(|| Problem::field(field, format!("is a whole number from 0 on for {hash_type}")));
    }
    let parts = number.as_f64().map(|distance| (distance * f64::from(PARTS_OF_ONE)).round());
    let parts = parts.filter(|parts| (0.0..=f64::from(u32::MAX)).contains(parts));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds are checked")]
    let distance = parts.map(|parts| Distance(parts as u32));
    distance.ok_or_else(|| Problem::field(field, format!("is a number from 0 to 4294 for {hash_type}")))
}

/// Reads a value. The error never repeats it.
pub(crate) fn value<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|why| Problem::field(field, why))
}

/// Reads the name of a bank.
pub(crate) fn bank_of(name: &str) -> Result<BankRef, Problem> {
    value("bank", name)
}

/// Reads a short text.
pub(crate) fn text<const MAX: usize>(field: &str, text: &str) -> Result<Text<MAX>, Problem> {
    Text::new(text).map_err(|why| Problem::field(field, why))
}

/// Reads the id of an item in a path.
pub(crate) fn item(text: &str) -> Result<ItemId, Problem> {
    id("item_id", text).map(ItemId)
}

/// Reads the id of a principal in a path.
pub(crate) fn principal(text: &str) -> Result<PrincipalId, Problem> {
    id("principal_id", text).map(PrincipalId)
}

/// Reads the number of a case in a path.
pub(crate) fn number(text: &str) -> Result<u64, Problem> {
    id("number", text)
}

fn id(field: &str, text: &str) -> Result<u64, Problem> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| Problem::field(field, "is no id"))
}

/// Encodes a position in a list as hexadecimal digits.
pub(crate) fn place(key: &DocumentKey) -> String {
    hex::encode(key.as_bytes())
}

/// Reads the position after which a page begins.
pub(crate) fn place_after(text: &str) -> Result<DocumentKey, Problem> {
    let wrong = || Problem::field("after", "is not the next_after of a page");
    DocumentKey::new(&hex::decode(text).ok_or_else(wrong)?).map_err(|_| wrong())
}

/// Reads the ids of a batch: at least one, and none is 0. Returns them ascending, each once.
pub(crate) fn items(ids: &[u64]) -> Result<Vec<ItemId>, Problem> {
    if ids.is_empty() || ids.contains(&0) {
        return Err(Problem::field("items", "is a list of 1 to 1000 ids of items"));
    }
    let mut items: Vec<ItemId> = ids.iter().copied().map(ItemId).collect();
    items.sort_unstable();
    items.dedup();
    Ok(items)
}

/// Reads a set of words, such as roles.
pub(crate) fn words<F: Flag>(field: &str, names: &[String]) -> Result<Flags<F>, Problem> {
    let known: Vec<&str> = F::ALL.iter().map(|one| one.name()).collect();
    let one = |name: &String| {
        F::from_name(name).ok_or_else(|| {
            Problem::field(field, format!("has an unknown value; use only {}", known.join(", ")))
        })
    };
    let all = names.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    Flags::new(all).map_err(|why| Problem::field(field, why))
}

/// Returns the names of a set of words.
pub(crate) fn names<F: Flag>(flags: Flags<F>) -> Vec<&'static str> {
    flags.iter().map(Flag::name).collect()
}

/// Reads the expiry of a right; `None` means never.
pub(crate) fn expiry(field: &str, unix_ms: Option<u64>) -> Result<Expiry, Problem> {
    match unix_ms {
        None => Ok(Expiry::NEVER),
        Some(0) => Err(Problem::field(field, "is milliseconds since 1970, or null for never")),
        Some(at) => Ok(Expiry::at(UnixMillis(at))),
    }
}

/// Reads an optional time.
pub(crate) fn at(field: &str, unix_ms: Option<u64>) -> Result<Option<UnixMillis>, Problem> {
    match unix_ms {
        Some(0) => Err(Problem::field(field, "is milliseconds since 1970")),
        at => Ok(at.map(UnixMillis)),
    }
}

/// Returns the expiry of a right in milliseconds since 1970; `None` for never.
pub(crate) fn moment(expiry: Expiry) -> Option<u64> {
    expiry.moment().map(|at| at.0)
}

/// Returns the text; `None` if it is empty.
pub(crate) fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use vigie_consortium::Role;

    use super::*;

    #[test]
    fn a_hash_is_read_by_the_name_of_its_type_and_never_repeated() {
        let of = |name: &str, text: &str| hash("hashes[0]", name, text);
        let pdq = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22";
        assert_eq!(of("pdq", pdq).unwrap().to_text(), pdq);
        for (name, text, field) in [
            ("pdq", &pdq[..62], "hashes[0].hash"),
            ("pdq", "no digits", "hashes[0].hash"),
            (pdq, "x", "hashes[0].hash_type"),
        ] {
            let problem = of(name, text).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field));
            assert!(
                !problem.message.contains(&pdq[..16]) && !problem.message.contains("digits "),
                "{problem:?}"
            );
        }
        let read: HashObject = serde_json::from_str(r#"{"type":"md5","hash":"00"}"#).unwrap();
        assert_eq!(read.hash_type, "md5");
    }

    #[test]
    fn batches_and_words_are_checked() {
        assert_eq!(items(&[7, 3, 7]).unwrap(), [ItemId(3), ItemId(7)]);
        assert!(items(&[]).is_err() && items(&[0]).is_err());
        assert!(item("12").is_ok() && item("0").is_err() && item("x").is_err());
        let roles = words::<Role>("roles", &["matcher".to_owned(), "auditor".to_owned()]).unwrap();
        assert_eq!(names(roles), ["matcher", "auditor"]);
        assert!(words::<Role>("roles", &[]).is_err());
        assert!(words::<Role>("roles", &["king".to_owned()]).unwrap_err().message.contains("matcher"));
        assert_eq!(expiry("x", None).unwrap(), Expiry::NEVER);
        assert!(expiry("x", Some(0)).is_err());
        assert_eq!(moment(expiry("x", Some(5)).unwrap()), Some(5));
        assert_eq!((at("x", None).unwrap(), at("x", Some(5)).unwrap()), (None, Some(UnixMillis(5))));
        assert!(at("x", Some(0)).is_err() && number("0").is_err());
    }

    #[test]
    fn the_place_of_a_page_is_read_as_it_is_written() {
        let key = DocumentKey::of_numbers(&[1_700_000_000_000, 7]);
        assert_eq!(place_after(&place(&key)).unwrap(), key);
        for wrong in ["0", "0g", "+1", "é", &"00".repeat(DocumentKey::LEN_MAX + 1)] {
            assert_eq!(place_after(wrong).unwrap_err().field.as_deref(), Some("after"), "{wrong}");
        }
    }
}
