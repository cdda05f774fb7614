//! Judges an answer by the known right answer.
//!
//! The right answer to a question is stored compactly, as the number of known items at each distance. An
//! answer is right exactly if each of its matches is a known item at the stated distance, no item is
//! repeated, and each distance has the right number of matches, up to the limit. So there is no need to list
//! all matches, which may be a tenth of a data set, and ties at the limit may be broken in any way.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::judge::evidence::Evidence;

/// A match in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) item: Identity,
    /// `None` where the protocol does not report it.
    pub(crate) distance: Option<u16>,
    /// How a video matches; `None` where the hash of a picture matched, or the protocol does not report it.
    pub(crate) video: Option<Evidence>,
}

/// The known item that a match refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Identity {
    /// A row of the data set.
    Row(u32),
    /// A video of the data set.
    Video(u32),
    /// An item that a run has added, by its number.
    Live(u64),
    /// An item that the harness did not add.
    Unknown,
}

impl Identity {
    /// Returns the identity that an external reference names.
    pub(crate) fn of_reference(reference: &str) -> Self {
        let Some((kind, digits)) = reference.split_at_checked(1) else { return Self::Unknown };
        let Ok(number) = digits.parse::<u64>() else { return Self::Unknown };
        let of_data = |kind: fn(u32) -> Self| u32::try_from(number).map_or(Self::Unknown, kind);
        match kind {
            "r" => of_data(Self::Row),
            "v" => of_data(Self::Video),
            "a" => Self::Live(number),
            _ => Self::Unknown,
        }
    }

    /// Returns the external reference under which the item is banked.
    pub(crate) fn reference(self) -> String {
        match self {
            Self::Row(row) => format!("r{row}"),
            Self::Video(number) => format!("v{number}"),
            Self::Live(number) => format!("a{number}"),
            Self::Unknown => String::new(),
        }
    }
}

/// Counts of judged answers and of the faults found in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Questions whose answers were judged.
    pub(crate) judged: u64,
    /// Right matches in answers.
    pub(crate) right: u64,
    /// Matches that an answer lacks although it claims to be complete.
    pub(crate) missed: u64,
    /// Wrong matches: unknown items, removed ones, too distant ones, and repetitions.
    #[serde(rename = "false")]
    pub(crate) false_matches: u64,
    /// Right matches with a wrong distance.
    pub(crate) wrong_distance: u64,
    /// Right matches of videos with wrong evidence.
    #[serde(default)]
    pub(crate) wrong_evidence: u64,
    /// Answers that report themselves that they do not cover all shards, or that frames of a video were too
    /// common to be searched.
    pub(crate) incomplete: u64,
    /// Answers that lack a write which they have to include.
    pub(crate) stale: u64,
    /// Verdicts of members' policies.
    #[serde(default)]
    pub(crate) decided: u64,
    /// Verdicts that are wrong: they allow a match, refer to nothing, are missing, or contradict the member's
    /// policy.
    #[serde(default)]
    pub(crate) misjudged: u64,
}

impl Verdict {
    /// Returns the number of matches that are wrong in any way.
    pub(crate) const fn wrong(&self) -> u64 {
        self.missed + self.false_matches + self.wrong_distance + self.wrong_evidence
    }
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.judged += other.judged;
        self.right += other.right;
        self.missed += other.missed;
        self.false_matches += other.false_matches;
        self.wrong_distance += other.wrong_distance;
        self.wrong_evidence += other.wrong_evidence;
        self.incomplete += other.incomplete;
        self.stale += other.stale;
        self.decided += other.decided;
        self.misjudged += other.misjudged;
    }
}

/// The number of known items at each distance from a question, from 0 to the largest requested distance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Profile(pub(crate) Vec<u32>);

impl Profile {
    /// Returns the number of known items at all distances.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|&count| u64::from(count)).sum()
    }

    /// Returns, for each distance, how many items an answer of at most `limit` matches holds: the nearest
    /// come first.
    fn within(&self, limit: u64) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().scan(limit, |left, &count| {
            let taken = u64::from(count).min(*left);
            *left -= taken;
            Some(taken)
        })
    }
}

