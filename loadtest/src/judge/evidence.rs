//! How a video matches an item, computed by brute force: every frame is compared with every frame.
//!
//! The computation shares no code with the services under test. The rules are those of
//! `vigie.model.v1.VideoRule`: frames of a quality below 50 never count; equal hashes of one side count as
//! one; a frame lasts until the next frame of its list, even if that frame is ignored. The last frame lasts
//! as long as the frame before it, but at most a second; an only frame lasts a second. When time is counted,
//! a frame that begins in the same second as a matching frame counts as matching.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::Hash;
use crate::data::scan::{Found, scan};
use crate::data::videos::Frame;

/// The lowest quality that is trusted: frames below it are ignored.
const QUALITY_LEAST: u8 = 50;
/// The longest duration of the last frame, and the duration of an only frame.
const LAST_MS_MAX: u32 = 1_000;
/// The share of a side that the usual rules require, in percent.
const PERCENT: u64 = 80;
/// With fewer distinct hashes than this on a side, one matching hash is enough.
const FEW: u32 = 4;

/// A rule by which a video matches, with its usual numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    /// At least 80 % of the query's time matches, and two distinct hashes of each side (one, if the query has
    /// fewer than four).
    ClipOfKnown,
    /// At least 80 % of the item's time matches, and two distinct hashes of each side (one, if the item has
    /// fewer than four).
    ContainsKnown,
    /// 80 % of the query's distinct hashes match.
    #[serde(rename = "threatexchange")]
    ThreatExchange,
}

/// The matching part of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Side {
    /// The number of distinct hashes, which the protocol calls frames.
    pub(crate) frames: u32,
    /// The number of distinct hashes that match.
    pub(crate) frames_matched: u32,
    pub(crate) time_ms: u32,
    pub(crate) time_matched_ms: u32,
    /// Of the query: the time of its first matching frame. Of the item: the time of the frame with the
    /// smallest distance to that frame of the query.
    pub(crate) first_ms: u32,
}

/// How a video matches an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) query: Side,
    pub(crate) item: Side,
    /// The rules that hold, one bit for each.
    pub(crate) rules: u8,
}

impl Rule {
    /// All rules, in the order of their numbers in the protocol, which begin with 1.
    pub(crate) const ALL: [Self; 3] = [Self::ClipOfKnown, Self::ContainsKnown, Self::ThreatExchange];

    /// Returns the rule's bit.
    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::ClipOfKnown => 1,
            Self::ContainsKnown => 2,
            Self::ThreatExchange => 4,
        }
    }

    fn holds(self, query: &Side, item: &Side) -> bool {
        let enough = |matched: u32, whole: u32| u64::from(matched) * 100 >= PERCENT * u64::from(whole);
        let matched = query.frames_matched.min(item.frames_matched);
        let two_of = |side: &Side| matched >= if side.frames < FEW { 1 } else { 2 };
        let have_time = query.time_ms > 0 && item.time_ms > 0;
        match self {
            Self::ClipOfKnown => have_time && enough(query.time_matched_ms, query.time_ms) && two_of(query),
            Self::ContainsKnown => have_time && enough(item.time_matched_ms, item.time_ms) && two_of(item),
            Self::ThreatExchange => matched >= 1 && enough(query.frames_matched, query.frames),
        }
    }
}

impl Evidence {
    /// Returns the unmatched share of the time, in thousandths, of the side that matches better. The matches
    /// of an answer are sorted by this share, ascending.
    pub(crate) fn missing(&self) -> u32 {
        let matched = |side: &Side| {
            let share = u64::from(side.time_matched_ms) * 1_000;
            u32::try_from(share.checked_div(side.time_ms.into()).unwrap_or_default()).unwrap_or(1_000)
        };
        1_000_u32.saturating_sub(matched(&self.query).max(matched(&self.item)))
    }
}

/// A side, ready to be compared: its usable frames, by time.
#[derive(Debug, Clone)]
pub(crate) struct Footage {
    hashes: Vec<Hash>,
    /// The start and the duration of each frame, in milliseconds.
    times: Vec<(u32, u32)>,
}

