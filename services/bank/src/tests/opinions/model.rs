//! Random opinions of five members against a simple map, which decides by the sentences of the protocol.

use std::collections::{BTreeMap, BTreeSet};

use vigie_proto::pb::consortium::v1 as members;

use crate::tests::members::By;
use crate::tests::opinions::people::{EVERYTHING, People, facts, is_held, opinion};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    random_opinions_come_to_what_the_sentences_say,
}

/// Number of steps with each charter.
const STEPS: u64 = 60;

/// The opinions on one item. Members are numbers, of which 0 is the owner and contributor.
#[derive(Debug, Default)]
struct Said {
    /// Opinions by member and by whether they are on a hash, with the step of each.
    opinions: BTreeMap<(usize, bool), (pb_model::OpinionKind, bool, u64)>,
    resolved_at: u64,
}

impl Said {
    fn put(&mut self, by: usize, on_hash: bool, kind: pb_model::OpinionKind, disputes: bool, step: u64) {
        let known = self.opinions.get(&(by, on_hash));
        // "Seen" replaces no other opinion, and a repeated opinion is not new.
        let is_news = match known {
            Some((known, known_disputes, _)) => {
                kind != pb_model::OpinionKind::Seen && (*known, *known_disputes) != (kind, disputes)
            }
            None => true,
        };
        if is_news {
            self.opinions.insert((by, on_hash), (kind, disputes, step));
        }
    }

    /// Returns the newest opinion of a person, or that the item was seen.
    fn newest(&self, by: usize) -> Option<pb_model::OpinionKind> {
        let of_member = [false, true].into_iter().filter_map(|on_hash| self.opinions.get(&(by, on_hash)));
        let newest = of_member.max_by_key(|(kind, _, step)| (*kind != pb_model::OpinionKind::Seen, *step));
        newest.map(|(kind, ..)| *kind)
    }

    fn who(&self, kind: pb_model::OpinionKind) -> BTreeSet<usize> {
        (0..5).filter(|by| self.newest(*by) == Some(kind)).collect()
    }

    /// Counts the members that call the item wrong with an opinion put after the last resolution.
    fn negatives(&self) -> usize {
        let has_said = |by: &usize| {
            let mut of_member = self.opinions.iter().filter(|((member, _), _)| member == by);
            of_member.any(|(_, (kind, _, step))| {
                *kind == pb_model::OpinionKind::Negative && *step > self.resolved_at
            })
        };
        self.who(pb_model::OpinionKind::Negative).iter().filter(|by| has_said(by)).count()
    }

    /// Returns the expected probation, hold and dispute under a charter.
    fn expected(&self, confirmations_min: usize, hold_on_negatives: usize) -> (bool, bool, bool) {
        let mut confirming = self.who(pb_model::OpinionKind::Positive);
        confirming.insert(0);
        let negative = self.who(pb_model::OpinionKind::Negative);
        let confirmed = confirming.difference(&negative).count();
        let is_held = hold_on_negatives > 0 && self.negatives() >= hold_on_negatives;
        let is_disputed = self.opinions.values().any(|(kind, disputes, step)| {
            let is_new = *kind == pb_model::OpinionKind::Negative && *step > self.resolved_at;
            is_new && (*disputes || is_held)
        });
        // One confirmation is the contributor's own, which every new item has.
        (confirmations_min > 1 && confirmed < confirmations_min, is_held, is_disputed)
    }
}

/// Pseudo-random numbers (Knuth's constants for a linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

async fn random_opinions_come_to_what_the_sentences_say(bed: Bed) {
    let people = People::start(bed.config()).await;
    let four = People::reviewer(&people.consortium, "four", &EVERYTHING).await;
    let everyone: Vec<&By> = [&people.owner].into_iter().chain(&people.others).chain([&four]).collect();
    let (mut step, mut numbers) = (0, Numbers(7));
    for (confirmations, negatives) in [(0, 0), (2, 1), (3, 2), (1, 3), (4, 5)] {
        people.charter(confirmations, negatives).await;
        let item = people
            .add(u64::from(confirmations * 10 + negatives)..u64::from(confirmations * 10 + negatives) + 1)
            .await[0];
        let hash = people.owner.item(item).await.unwrap().content.unwrap().hashes[0].clone();
        let mut said = Said::default();
        for _ in 0..STEPS {
            step += 1;
            people.later(step);
            let by = numbers.below(5);
            match numbers.below(10) {
                0 => {
                    let is_open = said.expected(confirmations as usize, negatives as usize).2;
                    let resolved = people.owner.resolve(item, pb_model::Resolution::Kept).await;
                    assert_eq!(resolved.is_ok(), is_open, "step {step}: {resolved:?}");
                    if is_open {
                        said.resolved_at = step;
                    }
                }
                1 | 2 => {
                    everyone[by].takes_back(&[item]).await.unwrap();
                    said.opinions.retain(|(member, _), _| *member != by);
                }
                _ => {
                    let kinds = [
                        pb_model::OpinionKind::Positive,
                        pb_model::OpinionKind::Negative,
                        pb_model::OpinionKind::Negative,
                        pb_model::OpinionKind::Seen,
                    ];
                    let (kind, on_hash) = (kinds[numbers.below(4)], numbers.below(3) == 0);
                    let disputes = kind == pb_model::OpinionKind::Negative && numbers.below(3) == 0;
                    let hash = on_hash.then(|| hash.clone());
                    let new = members::NewOpinion { hash, disputes, ..opinion(item, kind) };
                    everyone[by].put(vec![new]).await.unwrap();
                    said.put(by, on_hash, kind, disputes, step);
                }
            }
            let found = people.owner.item(item).await.unwrap();
            let facts = facts(&found);
            let is = (facts.probation, is_held(&found), found.dispute.is_some());
            let expected = said.expected(confirmations as usize, negatives as usize);
            assert_eq!(is, expected, "step {step}, charter ({confirmations}, {negatives}): {said:?}");
            let counts = [
                pb_model::OpinionKind::Positive,
                pb_model::OpinionKind::Negative,
                pb_model::OpinionKind::Seen,
            ]
            .map(|kind| u32::try_from(said.who(kind).len()).unwrap());
            assert_eq!([facts.positives, facts.negatives, facts.seen], counts, "step {step}: {said:?}");
        }
    }
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}
