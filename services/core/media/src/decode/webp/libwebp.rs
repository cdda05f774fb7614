//! The calls into libwebp, which has no safe wrapper that decodes into given memory: the container, one
//! picture, an animation.
//!
//! Version 1.6.0 is built from the sources in `libwebp-sys`; Pillow 13 has the same version. It allocates
//! with `malloc` what the header declares, and reports a failed allocation as an error. It starts no thread:
//! `use_threads` is 0.
#![expect(unsafe_code, reason = "libwebp is C; this file holds all calls to it")]

use std::ffi::c_int;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;
use std::time::Duration;

use libwebp_sys as sys;

use crate::picture::CHANNELS;
use crate::pixels::Pixels;

/// The number of samples of one pixel of an animation's canvas: red, green, blue, alpha.
pub(super) const CANVAS_CHANNELS: usize = 4;

/// The reasons why a picture was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    OutOfMemory,
    Truncated,
    Unsupported,
    Corrupt,
}

/// A parsed container.
pub(super) struct Container<'a> {
    demuxer: NonNull<sys::WebPDemuxer>,
    /// The demuxer points into the file.
    content: PhantomData<&'a [u8]>,
}

/// A frame of a container.
pub(super) struct Fragment<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// The chunks of the picture: `ALPH` and `VP8 `, or `VP8L`.
    pub(super) chunks: &'a [u8],
}

impl<'a> Container<'a> {
    /// Parses a whole file. `None` if libwebp, and so Pillow, refuses it.
    pub(super) fn parse(content: &'a [u8]) -> Option<Self> {
        let data = sys::WebPData { bytes: content.as_ptr(), size: content.len() };
        let (whole_file, no_state) = (0, ptr::null_mut());
        // SAFETY: `data` names the bytes of `content`, which outlives the demuxer by the lifetime of `Self`;
        // a null state is allowed.
        let demuxer = unsafe {
            sys::WebPDemuxInternal(&raw const data, whole_file, no_state, sys::WebPGetDemuxABIVersion())
        };
        Some(Self { demuxer: NonNull::new(demuxer)?, content: PhantomData })
    }

    pub(super) fn width(&self) -> u32 {
        self.feature(sys::WebPFormatFeature::WEBP_FF_CANVAS_WIDTH)
    }

    pub(super) fn height(&self) -> u32 {
        self.feature(sys::WebPFormatFeature::WEBP_FF_CANVAS_HEIGHT)
    }

    pub(super) fn frame_count(&self) -> u32 {
        self.feature(sys::WebPFormatFeature::WEBP_FF_FRAME_COUNT)
    }

    fn feature(&self, feature: sys::WebPFormatFeature) -> u32 {
        // SAFETY: the demuxer is alive until `self` is dropped.
        unsafe { sys::WebPDemuxGetI(self.demuxer.as_ptr(), feature) }
    }

    /// Returns the first frame.
    pub(super) fn first(&self) -> Option<Fragment<'a>> {
        let mut frame = MaybeUninit::<sys::WebPIterator>::zeroed();
        // SAFETY: the demuxer is alive; `frame` is writable memory of the type, which the call fills and
        // which keeps nothing that would have to be released (`WebPDemuxReleaseIterator` does nothing). Zeros
        // are a valid iterator for where it fails.
        let (found, frame) = unsafe {
            let found = sys::WebPDemuxGetFrame(self.demuxer.as_ptr(), 1, frame.as_mut_ptr());
            (found, frame.assume_init())
        };
        if found == 0 || frame.fragment.bytes.is_null() {
            return None;
        }
        // SAFETY: a frame's chunks are a part of the file that the demuxer was made from, which lives for 'a
        // and is not written.
        let chunks = unsafe { slice::from_raw_parts(frame.fragment.bytes, frame.fragment.size) };
        Some(Fragment {
            width: u32::try_from(frame.width).ok()?,
            height: u32::try_from(frame.height).ok()?,
            chunks,
        })
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made by `WebPDemuxInternal` and is deleted once.
        unsafe { sys::WebPDemuxDelete(self.demuxer.as_ptr()) }
    }
}

