//! Pictures that an outside program decodes: what of the file it has to read, and how its pixels make the picture.
//!
//! JPEG 2000, HEIC and JPEG XL have no decoder here that could be built from a crate with a C compiler alone. This module reads the
//! headers of such files: the size, checked against the limits before a pixel exists and against the program's answer
//! after, and whether the file is complete. It runs no program.
//!
//! The meaning of a pixel:
//! - JPEG 2000 as Pillow gives it.
//! - HEIC, which Pillow alone does not read, as pillow-heif gives it: cropped, mirrored and turned as the file asks. The picture as stored
//!   is a further way, as with TIFF. The tiles of a picture are decoded one after the other and put together here, so that it does not
//!   matter whether the program can.
//! - JPEG XL as libjxl gives it: upright.
//!
//! Alpha is dropped everywhere.

mod bits;
mod heic;
mod jpeg2000;
mod jpegxl;
mod mosaic;
mod turns;

use crate::error::DecodeError;
use crate::limits::Limits;

use super::guard;
use super::signature::{self, Foreign};

pub use mosaic::{Mosaic, picture_of_pixels};

/// How the pixels of a picture are coded that an outside program decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// JPEG 2000, in a JP2 file or bare.
    Jpeg2000,
    /// HEVC, from a HEIC file, as units with start codes.
    Hevc,
    /// JPEG XL, in its container or bare.
    JpegXl,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Jpeg2000, Self::Hevc, Self::JpegXl];

    /// The format of files with it, as people write it.
    #[must_use]
    pub const fn format(self) -> &'static str {
        match self {
            Self::Jpeg2000 => signature::JPEG_2000,
            Self::Hevc => signature::HEIC,
            Self::JpegXl => signature::JPEG_XL,
        }
    }
}

/// Bytes of the file that the program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From the beginning of the file.
    pub offset: usize,
    /// How many.
    pub bytes: usize,
    /// Whether they are a unit that a start code goes before.
    pub is_unit: bool,
}

impl Part {
    /// The most parts of a picture.
    pub const COUNT_MAX: usize = 8_192;
    /// What goes before a unit: the start code of ITU-T H.265, Annex B.
    pub const START_CODE: [u8; 4] = [0, 0, 0, 1];
}

/// What luma and chroma mean where the container says it, in the numbers of ITU-T H.273. It goes before what the coded data say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// Coefficients of the matrix.
    pub matrix: u16,
    /// Whether samples use all of their range.
    pub full_range: bool,
}

/// A picture that an outside program decodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// What codes it.
    pub coding: Coding,
    /// What the program reads, one after the other. At most [`Part::COUNT_MAX`].
    pub parts: Vec<Part>,
    /// The meaning of samples, where the container says it.
    pub meaning: Option<Meaning>,
    /// How the program's pictures make this one.
    pub mosaic: Mosaic,
}

impl Outside {
    /// Reads what an outside program needs to decode `content`. `None`: it is in no format that needs one.
    ///
    /// # Errors
    /// [`DecodeError`]: the file or what it declares is beyond `limits`, or it is truncated, corrupt or unsupported.
    pub fn read(content: &[u8], limits: &Limits) -> Result<Option<Self>, DecodeError> {
        let Some(foreign) = signature::foreign(content) else { return Ok(None) };
        limits.check_input(content)?;
        guard::catch_panic(foreign.name(), || {
            let outside = match foreign {
                Foreign::Jpeg2000 => jpeg2000::read(content),
                Foreign::Heic => heic::read(content),
                Foreign::JpegXl => jpegxl::read(content),
            }?;
            outside.mosaic.check(limits)?;
            Ok(Some(outside))
        })
    }

    /// A picture of the whole file.
    fn whole(coding: Coding, content: &[u8], mosaic: Mosaic) -> Self {
        let whole = Part { offset: 0, bytes: content.len(), is_unit: false };
        Self { coding, parts: vec![whole], meaning: None, mosaic }
    }

    /// The bytes that the program reads, piece by piece. `None` where a part is not within the file, or all together are more than
    /// twice as long: parameters may be repeated, and pictures are not.
    #[must_use]
    pub fn pieces<'a>(&self, content: &'a [u8]) -> Option<Vec<&'a [u8]>> {
        let mut pieces = Vec::with_capacity(self.parts.len() * 2);
        let mut left = content.len().saturating_mul(2);
        for part in &self.parts {
            left = left.checked_sub(part.bytes)?;
            if part.is_unit {
                pieces.push(Part::START_CODE.as_slice());
            }
            pieces.push(content.get(part.offset..part.offset.checked_add(part.bytes)?)?);
        }
        Some(pieces)
    }
}

#[cfg(test)]
mod tests;
