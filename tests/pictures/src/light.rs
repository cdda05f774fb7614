//! The hour and weather of a scene: the colours of sky and sea, and the light on everything else.

use crate::colour::Colour;
use crate::rng::Rng;

/// The hour of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hour {
    Dawn,
    Noon,
    Grey,
    Dusk,
    Night,
}

impl Hour {
    /// Picks an hour; those with fair weather are most frequent.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        rng.pick([Self::Dawn, Self::Noon, Self::Noon, Self::Grey, Self::Dusk, Self::Dusk, Self::Night])
    }

    /// Returns the words that follow a scene's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dawn => "at dawn",
            Self::Noon => "at noon",
            Self::Grey => "under grey skies",
            Self::Dusk => "at dusk",
            Self::Night => "at night",
        }
    }
}

/// The colours of an hour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Light {
    pub(crate) hour: Hour,
    /// The sky overhead, and at the horizon.
    pub(crate) zenith: Colour,
    pub(crate) horizon: Colour,
    /// The disc of the sun or the moon, and its glow.
    pub(crate) disc: Colour,
    /// Clouds where they are thick, and at their lit edges.
    pub(crate) cloud: Colour,
    pub(crate) lining: Colour,
    /// Water in the troughs, and on the crests.
    pub(crate) deep: Colour,
    pub(crate) crest: Colour,
    /// The light on objects; white is full daylight.
    pub(crate) ambient: Colour,
}

impl Light {
    /// Returns the light of an hour, in one of its variants.
    pub(crate) fn new(hour: Hour, rng: &mut Rng) -> Self {
        let [zenith, horizon, disc, cloud, lining, deep, crest, ambient] = match (hour, rng.chance(0.5)) {
            (Hour::Dawn, true) => {
                [0x5f8fc4, 0xffd9b0, 0xfff6dc, 0xb08aa8, 0xfff0e0, 0x2f5f86, 0xf5c9a8, 0xf5dccb]
            }
            (Hour::Dawn, false) => {
                [0x6d6aa8, 0xf9b7a6, 0xfff0c8, 0x6f5f95, 0xffd9c9, 0x33416f, 0xe8a79c, 0xe3c9cc]
            }
            (Hour::Noon, true) => {
                [0x1f68b8, 0xbfe2f5, 0xffffee, 0xc6d4de, 0xffffff, 0x0d4f7e, 0x6cc0c9, 0xffffff]
            }
            (Hour::Noon, false) => {
                [0x3b8fd6, 0xe9f3ee, 0xffffe8, 0xd3d8dc, 0xffffff, 0x146a75, 0x8fd9c4, 0xfffaf0]
            }
            (Hour::Grey, true) => {
                [0x66737f, 0xc9cfd2, 0xe8eaea, 0x4a545e, 0xe1e4e4, 0x35464f, 0x9fb0b3, 0xbfc6ca]
            }
            (Hour::Grey, false) => {
                [0x8d9aa0, 0xdedbd0, 0xf2efe4, 0x5d6770, 0xf0ede4, 0x3b5450, 0xaebdb2, 0xcbcac4]
            }
            (Hour::Dusk, true) => {
                [0x2b3a72, 0xf58a4b, 0xffe39a, 0x5a3560, 0xffb27a, 0x1c2a52, 0xee8f58, 0xc79a8c]
            }
            (Hour::Dusk, false) => {
                [0x5a2f63, 0xffb84d, 0xfff0b0, 0x7a2f4e, 0xffd28a, 0x34204f, 0xf7a95a, 0xc99a86]
            }
            (Hour::Night, true) => {
                [0x060d24, 0x33507e, 0xf6f1d8, 0x16223f, 0x7288b0, 0x06122a, 0x6f8fb8, 0x5a6c94]
            }
            (Hour::Night, false) => {
                [0x0b1030, 0x4a4f80, 0xfff6cf, 0x1b1c40, 0x8a88b8, 0x0a1030, 0x8b93c0, 0x656a98]
            }
        }
        .map(Colour::hex);
        Self { hour, zenith, horizon, disc, cloud, lining, deep, crest, ambient }
    }

    /// Returns an object's colour in this light.
    pub(crate) fn on(&self, colour: Colour) -> Colour {
        colour.under(self.ambient)
    }

    /// Returns an object's colour in this light through haze: 0 is near, 1 is the colour of the horizon.
    pub(crate) fn far(&self, colour: Colour, haze: f32) -> Colour {
        self.on(colour).towards(self.horizon, haze)
    }

    /// Returns whether windows and lanterns are lit.
    pub(crate) fn lamps(&self) -> bool {
        matches!(self.hour, Hour::Dusk | Hour::Night)
    }
}
