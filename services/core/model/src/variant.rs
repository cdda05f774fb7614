//! The eight ways to turn and mirror a picture.

use std::fmt;

/// One of the eight ways to turn and mirror a picture (the dihedral group of the square).
///
/// The order is the one in which PDQ's reference lists its dihedral hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variant {
    /// The picture as it is.
    Original,
    /// Turned by 90 degrees.
    Rotate90,
    /// Turned by 180 degrees.
    Rotate180,
    /// Turned by 270 degrees.
    Rotate270,
    /// Mirrored top to bottom (rows reversed).
    FlipX,
    /// Mirrored left to right (columns reversed).
    FlipY,
    /// Mirrored at the main diagonal.
    FlipPlus1,
    /// Mirrored at the other diagonal.
    FlipMinus1,
}

impl Variant {
    /// All eight, in the order of [`PictureHashes::pdq`](crate::PictureHashes::pdq).
    pub const ALL: [Self; 8] = [
        Self::Original,
        Self::Rotate90,
        Self::Rotate180,
        Self::Rotate270,
        Self::FlipX,
        Self::FlipY,
        Self::FlipPlus1,
        Self::FlipMinus1,
    ];

    /// The name used in output and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Rotate90 => "rotate-90",
            Self::Rotate180 => "rotate-180",
            Self::Rotate270 => "rotate-270",
            Self::FlipX => "flip-x",
            Self::FlipY => "flip-y",
            Self::FlipPlus1 => "flip-plus-1",
            Self::FlipMinus1 => "flip-minus-1",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
