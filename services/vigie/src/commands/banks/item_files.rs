//! The items that files make: pictures, which are hashed here, and lists of the frames of videos.

use std::path::Path;

use vigie_formats::files::{file_name, video_of_file};
use vigie_media::begins_as_picture;
use vigie_model::{Hash, ImageFingerprint, ItemContent, ItemDraft, Quality};

use crate::commands::content::folders::FoundFile;
use crate::commands::content::image_file;
use crate::commands::content::image_hasher::ImageHasher;
use crate::output::ErrorLine;

/// What was seen in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A picture.
    Picture(Quality),
    /// So many frames of a video.
    Frames(usize),
}

/// An item that is not yet banked.
pub(super) type Prepared = (ItemContent, Seen);

/// The item of a file; `None` for a file of a folder that makes none.
pub(super) async fn prepare(
    file: &FoundFile,
    labels: &[String],
    hasher: &ImageHasher,
) -> Option<Result<Prepared, ErrorLine>> {
    let content = match image_file::read(&file.path).await {
        Ok(content) => content,
        Err(error) => return Some(Err(error)),
    };
    if let Some(video) = video_of_file(&content) {
        return Some(video.map_err(invalid).and_then(|video| item_of_video(&file.path, video, labels)));
    }
    if file.in_folder && !begins_as_picture(&content) {
        return None;
    }
    let fingerprint = hasher.fingerprint(content).await;
    Some(fingerprint.and_then(|fingerprint| item_of(&file.path, &fingerprint, labels)))
}

/// The item of an image. A PDQ hash that is not to be trusted is left out.
fn item_of(path: &Path, fingerprint: &ImageFingerprint, labels: &[String]) -> Result<Prepared, ErrorLine> {
    let quality = fingerprint.picture.quality();
    let trusted = quality >= Quality::FLOOR_DEFAULT;
    let hashes = fingerprint.banked_hashes().into_iter();
    let hashes = hashes.filter(|hash| trusted || !hash.hash_type().has_quality_floor()).collect();
    Ok((content_of(path, hashes, labels)?, Seen::Picture(quality)))
}

/// The item of a list of frames, which the list's file names.
fn item_of_video(path: &Path, video: Hash, labels: &[String]) -> Result<Prepared, ErrorLine> {
    let frames = video.frames().map_or(0, vigie_model::Frames::len);
    Ok((content_of(path, vec![video], labels)?, Seen::Frames(frames)))
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
    use vigie_model::HashType;

    use super::*;

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
        for text in [video.to_text(), video.to_line()] {
            let (content, seen) = prepare("film.mp4.txt", &text, false).await.unwrap().unwrap();
            assert_eq!((content.hashes(), seen), (&[video.clone()][..], Seen::Frames(1)));
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
