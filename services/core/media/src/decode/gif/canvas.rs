//! The canvas on which the frames of an animation are drawn, in RGB.

use crate::picture::CHANNELS;

use super::Colours;
use super::blocks::{Image, Rectangle};

/// Rows of colours.
pub(super) struct Canvas {
    pub(super) size: (usize, usize),
    pub(super) rgb: Vec<u8>,
}

/// The content to which a rectangle of the canvas is restored.
pub(super) struct Patch {
    rectangle: Rectangle,
    rgb: Fill,
}

/// The colours of a patch.
enum Fill {
    One([u8; CHANNELS]),
    Each(Vec<u8>),
}

impl Rectangle {
    /// Returns the size of a canvas of this size, enlarged so that it contains the rectangle.
    pub(super) fn enlarge(&self, (width, height): (usize, usize)) -> (usize, usize) {
        (width.max(self.left + self.width), height.max(self.top + self.height))
    }
}

impl Patch {
    /// Creates a patch of one colour.
    pub(super) const fn filled(rectangle: Rectangle, colour: [u8; CHANNELS]) -> Self {
        Self { rectangle, rgb: Fill::One(colour) }
    }
}

impl Canvas {
    pub(super) const EMPTY: Self = Self { size: (0, 0), rgb: Vec::new() };

    /// Creates a canvas from indices and their colours.
    pub(super) fn new(size: (usize, usize), indices: &[u8], colours: &Colours) -> Self {
        let mut rgb = vec![0; indices.len() * CHANNELS];
        for (pixel, &index) in rgb.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(indices) {
            *pixel = colours[usize::from(index)];
        }
        Self { size, rgb }
    }

    /// Enlarges the canvas to the right and downwards.
    pub(super) fn enlarge(&mut self, size: (usize, usize), colour: [u8; CHANNELS]) {
        if size == self.size {
            return;
        }
        let mut rgb = colour.repeat(size.0 * size.1);
        for (to, from) in
            rgb.chunks_exact_mut(size.0 * CHANNELS).zip(self.rgb.chunks_exact(self.size.0 * CHANNELS))
        {
            to[..from.len()].copy_from_slice(from);
        }
        *self = Self { size, rgb };
    }

    /// Draws the opaque pixels of an image that lies within the canvas.
    pub(super) fn draw(&mut self, image: &Image<'_>, indices: &[u8], colours: &Colours) {
        let Rectangle { left, top, width, .. } = image.rectangle;
        for (row, indices) in image.rows().zip(indices.chunks_exact(width)) {
            let pixels = self.row(top + row, left, width).as_chunks_mut::<CHANNELS>().0;
            for (pixel, &index) in pixels.iter_mut().zip(indices) {
                if image.transparent != Some(index) {
                    *pixel = colours[usize::from(index)];
                }
            }
        }
    }

    /// Copies the content of a rectangle; black where it extends beyond the canvas.
    pub(super) fn patch(&self, rectangle: Rectangle) -> Patch {
        let Rectangle { left, top, width, height } = rectangle;
        let mut rgb = vec![0; width * height * CHANNELS];
        let inside = width.min(self.size.0.saturating_sub(left)) * CHANNELS;
        if inside > 0 {
            let rows = self.rgb.chunks_exact(self.size.0 * CHANNELS).skip(top);
            for (to, from) in rgb.chunks_exact_mut(width * CHANNELS).zip(rows) {
                to[..inside].copy_from_slice(&from[left * CHANNELS..][..inside]);
            }
        }
        Patch { rectangle, rgb: Fill::Each(rgb) }
    }

    /// Restores a patch to its rectangle, which lies within the canvas.
    pub(super) fn put(&mut self, patch: &Patch) {
        let Rectangle { left, top, width, height } = patch.rectangle;
        for y in 0..height {
            let row = self.row(top + y, left, width);
            match &patch.rgb {
                Fill::One(colour) => row.as_chunks_mut().0.fill(*colour),
                Fill::Each(rgb) => row.copy_from_slice(&rgb[y * width * CHANNELS..][..width * CHANNELS]),
            }
        }
    }

    fn row(&mut self, y: usize, left: usize, width: usize) -> &mut [u8] {
        &mut self.rgb[(y * self.size.0 + left) * CHANNELS..][..width * CHANNELS]
    }
}
