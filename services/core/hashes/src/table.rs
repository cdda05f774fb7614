//! What a row of the table says of a hash type.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::rows::ROWS;

/// A kind of fingerprint, by its permanent number.
///
/// Any number but 0 is a hash type. One without a row in this build is *unknown*: see the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HashType(u16);

/// A number of differing bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Distance(pub u16);

/// One hash type of the table.
#[derive(Debug)]
pub struct Row {
    /// The type that the row describes.
    pub hash_type: HashType,
    /// The name used in files, on the command line and in messages: lower-case letters and digits.
    pub name: &'static str,
    /// Names that other tools give it, compared without case: see [`HashType::from_str`].
    pub aliases: &'static [&'static str],
    /// The lengths of a hash, in bytes, ascending. They never change: a build that accepts other lengths needs another type.
    pub lengths: &'static [usize],
    /// How a hash is written as text.
    pub text: TextForm,
    /// How two hashes are compared.
    pub metric: Metric,
    /// The distance used where the caller names none.
    pub distance_default: Distance,
    /// The largest distance that a search accepts; 0 for [`Metric::Equality`].
    pub distance_max: Distance,
    /// Whether a query carries the hashes of all eight turned and mirrored variants of the picture.
    pub has_variants: bool,
    /// Whether a hash of a picture with too little detail is left out of a search.
    pub has_quality_floor: bool,
}

/// How two hashes of a type are compared.
///
/// Metrics of vectors (L2, cosine) and of opaque hashes, which only an outside program compares, would be further variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// By the number of differing bits. An index exists for 64, 96, 128, 256 and 512 bits.
    Hamming,
    /// Two hashes match if their bytes are equal. An index exists for 4 to 512 bytes.
    Equality,
}

/// How the hashes of a type are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextForm {
    /// Hexadecimal digits: lower case in output, either case in input.
    Hex,
    /// The same, and input may be standard base64 with padding (RFC 4648, section 4).
    HexOrBase64,
}

/// The text names no row of the table, and none of their aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown hash type: use {}", names())]
pub struct UnknownHashType;

impl HashType {
    /// The type of this number; `None` for 0, which is no type.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    pub(crate) const fn new(number: u16) -> Self {
        assert!(number != 0, "0 is no hash type");
        Self(number)
    }

    /// The permanent number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Every type of the table, in the order of their numbers, which is the order in which they are listed to people.
    pub fn known() -> impl ExactSizeIterator<Item = Self> {
        ROWS.iter().map(|row| row.hash_type)
    }

    /// The position of its row in the table, from 0; `None` if the type is unknown to this build.
    #[must_use]
    pub fn position(self) -> Option<usize> {
        ROWS.iter().position(|row| row.hash_type == self)
    }

    /// What the table says of this type; `None` if it is unknown to this build.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.hash_type == self)
    }

    /// Whether this build has a row for it.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.row().is_some()
    }

    /// The name in the table; `None` if the type is unknown to this build.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.name)
    }

    /// The largest distance that a search of this type accepts, in bits; 0 for an unknown type.
    #[must_use]
    pub fn distance_max(self) -> Distance {
        self.row().map_or(Distance(0), |row| row.distance_max)
    }

    /// The distance used where the caller names none, in bits; 0 for an unknown type.
    #[must_use]
    pub fn distance_default(self) -> Distance {
        self.row().map_or(Distance(0), |row| row.distance_default)
    }

    /// Whether pictures of too little detail are not searched by this type.
    #[must_use]
    pub fn has_quality_floor(self) -> bool {
        self.row().is_some_and(|row| row.has_quality_floor)
    }
}

impl Row {
    /// Whether a hash of this type may have `len` bytes.
    #[must_use]
    pub fn accepts(&self, len: usize) -> bool {
        self.lengths.contains(&len)
    }

    fn is_called(&self, text: &str) -> bool {
        [self.name].iter().chain(self.aliases).any(|name| name.eq_ignore_ascii_case(text))
    }
}

/// Writes the name, or `type-N` for a type that is unknown to this build.
impl fmt::Display for HashType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "type-{}", self.0),
        }
    }
}

/// Reads a name or an alias of the table, in either case.
impl FromStr for HashType {
    type Err = UnknownHashType;

    fn from_str(text: &str) -> Result<Self, UnknownHashType> {
        ROWS.iter().find(|row| row.is_called(text)).map(|row| row.hash_type).ok_or(UnknownHashType)
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The names of the table as a sentence has them: "pdq, md5 or sha256".
fn names() -> String {
    let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::hash::Hash;

    /// What every row must hold, so that a new one needs no test of its own for it.
    #[test]
    fn every_row_is_sound() {
        for row in ROWS {
            let Row { name, lengths, metric, distance_default, distance_max, .. } = row;
            assert!(
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{name}"
            );
            assert!(!lengths.is_empty() && lengths.is_sorted(), "{name}");
            assert!(distance_default <= distance_max, "{name}");
            match metric {
                Metric::Hamming => {
                    assert!(lengths.iter().all(|len| [8, 12, 16, 32, 64].contains(len)), "{name}");
                    assert!(lengths.iter().all(|len| usize::from(distance_max.0) <= 8 * len), "{name}");
                }
                Metric::Equality => {
                    assert!(lengths.iter().all(|len| (4..=Hash::LEN_MAX).contains(len)), "{name}");
                    assert_eq!(*distance_max, Distance(0), "{name}");
                }
            }
        }
    }

    #[test]
    fn numbers_ascend_and_no_name_is_given_twice() {
        assert!(HashType::known().is_sorted_by(|one, other| one < other));
        let names: Vec<String> = ROWS
            .iter()
            .flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()))
            .map(str::to_ascii_lowercase)
            .collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn names_and_aliases_are_read_in_either_case() {
        assert_eq!("PDQ".parse(), Ok(HashType::PDQ));
        assert_eq!("HASH_PDQ".parse(), Ok(HashType::PDQ));
        assert_eq!("video_md5".parse(), Ok(HashType::MD5));
        assert_eq!("hash_sha256".parse(), Ok(HashType::SHA256));
        assert_eq!("pdq2".parse::<HashType>(), Err(UnknownHashType));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let text = UnknownHashType.to_string();
        assert!(text.starts_with("unknown hash type: use pdq, md5"), "{text}");
        assert!(text.contains(" or "), "{text}");
    }

    #[test]
    fn an_unknown_type_has_a_number_and_no_row() {
        let unknown = HashType::from_number(54_321).unwrap();
        assert_eq!((unknown.is_known(), unknown.to_string().as_str()), (false, "type-54321"));
        assert_eq!(unknown.distance_max(), Distance(0));
        assert_eq!(HashType::from_number(0), None);
    }
}
