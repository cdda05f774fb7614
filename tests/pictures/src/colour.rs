//! Colours, and inks: a colour and its opacity.

use crate::numbers;

/// Red, green and blue, 0 to 255 each; values outside are clamped when a pixel is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colour {
    pub(crate) red: f32,
    pub(crate) green: f32,
    pub(crate) blue: f32,
}

impl Colour {
    /// Returns a colour in the notation of the web, `0xrrggbb`.
    pub(crate) const fn hex(digits: u32) -> Self {
        Self {
            red: ((digits >> 16) & 0xff) as f32,
            green: ((digits >> 8) & 0xff) as f32,
            blue: (digits & 0xff) as f32,
        }
    }

    /// Returns the colour between this one (at 0) and `other` (at 1).
    pub(crate) fn towards(self, other: Self, share: f32) -> Self {
        Self {
            red: numbers::mix(self.red, other.red, share),
            green: numbers::mix(self.green, other.green, share),
            blue: numbers::mix(self.blue, other.blue, share),
        }
    }

    /// Returns the colour, brightened or darkened by a factor.
    pub(crate) fn times(self, factor: f32) -> Self {
        Self { red: self.red * factor, green: self.green * factor, blue: self.blue * factor }
    }

    /// Returns the colour as it looks in coloured light; white is full daylight.
    pub(crate) fn under(self, light: Self) -> Self {
        Self {
            red: self.red * light.red / 255.0,
            green: self.green * light.green / 255.0,
            blue: self.blue * light.blue / 255.0,
        }
    }

    /// Returns an opaque ink.
    pub(crate) fn ink(self) -> Ink {
        self.sheer(1.0)
    }

    /// Returns an ink with this opacity: 0 is clear, 1 opaque.
    pub(crate) fn sheer(self, opacity: f32) -> Ink {
        Ink { colour: self, opacity: opacity.clamp(0.0, 1.0) }
    }
}

/// The filling of a shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ink {
    pub(crate) colour: Colour,
    pub(crate) opacity: f32,
}
