//! Videos as lists of drawn frames: those of the bank, and those that requests ask about.
//!
//! A video depends only on the seed and its number. The drawn videos have the features of real ones: frames
//! that repeat, frames that hardly change, frames without detail, title cards that many videos share, uneven
//! times, and copies of other videos, whole or in part.

use crate::Hash;
use crate::data::draw::{Draw, Stream};
use crate::data::shape::pdq::alter;

/// A frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) pdq: Hash,
    /// The quality, 0 to 100.
    pub(crate) quality: u8,
    pub(crate) time_ms: u32,
}

/// Omits the hash.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame(quality {}, {} ms)", self.quality, self.time_ms)
    }
}

/// The smallest limit on the number of frames of a drawn video.
pub(crate) const FRAMES_LEAST: u32 = 8;
/// The largest such limit: a video that contains another one is up to twice as long, and a hash has at most
/// 4,096 frames.
pub(crate) const FRAMES_MOST: u32 = 2_048;

/// The number of videos for each one that is a copy of an earlier video.
const COPY_EVERY: u32 = 5;
/// The number of originals for each one that is copied, on average twice or more.
const COPIED_SHARE: u32 = 8;
/// The number of originals for each one that begins with a title card.
const TITLED_EVERY: u64 = 3;
/// Number of different title cards.
const TITLES: u64 = 4;
/// Frames in a title card.
const TITLE_FRAMES: usize = 2;
/// Pauses between frames, in milliseconds. Some are longer than one second, which is the longest time that
/// the last frame of a video is counted for.
const PAUSES_MS: [u32; 6] = [40, 200, 250, 500, 1_000, 2_500];
/// Numbers of videos that are in no bank begin here, above the numbers of all banked videos.
const FRESH: u64 = 1 << 40;

/// The drawn videos of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Videos {
    seed: u64,
    /// Number of banked videos.
    pub(crate) count: u32,
    /// The most frames of a video; each has at least half as many.
    frames: u32,
}

impl Videos {
    pub(crate) const fn new(seed: u64, count: u32, frames: u32) -> Self {
        Self { seed, count, frames }
    }

    /// Returns the size of the longest video's hash, in bytes.
    pub(crate) fn bytes_max(&self) -> usize {
        self.frames as usize * FRAME_BYTES
    }

    /// Returns a video of the bank.
    pub(crate) fn banked(&self, number: u32) -> Vec<Frame> {
        if number % COPY_EVERY != COPY_EVERY - 1 {
            return self.original(number.into());
        }
        let mut draw = Draw::new(self.seed, Stream::VideoCopy, number.into());
        // An earlier original, chosen from the small share that is copied repeatedly.
        let copied = ((number - number / COPY_EVERY) / COPIED_SHARE).max(1);
        let chosen = u32::try_from(draw.below(copied.into())).expect("below a number of 32 bits");
        let of = self.original((chosen + chosen / (COPY_EVERY - 1)).into());
        let mut copy = match draw.below(3) {
            0 => of,
            1 => cut(&of, &mut draw, 2),
            _ => {
                let fresh = self.original(FRESH / 2 + u64::from(number));
                let (half, other_half) = (of.len() / 2, fresh.len() / 2);
                let (part, rest) = (cut(&of, &mut draw, half), cut(&fresh, &mut draw, other_half));
                joined([part, rest])
            }
        };
        for frame in &mut copy {
            let bits = 2 * u16::try_from(draw.below(11)).expect("below 11");
            alter(&mut draw, &mut frame.pdq, bits);
        }
        copy
    }

    /// Returns a video that is in no bank, except for a title card.
    fn fresh(&self, number: u64) -> Vec<Frame> {
        self.original(FRESH + number)
    }

    fn original(&self, number: u64) -> Vec<Frame> {
        let mut draw = Draw::new(self.seed, Stream::Video, number);
        let half = u64::from(self.frames / 2);
        let length = usize::try_from(half + draw.below(half + 1)).expect("a few thousand");
        let mut frames: Vec<Frame> = Vec::with_capacity(length);
        let mut time_ms = 0;
        if draw.below(TITLED_EVERY) == 0 {
            let title = draw.below(TITLES);
            let mut card = Draw::new(self.seed, Stream::VideoTitle, title);
            for _ in 0..TITLE_FRAMES {
                frames.push(Frame { pdq: card.hash_of_a_picture(), quality: 100, time_ms });
                time_ms += 1_000;
            }
        }
        while frames.len() < length {
            let pdq = match (frames.last(), draw.below(10)) {
                // The picture stays the same, or hardly changes.
                (Some(last), 0) => last.pdq,
                (Some(last), 1..=3) => {
                    let mut pdq = last.pdq;
                    let bits = 2 + 2 * u16::try_from(draw.below(20)).expect("below 20");
                    alter(&mut draw, &mut pdq, bits);
                    pdq
                }
                (_, _) => draw.hash_of_a_picture(),
            };
            let poor = draw.below(16) == 0;
            let quality = u8::try_from(if poor { draw.below(50) } else { 50 + draw.below(51) });
            frames.push(Frame { pdq, quality: quality.expect("at most 100"), time_ms });
            time_ms += pick(&PAUSES_MS, &mut draw);
        }
        frames
    }

