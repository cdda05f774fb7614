//! GIF: all frames, each on the full canvas, composed as Pillow does it. LZW is decoded by `weezl`.
//!
//! The `gif` crate is not used. It refuses files that Pillow and browsers read (images without a palette,
//! extensions of other lengths, bytes between blocks), and it cannot skip frames that are not wanted.
//!
//! Pillow keeps the first frame as indices and looks colours up last. A transparent pixel therefore has the
//! colour of its index in the palette, and pixels that the first frame does not cover have the colour of the
//! transparent index, or of index 0 if there is none. An index beyond the palette is grey of that brightness.
//! An image that extends beyond the canvas enlarges it. Later frames are drawn in RGB onto the previous one,
//! after its disposal; a transparent pixel keeps the pixel below it.

use std::time::Duration;

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;
use crate::luma::Luma;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

use super::palette::{self, Colours, GREYS};

mod blocks;
mod canvas;

use blocks::{Disposal, Image, Images, Palette, Screen};
use canvas::{Canvas, Patch};

pub(super) const FORMAT: &str = "GIF";

/// Decodes the frames of a GIF.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let (screen, mut images) = blocks::read(content)?;
    let Some(first) = images.next() else {
        return Err(if images.cut_short {
            DecodeError::Truncated { format: FORMAT }
        } else {
            DecodeError::Corrupt { reason: "the GIF has no picture" }
        });
    };
    let further = u32::try_from(images.clone().count()).unwrap_or(u32::MAX);
    let time = (further > 0).then_some(Duration::ZERO);
    let canvas = first_frame(&screen, &first, time, limits, frames)?;
    if further > 0 {
        let shown = frames.taken() + frames.left_out();
        // Without this frame, the next one cannot be drawn either.
        let _ = later_frames(canvas, &screen, first, images, limits, frames);
        frames.leave_out((shown + further).saturating_sub(frames.taken() + frames.left_out()));
    }
    Ok(())
}

/// Passes on the first frame. Returns the canvas with it.
fn first_frame(
    screen: &Screen<'_>,
    image: &Image<'_>,
    time: Option<Duration>,
    limits: &Limits,
    frames: &mut Frames<'_>,
) -> Result<Canvas, DecodeError> {
    let size = image.rectangle.enlarge((screen.width, screen.height));
    let (width, height) = check_size(image, size, limits)?;
    let drawn = image.rectangle.width * image.rectangle.height;
    // The indices of the image and of the canvas, and the colours of the canvas, twice if another frame
    // follows.
    let copies = 1 + usize::from(time.is_some());
    limits.check_alloc((drawn + size.0 * size.1 * (1 + copies * CHANNELS)) as u64)?;

    let mut plane = vec![image.transparent.unwrap_or(0); size.0 * size.1];
    let indices = image.indices()?;
    for (row, indices) in image.rows().zip(indices.chunks_exact(image.rectangle.width)) {
        let from = (image.rectangle.top + row) * size.0 + image.rectangle.left;
        plane[from..from + indices.len()].copy_from_slice(indices);
    }
    drop(indices);
    let lookup = Lookup::of_first(screen, image);
    let canvas = Canvas::new(size, &plane, &lookup.colours);
    // Pillow opens a file without a palette as a grey picture.
    let indices =
        if lookup.colours == GREYS { None } else { Luma::new(width, height, size.0, Pixels::Heap(plane)) };
    let (rgb, canvas) =
        if time.is_some() { (canvas.rgb.clone(), canvas) } else { (canvas.rgb, Canvas::EMPTY) };
    let picture = Picture::from_rgb(width, height, rgb)
        .ok_or(DecodeError::Corrupt { reason: "the GIF holds another number of pixels than it declares" })?;
    frames.wants(width, height);
    frames.take(Frame { time, indices, ..Frame::still(picture) });
    Ok(canvas)
}

