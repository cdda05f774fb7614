//! Questions about videos, their right answers, and the judgement of an answer.

use std::num::NonZero;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

use crate::data::draw::Draw;
use crate::data::videos::{self, Videos};
use crate::judge::evidence::{Evidence, Footage};
use crate::judge::oracle::{Hit, Identity, Verdict};
use crate::run::scenario::Scenario;

/// Videos that a thread draws and compares at a time.
const CHUNK: u32 = 16;

/// A match that an answer has to contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) video: u32,
    pub(crate) distance: u16,
    pub(crate) evidence: Evidence,
}

impl Expected {
    /// The sort key of the match in an answer; items with equal keys are sorted by id.
    fn place(&self) -> (u32, std::cmp::Reverse<u32>) {
        (self.evidence.missing(), std::cmp::Reverse(self.evidence.query.frames_matched))
    }
}

/// A video that requests ask about, and the right answer.
#[derive(Clone)]
pub(crate) struct VideoQuestion {
    /// The hash of the video.
    pub(crate) hash: Bytes,
    /// The banked videos that match it, in the order of an answer.
    pub(crate) expected: Vec<Expected>,
}

/// Omits the hash.
impl std::fmt::Debug for VideoQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VideoQuestion({} bytes, {:?})", self.hash.len(), self.expected)
    }
}

/// All videos that a run asks about.
#[derive(Debug, Default)]
pub(crate) struct VideoTruth {
    /// Half of the questions: videos made from banked ones.
    of_known: Vec<VideoQuestion>,
    /// The other questions: videos that are not banked.
    unknown: Vec<VideoQuestion>,
}

impl VideoTruth {
    /// Draws the videos and compares each with every banked video, frame by frame, on all cores.
    pub(crate) fn establish(scenario: &Scenario, banked: &Videos, progress: impl Fn(u32) + Sync) -> Self {
        if scenario.mix.video == 0 {
            return Self::default();
        }
        let plan = &scenario.questions;
        let half = u64::from(plan.videos.div_ceil(2));
        let asked = (0..u64::from(plan.videos)).map(|number| {
            let is_of_known = number < half;
            let number = if is_of_known { number } else { number - half };
            banked.asked(number, is_of_known, &plan.distances)
        });
        let asked: Vec<Vec<videos::Frame>> = asked.collect();
        let footage: Vec<Footage> = asked.iter().map(|frames| Footage::new(frames)).collect();
        let next = AtomicU32::new(0);
        let work = || {
            let mut found = vec![Vec::new(); footage.len()];
            let mut scratch = Vec::new();
            loop {
                let first = next.fetch_add(CHUNK, Ordering::Relaxed);
                if first >= banked.count {
                    return found;
                }
                progress(first);
                for video in first..(first + CHUNK).min(banked.count) {
                    let item = Footage::new(&banked.banked(video));
                    for (query, found) in footage.iter().zip(&mut found) {
                        let compared =
                            query.compare(&item, plan.max_distance, &plan.video_rules, &mut scratch);
                        found.extend(compared.map(|(distance, evidence)| Expected {
                            video,
                            distance,
                            evidence,
                        }));
                    }
                }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let parts: Vec<Vec<Vec<Expected>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a comparison does not panic")).collect()
        });
        let mut questions = Vec::with_capacity(asked.len());
        for (at, frames) in asked.iter().enumerate() {
            let mut expected: Vec<Expected> =
                parts.iter().flat_map(|part| part[at].iter().copied()).collect();
            expected.sort_by_key(|one| (one.place(), one.video));
            questions.push(VideoQuestion { hash: videos::bytes(frames).into(), expected });
        }
        let half = usize::try_from(half).unwrap_or(usize::MAX).min(questions.len());
        let unknown = questions.split_off(half);
        Self { of_known: questions, unknown }
    }

    /// Picks the video of a request.
    pub(crate) fn question(&self, draw: &mut Draw, matching: bool) -> &VideoQuestion {
        let questions = if matching { &self.of_known } else { &self.unknown };
        let at = draw.below(questions.len().max(1) as u64);
        &questions[usize::try_from(at).expect("below a length")]
    }

    /// Returns the number of questions, of questions with a match, and of all matches.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let all = || self.of_known.iter().chain(&self.unknown);
        let matching = all().filter(|question| !question.expected.is_empty()).count();
        (all().count(), matching, all().map(|question| question.expected.len()).sum())
    }

    /// Returns every question.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = &VideoQuestion> {
        self.of_known.iter().chain(&self.unknown)
    }
}

