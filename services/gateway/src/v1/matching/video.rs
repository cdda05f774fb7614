//! Videos: the rules by which they match, the properties of the decoded video, and the evidence of a match.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_model::{DecodedVideo, Percent, VideoEvidence, VideoRule, VideoRuleKind, VideoRules, VideoSide};

use crate::problem::Problem;
use crate::v1::values::value;

/// A rule by which a video matches: both shares must be reached, and enough frames must match.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VideoRuleAsked {
    /// `clip_of_known` (the query is part of something known), `contains_known` (something known is in the
    /// query), or `threatexchange`, which counts distinct hashes where the others count time.
    rule: String,
    /// The least share of the query that matches, in percent; by default 80, for `contains_known` 0.
    #[schema(minimum = 0, maximum = 100)]
    query_percent: Option<u32>,
    /// The least share of the item that matches, in percent; by default 0, for `contains_known` 80.
    #[schema(minimum = 0, maximum = 100)]
    item_percent: Option<u32>,
    /// The least number of distinct frames that match; by default 2, for `threatexchange` 1.
    #[schema(minimum = 1, maximum = 4096)]
    frames_min: Option<u32>,
}

impl VideoRuleAsked {
    fn read(&self, field: &str) -> Result<VideoRule, Problem> {
        let kind: VideoRuleKind = value(&format!("{field}.rule"), &self.rule)?;
        let usual = VideoRule::usual(kind);
        let share = |name: &str, percent: Option<u32>, usual| {
            percent.map_or(Ok(usual), |percent| {
                Percent::new(percent).map_err(|why| Problem::field(format!("{field}.{name}"), why))
            })
        };
        Ok(VideoRule {
            query_share: share("query_percent", self.query_percent, usual.query_share)?,
            item_share: share("item_percent", self.item_percent, usual.item_share)?,
            frames_min: self.frames_min.unwrap_or(usual.frames_min),
            ..usual
        })
    }
}

/// Reads the rules of a search.
pub(super) fn rules(asked: &[VideoRuleAsked]) -> Result<VideoRules, Problem> {
    let rules = asked.iter().enumerate().map(|(at, rule)| rule.read(&format!("video_rules[{at}]")));
    let rules = rules.collect::<Result<Vec<_>, _>>()?;
    VideoRules::new(rules).map_err(|why| Problem::field("video_rules", why))
}

/// Reads the names of rules, and returns these rules with their usual values.
pub(super) fn usual_rules(names: &[String]) -> Result<VideoRules, Problem> {
    let usual = |name: &String| value::<VideoRuleKind>("video_rules", name).map(VideoRule::usual);
    let rules = names.iter().map(usual).collect::<Result<Vec<_>, _>>()?;
    VideoRules::new(rules).map_err(|why| Problem::field("video_rules", why))
}

/// The part of a video that was decoded and hashed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoObject {
    /// Pixels of the first frame, as it is stored.
    width: u32,
    /// Pixels of the first frame, as it is stored.
    height: u32,
    /// The duration in seconds according to the container; `null` where the container has none.
    duration_s: Option<f64>,
    /// Frames that were hashed.
    frames_seen: u32,
    /// Hashed frames that have too little detail to be searched.
    frames_below_floor: u32,
    /// The time of the last frame that was hashed, in seconds.
    seen_until_s: f64,
    /// Why a part of the video was not sampled: `damaged`, `cut_off`, `too_long`, `too_many_frames`,
    /// `timed_out` or `decoder_failed`; `null` where all of it was. "No match" does not cover the rest.
    partial: Option<&'static str>,
}

impl From<&DecodedVideo> for VideoObject {
    fn from(video: &DecodedVideo) -> Self {
        Self {
            width: video.width,
            height: video.height,
            duration_s: video.duration_ms.map(|ms| ms as f64 / 1_000.0),
            frames_seen: video.frames_seen,
            frames_below_floor: video.frames_below_floor,
            seen_until_s: seconds(video.seen_until_ms),
            partial: video.partial.map(|reason| reason.name()),
        }
    }
}

/// How a video matches an item.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceObject {
    /// The side of the query.
    query: SideObject,
    /// The side of the item.
    item: SideObject,
    /// The rules of the search that are fulfilled.
    rules: Vec<&'static str>,
}

/// One of the two sides of a match of videos.
#[derive(Debug, Serialize, ToSchema)]
struct SideObject {
    /// Distinct hashes of sufficient quality.
    frames: u32,
    /// Those of them that match.
    frames_matched: u32,
    /// The duration of the frames of sufficient quality, in seconds.
    time_s: f64,
    /// The duration of the frames that match, in seconds.
    time_matched_s: f64,
    /// The time of the first matching frame, in seconds.
    first_s: f64,
}

impl From<&VideoEvidence> for EvidenceObject {
    fn from(evidence: &VideoEvidence) -> Self {
        Self {
            query: (&evidence.query).into(),
            item: (&evidence.item).into(),
            rules: evidence.rules.iter().map(VideoRuleKind::name).collect(),
        }
    }
}

impl From<&VideoSide> for SideObject {
    fn from(side: &VideoSide) -> Self {
        Self {
            frames: side.frames,
            frames_matched: side.frames_matched,
            time_s: seconds(side.time_ms),
            time_matched_s: seconds(side.time_matched_ms),
            first_s: seconds(side.first_ms),
        }
    }
}

pub(crate) fn seconds(ms: u32) -> f64 {
    f64::from(ms) / 1_000.0
}
