//! Videos in output lines: the decoded part of a video, the evidence that a video matches an item, and the
//! frame of a video that an image is near.

use serde::Serialize;
use vigie_model::{DecodedVideo, Match, Source, VideoEvidence, VideoRuleKind, VideoSide};

/// The decoded part of a video.
#[derive(Debug, Serialize)]
pub(crate) struct VideoObject {
    /// Width of the first frame as it is stored, in pixels.
    width: u32,
    /// Height of the first frame as it is stored, in pixels.
    height: u32,
    /// Duration in seconds according to the container; `null` if it gives none.
    duration_s: Option<f64>,
    /// Number of frames that were hashed.
    frames_seen: u32,
    /// Number of the seen frames that have too little detail to be searched.
    frames_below_floor: u32,
    /// Time in seconds of the last frame that was hashed.
    seen_until_s: f64,
    /// The reason why only a part of the video was sampled; `null` if all of it was.
    partial: Option<&'static str>,
}

impl VideoObject {
    /// Returns the object for a video; `None` for other content.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        let Source::Video(DecodedVideo {
            width,
            height,
            duration_ms,
            frames_seen,
            frames_below_floor,
            seen_until_ms,
            partial,
        }) = *source
        else {
            return None;
        };
        Some(Self {
            width,
            height,
            duration_s: duration_ms.map(|ms| ms as f64 / 1_000.0),
            frames_seen,
            frames_below_floor,
            seen_until_s: seconds(seen_until_ms),
            partial: partial.map(|reason| reason.name()),
        })
    }
}

/// The evidence that a video matches an item.
#[derive(Debug, Serialize)]
pub(crate) struct EvidenceObject {
    /// The side of the queried video.
    query: SideObject,
    /// The side of the item's video.
    item: SideObject,
    /// Names of the search's rules that hold.
    rules: Vec<&'static str>,
}

/// The evidence for one of the two videos.
#[derive(Debug, Serialize)]
struct SideObject {
    /// Number of distinct hashes of sufficient quality.
    frames: u32,
    /// Number of those hashes that match.
    frames_matched: u32,
    /// Total duration of frames of sufficient quality, in seconds.
    time_s: f64,
    /// Total duration of those frames that match, in seconds.
    time_matched_s: f64,
    /// Time in seconds of the first frame that matches.
    first_s: f64,
}

impl From<&VideoEvidence> for EvidenceObject {
    fn from(evidence: &VideoEvidence) -> Self {
        let side = |side: &VideoSide| SideObject {
            frames: side.frames,
            frames_matched: side.frames_matched,
            time_s: seconds(side.time_ms),
            time_matched_s: seconds(side.time_matched_ms),
            first_s: seconds(side.first_ms),
        };
        Self {
            query: side(&evidence.query),
            item: side(&evidence.item),
            rules: evidence.rules.iter().map(VideoRuleKind::name).collect(),
        }
    }
}

/// Describes for a person how similar an item is to the query.
pub(crate) fn likeness(found: &Match) -> String {
    if let Some(evidence) = &found.video {
        return evidence_words(evidence);
    }
    let Match { hash_type, distance, .. } = found;
    match found.item_time_ms {
        Some(time_ms) => format!("{hash_type} at distance {distance} from the frame at {}", clock(time_ms)),
        None => format!("{hash_type} at distance {distance}"),
    }
}

/// Describes for a person how a video matches an item.
pub(crate) fn evidence_words(evidence: &VideoEvidence) -> String {
    let VideoEvidence { query, item, .. } = evidence;
    let share = |side: &VideoSide| side.permille() / 10;
    format!(
        "{} % of the video ({} of {} frames, from {}) matches {} % of the item (from {})",
        share(query),
        query.frames_matched,
        query.frames,
        clock(query.first_ms),
        share(item),
        clock(item.first_ms)
    )
}

/// Formats a time in a video as players show it.
fn clock(ms: u32) -> String {
    let seconds = ms / 1_000;
    match seconds / 3_600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

fn seconds(ms: u32) -> f64 {
    f64::from(ms) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_described_in_shares_and_times() {
        let side = |frames, frames_matched, first_ms| VideoSide {
            frames,
            frames_matched,
            time_ms: frames * 1_000,
            time_matched_ms: frames_matched * 1_000,
            first_ms,
        };
        let rules = [VideoRuleKind::ClipOfKnown].into_iter().collect();
        let evidence = VideoEvidence { query: side(10, 9, 1_000), item: side(60, 9, 3_725_000), rules };
        assert_eq!(
            evidence_words(&evidence),
            "90 % of the video (9 of 10 frames, from 0:01) matches 15 % of the item (from 1:02:05)"
        );
    }
}
