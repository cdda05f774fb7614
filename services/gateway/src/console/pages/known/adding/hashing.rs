//! Items from files and lines of hashes.

use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use vigie_clients::{CallError, Code};
use vigie_formats::files::{Entry, FileError, FileReader, ReadOptions, file_name, video_of_file};
use vigie_model::fingerprint::hashes_of_video;
use vigie_model::{Hash, HashType, ItemContent, ItemDraft};

use crate::media::form::FormFile;
use crate::problem::Problem;
use crate::upstream::Caller;

/// The most lines of hashes in one form. An import accepts more.
pub(super) const LINES_MAX: usize = 500;
/// File extensions of videos. They only decide which decoder is tried first.
const VIDEOS: [&str; 14] =
    ["mp4", "m4v", "mov", "webm", "mkv", "avi", "mpg", "mpeg", "wmv", "flv", "ts", "3gp", "ogv", "mts"];

/// An item made from a file.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) content: ItemContent,
    /// Whether the picture has too little detail for a perceptual hash.
    pub(super) is_plain: bool,
}

/// Items of lines, or the error of a line; each with the line number.
pub(super) type Lines = Vec<(u64, Result<ItemContent, String>)>;

/// Returns the item of a file: a picture, a video, or the frames of a video. The file is not stored.
pub(super) async fn item_of(caller: &Caller, file: &FormFile, labels: &[String]) -> Result<Made, Problem> {
    let name = file_name(Path::new(&file.name));
    let made = |hashes: Vec<Hash>, is_plain| {
        let draft = ItemDraft { hashes, labels: labels.to_vec(), external_reference: name.clone() };
        let content = ItemContent::try_from(draft).map_err(|why| Problem::bad(why.to_string()))?;
        Ok(Made { content, is_plain })
    };
    if let Some(video) = video_of_file(&file.bytes) {
        return made(vec![video.map_err(Problem::bad)?], false);
    }
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    let first = if VIDEOS.contains(&&*end) { Kind::Video } else { Kind::Picture };
    let (hashes, is_plain) = match hashed(caller, first, &file.bytes).await {
        // A wrong file name costs a second attempt. If both fail, the first error is returned, for the kind
        // that the name implies.
        Err(error) if is_of_content(&error) => match hashed(caller, first.other(), &file.bytes).await {
            Err(other) if is_of_content(&other) => return Err(error.into()),
            other => other?,
        },
        first => first?,
    };
    made(hashes, is_plain)
}

/// Whether the error means that the file is not of the kind that was tried.
fn is_of_content(error: &CallError) -> bool {
    matches!(error.code(), Code::InvalidArgument | Code::Unimplemented)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Picture,
    Video,
}

impl Kind {
    const fn other(self) -> Self {
        match self {
            Self::Picture => Self::Video,
            Self::Video => Self::Picture,
        }
    }
}

/// Returns the hashes of a file for a bank, and whether it has too little detail for a perceptual hash.
async fn hashed(caller: &Caller, kind: Kind, bytes: &Bytes) -> Result<(Vec<Hash>, bool), CallError> {
    // Each file has the deadline of a new request.
    caller.begin_anew();
    let (frontends, deadline) = (caller.frontends(), caller.deadline());
    match kind {
        Kind::Picture => {
            let fingerprint = frontends.hash(bytes.clone(), deadline).await?;
            let hashes = fingerprint.trusted_hashes();
            let is_plain = !hashes.iter().any(|hash| hash.hash_type() == HashType::PDQ);
            Ok((hashes, is_plain))
        }
        Kind::Video => {
            let hashed = frontends.hash_video(bytes.clone(), true, deadline).await?;
            let (mut videos, digests): (Vec<Hash>, Vec<Hash>) =
                hashed.hashes.into_iter().partition(|hash| hash.frames().is_some());
            let unbordered = (videos.len() > 1).then(|| videos.swap_remove(1));
            match videos.into_iter().next() {
                Some(plain) => Ok((hashes_of_video(plain, unbordered, digests), false)),
                None => Err(frontends
                    .refused(Code::InvalidArgument, "the video has more frames than an item may have")),
            }
        }
    }
}

/// Returns the items of lines of hashes in any format, each with its line number.
///
/// # Errors
///
/// The format or the hash type is ambiguous, or there are too many lines.
pub(super) fn items_of_lines(text: &str, options: ReadOptions) -> Result<Lines, Problem> {
    let wrong = |why: FileError| Problem::field("hashes", why);
    let reader = FileReader::open(Box::new(Cursor::new(text.as_bytes())), options).map_err(wrong)?;
    let mut items = Vec::new();
    for entry in reader {
        let Entry { number, item } = entry.map_err(|why| wrong(why.into()))?;
        if items.len() == LINES_MAX {
            return Err(Problem::field(
                "hashes",
                format!("are at most {LINES_MAX} lines here; an import takes more"),
            ));
        }
        items.push(match item {
            Ok(item) => (number, Ok(item)),
            Err(bad) => (bad.line, Err(bad.reason)),
        });
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, hash_type: Option<HashType>) -> Result<Lines, Problem> {
        items_of_lines(text, ReadOptions { hash_type, ..ReadOptions::default() })
    }

    #[test]
    fn a_bad_line_costs_itself_and_many_lines_are_an_import() {
        let md5 = "cd".repeat(16);
        let items = read(&format!("{md5}\nnonsense\n{md5}\n"), Some(HashType::MD5)).unwrap();
        let good: Vec<_> = items.iter().map(|(line, item)| (*line, item.is_ok())).collect();
        assert_eq!(good, [(1, true), (2, false), (3, true)]);
        let uncertain = read(&"ab".repeat(32), None).unwrap_err();
        assert_eq!(uncertain.field.as_deref(), Some("hashes"));
        let many = format!("{md5}\n").repeat(LINES_MAX + 1);
        assert!(read(&many, Some(HashType::MD5)).is_err());
        assert_eq!(read(&many[..many.len() - 33], Some(HashType::MD5)).unwrap().len(), LINES_MAX);
    }
}
