//! The comparable part of a list of frames: its distinct hashes of usable frames, and how long each second of
//! them lasts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Frame, Frames, PdqHash};

/// The longest duration of the last frame of a list, and the duration of an only frame, in milliseconds.
const LAST_MS_MAX: u32 = 1_000;

/// The distinct hashes of the usable frames of a video, in the order in which they are first shown.
///
/// A frame lasts until the next frame of the list, usable or not. The last frame lasts as long as the one
/// before it, at most a second; an only frame lasts a second. Usable frames that begin within the same second
/// form one *stretch*, whose duration is the sum of theirs. A stretch matches if one of its hashes matches. A
/// list of every frame can therefore be compared with a list of one frame a second.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DistinctFrames {
    hashes: Vec<PdqHash>,
    first_ms: Vec<u32>,
    /// The duration of each stretch, in milliseconds.
    lasts_ms: Vec<u32>,
    /// Pairs of a hash's number and a stretch's number, ordered by hash, each pair once.
    shown: Vec<(u32, u32)>,
    /// For each hash, the position in `shown` of its first pair; the last entry is the length of `shown`.
    begins: Vec<u32>,
    time_ms: u32,
}

/// The total duration of the stretches in which at least one hash has not been taken.
#[derive(Debug, Clone)]
pub struct TimeLeft<'a> {
    of: &'a DistinctFrames,
    /// For each stretch, the number of its hashes that have not been taken.
    open: Vec<u32>,
    left_ms: u32,
}

impl DistinctFrames {
    /// Returns the hashes, no two of which are equal.
    #[must_use]
    pub fn hashes(&self) -> &[PdqHash] {
        &self.hashes
    }

    /// Returns when each hash is first shown, in milliseconds from the beginning of the video, in ascending
    /// order.
    #[must_use]
    pub fn first_ms(&self) -> &[u32] {
        &self.first_ms
    }

    /// Returns the total duration of all stretches, in milliseconds.
    #[must_use]
    pub const fn time_ms(&self) -> u32 {
        self.time_ms
    }

    /// Returns the number of distinct hashes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Checks whether no frame is usable.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Returns the total duration of the stretches that contain the hash with this number, in milliseconds.
    #[must_use]
    pub fn shown_ms(&self, at: usize) -> u32 {
        self.stretches(at).map(|stretch| self.lasts_ms[stretch]).sum()
    }

    /// Returns the total duration of the stretches in which at least one hash matches, in milliseconds.
    #[must_use]
    pub fn matched_ms(&self, matches: &[bool]) -> u32 {
        let mut is_matched = vec![false; self.lasts_ms.len()];
        for at in (0..self.len()).filter(|at| matches[*at]) {
            self.stretches(at).for_each(|stretch| is_matched[stretch] = true);
        }
        self.lasts_ms.iter().zip(is_matched).filter(|(_, is_matched)| *is_matched).map(|(ms, _)| ms).sum()
    }

    /// Returns the whole duration, as it is before any hash is taken.
    #[must_use]
    pub fn time_left(&self) -> TimeLeft<'_> {
        let mut open = vec![0; self.lasts_ms.len()];
        for (_, stretch) in &self.shown {
            open[*stretch as usize] += 1;
        }
        TimeLeft { of: self, open, left_ms: self.time_ms }
    }

    /// Returns the numbers of the hashes, stretch by stretch: the longest stretches first, among equally long
    /// ones those with the fewest hashes, then in order of time.
    #[must_use]
    pub fn longest_first(&self) -> Vec<usize> {
        let counts = self.time_left().open;
        // A hash is ordered by the first of its stretches.
        let key = |at: usize| {
            let keys = self.stretches(at).map(|stretch| (!self.lasts_ms[stretch], counts[stretch], stretch));
            (keys.min(), at)
        };
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_cached_key(|&at| key(at));
        order
    }

    /// Returns how many hashes of `order` ([`Self::longest_first`]) have to be taken until the stretches with
    /// a hash that was not taken last less than `least_ms` milliseconds in total.
    #[must_use]
    pub fn taken_until_less(&self, order: &[usize], least_ms: u64) -> usize {
        let mut left = self.time_left();
        let is_needed = |at: &&usize| {
            let is_needed = u64::from(left.ms()) >= least_ms;
            left.take(**at);
            is_needed
        };
        order.iter().take_while(is_needed).count()
    }

    /// Returns the stretches that contain the hash with this number.
    fn stretches(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let pairs = self.begins[at] as usize..self.begins[at + 1] as usize;
        self.shown[pairs].iter().map(|(_, stretch)| *stretch as usize)
    }
}

impl TimeLeft<'_> {
    /// Takes the hash with this number, which must not have been taken before.
    pub fn take(&mut self, at: usize) {
        for stretch in self.of.stretches(at) {
            self.open[stretch] -= 1;
            if self.open[stretch] == 0 {
                self.left_ms -= self.of.lasts_ms[stretch];
            }
        }
    }

    /// Returns the total duration of the stretches in which at least one hash has not been taken, in
    /// milliseconds.
    #[must_use]
    pub const fn ms(&self) -> u32 {
        self.left_ms
    }
}

/// Shows counts and durations, never a hash.
impl std::fmt::Debug for DistinctFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DistinctFrames")
            .field("len", &self.len())
            .field("time_ms", &self.time_ms)
            .finish_non_exhaustive()
    }
}