impl Footage {
    pub(crate) fn new(frames: &[Frame]) -> Self {
        let mut footage = Self { hashes: Vec::new(), times: Vec::new() };
        let mut before = LAST_MS_MAX;
        for (at, frame) in frames.iter().enumerate() {
            let lasts = match frames.get(at + 1) {
                Some(next) => next.time_ms - frame.time_ms,
                None => before.min(LAST_MS_MAX),
            };
            before = lasts;
            if frame.quality >= QUALITY_LEAST {
                footage.hashes.push(frame.pdq);
                footage.times.push((frame.time_ms, lasts));
            }
        }
        footage
    }

    /// Returns the matching part of this side, given which frames match.
    fn side(&self, matches: &[bool], first_ms: u32) -> Side {
        let (mut all, mut matched) = (HashSet::new(), HashSet::new());
        let second = |begin_ms: u32| begin_ms / 1_000;
        let matching = self.times.iter().zip(matches).filter(|(_, is_matched)| **is_matched);
        let seconds: HashSet<u32> = matching.map(|((begin_ms, _), _)| second(*begin_ms)).collect();
        let mut side = Side { first_ms, ..Side::default() };
        for ((hash, (begin_ms, lasts)), &is_matched) in self.hashes.iter().zip(&self.times).zip(matches) {
            all.insert(hash);
            side.time_ms += lasts;
            if is_matched {
                matched.insert(hash);
            }
            if seconds.contains(&second(*begin_ms)) {
                side.time_matched_ms += lasts;
            }
        }
        let count = |set: &HashSet<&Hash>| u32::try_from(set.len()).unwrap_or(u32::MAX);
        (side.frames, side.frames_matched) = (count(&all), count(&matched));
        side
    }

