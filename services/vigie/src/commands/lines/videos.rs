//! Videos in lines: what was decoded of one, how one matches an item, and which frame of one an image is
//! near.

use serde::Serialize;
use vigie_model::{DecodedVideo, Match, Source, VideoEvidence, VideoRuleKind, VideoSide};

/// What was decoded of a video.
#[derive(Debug, Serialize)]
pub(crate) struct VideoObject {
    /// Pixels of the first frame, as it is stored.
    width: u32,
    /// Pixels of the first frame, as it is stored.
    height: u32,
    /// Seconds, by the container; `null` where it does not say.
    duration_s: Option<f64>,
    /// Frames that were hashed.
    frames_seen: u32,
    /// Of the frames seen, those that hold too little detail to be searched.
    frames_below_floor: u32,
    /// When the last frame that was hashed is shown, in seconds.
    seen_until_s: f64,
    /// Why not all of the video was sampled; `null` where all of it was.
    partial: Option<&'static str>,
}

impl VideoObject {
    /// What was decoded of a content; `None` where it is no video.
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

/// How a video matches an item.
#[derive(Debug, Serialize)]
pub(crate) struct EvidenceObject {
    /// The video that was asked about.
    query: SideObject,
    /// The item's.
    item: SideObject,
    /// The rules of the search that hold.
    rules: Vec<&'static str>,
}

/// One side of a match of videos.
#[derive(Debug, Serialize)]
struct SideObject {
    /// Distinct hashes of sufficient quality.
    frames: u32,
    /// Those of them that match.
    frames_matched: u32,
    /// Seconds that frames of sufficient quality last.
    time_s: f64,
    /// Seconds that the frames last that match.
    time_matched_s: f64,
    /// When the first matching frame is shown, in seconds.
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

/// How like the item is to what was asked about, for a person.
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

/// How a video matches an item, for a person.
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

/// A time in a video, as players show it.
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
    fn a_match_is_told_in_shares_and_times() {
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
