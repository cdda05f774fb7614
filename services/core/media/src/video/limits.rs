//! The limits within which a video is decoded.

use std::time::Duration;

use vigie_model::{DecodeFailure, DecodeFailureKind};

/// The limits of reading, decoding and hashing one video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoLimits {
    /// The largest file, in bytes. A larger one is refused.
    pub input_bytes_max: usize,
    /// The longest side of a frame, in pixels. A video with a longer side is refused.
    pub side_px_max: u32,
    /// The largest number of pixels of a frame, width times height. A video with more is refused.
    pub pixels_max: u64,
    /// The time after which frames are not hashed; at most [`Self::LENGTH_MAX`].
    pub length_max: Duration,
    /// The largest number of frames that are kept. [`Sampling::Dense`](crate::video::Sampling::Dense) removes
    /// some of its frames, so that the whole video stays covered; otherwise further frames are not hashed.
    pub frames_max: u32,
    /// The time limit for one video, and the limit of processor time of each of its programs. The frames
    /// hashed until then are the answer.
    pub within: Duration,
}

impl VideoLimits {
    /// The latest time that a hash can hold: 4 hours, 39 minutes and 37 seconds.
    pub const LENGTH_MAX: Duration = Duration::from_millis(vigie_hashes::frames::TIME_MS_MAX as u64);
}

impl Default for VideoLimits {
    /// Returns limits of 200 MB, 16,384 pixels a side, 50 megapixels, 4 hours, 4,096 frames, and a minute.
    fn default() -> Self {
        Self {
            input_bytes_max: 200_000_000,
            side_px_max: 16_384,
            pixels_max: 50_000_000,
            length_max: Duration::from_secs(4 * 60 * 60),
            frames_max: 4_096,
            within: Duration::from_secs(60),
        }
    }
}

impl VideoLimits {
    /// Checks the size of the file.
    ///
    /// # Errors
    /// [`DecodeFailure`], if there are no bytes or too many.
    pub fn check_input(&self, content: &[u8]) -> Result<(), DecodeFailure> {
        let (bytes, bytes_max) = (content.len(), self.input_bytes_max);
        if bytes == 0 {
            let message = "the content is empty: send the bytes of a video file".to_owned();
            return Err(DecodeFailure { kind: DecodeFailureKind::Empty, message });
        }
        if bytes > bytes_max {
            let message = format!("the video has {bytes} bytes: at most {bytes_max} bytes are accepted");
            return Err(DecodeFailure { kind: DecodeFailureKind::TooLargeInput, message });
        }
        Ok(())
    }

    /// Checks the size of a frame.
    ///
    /// # Errors
    /// [`DecodeFailure`], if the frame has no pixel, too many pixels, or too long a side.
    pub fn check_dimensions(&self, width: u32, height: u32) -> Result<(), DecodeFailure> {
        let (side_px_max, pixels_max) = (self.side_px_max, self.pixels_max);
        let pixels = u64::from(width) * u64::from(height);
        let (kind, message) = if pixels == 0 {
            (DecodeFailureKind::Corrupt, "the video declares frames without pixels".to_owned())
        } else if width.max(height) > side_px_max {
            let message = format!(
                "the video has frames of {width} x {height} pixels: at most {side_px_max} pixels a side are accepted"
            );
            (DecodeFailureKind::SideTooLong, message)
        } else if pixels > pixels_max {
            let message = format!(
                "the video has frames of {width} x {height} = {pixels} pixels: at most {pixels_max} pixels are accepted"
            );
            (DecodeFailureKind::TooManyPixels, message)
        } else {
            return Ok(());
        };
        Err(DecodeFailure { kind, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_a_frame_beyond_a_bound_are_refused_by_kind() {
        let limits =
            VideoLimits { input_bytes_max: 10, pixels_max: 100, side_px_max: 40, ..VideoLimits::default() };
        assert!(limits.check_input(&[0; 10]).is_ok());
        let kind = |checked: Result<(), DecodeFailure>| checked.unwrap_err().kind;
        assert_eq!(kind(limits.check_input(&[])), DecodeFailureKind::Empty);
        assert_eq!(kind(limits.check_input(&[0; 11])), DecodeFailureKind::TooLargeInput);
        assert!(limits.check_dimensions(40, 2).is_ok());
        assert_eq!(kind(limits.check_dimensions(41, 1)), DecodeFailureKind::SideTooLong);
        assert_eq!(kind(limits.check_dimensions(11, 10)), DecodeFailureKind::TooManyPixels);
        assert_eq!(kind(limits.check_dimensions(0, 10)), DecodeFailureKind::Corrupt);
        assert!(VideoLimits::default().length_max < VideoLimits::LENGTH_MAX);
    }
}