/// Decodes one picture of `width` x `height` pixels to RGB.
pub(super) fn decode_rgb(chunks: &[u8], width: u32, height: u32) -> Result<Pixels, Fault> {
    let mut config = sys::WebPDecoderConfig::new().map_err(|()| Fault::Unsupported)?;
    let stride = width as usize * CHANNELS;
    let mut rgb = Pixels::zeroed(stride * height as usize);
    config.options.use_threads = 0;
    config.output.colorspace = sys::WEBP_CSP_MODE::MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = sys::WebPRGBABuffer {
        rgba: rgb.as_mut_ptr(),
        stride: c_int::try_from(stride).map_err(|_| Fault::Unsupported)?,
        size: rgb.len(),
    };
    // SAFETY: the input is a slice; the output is external memory, of which the call writes at most `size`
    // bytes, and refuses where the picture needs more. So nothing in `config` has to be freed.
    let status = unsafe { sys::WebPDecode(chunks.as_ptr(), chunks.len(), &raw mut config) };
    match status {
        sys::VP8StatusCode::VP8_STATUS_OK => Ok(rgb),
        sys::VP8StatusCode::VP8_STATUS_OUT_OF_MEMORY => Err(Fault::OutOfMemory),
        sys::VP8StatusCode::VP8_STATUS_SUSPENDED | sys::VP8StatusCode::VP8_STATUS_NOT_ENOUGH_DATA => {
            Err(Fault::Truncated)
        }
        sys::VP8StatusCode::VP8_STATUS_UNSUPPORTED_FEATURE => Err(Fault::Unsupported),
        sys::VP8StatusCode::VP8_STATUS_BITSTREAM_ERROR
        | sys::VP8StatusCode::VP8_STATUS_INVALID_PARAM
        | sys::VP8StatusCode::VP8_STATUS_USER_ABORT => Err(Fault::Corrupt),
    }
}

/// An animation, drawn frame by frame on its canvas, as Pillow draws it.
pub(super) struct Animation<'a> {
    decoder: NonNull<sys::WebPAnimDecoder>,
    canvas_bytes: usize,
    /// The time at which the next frame is shown.
    time: Duration,
    /// The decoder points into the file.
    content: PhantomData<&'a [u8]>,
}

impl<'a> Animation<'a> {
    /// Allocates two canvases of the size of the container, which was parsed from `content`.
    pub(super) fn new(content: &'a [u8], container: &Container<'a>) -> Option<Self> {
        let data = sys::WebPData { bytes: content.as_ptr(), size: content.len() };
        let options = sys::WebPAnimDecoderOptions {
            color_mode: sys::WEBP_CSP_MODE::MODE_RGBA,
            use_threads: 0,
            padding: [0; 7],
        };
        // SAFETY: `data` names the bytes of `content`, which outlives the decoder by the lifetime of `Self`;
        // `options` is read only during the call.
        let decoder = unsafe {
            sys::WebPAnimDecoderNewInternal(
                &raw const data,
                &raw const options,
                sys::WebPGetDemuxABIVersion(),
            )
        };
        let canvas_bytes = container.width() as usize * container.height() as usize * CANVAS_CHANNELS;
        Some(Self {
            decoder: NonNull::new(decoder)?,
            canvas_bytes,
            time: Duration::ZERO,
            content: PhantomData,
        })
    }

    /// Draws the next frame. Returns the time at which it is shown, and the canvas. `None` if there is no
    /// frame or it is damaged.
    pub(super) fn next(&mut self) -> Option<(Duration, &[u8])> {
        let mut canvas = ptr::null_mut();
        let mut end_ms = 0;
        // SAFETY: the decoder is alive; both results are written to variables of the right type.
        let drawn =
            unsafe { sys::WebPAnimDecoderGetNext(self.decoder.as_ptr(), &raw mut canvas, &raw mut end_ms) };
        if drawn == 0 || canvas.is_null() {
            return None;
        }
        let time = self.time;
        self.time = Duration::from_millis(u64::try_from(end_ms).unwrap_or_default());
        // SAFETY: the decoder's canvas has four bytes for each pixel of the container's size, and is valid
        // until the next call on the decoder, which needs `self` mutably.
        Some((time, unsafe { slice::from_raw_parts(canvas, self.canvas_bytes) }))
    }
}

impl Drop for Animation<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made by `WebPAnimDecoderNewInternal` and is deleted once.
        unsafe { sys::WebPAnimDecoderDelete(self.decoder.as_ptr()) }
    }
}
