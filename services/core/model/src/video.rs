//! The rules by which a video matches, and the evidence of a match.
//!
//! A video is a list of frames ([`Hash::frames`]). Its *usable* frames are those of quality 50 and more;
//! equal hashes among them are one *distinct* hash. A frame lasts until the next frame of the list; the last
//! one lasts as long as the one before it, at most a second. Two hashes are near if they are within the
//! requested distance of [`HashType::VPDQ`]. A hash of one side *matches* if a hash of the other is near.
//! Where time is counted, the usable frames that begin within the same second match together, if one of them
//! does. An item with every frame can therefore be compared with a query of one frame a second.
//!
//! [`HashType::VPDQ`]: vigie_hashes::HashType::VPDQ
//! [`Hash::frames`]: vigie_hashes::Hash::frames

use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;
use thiserror::Error;

/// A share in percent, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Percent(u8);

/// The number is not a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is {0}; a share is 0 to 100 percent")]
pub struct PercentError(pub u32);

impl Percent {
    /// The smallest item share for which a search needs only the *probe* frames of items, which an index
    /// stores separately: the longest-lasting hashes of an item, until its other frames last less than this
    /// share of its time. Changing this value invalidates saved indexes.
    pub const PROBED: Self = Self(80);

    /// Checks that the number is from 0 to 100.
    pub fn new(percent: u32) -> Result<Self, PercentError> {
        match u8::try_from(percent) {
            Ok(percent @ 0..=100) => Ok(Self(percent)),
            _ => Err(PercentError(percent)),
        }
    }

    /// Returns the number, 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the smallest part of `whole` that reaches this share.
    #[must_use]
    pub const fn of(self, whole: u64) -> u64 {
        (whole * self.0 as u64).div_ceil(100)
    }
}

/// The name of a rule, and the unit in which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VideoRuleKind {
    /// The query is a part of a known video. Counts time.
    ClipOfKnown,
    /// The query contains a known video. Counts time.
    ContainsKnown,
    /// The decision of threatexchange. Counts distinct hashes.
    ThreatExchange,
}

/// A rule by which an item matches: both shares are reached, and enough hashes match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoRule {
    /// The kind of the rule.
    pub kind: VideoRuleKind,
    /// The smallest share of the query that must match.
    pub query_share: Percent,
    /// The smallest share of the item that must match.
    pub item_share: Percent,
    /// The smallest number of distinct hashes that must match, on either side; at least 1. One is enough if
    /// the side whose share the rule requires (the query's, if it requires both) has fewer than [`Self::FEW`]
    /// usable distinct hashes.
    pub frames_min: u32,
}

/// The rules of a search: an item matches if one of them holds. At least one rule, and each kind at most
/// once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoRules(SmallVec<[VideoRule; 3]>);

/// The reasons why rules are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VideoRulesError {
    /// A kind is named twice.
    #[error("names the rule {0} a second time")]
    Twice(VideoRuleKind),
    /// A rule requires no share at all, so that one common frame would be a match.
    #[error(
        "the rule {0} asks for no share of the query or of the item; one of the two is at least 1 percent"
    )]
    NoShare(VideoRuleKind),
    /// The number of frames is 0, or more than an item may have.
    #[error("frames_min is {0}; it is 1 to {max}", max = vigie_hashes::frames::FRAMES_MAX)]
    FramesMin(u32),
}

/// The text is not the name of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown rule: use clip_of_known, contains_known or threatexchange")]
pub struct UnknownVideoRule;

/// The query's side or the item's side of a match: its size, and the part that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VideoSide {
    /// The number of usable distinct hashes.
    pub frames: u32,
    /// The number of these hashes that match.
    pub frames_matched: u32,
    /// The duration of the usable frames, in milliseconds.
    pub time_ms: u32,
    /// The duration of the usable frames that begin in a second in which one matches, in milliseconds.
    pub time_matched_ms: u32,
    /// The time of the first matching frame, in milliseconds: for the query the first frame that matches; for
    /// the item the frame nearest to that one, and among equally near ones the first.
    pub first_ms: u32,
}

/// The evidence that a video matches an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoEvidence {
    /// The query's side.
    pub query: VideoSide,
    /// The item's side.
    pub item: VideoSide,
    /// The rules of the search that hold.
    pub rules: VideoRuleSet,
}

