//! The choice of frames of a video that are hashed.

/// The frames of a video that are hashed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// By time: the first frame at or after each multiple of this many milliseconds, whatever the frame rate.
    /// For queries.
    BySeconds(u32),
    /// By number, exactly as vPDQ: one frame for each period of this many seconds at the average frame rate,
    /// 0 for every frame. The time of a frame is its number divided by the rate. For hashes that are compared
    /// with those of other tools.
    ByCount(f64),
    /// Every frame, without those within 8 bits of the last kept one. For banks, so that the sampling of a
    /// copy does not matter.
    Dense,
}

impl Sampling {
    /// The sampling of queries: one frame a second, by time.
    pub const QUERY: Self = Self::BySeconds(1_000);
}

/// A frame rate in frames a second, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    frames: u32,
    seconds: u32,
}

impl Rate {
    /// Creates a rate; `None` for a rate of zero or without a value.
    #[must_use]
    pub const fn new(frames: u32, seconds: u32) -> Option<Self> {
        if frames == 0 || seconds == 0 { None } else { Some(Self { frames, seconds }) }
    }

    /// Returns the frames a second.
    #[must_use]
    pub fn fps(self) -> f64 {
        f64::from(self.frames) / f64::from(self.seconds)
    }

    /// Returns the interval of hashed frames: vPDQ hashes one frame of this many. At least 1.
    #[must_use]
    pub fn frames_in(self, seconds: f64) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "truncated as in the reference; a cast ends at the bounds of the type"
        )]
        let frames = (seconds * self.fps()) as u32;
        frames.max(1)
    }

    /// Returns the time that vPDQ assigns to a frame, in milliseconds.
    #[must_use]
    pub fn time_ms(self, number: u32) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast ends at the bounds of the type"
        )]
        let time_ms = (f64::from(number) / self.fps() * 1_000.0).round() as u32;
        time_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_frame_of_so_many_is_hashed_as_vpdq_does() {
        for (frames, seconds, interval, expected) in [
            (25, 1, 1.0, 25),
            (30_000, 1_001, 1.0, 29),
            (73, 10, 1.0, 7),
            (1, 2, 1.0, 1),
            (25, 1, 0.0, 1),
            (25, 1, 0.5, 12),
            (25, 1, -1.0, 1),
            (25, 1, f64::NAN, 1),
            (25, 1, f64::INFINITY, u32::MAX),
        ] {
            assert_eq!(Rate::new(frames, seconds).unwrap().frames_in(interval), expected);
        }
        assert_eq!(Rate::new(0, 1), None);
        assert_eq!(Rate::new(1, 0), None);
    }

    #[test]
    fn the_time_of_a_frame_is_its_number_over_the_rate() {
        let rate = Rate::new(30_000, 1_001).unwrap();
        assert_eq!([0, 29, 58].map(|number| rate.time_ms(number)), [0, 968, 1_935]);
        assert_eq!(Rate::new(1, 2).unwrap().time_ms(3), 6_000);
        assert_eq!(Rate::new(1, u32::MAX).unwrap().time_ms(u32::MAX), u32::MAX);
    }
}
