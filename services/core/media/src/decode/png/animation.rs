//! Composes the frames of an APNG as Pillow does it.
//!
//! Pillow blends each channel separately, including alpha, with weights of 255 and rounding. It composes
//! palette pictures in indices. The colour that a `tRNS` chunk names is transparent in RGB, but not in grey.
//! Pillow clears to 0 in all channels, and draws the first frame of an animation onto the default image if
//! that is not part of the animation.

use std::time::Duration;

use crate::error::DecodeError;
use crate::limits::Limits;

use super::chunks::{Colour, Control, Disposal, Head, Image};
use super::samples;

/// The canvas, in the samples of the file.
pub(super) struct Animation<'a> {
    head: &'a Head<'a>,
    limits: &'a Limits,
    samples: Vec<u8>,
    /// The patch that is restored before the next frame is drawn.
    restored: Option<Patch>,
    /// Whether a frame was drawn.
    begun: bool,
    /// The time at which the next frame is shown.
    time: Duration,
}

/// The samples of a rectangle. Without samples the rectangle is cleared.
struct Patch {
    rectangle: Rectangle,
    samples: Option<Vec<u8>>,
}

/// A part of the canvas.
#[derive(Debug, Clone, Copy)]
struct Rectangle {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl<'a> Animation<'a> {
    /// Creates a blank canvas, whose size must be within the limits.
    pub(super) fn new(head: &'a Head<'a>, limits: &'a Limits) -> Self {
        let pixels = head.header.width as usize * head.header.height as usize;
        let samples = vec![0; pixels * head.header.channels()];
        Self { head, limits, samples, restored: None, begun: false, time: Duration::ZERO }
    }

    /// Returns the bytes that frames as large as the canvas need: the canvas, the area that a frame covers,
    /// the area that it restores, and the picture that is passed on.
    pub(super) fn alloc_bytes(head: &Head<'_>) -> u64 {
        let size = (head.header.width, head.header.height);
        let pixels = u64::from(size.0) * u64::from(size.1);
        samples::alloc_bytes(&head.header, size) + pixels * (3 * head.header.channels() as u64 + 3)
    }

    pub(super) fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// Draws the next frame. Returns the time at which it is shown.
    pub(super) fn draw(&mut self, image: &Image<'_>) -> Result<Option<Duration>, DecodeError> {
        let whole = (self.head.header.width, self.head.header.height);
        let size = image.control.map_or(whole, |control| (control.width, control.height));
        let rectangle = self.rectangle(image.control)?;
        if let Some(patch) = self.restored.take() {
            self.put(patch.rectangle, patch.samples.as_deref());
        }
        let drawn = samples::decode(&self.head.header, size, image, self.limits)?;
        let disposal = image.control.map_or(Disposal::Keep, |control| control.disposal);
        self.restored = match (disposal, self.begun) {
            (Disposal::Keep, _) => None,
            (Disposal::Clear, _) | (Disposal::Previous, false) => Some(Patch { rectangle, samples: None }),
            (Disposal::Previous, true) => Some(Patch { rectangle, samples: Some(self.copy(rectangle)) }),
        };
        if image.control.is_some_and(|control| control.blended) && self.begun {
            self.blend(rectangle, &drawn);
        } else {
            self.put(rectangle, Some(&drawn));
        }
        self.begun = true;
        let time = image.control.map(|_| self.time);
        self.time += image.control.map_or(Duration::ZERO, |control| control.delay);
        Ok(time)
    }

    /// Returns the part of the canvas that a frame covers.
    fn rectangle(&self, control: Option<Control>) -> Result<Rectangle, DecodeError> {
        let (width, height) = (self.head.header.width, self.head.header.height);
        let Some(control) = control else {
            return Ok(Rectangle { left: 0, top: 0, width: width as usize, height: height as usize });
        };
        let inside = |offset: u32, length: u32, side: u32| {
            length > 0 && offset.checked_add(length).is_some_and(|end| end <= side)
        };
        if !inside(control.left, control.width, width) || !inside(control.top, control.height, height) {
            return Err(DecodeError::Corrupt { reason: "a frame of the PNG lies outside its canvas" });
        }
        Ok(Rectangle {
            left: control.left as usize,
            top: control.top as usize,
            width: control.width as usize,
            height: control.height as usize,
        })
    }

    /// Returns the rows of a rectangle.
    fn rows(&mut self, rectangle: Rectangle) -> impl Iterator<Item = &mut [u8]> {
        let channels = self.head.header.channels();
        let Rectangle { left, top, width, height } = rectangle;
        let rows = self.samples.chunks_exact_mut(self.head.header.width as usize * channels);
        rows.skip(top).take(height).map(move |row| &mut row[left * channels..][..width * channels])
    }

    fn put(&mut self, rectangle: Rectangle, samples: Option<&[u8]>) {
        let row_samples = rectangle.width * self.head.header.channels();
        for (index, row) in self.rows(rectangle).enumerate() {
            match samples {
                Some(samples) => row.copy_from_slice(&samples[index * row_samples..][..row_samples]),
                None => row.fill(0),
            }
        }
    }

    fn copy(&mut self, rectangle: Rectangle) -> Vec<u8> {
        self.rows(rectangle).flat_map(|row| row.iter().copied()).collect()
    }

    fn blend(&mut self, rectangle: Rectangle, drawn: &[u8]) {
        let head = self.head;
        let channels = head.header.channels();
        let row_samples = rectangle.width * channels;
        for (row, drawn) in self.rows(rectangle).zip(drawn.chunks_exact(row_samples)) {
            for (below, above) in row.chunks_exact_mut(channels).zip(drawn.chunks_exact(channels)) {
                let alpha = alpha(head, above);
                for (below, &above) in below.iter_mut().zip(above) {
                    *below = mix(*below, above, alpha);
                }
            }
        }
    }
}

/// Returns the opacity of a pixel.
fn alpha(head: &Head<'_>, pixel: &[u8]) -> u8 {
    match (head.header.colour, pixel) {
        (Colour::GreyAlpha, &[_, alpha]) | (Colour::Rgba, &[_, _, _, alpha]) => alpha,
        (Colour::Palette, &[index]) => head.transparency.get(usize::from(index)).copied().unwrap_or(u8::MAX),
        (Colour::Rgb, &[red, green, blue]) => match head.transparency {
            // Samples of 16 bits, of which only the lower eight are compared.
            &[_, r, _, g, _, b, ..] if [r, g, b] == [red, green, blue] => 0,
            _ => u8::MAX,
        },
        _ => u8::MAX,
    }
}

/// Returns the weighted mean, rounded.
fn mix(below: u8, above: u8, alpha: u8) -> u8 {
    let sum = u32::from(below) * u32::from(u8::MAX - alpha) + u32::from(above) * u32::from(alpha) + 128;
    // This division by 255 is exact for a product of two bytes.
    #[expect(clippy::cast_possible_truncation, reason = "a mean of two bytes")]
    let mean = ((sum + (sum >> 8)) >> 8) as u8;
    mean
}