/// Judges the answer to one question about the data set. `distance_to` returns the distance of a row from the
/// question, if the row is known and near enough to match.
pub(crate) fn judge(
    profile: &Profile,
    limit: u16,
    hits: &[Hit],
    complete: bool,
    distance_to: impl Fn(u32) -> Option<u16>,
) -> Verdict {
    let mut verdict = Verdict { judged: 1, ..Verdict::default() };
    let mut counted = vec![0_u64; profile.0.len()];
    let mut seen: Vec<Identity> = Vec::with_capacity(hits.len());
    for hit in hits {
        let true_distance = match hit.item {
            Identity::Row(row) => distance_to(row).filter(|&distance| usize::from(distance) < counted.len()),
            Identity::Video(_) | Identity::Live(_) | Identity::Unknown => None,
        };
        match true_distance {
            Some(_) if seen.contains(&hit.item) => verdict.false_matches += 1,
            None => verdict.false_matches += 1,
            Some(distance) => {
                seen.push(hit.item);
                counted[usize::from(distance)] += 1;
                if hit.distance.is_none_or(|reported| reported == distance) {
                    verdict.right += 1;
                } else {
                    verdict.wrong_distance += 1;
                }
            }
        }
    }
    if complete {
        let expected = profile.within(u64::from(limit));
        verdict.missed =
            expected.zip(&counted).map(|(expected, &counted)| expected.saturating_sub(counted)).sum();
    } else {
        verdict.incomplete = 1;
    }
    verdict
}

/// Whether an item that this run has added may be in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The answer has to contain it.
    Must,
    /// The answer may contain it: a write of the item is under way, or the answer reports an older sequence.
    May,
    /// The answer must not contain it.
    MustNot,
}