/// A set of kinds of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VideoRuleSet(u8);

impl VideoRuleKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::ClipOfKnown, Self::ContainsKnown, Self::ThreatExchange];

    /// Returns the name used in settings and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClipOfKnown => "clip_of_known",
            Self::ContainsKnown => "contains_known",
            Self::ThreatExchange => "threatexchange",
        }
    }

    /// Checks whether the rule counts time; otherwise it counts distinct hashes.
    #[must_use]
    pub const fn counts_time(self) -> bool {
        matches!(self, Self::ClipOfKnown | Self::ContainsKnown)
    }
}

impl VideoRule {
    /// If a side has fewer usable distinct hashes than this, one matching hash is enough.
    pub const FEW: u32 = 4;

    /// Returns the rule of this kind with its usual numbers: 80 percent of the side that it concerns, and two
    /// frames (threatexchange: one).
    #[must_use]
    pub const fn usual(kind: VideoRuleKind) -> Self {
        let (query, item, frames_min) = match kind {
            VideoRuleKind::ClipOfKnown => (80, 0, 2),
            VideoRuleKind::ContainsKnown => (0, 80, 2),
            VideoRuleKind::ThreatExchange => (80, 0, 1),
        };
        Self { kind, query_share: Percent(query), item_share: Percent(item), frames_min }
    }

    /// Checks whether the rule holds.
    #[must_use]
    pub fn holds(&self, query: &VideoSide, item: &VideoSide) -> bool {
        let is_reached = |share: Percent, side: &VideoSide| {
            let (matched, whole) = side.counted(self.kind);
            whole > 0 && matched >= share.of(whole)
        };
        let frames_min = if self.side(query, item).frames < Self::FEW { 1 } else { self.frames_min.max(1) };
        is_reached(self.query_share, query)
            && is_reached(self.item_share, item)
            && query.frames_matched.min(item.frames_matched) >= frames_min
    }

    /// Returns the side that the rule concerns.
    const fn side<'a>(&self, query: &'a VideoSide, item: &'a VideoSide) -> &'a VideoSide {
        if self.query_share.get() > 0 { query } else { item }
    }
}

impl VideoRules {
    /// Checks the rules: each must require a share and a valid number of frames, and no kind may occur twice.
    /// An empty list means the usual rules.
    pub fn new(rules: impl IntoIterator<Item = VideoRule>) -> Result<Self, VideoRulesError> {
        let mut checked = SmallVec::<[VideoRule; 3]>::new();
        for rule in rules {
            let VideoRule { kind, query_share, item_share, frames_min } = rule;
            if checked.iter().any(|other| other.kind == kind) {
                return Err(VideoRulesError::Twice(kind));
            }
            if query_share.get() == 0 && item_share.get() == 0 {
                return Err(VideoRulesError::NoShare(kind));
            }
            if !(1..=vigie_hashes::frames::FRAMES_MAX).contains(&(frames_min as usize)) {
                return Err(VideoRulesError::FramesMin(frames_min));
            }
            checked.push(rule);
        }
        Ok(if checked.is_empty() { Self::default() } else { Self(checked) })
    }

    /// Returns the rules.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &VideoRule> {
        self.0.iter()
    }

    /// Returns the rules that hold.
    #[must_use]
    pub fn that_hold(&self, query: &VideoSide, item: &VideoSide) -> VideoRuleSet {
        self.iter().filter(|rule| rule.holds(query, item)).map(|rule| rule.kind).collect()
    }
}

/// Returns `clip_of_known` and `contains_known` with their usual numbers.
impl Default for VideoRules {
    fn default() -> Self {
        [VideoRuleKind::ClipOfKnown, VideoRuleKind::ContainsKnown].map(VideoRule::usual).as_slice().into()
    }
}

impl From<&[VideoRule]> for VideoRules {
    fn from(rules: &[VideoRule]) -> Self {
        Self(rules.into())
    }
}

impl VideoSide {
    /// Returns the counts of a rule of this kind: the matching part, and the whole.
    #[must_use]
    pub fn counted(&self, kind: VideoRuleKind) -> (u64, u64) {
        if kind.counts_time() {
            (self.time_matched_ms.into(), self.time_ms.into())
        } else {
            (self.frames_matched.into(), self.frames.into())
        }
    }

