//! Reads files that may be images or videos.

use std::io::Read as _;
use std::path::Path;

use vigie_media::Limits;
use vigie_media::video::VideoLimits;

use crate::output::ErrorLine;

/// The content of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MediaFile {
    /// The file starts like a video.
    Video(Vec<u8>),
    /// An image, or anything else.
    Other(Vec<u8>),
}

/// Number of bytes that are read to distinguish a video from other files.
const HEAD_BYTES: usize = 4 << 10;

/// Reads a file. Reads no more than the maximum size of an image or, if `is_video` returns `true` for its
/// first bytes, of a video.
pub(crate) async fn read(path: &Path, is_video: fn(&[u8]) -> bool) -> Result<MediaFile, ErrorLine> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_from(std::fs::File::open(path)?, is_video)).await;
    read.map_err(std::io::Error::from)
        .flatten()
        .map_err(|error| ErrorLine { code: "unreadable".into(), message: format!("cannot read it: {error}") })
}

/// Reads an open file in the same way as [`read`].
pub(crate) fn read_from(
    mut source: impl std::io::Read,
    is_video: fn(&[u8]) -> bool,
) -> std::io::Result<MediaFile> {
    let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let mut content = Vec::new();
    source.by_ref().take(bytes(HEAD_BYTES)).read_to_end(&mut content)?;
    let is_video = is_video(&content);
    let max =
        if is_video { VideoLimits::default().input_bytes_max } else { Limits::default().input_bytes_max };
    // Reading one byte more than allowed detects a file that is too large.
    source.take(bytes((max + 1).saturating_sub(content.len()))).read_to_end(&mut content)?;
    Ok(if is_video { MediaFile::Video(content) } else { MediaFile::Other(content) })
}

#[cfg(test)]
mod tests {
    use vigie_media::video::begins_as_video;

    use super::*;

    #[test]
    fn a_video_may_be_larger_than_an_image() {
        let larger = Limits::default().input_bytes_max + 100;
        let mut video = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2".to_vec();
        video.resize(larger, 0);
        assert!(
            matches!(read_from(&video[..], begins_as_video).unwrap(), MediaFile::Video(content) if content.len() == larger)
        );
        let other = vec![7; larger];
        assert!(
            matches!(read_from(&other[..], begins_as_video).unwrap(), MediaFile::Other(content) if content.len() == larger - 99)
        );
    }
}
