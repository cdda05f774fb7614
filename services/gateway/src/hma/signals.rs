//! HMA's names for hash types, and hashes in its clients' form.

use vigie_model::video::{VideoEvidence, VideoSide};
use vigie_model::{Distance, Hash, HashType, Match};

use crate::hma::refusal::Refusal;

/// HMA's name for MD5, which its clients use for videos.
const VIDEO_MD5: &str = "video_md5";

/// The types of HMA with threatexchange's extension `vpdq`.
pub(crate) const TYPES: [HashType; 3] = [HashType::PDQ, HashType::MD5, HashType::VPDQ];

/// The kinds of content, each with its hash types in HMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    /// A picture: PDQ.
    Photo,
    /// A video: MD5 and vPDQ.
    Video,
}

impl ContentType {
    /// All kinds.
    pub(crate) const ALL: [Self; 2] = [Self::Photo, Self::Video];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
        }
    }

    /// Returns the hash types of this kind.
    pub(crate) const fn hash_types(self) -> &'static [HashType] {
        match self {
            Self::Photo => &[HashType::PDQ],
            Self::Video => &[HashType::MD5, HashType::VPDQ],
        }
    }

    /// Returns the kind with this name.
    pub(crate) fn named(name: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| Refusal::bad("no such content type; there are photo and video"))
    }

    /// Returns the kind of a media type.
    pub(crate) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type.trim_start().to_ascii_lowercase() {
            kind if kind.starts_with("image") => Some(Self::Photo),
            kind if kind.starts_with("video") => Some(Self::Video),
            _ => None,
        }
    }
}

/// Returns the name of a type in answers.
pub(crate) fn name_of(hash_type: HashType) -> String {
    if hash_type == HashType::MD5 { VIDEO_MD5.to_owned() } else { hash_type.to_string() }
}

/// Returns the type with this name.
pub(crate) fn type_named(name: &str) -> Result<HashType, Refusal> {
    name.parse().map_err(|_| Refusal::bad("no such signal type"))
}

/// Reads a hash in a client's form. White space around it and upper case are accepted.
pub(crate) fn hash(hash_type: HashType, text: &str) -> Result<Hash, Refusal> {
    Hash::from_text(hash_type, text.trim())
        .map_err(|error| Refusal::bad(format!("invalid signal for {}: {error}", name_of(hash_type))))
}

/// Returns the distance of a match in HMA's form: a number for types with distances, `-` for types that
/// compare for equality, and for videos the shares of the query's and of the item's frames that match.
pub(crate) fn distance(found: &Match) -> String {
    match &found.video {
        Some(evidence) => shares(evidence),
        None => distance_of(found.hash_type, found.distance),
    }
}

fn distance_of(hash_type: HashType, distance: Distance) -> String {
    if hash_type.distance_max() == Distance(0) { "-".to_owned() } else { distance.0.to_string() }
}

/// Formats the shares as threatexchange does: `100%[33%]`.
fn shares(VideoEvidence { query, item, .. }: &VideoEvidence) -> String {
    format!("{:.0}%[{:.0}%]", percent(query), percent(item))
}

/// Returns the share of a side's distinct frames that match, in percent; 0 if it has none.
pub(crate) fn percent(side: &VideoSide) -> f64 {
    if side.frames == 0 { 0.0 } else { f64::from(side.frames_matched) * 100.0 / f64::from(side.frames) }
}

/// Returns a hash in HMA's form.
pub(crate) fn text_of(hash: &Hash) -> String {
    hash.to_line()
}

#[cfg(test)]
mod tests {
    use vigie_model::video::VideoRuleSet;

    use super::*;

    #[test]
    fn types_and_distances_are_written_as_hma_does() {
        assert_eq!(name_of(HashType::PDQ), "pdq");
        assert_eq!(name_of(HashType::MD5), "video_md5");
        assert_eq!(type_named("video_md5").unwrap(), HashType::MD5);
        assert!(type_named("nope").is_err());
        assert_eq!(distance_of(HashType::PDQ, Distance(9)), "9");
        assert_eq!(distance_of(HashType::MD5, Distance(0)), "-");
        let side = |frames, frames_matched| VideoSide { frames, frames_matched, ..VideoSide::default() };
        let evidence =
            VideoEvidence { query: side(7, 6), item: side(40, 13), rules: VideoRuleSet::default() };
        // 85.7 and 32.5, which Python rounds to the even number.
        assert_eq!(shares(&evidence), "86%[32%]");
        assert!(percent(&side(0, 0)).abs() < f64::EPSILON);
        assert_eq!(ContentType::of_media_type("image/jpeg"), Some(ContentType::Photo));
        assert_eq!(ContentType::of_media_type("text/html"), None);
    }
}