/// Passes on the frames after the first, until one is not wanted or cannot be drawn.
fn later_frames(
    mut canvas: Canvas,
    screen: &Screen<'_>,
    first: Image<'_>,
    images: Images<'_>,
    limits: &Limits,
    frames: &mut Frames<'_>,
) -> Result<(), DecodeError> {
    let mut time = first.delay;
    let lookup = Lookup::of_first(screen, &first);
    let mut restored = match first.disposal {
        Disposal::Keep => None,
        Disposal::Background => Some(first.transparent.unwrap_or(screen.background)),
        // The first frame has no previous one.
        Disposal::Previous => first.transparent,
    }
    .map(|index| Patch::filled(first.rectangle, lookup.colour(index)));
    for image in images {
        let size = image.rectangle.enlarge(canvas.size);
        let (width, height) = check_size(&image, size, limits)?;
        let drawn = image.rectangle.width * image.rectangle.height;
        // The canvas before and after it is enlarged or copied, the indices, and the areas that this frame
        // and the previous one cover.
        limits.check_alloc((size.0 * size.1 * 4 * CHANNELS + drawn * (1 + CHANNELS)) as u64)?;
        if !frames.wants(width, height) {
            break;
        }
        if let Some(patch) = restored.take() {
            canvas.put(&patch);
        }
        let lookup = Lookup::of_later(screen, &image);
        restored = match image.disposal {
            Disposal::Keep => None,
            Disposal::Background => {
                let index = image.transparent.unwrap_or(screen.background);
                Some(Patch::filled(image.rectangle, lookup.declared_colour(index)))
            }
            Disposal::Previous => Some(canvas.patch(image.rectangle)),
        };
        let indices = image.indices()?;
        canvas.enlarge(size, if image.transparent.is_some() { [0; CHANNELS] } else { lookup.colour(0) });
        canvas.draw(&image, &indices, &lookup.colours);
        drop(indices);
        let picture = Picture::from_rgb(width, height, canvas.rgb.clone()).ok_or(DecodeError::Corrupt {
            reason: "the GIF holds another number of pixels than it declares",
        })?;
        frames.take(Frame { time: Some(time), ..Frame::still(picture) });
        time += image.delay;
    }
    Ok(())
}

/// Checks the size of an image, and of the canvas that holds it.
fn check_size(
    image: &Image<'_>,
    (width, height): (usize, usize),
    limits: &Limits,
) -> Result<(u32, u32), DecodeError> {
    if image.rectangle.width == 0 || image.rectangle.height == 0 {
        return Err(DecodeError::Corrupt { reason: "the GIF has an image without pixels" });
    }
    let side = |length| u32::try_from(length).unwrap_or(u32::MAX);
    limits.check_dimensions(side(width), side(height))?;
    Ok((side(width), side(height)))
}

/// The lookup table for an image's colours.
struct Lookup {
    colours: Colours,
    /// The number of the palette's entries.
    entries: usize,
}

impl Lookup {
    /// Creates the lookup of a palette. As in Pillow, a palette of greys in order counts as no palette, so
    /// that an index beyond it is also grey and not black.
    fn of(palette: Option<Palette<'_>>) -> Self {
        match palette {
            Some(palette) if !is_greys(palette) => {
                Self { colours: palette::colours(palette), entries: palette.len() }
            }
            _ => Self { colours: GREYS, entries: GREYS.len() },
        }
    }

    /// Creates the lookup of the first image. As in Pillow, the image uses the screen's palette if its own
    /// counts as none.
    fn of_first(screen: &Screen<'_>, image: &Image<'_>) -> Self {
        let own = image.own_palette.filter(|palette| !is_greys(palette));
        Self::of(own.or(screen.palette))
    }

    fn of_later(screen: &Screen<'_>, image: &Image<'_>) -> Self {
        Self::of(image.own_palette.or(screen.palette))
    }

    fn colour(&self, index: u8) -> [u8; CHANNELS] {
        self.colours[usize::from(index)]
    }

    /// Returns the colour of an index, or of index 0 if the palette has no such entry.
    fn declared_colour(&self, index: u8) -> [u8; CHANNELS] {
        self.colour(if usize::from(index) < self.entries { index } else { 0 })
    }
}

/// Checks whether the colour of each index is a grey of the same number.
fn is_greys(palette: Palette<'_>) -> bool {
    *palette == GREYS[..palette.len()]
}
