//! Makes items from files: pictures and videos, which are hashed locally, and lists of the frames of videos.

use std::path::Path;

use vigie_formats::files::{file_name, video_of_file};
use vigie_media::begins_as_picture;
use vigie_media::video::{Sampling, begins_as_video};
use vigie_model::fingerprint::{VideoPartial, hashes_of_video};
use vigie_model::rendition::Way;
use vigie_model::{Frame, Frames, Hash, ImageFingerprint, ItemContent, ItemDraft, Quality};

use crate::commands::content::folders::FoundFile;
use crate::commands::content::image_hasher::{HashedVideo, ImageHasher};
use crate::commands::content::media_file::{self, MediaFile};
use crate::output::ErrorLine;

/// Facts about a file, for its line of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A picture, with its PDQ quality.
    Picture(Quality),
    /// A video.
    Video(SeenVideo),
}

/// Facts about a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenVideo {
    /// Number of frames that are banked, counted in all ways of hashing.
    pub(super) frames: usize,
    /// Number of those frames whose quality is high enough to trust their hashes.
    pub(super) usable: usize,
    /// The reason why only a part of the video is banked, if so.
    pub(super) partial: Option<VideoPartial>,
}

impl SeenVideo {
    /// Counts the frames of an item, and the usable ones among them.
    fn of(content: &ItemContent, partial: Option<VideoPartial>) -> Self {
        let frames = || content.hashes().iter().filter_map(Hash::frames).flat_map(Frames::iter);
        Self { frames: frames().count(), usable: frames().filter(Frame::is_usable).count(), partial }
    }
}

/// An item that is not in the bank yet.
pub(super) type Prepared = (ItemContent, Seen);

/// Makes the item of a file. Returns `None` for a file in a folder that is neither an image nor a video.
pub(super) async fn prepare(
    file: &FoundFile,
    labels: &[String],
    hasher: &ImageHasher,
) -> Option<Result<Prepared, ErrorLine>> {
    let content = match media_file::read(&file.path, begins_as_video).await {
        Ok(MediaFile::Other(content)) => content,
        Ok(MediaFile::Video(content)) => {
            // Every frame is hashed, so that it does not matter how a copy was sampled.
            let hashed = hasher.video(content, Sampling::Dense).await;
            return Some(hashed.and_then(|hashed| item_of_video(&file.path, hashed, labels)));
        }
        Err(error) => return Some(Err(error)),
    };
    if let Some(video) = video_of_file(&content) {
        return Some(video.map_err(invalid).and_then(|video| item_of_frames(&file.path, video, labels)));
    }
    if file.in_folder && !begins_as_picture(&content) {
        return None;
    }
    let fingerprint = hasher.fingerprint(content).await;
    Some(fingerprint.and_then(|fingerprint| item_of(&file.path, &fingerprint, labels)))
}

/// Makes the item of an image. A PDQ hash of too low quality is left out.
fn item_of(path: &Path, fingerprint: &ImageFingerprint, labels: &[String]) -> Result<Prepared, ErrorLine> {
    let quality = fingerprint.picture.quality();
    Ok((content_of(path, fingerprint.trusted_hashes(), labels)?, Seen::Picture(quality)))
}

/// Makes the item of a list of frames. The list's file gives its name.
fn item_of_frames(path: &Path, video: Hash, labels: &[String]) -> Result<Prepared, ErrorLine> {
    let content = content_of(path, vec![video], labels)?;
    let seen = SeenVideo::of(&content, None);
    Ok((content, Seen::Video(seen)))
}

/// Makes the item of a video: its frames, its frames without black bars if both fit into one item, and the
/// digests of the file.
fn item_of_video(path: &Path, hashed: HashedVideo, labels: &[String]) -> Result<Prepared, ErrorLine> {
    let HashedVideo { video, digests } = hashed;
    let plain = video
        .banked(Way::Plain)
        .ok_or_else(|| invalid(format!("has more than {} frames that differ", ItemContent::FRAMES_MAX)))?;
    let hashes = hashes_of_video(plain, video.banked(Way::Unbordered), digests);
    let content = content_of(path, hashes, labels)?;
    let seen = SeenVideo::of(&content, video.partial);
    Ok((content, Seen::Video(seen)))
}

