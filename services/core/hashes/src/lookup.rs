//! Looks up rows of the table of hash types, by number and by name, and writes a type as text.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::declared;
use crate::rows::ROWS;
use crate::table::{Distance, HashType, Metric, Row};
use crate::vectors::{PARTS_OF_ONE, VectorClass};

/// The text is neither the name nor an alias of a known hash type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown hash type: use {}", names())]
pub struct UnknownHashType;

impl HashType {
    /// Returns every type of the table and every type declared in this process. Types of the table are first;
    /// both parts are in the order of their numbers, which is the order of lists shown to people.
    pub fn known() -> impl Iterator<Item = Self> {
        Self::of_table().chain(declared::all().into_iter().map(|row| row.hash_type))
    }

    /// Returns every type of the table, in the order of their numbers.
    pub fn of_table() -> impl ExactSizeIterator<Item = Self> {
        ROWS.iter().map(|row| row.hash_type)
    }

    /// Returns the position of the type's row in the table, from 0; `None` if the table has no such row.
    #[must_use]
    pub fn position(self) -> Option<usize> {
        ROWS.iter().position(|row| row.hash_type == self)
    }

    /// Returns the row of this type; `None` if the type is unknown to this build. Vector types that are not
    /// declared in this process share the row of their class.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        let of_table = ROWS.iter().find(|row| row.hash_type == self);
        of_table.or_else(|| declared::row(self)).or_else(|| self.vector_class().map(VectorClass::row))
    }

    /// Checks whether this build has a row for the type.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.row().is_some()
    }

    /// Returns the name in the table or the declaration; `None` if this process knows no name.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.name).filter(|name| !name.is_empty())
    }

    /// Writes a distance of this type as text: a number of bits, or for vectors the number in the metric with
    /// six decimals.
    #[must_use]
    pub fn distance_text(self, distance: Distance) -> String {
        match self.row().map(|row| row.metric) {
            Some(Metric::Vector) => format!("{}.{:06}", distance.0 / PARTS_OF_ONE, distance.0 % PARTS_OF_ONE),
            Some(Metric::Hamming | Metric::Equality | Metric::Frames) | None => distance.to_string(),
        }
    }

    /// Reads the output of [`Self::distance_text`], and for vectors any decimal number; `None` for other
    /// text.
    #[must_use]
    pub fn distance_of_text(self, text: &str) -> Option<Distance> {
        if self.vector_class().is_none() {
            return text.parse().ok().map(Distance);
        }
        let (whole, parts) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if parts.len() > 6 || !is_digits(parts) || !is_digits(whole) || whole.len() + parts.len() == 0 {
            return None;
        }
        let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let parts: u32 = format!("{parts:0<6}").parse().ok()?;
        whole.checked_mul(PARTS_OF_ONE)?.checked_add(parts).map(Distance)
    }

    /// Returns the largest distance that a search of this type accepts; 0 for an unknown type.
    #[must_use]
    pub fn distance_max(self) -> Distance {
        self.row().map_or(Distance(0), |row| row.distance_max)
    }

    /// Returns the distance of a search whose caller names none; 0 for an unknown type.
    #[must_use]
    pub fn distance_default(self) -> Distance {
        self.row().map_or(Distance(0), |row| row.distance_default)
    }

    /// Checks whether hashes of pictures with too little detail are excluded from searches of this type.
    #[must_use]
    pub fn has_quality_floor(self) -> bool {
        self.row().is_some_and(|row| row.has_quality_floor)
    }
}

/// Writes the name, or `type-N` for a type that is unknown to this build.
impl fmt::Display for HashType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "type-{}", self.number()),
        }
    }
}

/// Reads a name or an alias of the table, or the name of a declared type, in either case.
impl FromStr for HashType {
    type Err = UnknownHashType;

    fn from_str(text: &str) -> Result<Self, UnknownHashType> {
        let declared = || declared::all().into_iter().find(|row| row.is_called(text));
        let row = ROWS.iter().find(|row| row.is_called(text)).or_else(declared);
        row.map(|row| row.hash_type).ok_or(UnknownHashType)
    }
}

/// Returns the names of all known types as in a sentence: "pdq, md5 or sha256".
fn names() -> String {
    let names: Vec<&str> = HashType::known().filter_map(HashType::name).collect();
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

    /// Checks the rules for every row, so that a new row needs no tests of its own for them.
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
            let listed = lengths.listed().unwrap_or(&[32]);
            assert!(!listed.is_empty() && listed.is_sorted(), "{name}");
            assert!(distance_default <= distance_max, "{name}");
            match metric {
                Metric::Hamming => {
                    assert!(listed.iter().all(|len| [8, 12, 16, 32, 64].contains(len)), "{name}");
                    assert!(listed.iter().all(|len| distance_max.0 as usize <= 8 * len), "{name}");
                }
                Metric::Equality => {
                    assert!(listed.iter().all(|len| (4..=Hash::LEN_MAX).contains(len)), "{name}");
                    assert_eq!(*distance_max, Distance(0), "{name}");
                }
                Metric::Vector => panic!("{name}: vector types are declared"),
                Metric::Frames => {
                    assert_eq!(lengths.listed(), None, "{name}");
                    assert!(*distance_max <= HashType::PDQ.distance_max(), "{name}");
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
    fn distances_are_written_and_read_in_the_unit_of_the_type() {
        let vector = VectorClass::ALL[0].hash_type(250);
        for (text, distance) in [
            ("0.183204", 183_204),
            ("2", 2_000_000),
            (".5", 500_000),
            ("0.000001", 1),
            ("4294.967295", u32::MAX),
        ] {
            assert_eq!(vector.distance_of_text(text), Some(Distance(distance)), "{text}");
            assert_eq!(
                vector.distance_of_text(&vector.distance_text(Distance(distance))),
                Some(Distance(distance))
            );
        }
        for text in ["", ".", "1.0000001", "-1", "1e3", "4294.967296", "a"] {
            assert_eq!(vector.distance_of_text(text), None, "{text}");
        }
        assert_eq!(HashType::PDQ.distance_text(Distance(31)), "31");
        assert_eq!(
            (HashType::PDQ.distance_of_text("31"), HashType::PDQ.distance_of_text("0.5")),
            (Some(Distance(31)), None)
        );
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
