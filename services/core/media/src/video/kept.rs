//! Selects which hashed frames are kept.

use vigie_model::{Frame, VideoFrame};

use super::sampling::Sampling;

/// Whether further frames can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Further frames can be kept.
    Left,
    /// The limit is reached: this frame was not kept.
    None,
}

/// A limited list of frames, filled in their order.
///
/// With [`Sampling::Dense`], a frame is kept if its hash differs by more than 8 bits from that of the last
/// kept one, and the last frame of the video is always kept. When there are too many frames, the list
/// removes those that follow the previous one within a gap, and from then on keeps the gap between frames.
/// The gap doubles each time, so the frames always cover the whole video evenly.
#[derive(Debug)]
pub struct Kept {
    is_dense: bool,
    frames_max: usize,
    frames: Vec<VideoFrame>,
    /// The smallest distance of two frames in time, in milliseconds.
    gap_ms: u32,
    /// The last frame so far, if it was not kept.
    last: Option<VideoFrame>,
}

impl Kept {
    /// Creates a list of at most `frames_max` frames, and at least two.
    #[must_use]
    pub fn new(sampling: Sampling, frames_max: u32) -> Self {
        let frames_max = usize::try_from(frames_max).unwrap_or(usize::MAX).max(2);
        let is_dense = sampling == Sampling::Dense;
        Self { is_dense, frames_max, frames: Vec::new(), gap_ms: 0, last: None }
    }

    /// Adds the next frame.
    pub fn take(&mut self, frame: VideoFrame) -> Room {
        if !self.is_dense {
            if self.frames.len() == self.frames_max {
                return Room::None;
            }
            self.frames.push(frame);
            return Room::Left;
        }
        if self.is_left_out(&frame) {
            self.last = Some(frame);
            return Room::Left;
        }
        self.last = None;
        self.frames.push(frame);
        // One slot is reserved for the last frame of the video.
        if self.frames.len() == self.frames_max {
            self.thin_out();
        }
        Room::Left
    }

    fn is_left_out(&self, frame: &VideoFrame) -> bool {
        self.frames.last().is_some_and(|before| {
            let (one, other) = (plain(before), plain(frame));
            let is_alike = one.is_usable() == other.is_usable() && one.distance(&other) <= Frame::ALIKE;
            is_alike || frame.time_ms.saturating_sub(before.time_ms) < self.gap_ms
        })
    }

    fn thin_out(&mut self) {
        let first_ms = self.frames.first().map_or(0, |frame| frame.time_ms);
        let span_ms = self.frames.last().map_or(0, |frame| frame.time_ms).saturating_sub(first_ms);
        let mean_ms = usize::try_from(span_ms).unwrap_or(usize::MAX) / self.frames.len();
        let mean_ms = u32::try_from(mean_ms).unwrap_or(u32::MAX);
        let newest = self.frames.last().cloned();
        while self.frames.len() > self.frames_max / 4 * 3 {
            self.gap_ms = self.gap_ms.max(mean_ms).max(1).saturating_mul(2);
            let (gap_ms, mut before_ms) = (self.gap_ms, None);
            self.frames.retain(|frame| {
                let is_kept =
                    before_ms.is_none_or(|before: u32| frame.time_ms.saturating_sub(before) >= gap_ms);
                if is_kept {
                    before_ms = Some(frame.time_ms);
                }
                is_kept
            });
        }
        let kept = self.frames.last().map(|frame| frame.number);
        self.last = newest.filter(|newest| Some(newest.number) != kept);
    }

    /// Checks whether no frame was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns the kept frames, ordered by number.
    #[must_use]
    pub fn into_frames(self) -> Vec<VideoFrame> {
        let mut frames = self.frames;
        frames.extend(self.last);
        frames
    }
}

/// Returns the frame in the form in which it is banked.
const fn plain(frame: &VideoFrame) -> Frame {
    Frame { pdq: frame.plain.pdq[0], quality: frame.plain.quality.get(), time_ms: frame.time_ms }
}

#[cfg(test)]
mod tests {
    use vigie_model::{PictureHashes, Quality};

    use super::*;

    fn frame(number: u32, time_ms: u32, pdq: [u8; 32]) -> VideoFrame {
        let plain = PictureHashes { pdq: [pdq; 8], quality: Quality::new(100).unwrap() };
        VideoFrame { number, time_ms, plain, unbordered: None }
    }

    /// Returns a hash that is far from those of other numbers.
    fn far(number: u32) -> [u8; 32] {
        let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        std::array::from_fn(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
    }

    fn kept(frames_max: u32, frames: impl IntoIterator<Item = VideoFrame>) -> Vec<VideoFrame> {
        let mut kept = Kept::new(Sampling::Dense, frames_max);
        for frame in frames {
            assert_eq!(kept.take(frame), Room::Left);
            assert!(kept.frames.len() + usize::from(kept.last.is_some()) <= kept.frames_max);
        }
        kept.into_frames()
    }

    #[test]
    fn dense_frames_are_those_that_pruning_afterwards_leaves() {
        let bits = |number: u32| {
            let mut pdq = [0; 32];
            (0..number % 200).for_each(|bit| pdq[bit as usize / 8] |= 1 << (bit % 8));
            frame(number, number * 40, pdq)
        };
        let all: Vec<VideoFrame> = (0..=450).map(bits).collect();
        let plain: Vec<Frame> = all.iter().map(super::plain).collect();
        let pruned: Vec<u32> = Frame::pruned(&plain).iter().map(|frame| frame.time_ms).collect();
        let kept: Vec<u32> = kept(4_096, all).iter().map(|frame| frame.time_ms).collect();
        assert_eq!(kept, pruned);
        assert_eq!(kept.last(), Some(&(450 * 40)));
    }

    #[test]
    fn too_many_frames_are_thinned_out_evenly_and_cover_the_whole_video() {
        for (count, step_ms, frames_max) in
            [(10_000, 40, 64), (1_000, 1, 10), (65, 40, 64), (5_000, 33, 4_096)]
        {
            let all = (0..count).map(|number| frame(number, number * step_ms, far(number)));
            let kept = kept(frames_max, all);
            let len = u32::try_from(kept.len()).unwrap();
            assert!(len <= frames_max && len >= frames_max / 3, "{len} of {frames_max}");
            assert_eq!((kept[0].number, kept[kept.len() - 1].number), (0, count - 1));
            let gaps: Vec<u32> = kept.windows(2).map(|pair| pair[1].time_ms - pair[0].time_ms).collect();
            // The distance of the last frame is arbitrary.
            let (largest, smallest) =
                (gaps.iter().max().unwrap(), gaps[..gaps.len() - 1].iter().min().unwrap());
            assert!(*largest <= 2 * smallest + step_ms, "{largest} and {smallest} ms for {count}");
        }
    }

    #[test]
    fn frames_of_one_time_are_bounded_too() {
        let kept = kept(8, (0..100).map(|number| frame(number, 0, far(number))));
        assert!(kept.len() <= 8 && kept.last().unwrap().number == 99);
    }

    #[test]
    fn frames_that_were_chosen_are_kept_until_there_is_no_room() {
        let mut kept = Kept::new(Sampling::QUERY, 3);
        for number in 0..3 {
            assert_eq!(kept.take(frame(number, number, [0; 32])), Room::Left);
        }
        assert_eq!(kept.take(frame(3, 3, [0; 32])), Room::None);
        assert_eq!(kept.into_frames().len(), 3);
    }
}