    /// Returns the share of its time that matches, in thousandths, rounded down.
    #[must_use]
    pub fn permille(&self) -> u16 {
        let permille = (u64::from(self.time_matched_ms) * 1_000).checked_div(self.time_ms.into());
        u16::try_from(permille.unwrap_or_default()).unwrap_or(1_000).min(1_000)
    }
}

impl VideoEvidence {
    /// Returns the larger of the two matching shares of time, in thousandths.
    #[must_use]
    pub fn permille(&self) -> u16 {
        self.query.permille().max(self.item.permille())
    }
}

impl VideoRuleSet {
    /// Checks whether no rule holds.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Checks whether this rule holds.
    #[must_use]
    pub const fn contains(self, kind: VideoRuleKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Returns the rules that hold.
    pub fn iter(self) -> impl Iterator<Item = VideoRuleKind> {
        VideoRuleKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<VideoRuleKind> for VideoRuleSet {
    fn from_iter<I: IntoIterator<Item = VideoRuleKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | (1 << kind as u8)))
    }
}

impl fmt::Display for VideoRuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for VideoRuleKind {
    type Err = UnknownVideoRule;

    fn from_str(text: &str) -> Result<Self, UnknownVideoRule> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(UnknownVideoRule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn side(frames: u32, frames_matched: u32, time_ms: u32, time_matched_ms: u32) -> VideoSide {
        VideoSide { frames, frames_matched, time_ms, time_matched_ms, first_ms: 0 }
    }

    fn that_hold(query: VideoSide, item: VideoSide) -> Vec<&'static str> {
        let all = VideoRules::new(VideoRuleKind::ALL.map(VideoRule::usual)).unwrap();
        all.that_hold(&query, &item).iter().map(VideoRuleKind::name).collect()
    }

    #[test]
    fn the_usual_rules_ask_for_four_fifths_of_one_side() {
        let (clip, known) = (side(10, 8, 10_000, 8_000), side(60, 8, 60_000, 8_000));
        assert_eq!(that_hold(clip, known), ["clip_of_known", "threatexchange"]);
        assert_eq!(that_hold(known, clip), ["contains_known"]);
        let less = side(10, 8, 10_000, 7_999);
        assert_eq!(that_hold(less, known), ["threatexchange"], "one counts time, the other hashes");
        assert_eq!(that_hold(side(10, 7, 10_000, 8_000), known), ["clip_of_known"]);
    }

    #[test]
    fn one_frame_is_enough_only_where_there_are_few() {
        let item = side(60, 1, 60_000, 1_000);
        assert_eq!(that_hold(side(4, 1, 10_000, 9_000), item), Vec::<&str>::new());
        assert_eq!(that_hold(side(3, 1, 10_000, 9_000), item), ["clip_of_known"]);
        assert_eq!(that_hold(side(0, 0, 0, 0), item), Vec::<&str>::new(), "no usable frame is no match");
    }

    #[test]
    fn rules_are_checked() {
        let usual = VideoRule::usual(VideoRuleKind::ClipOfKnown);
        assert_eq!(VideoRules::new([usual, usual]), Err(VideoRulesError::Twice(VideoRuleKind::ClipOfKnown)));
        let none = VideoRule { query_share: Percent(0), ..usual };
        assert_eq!(VideoRules::new([none]), Err(VideoRulesError::NoShare(VideoRuleKind::ClipOfKnown)));
        assert_eq!(
            VideoRules::new([VideoRule { frames_min: 0, ..usual }]),
            Err(VideoRulesError::FramesMin(0))
        );
        assert_eq!(VideoRules::new([]), Ok(VideoRules::default()));
        assert_eq!(Percent::new(101), Err(PercentError(101)));
        assert_eq!(Percent::new(80).unwrap().of(61), 49);
        for kind in VideoRuleKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
    }

    #[test]
    fn shares_are_rounded_down() {
        assert_eq!(side(3, 2, 3_000, 2_000).permille(), 666);
        assert_eq!(side(0, 0, 0, 0).permille(), 0);
        let evidence =
            VideoEvidence { query: side(1, 1, 3, 2), item: side(1, 1, 4, 3), rules: VideoRuleSet::default() };
        assert_eq!(evidence.permille(), 750);
    }
}