    /// Returns how this video matches an item: the distance of the nearest two frames, and the evidence.
    /// `None` if no rule holds.
    pub(crate) fn compare(
        &self,
        item: &Self,
        max_distance: u16,
        rules: &[Rule],
        scratch: &mut Vec<Found>,
    ) -> Option<(u16, Evidence)> {
        let mut of_query = Vec::new();
        let mut of_item = Vec::new();
        let mut nearest = u16::MAX;
        // For the first frame that matches: its time, and the time of the item's nearest frame.
        let mut first: Option<(u32, u32)> = None;
        for (at, hash) in self.hashes.iter().enumerate() {
            scratch.clear();
            scan(&item.hashes, hash, max_distance, scratch);
            let Some(best) = scratch.iter().min_by_key(|found| (found.distance, found.row)) else { continue };
            nearest = nearest.min(best.distance);
            if of_query.is_empty() {
                (of_query, of_item) = (vec![false; self.hashes.len()], vec![false; item.hashes.len()]);
                first = Some((self.times[at].0, item.times[best.row as usize].0));
            }
            of_query[at] = true;
            scratch.iter().for_each(|found| of_item[found.row as usize] = true);
        }
        let (query_ms, item_ms) = first?;
        let (query, item) = (self.side(&of_query, query_ms), item.side(&of_item, item_ms));
        let hold = rules.iter().filter(|rule| rule.holds(&query, &item));
        let rules = hold.fold(0, |bits, rule| bits | rule.bit());
        (rules > 0).then_some((nearest, Evidence { query, item, rules }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a frame. Frames of different numbers have distant hashes; `bits` is the distance from the hash
    /// of the same number without changed bits.
    fn frame(number: u8, bits: u16, quality: u8, time_ms: u32) -> Frame {
        let mut pdq = [0; 32];
        pdq[usize::from(number) * 3..][..3].fill(0xff);
        // Numbers up to 7 set the first 24 bytes only.
        (0..bits).for_each(|bit| pdq[24 + usize::from(bit) / 8] |= 1 << (bit % 8));
        Frame { pdq, quality, time_ms }
    }

    fn compare(query: &[Frame], item: &[Frame]) -> Option<(u16, Evidence)> {
        let (query, item) = (Footage::new(query), Footage::new(item));
        query.compare(&item, 31, &Rule::ALL, &mut Vec::new())
    }

    const fn side(
        frames: u32,
        frames_matched: u32,
        time_ms: u32,
        time_matched_ms: u32,
        first_ms: u32,
    ) -> Side {
        Side { frames, frames_matched, time_ms, time_matched_ms, first_ms }
    }

    #[test]
    fn evidence_is_counted_as_the_rules_say() {
        // The third frame is below the lowest quality and lasts 500 ms; the last frame lasts as long as the
        // one before it, but at most a second.
        let item = [
            frame(0, 0, 90, 0),
            frame(1, 0, 50, 2_500),
            frame(2, 0, 49, 3_000),
            frame(1, 0, 90, 3_500),
            frame(3, 0, 90, 5_000),
        ];
        // The first frame matches nothing; the next two match the second and the fourth frame of the item.
        let query =
            [frame(7, 0, 90, 0), frame(1, 31, 90, 1_000), frame(1, 4, 90, 1_200), frame(2, 0, 90, 2_000)];
        let matched = compare(&query, &item);
        assert_eq!(matched, None, "only half of the query's hashes match, and less than half of its time");
        let (nearest, evidence) = compare(&query[1..3], &item).unwrap();
        assert_eq!(nearest, 4);
        assert_eq!(evidence.query, side(2, 2, 400, 400, 1_000));
        assert_eq!(evidence.item, side(3, 1, 2_500 + 500 + 1_500 + 1_000, 2_000, 2_500));
        assert_eq!(evidence.rules, Rule::ClipOfKnown.bit() | Rule::ThreatExchange.bit());
        assert_eq!(evidence.missing(), 0);
    }

    #[test]
    fn the_bounds_of_the_rules_are_those_of_the_protocol() {
        let five: Vec<Frame> = (0..5).map(|number| frame(number, 0, 90, u32::from(number) * 1_000)).collect();
        let mut four_of_five = five.clone();
        four_of_five[2] = frame(7, 0, 90, 2_000);
        let (_, evidence) = compare(&four_of_five, &five).unwrap();
        assert_eq!((evidence.rules, evidence.missing()), (7, 200));
        four_of_five[2].time_ms += 1;
        let (_, evidence) = compare(&four_of_five, &five).unwrap();
        assert_eq!(evidence.query.time_matched_ms, 4_001, "{evidence:?}");
        (four_of_five[2].time_ms, four_of_five[3].time_ms) = (2_000, 3_001);
        let (_, evidence) = compare(&four_of_five, &five).unwrap();
        assert_eq!(evidence.rules, 6, "a millisecond less than four fifths of the query");
        // A frame that begins in the same second as a matching frame counts as matching.
        four_of_five[2].time_ms = 1_999;
        let (_, evidence) = compare(&four_of_five, &five).unwrap();
        assert_eq!(evidence.query.time_matched_ms, evidence.query.time_ms);
        // A single common frame is enough if the query has fewer than four, for the rule about the query.
        let long =
            [frame(0, 0, 90, 0), frame(5, 0, 90, 9_000), frame(6, 0, 90, 9_100), frame(7, 0, 90, 9_200)];
        assert_eq!(compare(&long, &five), None);
        assert_eq!(compare(&long[..3], &five).unwrap().1.rules, 1);
        assert_eq!(compare(&[frame(0, 32, 90, 0)], &five), None, "32 bits are too far");
        assert_eq!(compare(&[frame(0, 0, 49, 0)], &five), None, "no usable frame");
        assert_eq!(compare(&five, &[frame(0, 0, 0, 0)]), None);
    }

    #[test]
    fn the_items_time_is_that_of_its_nearest_frame_and_the_earliest_of_several() {
        let item = [frame(1, 9, 90, 0), frame(1, 2, 90, 500), frame(1, 2, 90, 900)];
        let (nearest, evidence) = compare(&[frame(1, 0, 90, 70), frame(1, 2, 90, 80)], &item).unwrap();
        assert_eq!((nearest, evidence.query.first_ms, evidence.item.first_ms), (0, 70, 500));
        assert_eq!(evidence.item.frames, 2);
    }
}
