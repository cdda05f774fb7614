//! The gaps of a content's search, each as a sentence. If there is a gap, "nothing found" does not mean "not
//! known".

use vigie_model::{
    Coverage, Decoded, DecodedVideo, HashType, HashTypeSearch, Matched, Recall, SkipReason, Source,
};

use crate::console::pages::check::words::{seconds, type_name, type_names};
use crate::console::parts;
use crate::console::visit::Visit;

/// The most shards that are named.
const SHARDS_SHOWN: usize = 8;

/// Returns the gaps of a search; empty if it was complete. `recall`: what is known of the approximate index
/// of a type.
pub(super) fn gaps(
    visit: &Visit,
    recall: impl Fn(HashType) -> Option<Recall>,
    matched: &Matched,
    coverage: &Coverage,
) -> Vec<String> {
    let mut gaps = Vec::new();
    if !coverage.is_full() {
        gaps.push(shards(visit, coverage));
    }
    match &matched.source {
        Source::Hashed => {}
        Source::Decoded(decoded) => gaps.extend(of_picture(visit, decoded)),
        Source::Video(video) => gaps.extend(of_video(visit, video)),
        Source::Undecoded(failure) => {
            let searched = searched(matched).map(|search| search.hash_type);
            let (why, types) = (&failure.message, type_names(searched));
            gaps.push(visit.fill("check.gap.undecoded", &[("types", &types), ("why", why)]));
        }
    }
    gaps.extend(matched.searches.iter().filter_map(|search| skipped(visit, matched, search)));
    for search in searched(matched).filter(|search| !search.exact) {
        let name = type_name(search.hash_type);
        gaps.push(match recall(search.hash_type) {
            Some(recall) => {
                let percent = parts::percent(visit.language, recall);
                visit.fill("check.gap.approximate_measured", &[("type", &name), ("percent", &percent)])
            }
            None => visit.fill("check.gap.approximate", &[("type", &name)]),
        });
    }
    if matched.found.common_frames > 0 {
        gaps.push(visit.count("check.gap.common_frames", matched.found.common_frames.into()));
    }
    if matched.near_budget_spent {
        gaps.push(visit.t("check.gap.near_budget").to_owned());
    }
    gaps
}

/// Returns the hash types that were searched.
pub(super) fn searched(matched: &Matched) -> impl Iterator<Item = &HashTypeSearch> {
    matched.searches.iter().filter(|search| search.skipped.is_none())
}

/// Names the shards that did not answer. The reason may name machines, so only the health page shows it, to
/// operators.
fn shards(visit: &Visit, coverage: &Coverage) -> String {
    let (answered, total) = (coverage.shards_answered, coverage.shards_total);
    let failures = coverage.failures.iter().take(SHARDS_SHOWN);
    let failures = failures.map(|failure| visit.fill("check.gap.shard", &[("shard", &failure.shard.0)]));
    let failures = failures.collect::<Vec<_>>().join(" ");
    let whole = visit.fill("check.gap.shards", &[("answered", &answered), ("total", &total)]);
    format!("{whole} {failures}").trim_end().to_owned()
}

fn of_picture(visit: &Visit, decoded: &Decoded) -> Vec<String> {
    let mut gaps = Vec::new();
    if decoded.frames_left_out > 0 {
        gaps.push(visit.count("check.gap.frames_left_out", decoded.frames_left_out.into()));
    }
    // For a single frame, the gap of the hash type itself reports this.
    if decoded.frames_seen > 1 && decoded.frames_below_floor > 0 {
        gaps.push(visit.count("check.gap.frames_below_floor", decoded.frames_below_floor.into()));
    }
    if decoded.ways_left_out > 0 {
        gaps.push(visit.count("check.gap.ways_left_out", decoded.ways_left_out.into()));
    }
    if gaps.is_empty() && decoded.frames_seen == 0 {
        gaps.push(visit.t("check.gap.first_frame").to_owned());
    }
    gaps
}

fn of_video(visit: &Visit, video: &DecodedVideo) -> Vec<String> {
    let mut gaps = Vec::new();
    if let Some(partial) = video.partial {
        let why = visit.t(&format!("check.gap.video.{}", partial.name()));
        let until = seconds(visit, video.seen_until_ms);
        gaps.push(visit.fill("check.gap.video_partial", &[("why", &why), ("until", &until)]));
    }
    if video.frames_below_floor >= video.frames_seen {
        gaps.push(visit.t("check.gap.video_poor").to_owned());
    }
    gaps
}

fn skipped(visit: &Visit, matched: &Matched, search: &HashTypeSearch) -> Option<String> {
    let name = type_name(search.hash_type);
    match search.skipped? {
        SkipReason::QualityBelowFloor => {
            let quality = matched.pdq_quality.map_or(0, |quality| quality.get());
            let floor = matched.quality_floor.get();
            Some(
                visit.fill("check.gap.quality", &[("type", &name), ("quality", &quality), ("floor", &floor)]),
            )
        }
        // The gap for the failure to decode reports this.
        SkipReason::NotDecoded if matches!(matched.source, Source::Undecoded(_)) => None,
        SkipReason::NotDecoded => Some(visit.fill("check.gap.not_decoded", &[("type", &name)])),
        SkipReason::Other => Some(visit.fill("check.gap.other", &[("type", &name)])),
    }
}
