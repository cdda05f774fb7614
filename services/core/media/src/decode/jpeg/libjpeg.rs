//! libjpeg, as `mozjpeg` builds and wraps it: its samples equal Pillow's, since Pillow also uses libjpeg.
//!
//! libjpeg decodes what it can, and only warns if data are missing or wrong. Pillow hides these warnings.
//! Here a warning is an error if it means that part of the picture is grey or shifted, and is ignored if it
//! is about skipped bytes. libjpeg also invents an end of image where the data end; [`Source`] fails instead,
//! as Pillow's source does.

use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg::decompress::{DecompressBuilder, DecompressStarted};
use mozjpeg_sys as ffi;

use crate::error::DecodeError;

use super::header::FORMAT;

/// The colour space to which libjpeg converts the components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Grey,
    Rgb,
    /// Inks as stored, which is inverted: see [`super::inks`].
    Cmyk,
}

/// A picture whose header has been read, and whose rows are decoded one after the other.
pub(super) struct Rows<'a> {
    decoder: DecompressStarted<Source<'a>>,
}

/// Starts to decode `content`, with each block of `cell` x `cell` pixels reduced to its mean. `cell` is 1, 2,
/// 4 or 8.
///
/// The scans of a file with several scans are decoded here, up to the last one's rows.
pub(super) fn start(content: &[u8], output: Output, cell: u8) -> Result<Rows<'_>, DecodeError> {
    refusing(|| {
        let mut decoder =
            DecompressBuilder::new().with_err(errors()).from_reader(Source { rest: content })?;
        decoder.scale(8 / cell);
        let decoder = match output {
            Output::Grey => decoder.grayscale()?,
            Output::Rgb => decoder.rgb()?,
            Output::Cmyk => decoder.to_colorspace(mozjpeg::ColorSpace::JCS_CMYK)?,
        };
        Ok(Rows { decoder })
    })
}

impl Rows<'_> {
    /// Returns width and height of the decoded picture, in samples.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.decoder.width(), self.decoder.height())
    }

    /// Decodes as many of the next rows as fit into `rows`.
    pub(super) fn read_into(&mut self, rows: &mut [u8]) -> Result<(), DecodeError> {
        refusing(|| self.decoder.read_scanlines_into(rows).map(|_| ()))
    }
}

/// The bytes of the file. Reading beyond the end is an error, after which libjpeg stops.
struct Source<'a> {
    rest: &'a [u8],
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.rest.read(into)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        // The error must not be `UnexpectedEof`, for which the wrapper would invent an end of image.
        if self.rest.is_empty() { Err(io::ErrorKind::Other.into()) } else { Ok(self.rest) }
    }

    fn consume(&mut self, amount: usize) {
        self.rest.consume(amount);
    }
}

/// The code of libjpeg's message, as the payload of unwinding through libjpeg.
struct Refusal(i32);

/// Runs a part of libjpeg, whose errors unwind.
fn refusing<T>(work: impl FnOnce() -> io::Result<T>) -> Result<T, DecodeError> {
    // After an error the decoder is not used, but only dropped.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(DecodeError::Truncated { format: FORMAT }),
        Err(payload) => match payload.downcast::<Refusal>() {
            Ok(refusal) => Err(error_of(refusal.0)),
            Err(payload) => resume_unwind(payload),
        },
    }
}

/// Returns the error for a code of `jerror.h`.
fn error_of(code: i32) -> DecodeError {
    match code {
        ffi::JERR_FILE_READ | ffi::JWRN_HIT_MARKER | ffi::JERR_NO_IMAGE | ffi::JERR_INPUT_EOF => {
            DecodeError::Truncated { format: FORMAT }
        }
        ffi::JERR_SOF_UNSUPPORTED | ffi::JERR_BAD_PRECISION | ffi::JERR_CONVERSION_NOTIMPL => {
            DecodeError::Unsupported {
                format: FORMAT,
                reason: "this coding; baseline and progressive files of 8 bits are accepted",
            }
        }
        ffi::JERR_OUT_OF_MEMORY => {
            DecodeError::Corrupt { reason: "the JPEG needs more memory than there is" }
        }
        ffi::JERR_NO_HUFF_TABLE | ffi::JERR_BAD_HUFF_TABLE | ffi::JERR_DHT_INDEX => {
            DecodeError::Corrupt { reason: "a Huffman table of the JPEG is missing or wrong" }
        }
        ffi::JERR_NO_QUANT_TABLE | ffi::JERR_DQT_INDEX => {
            DecodeError::Corrupt { reason: "a quantisation table of the JPEG is missing or wrong" }
        }
        _ => DecodeError::Corrupt { reason: "the JPEG's data cannot be decoded" },
    }
}

/// `JWRN_ARITH_BAD_CODE` of a libjpeg with arithmetic decoding. The list in `mozjpeg-sys` belongs to a build
/// without it, so it lacks this code, and the codes after it are wrong.
const JWRN_ARITH_BAD_CODE: i32 = ffi::JERR_BAD_CROP_SPEC + 2;

/// Checks whether a warning means that samples are wrong, and not only that bytes were skipped.
const fn damages(warning: i32) -> bool {
    matches!(
        warning,
        ffi::JWRN_HIT_MARKER | ffi::JWRN_HUFF_BAD_CODE | JWRN_ARITH_BAD_CODE | ffi::JWRN_MUST_RESYNC
    )
}

/// Returns error handling that prints nothing and unwinds.
#[expect(unsafe_code, reason = "the wrapper's own error handling hides warnings")]
fn errors() -> ffi::jpeg_error_mgr {
    // SAFETY: the struct holds numbers, pointers and optional functions, for all of which zeros are a value.
    let mut errors: ffi::jpeg_error_mgr = unsafe { std::mem::zeroed() };
    // SAFETY: fills the struct that it is given, and keeps no reference to it.
    unsafe { ffi::jpeg_std_error(&mut errors) };
    errors.error_exit = Some(exit);
    errors.emit_message = Some(warn);
    errors
}

/// libjpeg's `error_exit`, which does not return.
#[cold]
extern "C-unwind" fn exit(common: &mut ffi::jpeg_common_struct) {
    resume_unwind(Box::new(Refusal(code(common))));
}

/// libjpeg's `emit_message`: warnings have level -1, and traces 0 and more.
extern "C-unwind" fn warn(common: &mut ffi::jpeg_common_struct, level: i32) {
    if level < 0 && damages(code(common)) {
        exit(common);
    }
}

/// Returns the code of the current message.
#[expect(unsafe_code, reason = "libjpeg hands its state on behind a pointer")]
fn code(common: &ffi::jpeg_common_struct) -> i32 {
    // SAFETY: libjpeg calls with the error handling that the decoder was made with, which the decoder owns
    // and outlives.
    unsafe { common.err.as_ref() }.map_or(0, |errors| errors.msg_code)
}
