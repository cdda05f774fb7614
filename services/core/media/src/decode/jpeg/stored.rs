//! The samples of four components as a JPEG stores them, for containers that declare their meaning
//! themselves.

use crate::error::DecodeError;
use crate::limits::Limits;

use super::libjpeg::Output;
use super::{checked_header, inks, started};

/// Decodes the first rows of a picture of four components, pixel after pixel, until `out` is full.
///
/// Colours are converted only if a marker declares them as YCCK.
pub(in crate::decode) fn decode(content: &[u8], limits: &Limits, out: &mut [u8]) -> Result<(), DecodeError> {
    let header = checked_header(content, limits)?;
    let mut rows = started(content, &header, Output::Cmyk, 1)?;
    let (width, height) = rows.size();
    let row_bytes = width * inks::INKS;
    if header.sampling.len() != inks::INKS
        || !out.len().is_multiple_of(row_bytes)
        || out.len() / row_bytes > height
    {
        return Err(DecodeError::Corrupt {
            reason: "the JPEG holds another number of samples than it should",
        });
    }
    rows.read_into(out)
}
