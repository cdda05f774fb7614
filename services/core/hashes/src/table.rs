//! The types of the table's columns: number, distance, text form, metric.

use std::fmt;

/// A kind of fingerprint, by its permanent number.
///
/// Any number but 0 is a hash type. A type without a row in this build is *unknown*: see the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HashType(u16);

/// How far two hashes are apart: differing bits, or of vectors millionths of their metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Distance(pub u32);

/// One hash type of the table.
#[derive(Debug)]
pub struct Row {
    /// The type that the row describes.
    pub hash_type: HashType,
    /// The name used in files, on the command line and in messages: lower-case letters, digits and underscores.
    pub name: &'static str,
    /// Names that other tools give it, compared without case: see [`crate::lookup`].
    pub aliases: &'static [&'static str],
    /// The lengths of a hash, in bytes. They never change: a build that accepts other lengths needs another type.
    pub lengths: Lengths,
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

/// The lengths that a hash of a type may have, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lengths {
    /// One of these, ascending.
    Of(&'static [usize]),
    /// Parts of equal length, one after the other.
    Parts {
        /// Bytes of each.
        bytes: usize,
        /// The most of them.
        count_max: usize,
    },
}

/// How two hashes of a type are compared.
///
/// A metric of opaque hashes, which only an outside program compares, would be a further variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// By the number of differing bits. An index exists for 64, 96, 128, 256 and 512 bits.
    Hamming,
    /// Two hashes match if their bytes are equal. An index exists for 4 to 512 bytes.
    Equality,
    /// A hash is a list of frames, each with a PDQ hash of 256 bits. Two lists match by the shares of their frames that are near a frame
    /// of the other. An index holds the frames.
    Frames,
    /// A hash is a vector of numbers. Which metric it has follows from the number of the type: see [`crate::vectors`]. An index finds most of
    /// what is near, and says how much.
    Vector,
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
    /// One line for each frame of a video: see [`crate::frames::text`].
    Frames,
    /// The bytes of a vector in standard base64 with padding. Input may be hexadecimal digits, or a JSON list of the elements.
    Vector,
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

impl Distance {
    /// The differing bits, where it is of a hash of bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }
}

impl Lengths {
    /// Whether a hash may have `len` bytes.
    #[must_use]
    pub fn accept(self, len: usize) -> bool {
        match self {
            Self::Of(lengths) => lengths.contains(&len),
            Self::Parts { bytes, count_max } => {
                len.is_multiple_of(bytes) && (1..=count_max).contains(&(len / bytes))
            }
        }
    }

    /// The shortest.
    #[must_use]
    pub fn least(self) -> usize {
        match self {
            Self::Of(lengths) => lengths.first().copied().unwrap_or_default(),
            Self::Parts { bytes, .. } => bytes,
        }
    }

    /// The lengths, where they are few enough to be listed.
    #[must_use]
    pub const fn listed(self) -> Option<&'static [usize]> {
        match self {
            Self::Of(lengths) => Some(lengths),
            Self::Parts { .. } => None,
        }
    }
}

impl Row {
    /// Whether a hash of this type may have `len` bytes.
    #[must_use]
    pub fn accepts(&self, len: usize) -> bool {
        self.lengths.accept(len)
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