/// Judges the answer to a question about an item that this run has added, which is near no other item.
pub(crate) fn judge_live(
    item: Identity,
    distance: u16,
    presence: Presence,
    hits: &[Hit],
    complete: bool,
) -> Verdict {
    let mut verdict = Verdict { judged: 1, incomplete: u64::from(!complete), ..Verdict::default() };
    let mut present = false;
    for hit in hits {
        if hit.item != item || present || presence == Presence::MustNot {
            verdict.false_matches += 1;
        } else if hit.distance.is_none_or(|reported| reported == distance) {
            verdict.right += 1;
        } else {
            verdict.wrong_distance += 1;
        }
        present |= hit.item == item;
    }
    verdict.missed = u64::from(complete && !present && presence == Presence::Must);
    verdict
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the number of rows at each distance from the question.
    fn profile(rows: &[u16]) -> Profile {
        let mut profile = Profile(vec![0; 32]);
        rows.iter().filter(|&&distance| distance < 32).for_each(|&at| profile.0[usize::from(at)] += 1);
        profile
    }

    /// Returns the answer of a service that makes no mistake.
    fn honest(rows: &[u16], limit: u16) -> Vec<Hit> {
        let mut hits: Vec<Hit> = (0..)
            .zip(rows)
            .filter(|&(_, &distance)| distance < 32)
            .map(|(row, &distance)| Hit { item: Identity::Row(row), distance: Some(distance), video: None })
            .collect();
        hits.sort_by_key(|hit| (hit.distance, hit.item));
        hits.truncate(limit.into());
        hits
    }

    fn check(rows: &[u16], limit: u16, hits: &[Hit], complete: bool) -> Verdict {
        judge(&profile(rows), limit, hits, complete, |row| rows.get(row as usize).copied())
    }

    proptest! {
        #[test]
        fn an_honest_answer_is_right_whatever_the_limit(
            rows in prop::collection::vec(0..60u16, 0..80),
            limit in 1..40u16,
        ) {
            let hits = honest(&rows, limit);
            let right = hits.len() as u64;
            prop_assert_eq!(
                check(&rows, limit, &hits, true),
                Verdict { judged: 1, right, ..Verdict::default() }
            );
        }

        #[test]
        fn every_lie_is_counted_once(
            rows in prop::collection::vec(0..60u16, 0..60),
            dropped in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            invented in 0..4u64,
            bent in any::<prop::sample::Index>(),
            repeated: bool,
        ) {
            let mut hits = honest(&rows, 1_000);
            let mut missed = 0;
            for at in dropped {
                if !hits.is_empty() {
                    hits.swap_remove(at.index(hits.len()));
                    missed += 1;
                }
            }
            let mut false_matches = invented;
            let right = hits.len() as u64;
            let mut wrong_distance = 0;
            if !hits.is_empty() {
                let at = bent.index(hits.len());
                if repeated {
                    hits.push(hits[at]);
                    false_matches += 1;
                }
                hits[at].distance = hits[at].distance.map(|distance| distance + 1);
                wrong_distance = 1;
            }
            for number in 0..invented {
                // A row that is too distant, one that does not exist, and an item that the harness did not
                // add.
                let far = rows.iter().position(|&distance| distance >= 32);
                let far = far.and_then(|row| u32::try_from(row).ok()).unwrap_or(u32::MAX);
                let item = match number {
                    0 => Identity::Row(far),
                    1 => Identity::Row(1_000_000),
                    _ => Identity::Unknown,
                };
                hits.push(Hit { item, distance: Some(3), video: None });
            }
            let verdict = check(&rows, 1_000, &hits, true);
            prop_assert_eq!(verdict.missed, missed);
            prop_assert_eq!(verdict.false_matches, false_matches);
            prop_assert_eq!(verdict.wrong_distance, wrong_distance);
            prop_assert_eq!(verdict.right, right - wrong_distance);
        }
    }

    #[test]
    fn a_far_match_in_place_of_a_near_one_beyond_the_limit_is_a_miss() {
        let rows = [1, 2, 3];
        let mut hits = honest(&rows, 3);
        hits.remove(0);
        assert_eq!(check(&rows, 2, &hits, true).missed, 1);
        assert_eq!(check(&rows, 2, &honest(&rows, 2), true).missed, 0);
    }

    #[test]
    fn an_incomplete_answer_misses_nothing_but_must_not_invent() {
        let rows = [1, 2, 3];
        assert_eq!(check(&rows, 100, &[], false), Verdict { judged: 1, incomplete: 1, ..Verdict::default() });
        let invented = [Hit { item: Identity::Unknown, distance: Some(0), video: None }];
        assert_eq!(check(&rows, 100, &invented, false).false_matches, 1);
    }

    #[test]
    fn live_items_are_there_and_gone_when_they_have_to_be() {
        let item = Identity::Live(7);
        let there = [Hit { item, distance: Some(4), video: None }];
        let judge = |presence, hits: &[Hit]| judge_live(item, 4, presence, hits, true);
        assert_eq!(judge(Presence::Must, &there).right, 1);
        assert_eq!(judge(Presence::Must, &[]).missed, 1);
        assert_eq!(judge(Presence::May, &[]), Verdict { judged: 1, ..Verdict::default() });
        assert_eq!(judge(Presence::MustNot, &there).false_matches, 1);
        assert_eq!(judge(Presence::MustNot, &[]), Verdict { judged: 1, ..Verdict::default() });
        assert_eq!(judge_live(item, 5, Presence::Must, &there, true).wrong_distance, 1);
        assert_eq!(judge_live(item, 4, Presence::Must, &[], false).missed, 0);
    }

    #[test]
    fn references_name_rows_and_live_items() {
        for item in [Identity::Row(0), Identity::Row(u32::MAX), Identity::Video(7), Identity::Live(1 << 50)] {
            assert_eq!(Identity::of_reference(&item.reference()), item);
        }
        for reference in ["", "r", "rx", "b7", "r4294967296", "v4294967296", "7", "é7"] {
            assert_eq!(Identity::of_reference(reference), Identity::Unknown, "{reference}");
        }
    }
}
