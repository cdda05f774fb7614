//! The choice of the frames of a query by which the items of each rule are found.
//!
//! - A rule that requires a share of the query: if it holds, the matching frames weigh at least that share.
//!   So frames are taken until the remaining ones weigh less than the share; then at least one of the taken
//!   frames matches. Of 60 equal frames and 80 percent, 13 are taken. The weight of a frame is what the rule
//!   counts: the seconds in which it is shown, or one. These frames are searched in both indexes.
//! - A rule that only requires a share of the item's time, of [`Percent::PROBED`] or more: a probe frame of
//!   the item matches a frame of the query. All frames of the query are searched, only in the index of probe
//!   frames.
//! - Any other rule that requires a share of the item: all frames are searched in both indexes.

use smallvec::SmallVec;
use vigie_model::{DistinctFrames, Percent, TimeLeft, VideoRule, VideoRules};

/// The way in which the items are found for which one rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// By so many frames of the query that the others weigh less than `least`, which is at least 1. An item
    /// matches only if that much of the query does.
    Share { weight: Weight, least: u64 },
    /// By all frames of the query, in the index of probe frames.
    Probes,
    /// By all frames of the query, in both indexes.
    All,
}

/// The measure by which a frame is weighed: its time, or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Time,
    One,
}

/// The routes of all rules of a search, for one list of frames.
#[derive(Debug)]
pub(super) struct Routes(SmallVec<[Route; 3]>);

/// The weight of some frames, by both measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weights {
    pub(super) time_ms: u64,
    pub(super) count: u64,
}

impl Weight {
    /// Returns the measure of a rule.
    pub(super) const fn of(rule: &VideoRule) -> Self {
        if rule.kind.counts_time() { Self::Time } else { Self::One }
    }
}

impl Weights {
    /// Returns the weight of one frame by itself. Its time can be less if other frames of the same second
    /// match too.
    pub(super) fn of(asked: &DistinctFrames, at: usize) -> Self {
        Self { time_ms: asked.shown_ms(at).into(), count: 1 }
    }

    pub(super) fn of_all(asked: &DistinctFrames) -> Self {
        Self { time_ms: asked.time_ms().into(), count: asked.len() as u64 }
    }

    pub(super) const fn get(self, weight: Weight) -> u64 {
        match weight {
            Weight::Time => self.time_ms,
            Weight::One => self.count,
        }
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.time_ms += other.time_ms;
        self.count += other.count;
    }
}

/// Frames that are taken one after the other, and the weight of the remaining ones. Their time is that of all
/// seconds in which a frame remains.
#[derive(Debug, Clone)]
pub(super) struct Left<'a> {
    time: TimeLeft<'a>,
    count: u64,
}

impl<'a> Left<'a> {
    /// Returns all frames.
    pub(super) fn all(asked: &'a DistinctFrames) -> Self {
        Self { time: asked.time_left(), count: asked.len() as u64 }
    }

    /// Takes a frame, which must not have been taken before.
    pub(super) fn take(&mut self, at: usize) {
        self.time.take(at);
        self.count -= 1;
    }

    /// Returns the weight of the remaining frames.
    pub(super) fn weights(&self) -> Weights {
        Weights { time_ms: self.time.ms().into(), count: self.count }
    }
}

impl Route {
    /// Returns the route of a rule, or `None` if the rule cannot hold because its share is of nothing.
    fn of(rule: &VideoRule, asked: &DistinctFrames) -> Option<Self> {
        let weight = Weight::of(rule);
        let whole = Weights::of_all(asked).get(weight);
        if whole == 0 {
            None
        } else if rule.query_share.get() > 0 {
            Some(Self::Share { weight, least: rule.query_share.of(whole) })
        } else if weight == Weight::Time && rule.item_share >= Percent::PROBED {
            Some(Self::Probes)
        } else {
            Some(Self::All)
        }
    }
}

impl Routes {
    pub(super) fn of(rules: &VideoRules, asked: &DistinctFrames) -> Self {
        Self(rules.iter().filter_map(|rule| Route::of(rule, asked)).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Route> {
        self.0.iter().copied()
    }

    /// Returns whether more frames have to be searched in both indexes, if those that have not been searched
    /// weigh this much.
    pub(super) fn want_both(&self, left: Weights) -> bool {
        self.iter().any(|route| match route {
            Route::Share { weight, least } => left.get(weight) >= least,
            Route::Probes => false,
            Route::All => true,
        })
    }

    /// Returns whether all frames have to be searched in the index of probe frames.
    pub(super) fn want_probes(&self) -> bool {
        self.iter().any(|route| route == Route::Probes)
    }

    /// Returns whether searching more frames than necessary would leave fewer candidates.
    pub(super) fn can_narrow(&self) -> bool {
        self.iter().all(|route| matches!(route, Route::Share { .. }))
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{Frame, Hash, VideoRuleKind};

    use super::*;

    fn asked(times: &[u32]) -> DistinctFrames {
        let frames: Vec<Frame> = times
            .iter()
            .zip(0_u8..)
            .map(|(time_ms, at)| Frame { pdq: [at; 32], quality: 100, time_ms: *time_ms })
            .collect();
        Hash::of_frames(&frames).unwrap().frames().unwrap().distinct()
    }

    fn routes(kind: VideoRuleKind, query: u32, item: u32, asked: &DistinctFrames) -> Vec<Route> {
        let share = |percent| Percent::new(percent).unwrap();
        let (query_share, item_share) = (share(query), share(item));
        let rule = VideoRule { query_share, item_share, ..VideoRule::usual(kind) };
        Routes::of(&VideoRules::new([rule]).unwrap(), asked).iter().collect()
    }

    #[test]
    fn each_rule_has_a_route() {
        use VideoRuleKind::{ClipOfKnown, ContainsKnown, ThreatExchange};
        let frames = asked(&[0, 1_000, 3_000]);
        let share = |weight, least| vec![Route::Share { weight, least }];
        assert_eq!(routes(ClipOfKnown, 80, 0, &frames), share(Weight::Time, 3_200));
        assert_eq!(routes(ClipOfKnown, 80, 90, &frames), share(Weight::Time, 3_200));
        assert_eq!(routes(ThreatExchange, 34, 0, &frames), share(Weight::One, 2));
        assert_eq!(routes(ContainsKnown, 0, 80, &frames), [Route::Probes]);
        assert_eq!(routes(ContainsKnown, 0, 79, &frames), [Route::All]);
        assert_eq!(routes(ThreatExchange, 0, 100, &frames), [Route::All], "probes are of time");
        let no_time = asked(&[5, 5]);
        assert_eq!(routes(ClipOfKnown, 80, 0, &no_time), []);
        assert_eq!(routes(ThreatExchange, 80, 0, &no_time), share(Weight::One, 2));
    }

    #[test]
    fn of_60_equal_frames_13_are_searched_for_four_fifths() {
        let frames = asked(&(0..60).map(|at| 1_000 * at).collect::<Vec<_>>());
        let routes = Routes::of(&VideoRules::default(), &frames);
        let mut left = Left::all(&frames);
        let mut taken = 0;
        while routes.want_both(left.weights()) {
            left.take(taken);
            taken += 1;
        }
        assert_eq!(taken, 13);
        assert!(routes.want_probes() && !routes.can_narrow());
    }
}