fn content_of(path: &Path, hashes: Vec<Hash>, labels: &[String]) -> Result<ItemContent, ErrorLine> {
    let draft = ItemDraft { hashes, labels: labels.to_vec(), external_reference: file_name(path) };
    ItemContent::try_from(draft).map_err(|error| invalid(error.to_string()))
}

fn invalid(message: String) -> ErrorLine {
    ErrorLine { code: "invalid_argument".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use vigie_model::fingerprint::{PictureHashes, VideoFrame};
    use vigie_model::{HashType, VideoFingerprint};

    use super::*;

    /// A video whose frames differ from each other, with or without bars.
    fn hashed(frames: u32, has_bars: bool) -> HashedVideo {
        let hashes = |at: u32, mark: u8| {
            let mut pdq = [mark; 32];
            // Hashes of neighbouring frames differ in half of their bits.
            pdq[..4].copy_from_slice(&at.to_be_bytes());
            pdq[4..20].fill(if at.is_multiple_of(2) { 0 } else { 0xff });
            PictureHashes { pdq: [pdq; 8], quality: Quality::new(if at == 0 { 10 } else { 90 }).unwrap() }
        };
        let frame = |number: u32| VideoFrame {
            number,
            time_ms: number * 40,
            plain: hashes(number, 1),
            unbordered: has_bars.then(|| hashes(number, 2)),
        };
        let frames = (0..frames).map(frame).collect();
        let video = VideoFingerprint {
            width: 64,
            height: 64,
            duration: None,
            frames,
            partial: Some(VideoPartial::CutOff),
        };
        HashedVideo { video, digests: vec![Hash::md5([7; 16])] }
    }

    #[test]
    fn a_video_is_banked_with_and_without_its_bars_where_both_fit() {
        for (frames, has_bars, expected) in [
            (3, false, vec![3]),
            (3, true, vec![3, 3]),
            (2_048, true, vec![2_048; 2]),
            (2_049, true, vec![2_049]),
        ] {
            let (content, seen) = item_of_video(Path::new("x/a.mp4"), hashed(frames, has_bars), &[]).unwrap();
            let counts: Vec<usize> =
                content.hashes().iter().filter_map(Hash::frames).map(Frames::len).collect();
            assert_eq!(counts, expected);
            assert!(content.hashes().contains(&Hash::md5([7; 16])));
            assert_eq!(content.external_reference(), Some("a.mp4"));
            let (frames, ways) = (counts.iter().sum(), counts.len());
            let partial = Some(VideoPartial::CutOff);
            assert_eq!(seen, Seen::Video(SeenVideo { frames, usable: frames - ways, partial }));
        }
        assert!(item_of_video(Path::new("a"), hashed(4_097, false), &[]).is_err());
    }

    #[tokio::test]
    async fn a_list_of_frames_is_an_item_that_its_file_names() {
        let folder = tempfile::tempdir().unwrap();
        let hasher = ImageHasher::start(0).await.unwrap();
        let video = Hash::sample(HashType::VPDQ, 7);
        let prepare = async |name: &str, text: &str, in_folder| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            super::prepare(&FoundFile { path, in_folder }, &["l".to_owned()], &hasher).await
        };
        let usable = usize::from(video.frames().unwrap().iter().all(|frame| frame.is_usable()));
        let of_list = Seen::Video(SeenVideo { frames: 1, usable, partial: None });
        for text in [video.to_text(), video.to_line()] {
            let (content, seen) = prepare("film.mp4.txt", &text, false).await.unwrap().unwrap();
            assert_eq!((content.hashes(), seen), (std::slice::from_ref(&video), of_list));
            assert_eq!((content.external_reference(), content.labels().len()), (Some("film.mp4.txt"), 1));
        }
        let bad = prepare("bad.txt", &video.to_line().replace("\"]", "\",\"x\"]"), false)
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(bad.code, "invalid_argument");
        assert!(prepare("notes.txt", "hello", true).await.is_none());
    }
}
