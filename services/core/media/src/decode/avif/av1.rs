//! The calls into `re_rav1d`, which has the interface of the C library that it was translated from: AV1 data
//! to planes of samples.
//!
//! A panic in it does not unwind through that interface but ends the process; in a worker, that costs one
//! picture. It is configured for one thread, so it starts none. It is built without assembly, which would
//! need a separate assembler. Its pictures are freed when they are dropped. It writes no log.
#![expect(
    unsafe_code,
    reason = "re_rav1d's safe interface reads no headers and logs; this file holds all calls to it"
)]

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;

use re_rav1d::include::dav1d::data::Dav1dData;
use re_rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dSettings};
use re_rav1d::include::dav1d::headers::{
    DAV1D_PIXEL_LAYOUT_I400, DAV1D_PIXEL_LAYOUT_I420, DAV1D_PIXEL_LAYOUT_I422, DAV1D_PIXEL_LAYOUT_I444,
    Dav1dPixelLayout, Dav1dSequenceHeader,
};
use re_rav1d::include::dav1d::picture::Dav1dPicture;
use re_rav1d::src::lib as dav1d;

use super::cicp::Cicp;

/// The decoder's result when it needs more data: `EAGAIN`, negated, with its number on Linux and on BSD
/// systems.
const NEEDS_DATA: i32 = if cfg!(target_os = "linux") { -11 } else { -35 };

/// The chroma sampling: for each pixel, or for every 2 pixels in width and height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Grey,
    Colour420,
    Colour422,
    Colour444,
}

impl Layout {
    fn of(layout: Dav1dPixelLayout) -> Option<Self> {
        match layout {
            DAV1D_PIXEL_LAYOUT_I400 => Some(Self::Grey),
            DAV1D_PIXEL_LAYOUT_I420 => Some(Self::Colour420),
            DAV1D_PIXEL_LAYOUT_I422 => Some(Self::Colour422),
            DAV1D_PIXEL_LAYOUT_I444 => Some(Self::Colour444),
            _ => None,
        }
    }

    /// Returns the size of a chroma plane of a picture of this size.
    pub(super) const fn colours(self, width: usize, height: usize) -> (usize, usize) {
        match self {
            Self::Grey => (0, 0),
            Self::Colour420 => (width.div_ceil(2), height.div_ceil(2)),
            Self::Colour422 => (width.div_ceil(2), height),
            Self::Colour444 => (width, height),
        }
    }
}

/// The properties of the pictures that AV1 data declare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// Whether samples have more than 8 bits.
    pub(super) wide: bool,
    pub(super) colour: Cicp,
}

impl Header {
    /// Reads the first sequence header. `None` if there is none, or its profile is unknown.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let mut header = MaybeUninit::<Dav1dSequenceHeader>::uninit();
        let from = NonNull::new(data.as_ptr().cast_mut()).filter(|_| !data.is_empty())?;
        // SAFETY: `header` is writable memory of the type. The data are only read, and have the given length.
        // The call writes `header` if the result is 0, and it is then valid.
        let header = unsafe {
            let result =
                dav1d::dav1d_parse_sequence_header(NonNull::new(header.as_mut_ptr()), Some(from), data.len());
            (result.0 == 0).then(|| header.assume_init())
        }?;
        Some(Self {
            width: u32::try_from(header.max_width).ok()?,
            height: u32::try_from(header.max_height).ok()?,
            layout: Layout::of(header.layout)?,
            wide: header.hbd > 0,
            colour: Cicp {
                primaries: u16::try_from(header.pri).ok()?,
                matrix: u16::try_from(header.mtrx).ok()?,
                full_range: header.color_range != 0,
            },
        })
    }
}

/// A decoder of one stream of AV1 data.
pub(super) struct Decoder(Option<Dav1dContext>);

impl Decoder {
    /// Creates a decoder that refuses frames of more than `pixels_max` pixels.
    pub(super) fn new(pixels_max: u32, operating_point: u8) -> Option<Self> {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        let mut context = None;
        // SAFETY: the first call writes all settings. The logger is two pointers, of which null means that
        // nothing is logged. Both pointers of the last call are to local variables of the right types.
        let result = unsafe {
            dav1d::dav1d_default_settings(NonNull::from(&mut settings).cast());
            let mut settings = settings.assume_init();
            settings.n_threads = 1;
            settings.max_frame_delay = 1;
            settings.all_layers = 0;
            settings.operating_point = operating_point.into();
            settings.frame_size_limit = pixels_max;
            ptr::write_bytes(&raw mut settings.logger, 0, 1);
            dav1d::dav1d_open(Some(NonNull::from(&mut context)), Some(NonNull::from(&mut settings)))
        };
        (result.0 == 0 && context.is_some()).then_some(Self(context))
    }

