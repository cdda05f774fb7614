//! What of a list of frames is compared: its usable frames, equal hashes as one, and how long each is shown.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Frame, Frames, PdqHash};

/// How long the last frame of a list lasts at most, and the only one of a list lasts, in milliseconds.
const LAST_MS_MAX: u32 = 1_000;

/// The distinct hashes of the usable frames of a video, in the order in which they are first shown.
///
/// A frame lasts until the next frame of the list, usable or not; the last one as long as the one before it, at most a second; the only
/// one of a list a second. A hash lasts as long as all its usable frames together.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DistinctFrames {
    hashes: Vec<PdqHash>,
    lasts_ms: Vec<u32>,
    first_ms: Vec<u32>,
    time_ms: u32,
}

impl DistinctFrames {
    /// The hashes, no two of which are equal.
    #[must_use]
    pub fn hashes(&self) -> &[PdqHash] {
        &self.hashes
    }

    /// How long each hash is shown, in milliseconds.
    #[must_use]
    pub fn lasts_ms(&self) -> &[u32] {
        &self.lasts_ms
    }

    /// When each hash is first shown, in milliseconds from the beginning of the video; ascending.
    #[must_use]
    pub fn first_ms(&self) -> &[u32] {
        &self.first_ms
    }

    /// How long all of them are shown, in milliseconds.
    #[must_use]
    pub const fn time_ms(&self) -> u32 {
        self.time_ms
    }

    /// How many they are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether no frame is usable.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The numbers of the hashes, those that are shown longest first, and of equals the first that is shown.
    #[must_use]
    pub fn longest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&at| Reverse(self.lasts_ms[at]));
        order
    }

    /// Of [`Self::longest_first`], how many have to be taken until the others are shown for less than `least_ms`.
    #[must_use]
    pub fn taken_until_less(&self, order: &[usize], least_ms: u64) -> usize {
        let mut left = u64::from(self.time_ms);
        let is_needed = |at: &&usize| {
            let is_needed = left >= least_ms;
            left -= u64::from(self.lasts_ms[**at]);
            is_needed
        };
        order.iter().take_while(is_needed).count()
    }
}

/// Shows how much there is, never a hash.
impl std::fmt::Debug for DistinctFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DistinctFrames")
            .field("len", &self.len())
            .field("time_ms", &self.time_ms)
            .finish_non_exhaustive()
    }
}

impl Frames<'_> {
    /// Its usable frames, equal hashes as one.
    #[must_use]
    pub fn distinct(self) -> DistinctFrames {
        let mut distinct = DistinctFrames::default();
        let mut places: HashMap<PdqHash, usize> = HashMap::with_capacity(self.len());
        for (frame, lasts_ms) in self.with_lengths().filter(|(frame, _)| frame.is_usable()) {
            distinct.time_ms += lasts_ms;
            match places.entry(frame.pdq) {
                Entry::Occupied(place) => distinct.lasts_ms[*place.get()] += lasts_ms,
                Entry::Vacant(place) => {
                    place.insert(distinct.len());
                    distinct.hashes.push(frame.pdq);
                    distinct.lasts_ms.push(lasts_ms);
                    distinct.first_ms.push(frame.time_ms);
                }
            }
        }
        distinct
    }

    /// The frames, and how long each lasts, in milliseconds.
    fn with_lengths(self) -> impl Iterator<Item = (Frame, u32)> {
        let mut before = None;
        let mut frames = self.iter().peekable();
        std::iter::from_fn(move || {
            let frame = frames.next()?;
            let lasts_ms = match (frames.peek(), before) {
                // Times do not descend in a hash that was checked; of others nothing is concluded.
                (Some(next), _) => next.time_ms.saturating_sub(frame.time_ms),
                (None, Some(before)) => LAST_MS_MAX.min(before),
                (None, None) => LAST_MS_MAX,
            };
            before = Some(lasts_ms);
            Some((frame, lasts_ms))
        })
    }
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

    fn columns(frames: &[(u8, u8, u32)]) -> (Vec<(u8, u32, u32)>, u32) {
        let distinct = distinct(frames);
        let rows = distinct.hashes().iter().zip(distinct.lasts_ms()).zip(distinct.first_ms());
        (rows.map(|((hash, lasts), first)| (hash[0], *lasts, *first)).collect(), distinct.time_ms())
    }

    #[test]
    fn a_hash_lasts_as_long_as_its_usable_frames() {
        let frames = [(1, 100, 500), (2, 49, 700), (3, 50, 1_000), (1, 50, 1_250), (1, 49, 2_000)];
        assert_eq!(columns(&frames), (vec![(1, 950, 500), (3, 250, 1_000)], 1_200));
        assert_eq!(columns(&frames[1..2]), (vec![], 0));
    }

    #[test]
    fn the_last_frame_lasts_as_long_as_the_one_before_and_at_most_a_second() {
        assert_eq!(columns(&[(1, 100, 9)]), (vec![(1, 1_000, 9)], 1_000));
        assert_eq!(columns(&[(1, 100, 0), (2, 100, 300)]).1, 600);
        assert_eq!(columns(&[(1, 100, 0), (2, 100, 3_000)]).1, 4_000);
        assert_eq!(columns(&[(1, 100, 0), (2, 100, 0)]), (vec![(1, 0, 0), (2, 0, 0)], 0));
    }

    #[test]
    fn those_that_last_longest_are_taken_first() {
        let frames = [(1, 100, 0), (2, 100, 10), (3, 100, 40), (4, 100, 50), (5, 100, 80)];
        let distinct = distinct(&frames);
        let order = distinct.longest_first();
        assert_eq!(order, [1, 3, 4, 0, 2]);
        let taken = |least_ms| distinct.taken_until_less(&order, least_ms);
        assert_eq!(distinct.time_ms(), 110);
        assert_eq!(
            [taken(0), taken(1), taken(20), taken(21), taken(88), taken(110), taken(111)],
            [5, 5, 4, 3, 1, 1, 0]
        );
    }
}
