//! Decodes ordinary baseline files with `zune-jpeg` in its strict mode. With its vector instructions it is
//! twice as fast as a libjpeg without them.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::pdq::near::Near;
use crate::picture::CHANNELS;
use crate::pixels::Pixels;

use super::header::{Colours, Header};

/// The smallest number of pixels. Smaller pictures are decoded exactly: rounding averages out only over many
/// pixels, and there is little time to save.
const PIXELS_MIN: u32 = 512 * 512;

/// The shortest side, in pixels, for the same reason.
const SIDE_PX_MIN: u16 = 256;

/// The largest effect of this decoder's rounding on a coefficient of PDQ, in pictures of at least this size.
/// The mean is a tenth of it. Measured against libjpeg on generated pictures and photographs of 0.3 to 12
/// megapixels, with qualities 50 to 95.
const ROUNDING: f32 = 0.15;

/// Decodes to RGB; `None` if this decoder does not accept the file, so that libjpeg must decode it.
pub(super) fn decode(content: &[u8], header: &Header) -> Option<Near> {
    let large = u32::from(header.width) * u32::from(header.height) >= PIXELS_MIN
        && header.width.min(header.height) >= SIDE_PX_MIN;
    let sampled = matches!(header.sampling[..], [(1, 1) | (2, 1) | (2, 2), (1, 1), (1, 1)]);
    if !large || header.buffered || header.colours != Colours::YCbCr || !sampled {
        return None;
    }
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(content), options);
    decoder.decode_headers().ok()?;
    if decoder.dimensions() != Some((width, height)) || decoder.input_colorspace() != Some(ColorSpace::YCbCr)
    {
        return None;
    }
    let mut rgb = Pixels::zeroed(width * height * CHANNELS);
    decoder.decode_into(&mut rgb).ok()?;
    Near::new(header.width.into(), header.height.into(), 1, ROUNDING, rgb)
}