    /// Decodes the first picture of a sample; `None` if the sample is damaged or has no picture.
    pub(super) fn decode(&mut self, sample: &[u8]) -> Option<Planes> {
        let mut data = Data::copy(sample)?;
        let mut first = None;
        loop {
            if data.0.data.is_some() {
                // SAFETY: the context is open; the data are those of `dav1d_data_create`, and what is left of
                // them is written back.
                let sent = unsafe { dav1d::dav1d_send_data(self.0, Some(NonNull::from(&mut data.0))) };
                if sent.0 != 0 && sent.0 != NEEDS_DATA {
                    return None;
                }
            }
            let mut picture = Dav1dPicture::default();
            // SAFETY: the context is open, and the picture a local variable that holds nothing yet.
            let got = unsafe { dav1d::dav1d_get_picture(self.0, Some(NonNull::from(&mut picture))) };
            match got.0 {
                // The first of several pictures is used. The others are drained, so that the next sample does
                // not return them.
                0 => first = first.or(Planes::of(Picture(picture))),
                NEEDS_DATA if data.0.data.is_some() && first.is_none() => {}
                NEEDS_DATA => return first,
                _ => return None,
            }
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the context is open, and closed once.
        unsafe { dav1d::dav1d_close(Some(NonNull::from(&mut self.0))) }
    }
}

/// A copy of the data that the decoder may keep.
struct Data(Dav1dData);

impl Data {
    fn copy(sample: &[u8]) -> Option<Self> {
        let mut data = Dav1dData::default();
        if sample.is_empty() {
            return None;
        }
        // SAFETY: `data` is a local variable. The memory that is created has the length that was asked for,
        // and is no part of `sample`.
        unsafe {
            let memory = dav1d::dav1d_data_create(Some(NonNull::from(&mut data)), sample.len());
            if memory.is_null() {
                return None;
            }
            ptr::copy_nonoverlapping(sample.as_ptr(), memory, sample.len());
        }
        Some(Self(data))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // SAFETY: what is left of the data is released once; where nothing is left, this does nothing.
        unsafe { dav1d::dav1d_data_unref(Some(NonNull::from(&mut self.0))) }
    }
}

/// A picture that the decoder returned.
struct Picture(Dav1dPicture);

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: the picture was given by `dav1d_get_picture` and is released once.
        unsafe { dav1d::dav1d_picture_unref(Some(NonNull::from(&mut self.0))) }
    }
}

/// The planes of a decoded picture.
pub(super) struct Planes {
    picture: Picture,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) layout: Layout,
    pub(super) bits: u32,
}

/// Rows of one plane.
pub(super) enum Plane<'a> {
    Bytes { samples: &'a [u8], stride: usize },
    Words { samples: &'a [u16], stride: usize },
}

impl Planes {
    /// Returns the planes; `None` if the picture's parameters do not exist in AV1.
    fn of(picture: Picture) -> Option<Self> {
        let parameters = &picture.0.p;
        let (width, height) = (usize::try_from(parameters.w).ok()?, usize::try_from(parameters.h).ok()?);
        let layout = Layout::of(parameters.layout)?;
        let bits = u32::try_from(parameters.bpc).ok().filter(|bits| [8, 10, 12].contains(bits))?;
        Some(Self { width, height, layout, bits, picture })
    }

    /// Returns luma (0), or the chroma planes 1 and 2. `None` if there is no such plane.
    pub(super) fn plane(&self, number: usize) -> Option<Plane<'_>> {
        let (width, height) = match number {
            0 => (self.width, self.height),
            _ => self.layout.colours(self.width, self.height),
        };
        let from = (*self.picture.0.data.get(number)?)?;
        let stride = usize::try_from(self.picture.0.stride[usize::from(number > 0)]).ok()?;
        if width == 0 || height == 0 {
            return None;
        }
        // SAFETY: `data` has `height` rows of `width` samples, `stride` bytes apart, which live and are not
        // written as long as the picture. A sample has one byte for 8 bits and two for more, and rows are
        // aligned to more than that.
        unsafe {
            if self.bits == 8 {
                let samples = slice::from_raw_parts(from.as_ptr().cast(), stride * (height - 1) + width);
                Some(Plane::Bytes { samples, stride })
            } else {
                let stride = stride / 2;
                let samples = slice::from_raw_parts(from.as_ptr().cast(), stride * (height - 1) + width);
                Some(Plane::Words { samples, stride })
            }
        }
    }
}
