//! Reads files that may be images or videos.

use std::io::Read as _;
use std::path::Path;

use vigie_media::Limits;
use vigie_media::video::{VideoLimits, begins_as_video};

use crate::output::ErrorLine;

/// The content of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MediaFile {
    /// It begins as a video does.
    Video(Vec<u8>),
    /// An image, or anything else.
    Other(Vec<u8>),
}

/// Reads a file, and no more of it than an image may have, or a video if it begins as one.
pub(crate) async fn read(path: &Path) -> Result<MediaFile, ErrorLine> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_from(std::fs::File::open(path)?)).await;
    read.map_err(std::io::Error::from)
        .flatten()
        .map_err(|error| ErrorLine { code: "unreadable".into(), message: format!("cannot read it: {error}") })
}

/// Does the same with what is open.
pub(crate) fn read_from(mut source: impl std::io::Read) -> std::io::Result<MediaFile> {
    let mut content = Vec::new();
    // One byte more, by which it is seen to be too large.
    let bound = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(1);
    source.by_ref().take(bound(Limits::default().input_bytes_max)).read_to_end(&mut content)?;
    if !begins_as_video(&content) {
        return Ok(MediaFile::Other(content));
    }
    let more = bound(VideoLimits::default().input_bytes_max).saturating_sub(content.len() as u64);
    source.take(more).read_to_end(&mut content)?;
    Ok(MediaFile::Video(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_may_be_larger_than_an_image() {
        let larger = Limits::default().input_bytes_max + 100;
        let mut video = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2".to_vec();
        video.resize(larger, 0);
        assert!(
            matches!(read_from(&video[..]).unwrap(), MediaFile::Video(content) if content.len() == larger)
        );
        let other = vec![7; larger];
        assert!(
            matches!(read_from(&other[..]).unwrap(), MediaFile::Other(content) if content.len() == larger - 99)
        );
    }
}
