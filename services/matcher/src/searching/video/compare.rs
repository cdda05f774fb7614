//! Compares one video of an item with the query's video, all frames with all.

use smallvec::SmallVec;
use vigie_index::{Cancelled, Checkpoint, near_pairs};
use vigie_model::{Distance, DistinctFrames, Percent, VideoEvidence, VideoRule, VideoRules, VideoSide};

use super::routes::{Left, Weight, Weights};

/// The number of frames of one side that are compared with all of the other before checking whether a rule
/// can still hold.
const FRAMES_AT_ONCE: usize = 8;

/// Some of the rules of a search.
type Rules<'r> = SmallVec<[&'r VideoRule; 3]>;

/// The frames of one side, and which of them match.
#[derive(Debug)]
struct Side<'a> {
    frames: &'a DistinctFrames,
    matches: Vec<bool>,
}

/// The matches of both sides, and the least distance of a near pair.
#[derive(Debug)]
struct Pairs<'a> {
    asked: Side<'a>,
    held: Side<'a>,
    nearest: u32,
}

/// Returns the distance of the nearest frames and the evidence of the match, or `None` if no rule holds.
/// Stops early if no rule can hold.
pub(super) fn compare(
    asked: &DistinctFrames,
    held: &DistinctFrames,
    rules: &VideoRules,
    radius: Distance,
    checkpoint: &mut Checkpoint<'_>,
) -> Result<Option<(Distance, VideoEvidence)>, Cancelled> {
    let (of_query, of_item): (Rules<'_>, Rules<'_>) =
        rules.iter().partition(|rule| rule.query_share.get() > 0);
    let mut pairs = Pairs { asked: Side::of(asked), held: Side::of(held), nearest: u32::MAX };
    // A pass that completes has compared all pairs.
    let is_whole =
        pairs.by_query(&of_query, radius, checkpoint)? || pairs.by_item(&of_item, radius, checkpoint)?;
    let Some(first) = pairs.asked.matches.iter().position(|matches| *matches).filter(|_| is_whole) else {
        return Ok(None);
    };
    // The item's frame that is nearest to the first matching frame of the query; the first one, if several
    // are equally near.
    let mut nearest: Option<(u32, usize)> = None;
    near_pairs(held.hashes(), &asked.hashes()[first..=first], radius, checkpoint, &mut |at, _, distance| {
        nearest = Some(nearest.map_or((distance, at), |nearest| nearest.min((distance, at))));
    })?;
    let first_held = nearest.map_or(0, |(_, at)| at);
    let (query, item) = (pairs.asked.side(first), pairs.held.side(first_held));
    let rules = rules.that_hold(&query, &item);
    let distance = Distance(pairs.nearest);
    Ok((!rules.is_empty()).then_some((distance, VideoEvidence { query, item, rules })))
}

impl Pairs<'_> {
    /// Compares the query's frames one after the other with the item. Stops early and returns false once none
    /// of these rules can hold by its share of the query.
    fn by_query(
        &mut self,
        rules: &[&VideoRule],
        radius: Distance,
        checkpoint: &mut Checkpoint<'_>,
    ) -> Result<bool, Cancelled> {
        let Self { asked, held, nearest } = self;
        let limits = limits(rules, |rule| rule.query_share);
        each_of(asked, held.frames, &limits, radius, checkpoint, |other, distance| {
            held.matches[other] = true;
            *nearest = distance.min(*nearest);
        })
    }

    /// Compares the item's frames one after the other with the query. Stops early and returns false once none
    /// of these rules can hold by its share of the item.
    fn by_item(
        &mut self,
        rules: &[&VideoRule],
        radius: Distance,
        checkpoint: &mut Checkpoint<'_>,
    ) -> Result<bool, Cancelled> {
        let Self { asked, held, nearest } = self;
        let limits = limits(rules, |rule| rule.item_share);
        each_of(held, asked.frames, &limits, radius, checkpoint, |other, distance| {
            asked.matches[other] = true;
            *nearest = distance.min(*nearest);
        })
    }
}

/// Returns the least shares of a side that the rules require, with the weight by which each is measured.
fn limits(rules: &[&VideoRule], share: impl Fn(&VideoRule) -> Percent) -> SmallVec<[(Weight, Percent); 3]> {
    rules.iter().map(|rule| (Weight::of(rule), share(rule))).collect()
}

/// Compares the frames of one side, those that are shown longest first, with all of the other. Stops early
/// and returns false once the frames that do not match exceed what every limit allows.
fn each_of(
    side: &mut Side<'_>,
    others: &DistinctFrames,
    limits: &[(Weight, Percent)],
    radius: Distance,
    checkpoint: &mut Checkpoint<'_>,
    mut near: impl FnMut(usize, u32),
) -> Result<bool, Cancelled> {
    let frames = side.frames;
    let whole = Weights::of_all(frames);
    // All frames except those that are known not to match.
    let mut left = Left::all(frames);
    let may_hold = |left: Weights| {
        limits.iter().any(|(weight, share)| {
            let whole = whole.get(*weight);
            whole > 0 && left.get(*weight) >= share.of(whole)
        })
    };
    if !may_hold(left.weights()) {
        return Ok(false);
    }
    let mut hashes = Vec::with_capacity(FRAMES_AT_ONCE);
    for some in frames.longest_first().chunks(FRAMES_AT_ONCE) {
        hashes.clear();
        hashes.extend(some.iter().map(|at| frames.hashes()[*at]));
        near_pairs(others.hashes(), &hashes, radius, checkpoint, &mut |other, at, distance| {
            side.matches[some[at]] = true;
            near(other, distance);
        })?;
        for at in some.iter().filter(|at| !side.matches[**at]) {
            left.take(*at);
        }
        if !may_hold(left.weights()) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl<'a> Side<'a> {
    fn of(frames: &'a DistinctFrames) -> Self {
        Self { frames, matches: vec![false; frames.len()] }
    }

    fn side(&self, first: usize) -> VideoSide {
        VideoSide {
            frames: count(self.frames.len()),
            frames_matched: count(self.matches.iter().filter(|matches| **matches).count()),
            time_ms: self.frames.time_ms(),
            time_matched_ms: self.frames.matched_ms(&self.matches),
            first_ms: self.frames.first_ms()[first],
        }
    }
}

/// Converts a number of frames. A list has at most 4,096 of them.
fn count(frames: usize) -> u32 {
    u32::try_from(frames).unwrap_or(u32::MAX)
}
