//! The media that was hashed.

/// The media that was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A still picture, or an animation.
    Image,
    /// A video.
    Video,
}

impl Media {
    /// Returns the word used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
        }
    }
}