impl Frames<'_> {
    /// Returns the distinct hashes of the usable frames, with the durations of their stretches.
    #[must_use]
    pub fn distinct(self) -> DistinctFrames {
        let mut distinct = DistinctFrames::default();
        let mut places: HashMap<PdqHash, u32> = HashMap::with_capacity(self.len());
        let mut second = None;
        for (frame, lasts_ms) in self.with_lengths().filter(|(frame, _)| frame.is_usable()) {
            // The times never decrease.
            if second != Some(frame.second()) {
                second = Some(frame.second());
                distinct.lasts_ms.push(0);
            }
            let stretch = count(distinct.lasts_ms.len() - 1);
            if let Some(lasts) = distinct.lasts_ms.last_mut() {
                *lasts += lasts_ms;
            }
            distinct.time_ms += lasts_ms;
            let place = match places.entry(frame.pdq) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(place) => {
                    distinct.hashes.push(frame.pdq);
                    distinct.first_ms.push(frame.time_ms);
                    *place.insert(count(distinct.hashes.len() - 1))
                }
            };
            distinct.shown.push((place, stretch));
        }
        distinct.shown.sort_unstable();
        distinct.shown.dedup();
        let begin = |at: usize| distinct.shown.partition_point(|(place, _)| (*place as usize) < at);
        distinct.begins = (0..=distinct.hashes.len()).map(|at| count(begin(at))).collect();
        distinct
    }

    /// Returns each frame with its duration in milliseconds.
    fn with_lengths(self) -> impl Iterator<Item = (Frame, u32)> {
        let mut before = None;
        let mut frames = self.iter().peekable();
        std::iter::from_fn(move || {
            let frame = frames.next()?;
            let lasts_ms = match (frames.peek(), before) {
                // The times of a checked hash never decrease; in an unchecked one, the duration of such a
                // frame is 0.
                (Some(next), _) => next.time_ms.saturating_sub(frame.time_ms),
                (None, Some(before)) => LAST_MS_MAX.min(before),
                (None, None) => LAST_MS_MAX,
            };
            before = Some(lasts_ms);
            Some((frame, lasts_ms))
        })
    }
}

/// Converts a number of frames, which is at most 4,096.
fn count(frames: usize) -> u32 {
    u32::try_from(frames).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    fn distinct(frames: &[(u8, u8, u32)]) -> DistinctFrames {
        let frame = |&(byte, quality, time_ms): &(u8, u8, u32)| Frame { pdq: [byte; 32], quality, time_ms };
        let frames: Vec<Frame> = frames.iter().map(frame).collect();
        Hash::of_frames(&frames).unwrap().frames().unwrap().distinct()
    }

    /// Returns each hash with the duration of its stretches and the time at which it is first shown, and the
    /// total duration.
    fn columns(frames: &[(u8, u8, u32)]) -> (Vec<(u8, u32, u32)>, u32) {
        let distinct = distinct(frames);
        let rows = (0..distinct.len())
            .map(|at| (distinct.hashes()[at][0], distinct.shown_ms(at), distinct.first_ms()[at]));
        (rows.collect(), distinct.time_ms())
    }

    #[test]
    fn a_hash_is_shown_as_long_as_the_stretches_that_have_it() {
        // The first second has the hash 1 for 200 ms, the next one 3 for 250 and 1 for 750.
        let frames = [(1, 100, 500), (2, 49, 700), (3, 50, 1_000), (1, 50, 1_250), (1, 49, 2_000)];
        assert_eq!(columns(&frames), (vec![(1, 1_200, 500), (3, 1_000, 1_000)], 1_200));
        assert_eq!(columns(&frames[1..2]), (vec![], 0));
        let distinct = distinct(&frames);
        assert_eq!(
            [[false, false], [true, false], [false, true]].map(|matches| distinct.matched_ms(&matches)),
            [0, 1_200, 1_000]
        );
    }

    #[test]
    fn the_last_frame_lasts_as_long_as_the_one_before_and_at_most_a_second() {
        assert_eq!(columns(&[(1, 100, 9)]), (vec![(1, 1_000, 9)], 1_000));
        assert_eq!(columns(&[(1, 100, 0), (2, 100, 300)]).1, 600);
        assert_eq!(columns(&[(1, 100, 0), (2, 100, 3_000)]).1, 4_000);
        assert_eq!(columns(&[(1, 100, 0), (2, 100, 0)]), (vec![(1, 0, 0), (2, 0, 0)], 0));
    }

    #[test]
    fn stretches_that_last_longest_are_taken_first_and_whole() {
        // Stretches of 1,000, 2,000 (one frame), 1,000 (three frames), 1,000 and 1,000 ms.
        let frames = [
            (1, 100, 0),
            (2, 100, 1_000),
            (3, 100, 3_000),
            (4, 100, 3_400),
            (5, 100, 3_900),
            (6, 100, 4_000),
            (7, 100, 5_000),
        ];
        let distinct = distinct(&frames);
        assert_eq!(distinct.time_ms(), 6_000);
        let order = distinct.longest_first();
        assert_eq!(order, [1, 0, 5, 6, 2, 3, 4]);
        let taken = |least_ms| distinct.taken_until_less(&order, least_ms);
        assert_eq!(
            [taken(6_001), taken(6_000), taken(4_800), taken(4_000), taken(1_000), taken(1)],
            [0, 1, 1, 2, 7, 7]
        );
        let mut left = distinct.time_left();
        [2, 3].into_iter().for_each(|at| left.take(at));
        assert_eq!(left.ms(), 6_000, "the stretch has a hash that was not taken");
        left.take(4);
        assert_eq!(left.ms(), 5_000);
    }
}