/// Judges the answer to a question about a video. `complete` is false where the answer reports that it may
/// lack something.
pub(crate) fn judge(question: &VideoQuestion, limit: u16, hits: &[Hit], complete: bool) -> Verdict {
    let mut verdict = Verdict { judged: 1, ..Verdict::default() };
    let mut found = vec![false; question.expected.len()];
    for hit in hits {
        let expected = match hit.item {
            Identity::Video(video) => question.expected.iter().position(|one| one.video == video),
            Identity::Row(_) | Identity::Live(_) | Identity::Unknown => None,
        };
        let Some(at) = expected.filter(|&at| !found[at]) else {
            verdict.false_matches += 1;
            continue;
        };
        found[at] = true;
        let expected = &question.expected[at];
        if hit.video != Some(expected.evidence) {
            verdict.wrong_evidence += 1;
        } else if hit.distance != Some(expected.distance) {
            verdict.wrong_distance += 1;
        } else {
            verdict.right += 1;
        }
    }
    if !complete {
        verdict.incomplete = 1;
        return verdict;
    }
    // Matches that sort before the last one within the limit all have to be in the answer. Of those with the
    // same sort key as the last one, any may be, because the order of ties is not fixed.
    let limit = usize::from(limit).min(question.expected.len());
    let Some(last) = limit.checked_sub(1).map(|last| question.expected[last].place()) else { return verdict };
    let before = question.expected.partition_point(|one| one.place() < last);
    let missed_before = found[..before].iter().filter(|found| !**found).count();
    let at_last = question.expected[before..].iter().take_while(|one| one.place() == last).count();
    let found_at_last = found[before..before + at_last].iter().filter(|found| **found).count();
    verdict.missed = (missed_before + (limit - before).saturating_sub(found_at_last)) as u64;
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::evidence::{Rule, Side};

    fn scenario() -> Scenario {
        let mut scenario = Scenario::parse("name = 'x'\n[arrivals]\nrate = 1\n").unwrap();
        scenario.mix.video = 1;
        scenario.questions.videos = 81;
        scenario.questions.video_rules = Rule::ALL.to_vec();
        scenario
    }

    fn truth() -> VideoTruth {
        VideoTruth::establish(&scenario(), &Videos::new(1, 150, 24), |_| {})
    }

    fn honest(question: &VideoQuestion, limit: usize) -> Vec<Hit> {
        let hit = |one: &Expected| Hit {
            item: Identity::Video(one.video),
            distance: Some(one.distance),
            video: Some(one.evidence),
        };
        question.expected.iter().take(limit).map(hit).collect()
    }

    #[test]
    fn questions_about_known_videos_match_mostly_and_others_never() {
        let truth = truth();
        assert_eq!((truth.of_known.len(), truth.unknown.len()), (41, 40));
        let matching = truth.of_known.iter().filter(|question| !question.expected.is_empty()).count();
        assert!((20..41).contains(&matching), "{matching}: some are replaced too far");
        assert!(truth.unknown.iter().all(|question| question.expected.is_empty()));
        let rules = |bit: u8| {
            let all = truth.all().flat_map(|question| &question.expected);
            all.filter(|one| one.evidence.rules & bit > 0).count()
        };
        let by_rule = Rule::ALL.map(|rule| rules(rule.bit()));
        assert!(by_rule.iter().all(|&count| count >= 5), "{by_rule:?}");
        let several = truth.all().filter(|question| question.expected.len() > 1).count();
        assert!(several >= 5, "{several} match several");
        assert_eq!(truth.counts().1, matching);
    }

    #[test]
    fn the_truth_does_not_depend_on_threads_and_chunks() {
        let expected = |truth: &VideoTruth| -> Vec<Vec<Expected>> {
            truth.all().map(|question| question.expected.clone()).collect()
        };
        let whole = expected(&truth());
        // The same result, one comparison at a time, with the banked videos themselves.
        let (scenario, banked) = (scenario(), Videos::new(1, 150, 24));
        for (number, found) in whole.iter().take(41).enumerate() {
            let query = banked.asked(number as u64, true, &scenario.questions.distances);
            for video in 0..150 {
                let item = Footage::new(&banked.banked(video));
                let compared = Footage::new(&query).compare(&item, 31, &Rule::ALL, &mut Vec::new());
                let listed = found.iter().find(|one| one.video == video);
                assert_eq!(listed.map(|one| (one.distance, one.evidence)), compared, "{number} and {video}");
            }
        }
    }

    #[test]
    fn an_honest_answer_is_right_and_every_lie_is_counted() {
        let truth = truth();
        let mut judged = 0;
        for question in truth.all().filter(|question| question.expected.len() > 1) {
            let right = question.expected.len() as u64;
            let of = |hits: &[Hit]| judge(question, 100, hits, true);
            let whole = honest(question, 100);
            assert_eq!(of(&whole), Verdict { judged: 1, right, ..Verdict::default() });
            assert_eq!(
                of(&whole[1..]),
                Verdict { judged: 1, right: right - 1, missed: 1, ..Verdict::default() }
            );
            assert_eq!(judge(question, 100, &whole[1..], false).missed, 0);
            assert_eq!(judge(question, 100, &whole[1..], false).incomplete, 1);
            let mut lies = whole.clone();
            lies.push(whole[0]);
            lies.push(Hit { item: Identity::Video(9_999), ..whole[0] });
            lies.push(Hit { item: Identity::Row(1), ..whole[0] });
            assert_eq!(of(&lies).false_matches, 3);
            let mut bent = whole.clone();
            bent[0].distance = bent[0].distance.map(|distance| distance + 1);
            assert_eq!((of(&bent).wrong_distance, of(&bent).missed), (1, 0));
            let evidence = whole[0].video.unwrap();
            let later = Side { first_ms: evidence.item.first_ms + 1, ..evidence.item };
            for wrong in
                [None, Some(Evidence { item: later, ..evidence }), Some(Evidence { rules: 0, ..evidence })]
            {
                let mut bent = whole.clone();
                bent[0].video = wrong;
                assert_eq!((of(&bent).wrong_evidence, of(&bent).right), (1, right - 1));
            }
            // With a limit the best matches have to be in the answer.
            assert_eq!(judge(question, 1, &honest(question, 1), true).missed, 0);
            let is_tied = question.expected[0].place() == question.expected[1].place();
            let second = judge(question, 1, &whole[1..2], true);
            assert_eq!(second.missed, u64::from(!is_tied));
            judged += 1;
        }
        assert!(judged >= 5);
    }
}
