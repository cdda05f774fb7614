//! Computes the expected answer of a search for videos, by comparing everything with everything. It shares no
//! code with the search, except the types of the answer.

use std::collections::BTreeMap;

use vigie_model::{
    BankId, Distance, Frame, Hash, HashType, ItemId, Variant, VideoRule, VideoRuleKind, VideoSide,
};

/// A hash; for a video, the frames from which it is made.
#[derive(Debug, Clone)]
pub(in crate::tests) enum Sample {
    Video(Vec<Frame>),
    Other(Hash),
}

impl Sample {
    pub(in crate::tests) fn hash(&self) -> Hash {
        match self {
            Self::Video(frames) => Hash::of_frames(frames).unwrap(),
            Self::Other(hash) => hash.clone(),
        }
    }
}

/// An expected item of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) item: ItemId,
    pub(super) hash_type: HashType,
    pub(super) distance: Distance,
    pub(super) variant: Variant,
    pub(super) other_matches: u32,
    /// The sides of the query and of the item, and the kinds of the rules that hold.
    pub(super) video: Option<(VideoSide, VideoSide, Vec<VideoRuleKind>)>,
}

/// The parameters of a search for videos.
pub(super) struct Asked<'a> {
    pub(super) query: &'a [(Sample, Variant)],
    pub(super) rules: &'a [VideoRule],
    pub(super) radius: u32,
}

/// A distinct hash, and the time when it is first shown.
type Distinct = ([u8; 32], u64);

/// The duration of the usable frames of a second, and their hashes.
type Second = (u64, Vec<[u8; 32]>);

/// Returns the distinct hashes of a video, and its seconds. Each second has the duration of the usable frames
/// that begin in it, and their hashes.
fn distinct(frames: &[Frame]) -> (Vec<Distinct>, BTreeMap<u32, Second>) {
    let (mut all, mut seconds) = (Vec::<Distinct>::new(), BTreeMap::<u32, (u64, Vec<[u8; 32]>)>::new());
    for (at, frame) in frames.iter().enumerate() {
        let until = |at: usize| u64::from(frames[at + 1].time_ms - frames[at].time_ms);
        let lasts = if at + 1 < frames.len() {
            until(at)
        } else if at > 0 {
            until(at - 1).min(1_000)
        } else {
            1_000
        };
        if frame.quality < 50 {
            continue;
        }
        let second = seconds.entry(frame.time_ms / 1_000).or_default();
        second.0 += lasts;
        second.1.push(frame.pdq);
        if !all.iter().any(|one| one.0 == frame.pdq) {
            all.push((frame.pdq, frame.time_ms.into()));
        }
    }
    (all, seconds)
}

fn bits(one: &[u8; 32], other: &[u8; 32]) -> u32 {
    (0..256).map(|bit| u32::from((one[bit / 8] ^ other[bit / 8]) >> (bit % 8) & 1)).sum()
}

fn side((all, seconds): &(Vec<Distinct>, BTreeMap<u32, Second>), matches: &[bool], first: u64) -> VideoSide {
    let small = |number: u64| u32::try_from(number).unwrap();
    let matching: Vec<[u8; 32]> =
        all.iter().zip(matches).filter(|(_, matches)| **matches).map(|(one, _)| one.0).collect();
    let matched = seconds.values().filter(|(_, hashes)| hashes.iter().any(|hash| matching.contains(hash)));
    VideoSide {
        frames: small(all.len() as u64),
        frames_matched: small(matching.len() as u64),
        time_ms: small(seconds.values().map(|(lasts, _)| lasts).sum()),
        time_matched_ms: small(matched.map(|(lasts, _)| lasts).sum()),
        first_ms: small(first),
    }
}

fn holds(rule: &VideoRule, query: &VideoSide, item: &VideoSide) -> bool {
    let reaches = |side: &VideoSide, percent: u8| {
        let (matched, whole) = match rule.kind {
            VideoRuleKind::ThreatExchange => (side.frames_matched, side.frames),
            VideoRuleKind::ClipOfKnown | VideoRuleKind::ContainsKnown => (side.time_matched_ms, side.time_ms),
        };
        whole > 0 && u64::from(matched) * 100 >= u64::from(percent) * u64::from(whole)
    };
    let about = if rule.query_share.get() > 0 { query } else { item };
    let least = if about.frames < 4 { 1 } else { rule.frames_min };
    reaches(query, rule.query_share.get())
        && reaches(item, rule.item_share.get())
        && query.frames_matched >= least
        && item.frames_matched >= least
}

