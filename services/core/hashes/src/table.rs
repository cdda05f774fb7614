//! The types of the table's columns: number, distance, text form, metric.

use std::fmt;

/// A kind of fingerprint, identified by its permanent number.
///
/// Any number except 0 is a hash type. A type without a row in this build is *unknown*: the crate's
/// documentation describes how its hashes are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HashType(u16);

/// The distance of two hashes: a number of differing bits, or for vectors millionths of the value of their
/// metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Distance(pub u32);

/// A hash type of the table.
#[derive(Debug)]
pub struct Row {
    /// The type that the row describes.
    pub hash_type: HashType,
    /// The name used in files, on the command line and in messages: lower-case letters, digits and
    /// underscores.
    pub name: &'static str,
    /// The names that other tools give the type; [`crate::lookup`] compares them without case.
    pub aliases: &'static [&'static str],
    /// The lengths of a hash, in bytes. They never change: a hash of other lengths needs another type.
    pub lengths: Lengths,
    /// The form in which a hash is written as text.
    pub text: TextForm,
    /// The way in which two hashes are compared.
    pub metric: Metric,
    /// The distance of a search whose caller names none.
    pub distance_default: Distance,
    /// The largest distance that a search accepts; 0 for [`Metric::Equality`].
    pub distance_max: Distance,
    /// Whether a query carries the hashes of all eight turned and mirrored variants of the picture.
    pub has_variants: bool,
    /// Whether a search excludes the hash of a picture with too little detail.
    pub has_quality_floor: bool,
}

/// The lengths that a hash of a type may have, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lengths {
    /// The listed lengths, in ascending order.
    Of(&'static [usize]),
    /// A whole number of parts of equal length, one after the other.
    Parts {
        /// The size of each part, in bytes.
        bytes: usize,
        /// The largest number of parts; the smallest is one.
        count_max: usize,
    },
}

/// The way in which two hashes of a type are compared.
///
/// A metric of opaque hashes, which only an outside program compares, would be a further variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The distance is the number of differing bits. An index exists for 64, 96, 128, 256 and 512 bits.
    Hamming,
    /// Two hashes match if their bytes are equal. An index exists for 4 to 512 bytes.
    Equality,
    /// A hash is a list of frames, each with a PDQ hash of 256 bits. Two lists match if large enough shares
    /// of their frames are near a frame of the other list. An index stores the frames.
    Frames,
    /// A hash is a vector of numbers. The type's number determines the metric: see [`crate::vectors`]. An
    /// index is approximate: it finds most of the vectors within the distance, and reports an estimate of the
    /// share that it finds.
    Vector,
}

/// The way in which the hashes of a type are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextForm {
    /// Hexadecimal digits: lower case in output, either case in input.
    Hex,
    /// Hexadecimal digits as for [`TextForm::Hex`]; input may also be standard base64 with padding (RFC 4648,
    /// section 4).
    HexOrBase64,
    /// TLSH: `T1` and upper-case hexadecimal digits in output; in input either case, and `T1` may be left
    /// out.
    Tlsh,
    /// A line for each frame of a video, in the forms of [`crate::frames::text`].
    Frames,
    /// The bytes of a vector in standard base64 with padding. Input may be hexadecimal digits, or a JSON list
    /// of the elements.
    Vector,
}

impl HashType {
    /// Returns the type with this number; `None` for 0, which is not a type.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    pub(crate) const fn new(number: u16) -> Self {
        assert!(number != 0, "0 is no hash type");
        Self(number)
    }

    /// Returns the permanent number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl Distance {
    /// Returns the number of differing bits, if the distance is that of a hash of bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }
}

impl Lengths {
    /// Checks whether a hash may have `len` bytes.
    #[must_use]
    pub fn accept(self, len: usize) -> bool {
        match self {
            Self::Of(lengths) => lengths.contains(&len),
            Self::Parts { bytes, count_max } => {
                len.is_multiple_of(bytes) && (1..=count_max).contains(&(len / bytes))
            }
        }
    }

    /// Returns the shortest length, in bytes.
    #[must_use]
    pub fn least(self) -> usize {
        match self {
            Self::Of(lengths) => lengths.first().copied().unwrap_or_default(),
            Self::Parts { bytes, .. } => bytes,
        }
    }

    /// Returns the lengths in bytes if they are few enough to be listed; `None` for [`Lengths::Parts`].
    #[must_use]
    pub const fn listed(self) -> Option<&'static [usize]> {
        match self {
            Self::Of(lengths) => Some(lengths),
            Self::Parts { .. } => None,
        }
    }
}

impl Row {
    /// Checks whether a hash of this type may have `len` bytes.
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