    /// Returns a video for a request. If `is_of_known`, it is made from videos of the bank; the rules decide
    /// whether it matches them.
    pub(crate) fn asked(&self, number: u64, is_of_known: bool, distances: &[u16]) -> Vec<Frame> {
        let mut draw = Draw::new(self.seed, Stream::VideoQuery, 2 * number + u64::from(is_of_known));
        if !is_of_known {
            return self.fresh(number);
        }
        let one = self.chosen(&mut draw);
        match number % 4 {
            // A clip: a part of the video, sampled more sparsely.
            0 => altered(sparse(&cut(&one, &mut draw, 2), &mut draw), &mut draw, distances, 0.0),
            // A clip with up to two fifths replaced: its matching share is below the usual threshold about as
            // often as above.
            1 => {
                let replaced = 0.4 * draw.share();
                altered(cut(&one, &mut draw, 2), &mut draw, distances, replaced)
            }
            // A longer video that contains all, or nearly all, of the banked one.
            2 => {
                let replaced = 0.4 * draw.share();
                let known = altered(one, &mut draw, distances, replaced);
                let fresh = self.fresh(FRESH + number);
                let (before, after) = fresh.split_at(fresh.len() / 2);
                joined([before.to_vec(), known, after.to_vec()])
            }
            // A video joined from parts of two banked videos.
            _ => {
                let two = self.chosen(&mut draw);
                let parts = joined([cut(&one, &mut draw, 2), cut(&two, &mut draw, 2)]);
                altered(parts, &mut draw, distances, 0.0)
            }
        }
    }

    /// Returns a video of the bank; every other one is a copy, so that other videos are similar to it.
    fn chosen(&self, draw: &mut Draw) -> Vec<Frame> {
        let copies = self.count / COPY_EVERY;
        let below = |draw: &mut Draw, bound: u32| {
            u32::try_from(draw.below(bound.max(1).into())).expect("below a number of 32 bits")
        };
        let number = if copies > 0 && draw.below(2) == 0 {
            below(draw, copies) * COPY_EVERY + COPY_EVERY - 1
        } else {
            below(draw, self.count)
        };
        self.banked(number)
    }
}

/// Bytes of one frame in a hash.
const FRAME_BYTES: usize = 36;

/// Returns the frames as the bytes of a hash of type `vpdq`: for each frame 32 of the hash, one of the
/// quality and three of the time.
pub(crate) fn bytes(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frames.len() * FRAME_BYTES);
    for Frame { pdq, quality, time_ms } in frames {
        bytes.extend_from_slice(pdq);
        bytes.push(*quality);
        bytes.extend_from_slice(&time_ms.to_be_bytes()[1..]);
    }
    bytes
}

fn pick<T: Copy>(of: &[T], draw: &mut Draw) -> T {
    of[usize::try_from(draw.below(of.len() as u64)).expect("below a length")]
}

/// Returns a part of the video with times from 0: from a quarter of the frames up to all but `spared`; at
/// least three.
fn cut(frames: &[Frame], draw: &mut Draw, spared: usize) -> Vec<Frame> {
    let mut below = |bound: usize| usize::try_from(draw.below(bound.max(1) as u64)).expect("below a length");
    let most = frames.len().saturating_sub(spared).max(3).min(frames.len());
    let least = (frames.len() / 4).max(3).min(most);
    let length = least + below(most - least + 1);
    let from = below(frames.len() - length + 1);
    at_zero(frames[from..from + length].to_vec())
}

/// Returns every frame, every second or every third one; at least three.
fn sparse(frames: &[Frame], draw: &mut Draw) -> Vec<Frame> {
    let step = usize::try_from(1 + draw.below(3)).expect("at most 3").min((frames.len() / 3).max(1));
    at_zero(frames.iter().copied().step_by(step).collect())
}