/// Decides by threatexchange's own definition: of the distinct frames with quality 50 or more, at least 80
/// percent of the query's and 0 percent of the item's have one within 31 bits on the other side.
pub(super) fn threatexchange(query: &[Frame], item: &[Frame]) -> bool {
    let clean = |frames: &[Frame]| {
        let mut kept: Vec<[u8; 32]> =
            frames.iter().filter(|one| one.quality >= 50).map(|one| one.pdq).collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    };
    let (query, item) = (clean(query), clean(item));
    let matched = query.iter().filter(|one| item.iter().any(|other| bits(one, other) <= 31)).count();
    !query.is_empty() && !item.is_empty() && matched * 100 >= 80 * query.len()
}

impl Asked<'_> {
    /// Returns how one video matches another.
    fn video(
        &self,
        query: &[Frame],
        item: &[Frame],
    ) -> Option<(Distance, VideoSide, VideoSide, Vec<VideoRuleKind>)> {
        let (query, item) = (distinct(query), distinct(item));
        let is_near = |one: &Distinct, other: &Distinct| bits(&one.0, &other.0) <= self.radius;
        let of_query: Vec<bool> =
            query.0.iter().map(|one| item.0.iter().any(|other| is_near(one, other))).collect();
        let of_item: Vec<bool> =
            item.0.iter().map(|one| query.0.iter().any(|other| is_near(one, other))).collect();
        let first = query.0.iter().zip(&of_query).find(|(_, matches)| **matches)?.0;
        let nearest = item.0.iter().min_by_key(|other| bits(&first.0, &other.0))?;
        let sides = (side(&query, &of_query, first.1), side(&item, &of_item, nearest.1));
        let rules = self.rules.iter().filter(|rule| holds(rule, &sides.0, &sides.1)).map(|rule| rule.kind);
        let mut rules: Vec<VideoRuleKind> = rules.collect();
        rules.sort_unstable();
        let pairs = query.0.iter().flat_map(|one| item.0.iter().map(|other| bits(&one.0, &other.0)));
        let distance = pairs.min()?;
        (!rules.is_empty()).then_some((Distance(distance), sides.0, sides.1, rules))
    }

    /// Returns the answer: every matching item, in the order of answers.
    pub(super) fn answer(&self, items: &BTreeMap<ItemId, (BankId, Vec<Sample>)>) -> Vec<Expected> {
        // Each item has its sort key: the missing share, the number of frames, the item.
        let mut answer: Vec<((u32, i64, ItemId), Expected)> = Vec::new();
        for (item, (_, held)) in items {
            let (mut ways, mut best_video, mut pairs) = (Vec::new(), None, Vec::new());
            // If several videos of an item match equally well, the answer names the first one by its bytes.
            let mut held = held.clone();
            held.sort_by_key(Sample::hash);
            for (asked, variant) in self.query {
                for held in &held {
                    match (asked, held) {
                        (Sample::Video(query), Sample::Video(frames)) => {
                            if let Some((distance, query, item_side, rules)) = self.video(query, frames) {
                                let permille = |side: &VideoSide| {
                                    (u64::from(side.time_matched_ms) * 1_000)
                                        .checked_div(side.time_ms.into())
                                        .unwrap_or_default()
                                };
                                let missing = 1_000 - permille(&query).max(permille(&item_side));
                                let place = (missing, -i64::from(query.frames_matched));
                                let way = (place, distance, HashType::VPDQ, *variant);
                                if best_video.as_ref().is_none_or(|(best, _)| way < *best) {
                                    best_video = Some((way, (query, item_side, rules)));
                                }
                            }
                        }
                        (Sample::Other(asked), Sample::Other(held)) if asked == held => {
                            let place = (0, -i64::from(u32::MAX));
                            ways.push((place, Distance(0), asked.hash_type(), *variant));
                            pairs.push(asked.clone());
                        }
                        (Sample::Video(_) | Sample::Other(_), _) => {}
                    }
                }
            }
            pairs.sort_unstable();
            pairs.dedup();
            let matching = pairs.len() + usize::from(best_video.is_some());
            ways.extend(best_video.as_ref().map(|(way, _)| *way));
            let Some((place, distance, hash_type, variant)) = ways.into_iter().min() else { continue };
            let place = (u32::try_from(place.0).unwrap(), place.1, *item);
            let other_matches = u32::try_from(matching - 1).unwrap();
            let video = best_video.map(|(_, video)| video);
            answer
                .push((place, Expected { item: *item, hash_type, distance, variant, other_matches, video }));
        }
        answer.sort_by_key(|(place, _)| *place);
        answer.into_iter().map(|(_, expected)| expected).collect()
    }
}
