//! Decodes an image within hard limits and computes its fingerprints: PDQ with its eight variants, MD5, SHA-256.
//!
//! Synchronous, without network, and without memory: pixels live as long as one call, and neither pixels, bytes
//! nor hashes reach an error text. The one entry point of the services is [`fingerprint`].
//!
//! ```text
//! bytes --limits--> decode/{jpeg,png,webp,gif,bmp,tiff} --> Picture (RGB, 8 bits)
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
//! Reading order: [`limits`], [`error`], `pixels`, [`picture`], [`mod@decode`], `band`, [`filter`], [`dct`], [`mod@pdq`], [`digest`].

pub mod limits;
pub mod error;
mod pixels;
pub mod picture;
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

use vigie_model::ImageFingerprint;

/// Decodes `content` within `limits` and computes everything that is computed from an image.
///
/// # Errors
/// [`DecodeError`], when the bytes are no picture that this crate accepts.
pub fn fingerprint(content: &[u8], limits: &Limits) -> Result<ImageFingerprint, DecodeError> {
    let picture = decode(content, limits)?;
    let (width, height) = (picture.width(), picture.height());
    let (hashes, quality) = pdq(&picture);
    drop(picture);
    Ok(ImageFingerprint {
        width,
        height,
        pdq: hashes,
        quality,
        md5: digest::md5(content),
        sha256: digest::sha256(content),
    })
}
