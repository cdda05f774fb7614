//! The types of the table's columns: number, distance, text form, metric.

use std::fmt;

/// A kind of fingerprint, by its permanent number.
///
/// Any number but 0 is a hash type. A type without a row in this build is *unknown*: see the crate.
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
    /// The name used in files, on the command line and in messages: lower-case letters, digits and underscores.
    pub name: &'static str,
    /// Names that other tools give it, compared without case: see [`crate::lookup`].
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
    /// TLSH: `T1` and upper-case hexadecimal digits in output; in input either case, and `T1` may be left out.
    Tlsh,
}

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
}

impl Row {
    /// Whether a hash of this type may have `len` bytes.
    #[must_use]
    pub fn accepts(&self, len: usize) -> bool {
        self.lengths.contains(&len)
    }

    pub(crate) fn is_called(&self, text: &str) -> bool {
        [self.name].iter().chain(self.aliases).any(|name| name.eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
