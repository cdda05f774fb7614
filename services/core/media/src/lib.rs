//! Decodes an image within hard limits and computes its fingerprints: PDQ with its eight variants, MD5, SHA-256.
//!
//! Synchronous, without network, and without memory: pixels live as long as one call, and neither pixels, bytes
//! nor hashes reach an error text. The one entry point of the services is [`fingerprint`].
//!
//! ```text
//! bytes --limits--> decode/{jpeg,png,webp,gif,bmp,tiff} --> Picture (RGB, 8 bits)
//!   |                 or, of a large JPEG, decode/jpeg_luma --> Luma (8 bits)
//!   |                                                          | filter: two band matrices, 64 x 64 luma
//!   +--> digest: MD5, SHA-256                                  | dct:    16 x 16 coefficients
//!                                                              +-> pdq:  quality and eight hashes
//! ```
//!
//! Always true:
//! - What is hashed is the whole picture: a file that ends early is refused, never hashed half grey.
//! - Limits are checked on what the header declares, before pixels are allocated.
//! - A decoder that panics costs its caller one error, [`DecodeError::DecoderPanicked`].
//!
//! Reading order: [`limits`], [`error`], `pixels`, [`picture`], `luma`, [`mod@decode`], `band`, [`filter`], [`dct`], [`mod@pdq`], [`digest`].

pub mod limits;
pub mod error;
mod pixels;
pub mod picture;
mod luma;
pub mod decode;
mod band;
pub mod filter;
pub mod dct;
pub mod pdq;
pub mod digest;

pub use decode::decode;
pub use error::DecodeError;
pub use limits::Limits;
pub use pdq::pdq;
pub use picture::Picture;

use vigie_model::{ImageFingerprint, PdqHash, Quality};

/// Below this quality rounding may decide a bit, and luma is computed from RGB as the reference does it.
const QUALITY_OF_LUMA_MIN: u8 = 80;

/// A picture's PDQ and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePdq {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The hashes of the picture and its variants, in the order of [`vigie_model::Variant::ALL`].
    pub hashes: [PdqHash; 8],
    /// How much detail the picture holds.
    pub quality: Quality,
}

/// Decodes `content` within `limits` as far as PDQ needs it, and computes that.
///
/// Of a large JPEG with enough detail only luma is decoded. Its samples are rounded elsewhere than those of RGB, so a hash
/// may be 2 bits, rarely 4, from that of [`fn@decode`] and [`fn@pdq`]; nearly always it is the same.
///
/// # Errors
/// [`DecodeError`], when the bytes are no picture that this crate accepts.
pub fn pdq_of_image(content: &[u8], limits: &Limits) -> Result<ImagePdq, DecodeError> {
    if let Some(luma) = decode::decode_luma(content, limits)? {
        let (hashes, quality) = pdq::pdq_of_source(&luma);
        if quality.get() >= QUALITY_OF_LUMA_MIN {
            return Ok(ImagePdq { width: luma.width(), height: luma.height(), hashes, quality });
        }
    }
    let picture = decode(content, limits)?;
    let (hashes, quality) = pdq(&picture);
    Ok(ImagePdq { width: picture.width(), height: picture.height(), hashes, quality })
}

/// Decodes `content` within `limits` and computes everything that is computed from an image.
///
/// # Errors
/// [`DecodeError`], when the bytes are no picture that this crate accepts.
pub fn fingerprint(content: &[u8], limits: &Limits) -> Result<ImageFingerprint, DecodeError> {
    let ImagePdq { width, height, hashes, quality } = pdq_of_image(content, limits)?;
    Ok(ImageFingerprint { width, height, pdq: hashes, quality, digests: digest::digests(content) })
}