/// Joins videos in sequence, with a second between them.
fn joined<const N: usize>(parts: [Vec<Frame>; N]) -> Vec<Frame> {
    let mut whole: Vec<Frame> = Vec::new();
    for part in parts {
        let begin = whole.last().map_or(0, |last| last.time_ms + 1_000);
        whole
            .extend(at_zero(part).into_iter().map(|frame| Frame { time_ms: frame.time_ms + begin, ..frame }));
    }
    whole
}

fn at_zero(mut frames: Vec<Frame>) -> Vec<Frame> {
    let begin = frames.first().map_or(0, |first| first.time_ms);
    frames.iter_mut().for_each(|frame| frame.time_ms -= begin);
    frames
}

/// Changes each frame by one of the distances, and replaces the share `replaced` of the frames by other
/// hashes.
fn altered(mut frames: Vec<Frame>, draw: &mut Draw, distances: &[u16], replaced: f64) -> Vec<Frame> {
    for frame in &mut frames {
        if draw.share() < replaced {
            frame.pdq = draw.hash_of_a_picture();
        } else if !distances.is_empty() {
            let bits = pick(distances, draw);
            alter(draw, &mut frame.pdq, bits);
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use vigie_model::{Hash as ModelHash, HashType};

    use super::*;
    use crate::data::scan::distance;

    const DISTANCES: [u16; 4] = [0, 8, 30, 32];

    fn videos() -> Videos {
        Videos::new(3, 200, 24)
    }

    fn all(videos: &Videos) -> Vec<Vec<Frame>> {
        let banked = (0..videos.count).map(|number| videos.banked(number));
        let asked = (0..200).map(|number| videos.asked(number, number % 3 > 0, &DISTANCES));
        banked.chain(asked).collect()
    }

    #[test]
    fn every_video_is_a_hash_of_bounded_length_and_the_same_again() {
        let (one, again) = (all(&videos()), all(&videos()));
        assert_eq!(one, again);
        for frames in &one {
            assert!((3..=2 * 24).contains(&frames.len()), "{}", frames.len());
            let hash = ModelHash::from_bytes(HashType::VPDQ, &bytes(frames)).unwrap();
            let read = hash.frames().unwrap().iter().map(|frame| (frame.pdq, frame.quality, frame.time_ms));
            assert!(read.eq(frames.iter().map(|frame| (frame.pdq, frame.quality, frame.time_ms))));
            assert_eq!(frames[0].time_ms, 0);
        }
        let other = Videos::new(4, 200, 24);
        assert_ne!(all(&other), one);
    }

    #[test]
    fn the_longest_videos_are_hashes_too() {
        let videos = Videos::new(1, 4, FRAMES_MOST);
        for number in 0..8 {
            let frames = videos.asked(number, true, &DISTANCES);
            assert!(ModelHash::from_bytes(HashType::VPDQ, &bytes(&frames)).is_ok(), "{}", frames.len());
        }
        let videos = Videos::new(1, 20, FRAMES_LEAST);
        assert!(all(&videos).iter().all(|frames| frames.len() >= 3));
    }

    #[test]
    fn videos_have_what_real_ones_have() {
        let videos = videos();
        let banked: Vec<Vec<Frame>> = (0..200).map(|number| videos.banked(number)).collect();
        let pairs = || banked.iter().flat_map(|frames| frames.windows(2));
        let count = |is: &dyn Fn(&[Frame]) -> bool| pairs().filter(|pair| is(pair)).count();
        assert!(count(&|pair| pair[0].pdq == pair[1].pdq) > 50, "frames that stay");
        let near = |pair: &[Frame]| (1..=40).contains(&distance(&pair[0].pdq, &pair[1].pdq));
        assert!(count(&near) > 200, "frames that hardly change");
        assert!(count(&|pair| pair[1].time_ms - pair[0].time_ms > 1_000) > 50, "long pauses");
        let poor = banked.iter().flatten().filter(|frame| frame.quality < 50).count();
        assert!(poor > 50, "frames without detail: {poor}");
        let originals = banked.iter().enumerate().filter(|(number, _)| number % 5 != 4);
        let firsts: Vec<Hash> = originals.map(|(_, frames)| frames[0].pdq).collect();
        let titled = firsts.iter().filter(|one| firsts.iter().filter(|other| other == one).count() > 1);
        assert!((20..=90).contains(&titled.count()), "title cards");
    }
}
