//! How a query hash was taken of an image file: of which frame, and in which way.

use std::fmt;

/// The way in which a frame was hashed.
///
/// A bank holds hashes of pictures as they are. Some altered copies are far from them by PDQ's own rules, and a second hash of the
/// same frame, taken in another way, is near again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Way {
    /// The frame as it is.
    #[default]
    Plain,
    /// The frame scaled up: finds the large original of a thumbnail.
    Scaled,
    /// The frame without its uniform borders: finds the original of a copy with bars around it.
    Unbordered,
    /// The frame's palette indices taken as grey: finds hashes by tools that hash them so.
    PaletteIndices,
    /// The frame as the file stores it, without the turn that its orientation asks for.
    AsStored,
}

impl Way {
    /// All ways but [`Way::Plain`].
    pub const FURTHER: [Self; 4] = [Self::Scaled, Self::Unbordered, Self::PaletteIndices, Self::AsStored];

    /// The name used in output, settings and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Scaled => "scaled",
            Self::Unbordered => "unbordered",
            Self::PaletteIndices => "palette_indices",
            Self::AsStored => "as_stored",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which frame of a file was hashed, and in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Rendition {
    /// The frame's number, from 0.
    pub frame: u32,
    /// The way.
    pub way: Way,
}
