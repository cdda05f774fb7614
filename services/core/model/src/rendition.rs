//! The origin of a query hash in an image file: the frame, the way of hashing, and the orientation.

use std::fmt;

/// A rotation or mirroring of a picture: one of eight (the dihedral group of the square).
///
/// The order is that of the dihedral hashes in PDQ's reference implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variant {
    /// The unchanged picture.
    Original,
    /// Rotated by 90 degrees.
    Rotate90,
    /// Rotated by 180 degrees.
    Rotate180,
    /// Rotated by 270 degrees.
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
    /// All eight variants, in the order of [`PictureHashes::pdq`](crate::PictureHashes::pdq).
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

    /// Returns the name used in output and messages.
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

/// The way in which a frame was hashed.
///
/// A bank has hashes of unchanged pictures. Some altered copies are far from these by PDQ's own rules, and a
/// second hash of the same frame, computed in another way, is near again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Way {
    /// The unchanged frame.
    #[default]
    Plain,
    /// The frame scaled up, which finds the large original of a thumbnail.
    Scaled,
    /// The frame without its uniform borders, which finds the original of a copy with bars around it.
    Unbordered,
    /// The frame's palette indices as grey values, which find hashes by tools that hash indices.
    PaletteIndices,
    /// The frame as the file stores it, without the rotation that its orientation asks for.
    AsStored,
    /// A way that this version does not know, in the answer of a newer frontend.
    Other,
}

impl Way {
    /// All ways of hashing except [`Way::Plain`].
    pub const FURTHER: [Self; 4] = [Self::Scaled, Self::Unbordered, Self::PaletteIndices, Self::AsStored];

    /// Returns the name used in output, settings and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Scaled => "scaled",
            Self::Unbordered => "unbordered",
            Self::PaletteIndices => "palette_indices",
            Self::AsStored => "as_stored",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The frame of a file that was hashed, and the way in which it was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Rendition {
    /// The frame's number, from 0.
    pub frame: u32,
    /// The way of hashing.
    pub way: Way,
}
