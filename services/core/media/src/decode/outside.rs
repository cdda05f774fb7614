//! Pictures that an external program decodes: the parts of the file that it reads, and how its pixels make
//! the picture.
//!
//! There is no decoder for JPEG 2000, HEIC and JPEG XL that a C compiler alone can build from a crate. This
//! module reads the headers of such files. It checks the size against the limits before any pixel exists, and
//! later against the program's answer, and it checks whether the file is complete. It runs no program.
//!
//! The meaning of a pixel:
//! - JPEG 2000 as in Pillow.
//! - HEIC, which Pillow alone does not read, as in pillow-heif: cropped, mirrored and turned as the file
//!   asks. The picture as stored is a further way, as with TIFF. The tiles of a picture are decoded one after
//!   the other and assembled here, so it does not matter whether the program supports tiles.
//! - JPEG XL as in libjxl: upright.
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

/// The coding of a picture that an external program decodes.
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
    /// All codings.
    pub const ALL: [Self; 3] = [Self::Jpeg2000, Self::Hevc, Self::JpegXl];

    /// Returns the usual name of the file format with this coding.
    #[must_use]
    pub const fn format(self) -> &'static str {
        match self {
            Self::Jpeg2000 => signature::JPEG_2000,
            Self::Hevc => signature::HEIC,
            Self::JpegXl => signature::JPEG_XL,
        }
    }
}

/// A range of bytes of the file that the program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The offset from the beginning of the file, in bytes.
    pub offset: usize,
    /// The number of bytes.
    pub bytes: usize,
    /// Whether the bytes are a unit that needs a start code before it.
    pub is_unit: bool,
}

impl Part {
    /// The largest number of parts of a picture.
    pub const COUNT_MAX: usize = 8_192;
    /// The bytes before a unit: the start code of ITU-T H.265, Annex B.
    pub const START_CODE: [u8; 4] = [0, 0, 0, 1];
}

/// The meaning of luma and chroma that the container declares, in the numbers of ITU-T H.273. It has
/// precedence over the coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// The matrix coefficients.
    pub matrix: u16,
    /// Whether samples use all of their range.
    pub full_range: bool,
}

/// A picture that an external program decodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The coding of the picture.
    pub coding: Coding,
    /// The parts that the program reads, one after the other. At most [`Part::COUNT_MAX`].
    pub parts: Vec<Part>,
    /// The meaning of samples, if the container declares it.
    pub meaning: Option<Meaning>,
    /// The arrangement of the program's pictures in this one.
    pub mosaic: Mosaic,
}

impl Outside {
    /// Reads what an external program needs to decode `content`. `None` if the content is not in a format
    /// that needs one.
    ///
    /// # Errors
    /// [`DecodeError`]: the file or its declared size exceeds `limits`, or it is truncated, corrupt or
    /// unsupported.
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

    /// Describes a picture for which the program reads the whole file.
    fn whole(coding: Coding, content: &[u8], mosaic: Mosaic) -> Self {
        let whole = Part { offset: 0, bytes: content.len(), is_unit: false };
        Self { coding, parts: vec![whole], meaning: None, mosaic }
    }

    /// Returns the bytes that the program reads, piece by piece. `None` if a part is not within the file, or
    /// if all parts together are more than twice as long as the file: parameters may be repeated, pictures
    /// may not.
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
