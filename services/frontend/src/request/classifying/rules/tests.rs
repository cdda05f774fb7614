//! The effect of scores on verdicts, and its limits.

use proptest::prelude::*;
use vigie_classifiers::{Kind, Mode, Scored};
use vigie_clients::CountedScores;
use vigie_consortium::{CardVersion, MemberPolicies, Policy, PolicyDraft, ScoreRuleDraft};
use vigie_model::{MemberId, ScoreFailure, ScoreFailureKind, Verdict};

use super::*;
use crate::request::classifying::cards::{self, CLASS, ONE_IN};
use crate::request::classifying::plan::Plan;
use crate::request::classifying::said::Outcome;
use crate::request::reports::Scores;

/// Two active models and one in shadow.
const MODELS: [(&str, Mode); 3] = [("m0", Mode::Active), ("m1", Mode::Active), ("m2", Mode::Shadow)];

fn rule(name: &str, model: &str, class: &str) -> ScoreRuleDraft {
    let [name, model, class] = [name, model, class].map(str::to_owned);
    ScoreRuleDraft { name, model, class, at_most_one_in: 0, shadow: false }
}

fn rules(drafts: Vec<ScoreRuleDraft>) -> Arc<Policy> {
    Arc::new(Policy::try_from(PolicyDraft { scores: drafts, ..PolicyDraft::default() }).unwrap())
}

fn scored(card: &CardVersion, score: f32) -> Vec<Scored> {
    let scores = card.card().output().named([("other", 1.0 - score), (CLASS, score)]).unwrap();
    card.card().scored(&scores)
}

/// Returns the outcomes of all models: each has a score for the class, or none.
fn said(policy: &Arc<Policy>, scores: [Option<f32>; 3]) -> Said {
    let directory = cards::directory(MODELS.map(|(name, mode)| cards::draft(name, Kind::Image, mode)));
    let policies = MemberPolicies::default().with(Arc::clone(policy), false);
    let named = MODELS.map(|(name, _)| name.into());
    let plan = Plan::of_images(&directory, &named, Some(&policies), 1).unwrap().unwrap();
    let outcomes = MODELS.iter().zip(scores).map(|((name, _), score)| -> Option<Outcome> {
        let card = directory.model_card(name).unwrap();
        Some(match score {
            Some(score) => Ok(scored(card, score)),
            None => Err(ScoreFailure::new(ScoreFailureKind::Away, "away")),
        })
    });
    // A model that a rule names and that has no card is in the plan as well.
    let outcomes = outcomes.collect::<Vec<_>>();
    Said::new(plan, outcomes)
}

fn decided(verdict: Verdict, shadow_verdict: Option<Verdict>) -> Decided {
    Decided {
        verdict,
        rule: "other-rule".into(),
        policy_version: 1,
        shadow_verdict,
        failure: None,
        suppressed: 0,
        by_score: false,
        id: None,
    }
}

fn judged(verdict: Verdict, policy: &Arc<Policy>, scores: [Option<f32>; 3]) -> (Decided, Said) {
    let (mut decided, mut said) = (decided(verdict, None), said(policy, scores));
    apply(&mut decided, policy.scores(), &mut said, &Thresholds::default());
    (decided, said)
}

fn own_threshold() -> f32 {
    cards::threshold(&cards::read(cards::draft("m0", Kind::Image, Mode::Active)))
}

#[test]
fn a_score_from_the_threshold_on_asks_for_a_review_and_names_its_rule() {
    let policy = rules(vec![rule("first", "m0", CLASS), rule("second", "m1", CLASS)]);
    let at = own_threshold();
    for verdict in [Verdict::Allow, Verdict::Log] {
        let (decided, said) = judged(verdict, &policy, [Some(at), None, None]);
        assert_eq!((decided.verdict, &*decided.rule, decided.by_score), (Verdict::Review, "first", true));
        assert_eq!(decided.shadow_verdict, None);
        let reviews: Vec<_> = said.uses().filter(|used| used.is_review).collect();
        assert_eq!(reviews.len(), 1);
        assert_eq!((reviews[0].model, reviews[0].class.as_str()), ("m0", CLASS));
        let (decided, said) = judged(verdict, &policy, [Some(at.next_down()), None, None]);
        assert_eq!((decided.verdict, &*decided.rule, decided.by_score), (verdict, "other-rule", false));
        assert!(!said.uses().any(|used| used.is_review));
    }
    for verdict in [Verdict::Review, Verdict::Block, Verdict::Escalate] {
        let (decided, said) = judged(verdict, &policy, [Some(1.0), Some(1.0), None]);
        assert_eq!((decided.verdict, &*decided.rule, decided.by_score), (verdict, "other-rule", false));
        assert!(!said.uses().any(|used| used.is_review));
    }
}

#[test]
fn a_rule_with_a_rate_has_its_own_threshold_and_none_where_the_calibration_supports_none() {
    let one_in = |count| rules(vec![ScoreRuleDraft { at_most_one_in: count, ..rule("a", "m0", CLASS) }]);
    let verdict = |policy: &Arc<Policy>, score| judged(Verdict::Allow, policy, [Some(score), None, None]).0;
    // The rate of the card gives the same threshold.
    let at = own_threshold();
    let same = one_in(ONE_IN.into());
    assert!(verdict(&same, at).by_score && !verdict(&same, at.next_down()).by_score);
    // By hand: among 2,000, a rate of at most 1 in 10 allows 178 false positives (Clopper and Pearson), which
    // score above 0.4555.
    let wider = one_in(10);
    assert!(verdict(&wider, 0.46).by_score && !verdict(&wider, 0.44).by_score);
    assert!(!verdict(&one_in(100_000), 1.0).by_score, "a sample of 2,000 supports no such rate");
}

#[test]
fn what_is_in_shadow_counts_toward_the_shadow_verdict_alone() {
    let shadow_rule = rules(vec![ScoreRuleDraft { shadow: true, ..rule("a", "m0", CLASS) }]);
    let shadow_model = rules(vec![rule("a", "m2", CLASS)]);
    for (policy, scores) in
        [(&shadow_rule, [Some(1.0), None, None]), (&shadow_model, [None, None, Some(1.0)])]
    {
        let (decided, said) = judged(Verdict::Allow, policy, scores);
        assert_eq!((decided.verdict, decided.by_score), (Verdict::Allow, false));
        assert_eq!(decided.shadow_verdict, Some(Verdict::Review));
        assert!(!said.uses().any(|used| used.is_review));
    }
    let (decided, _) = judged(Verdict::Allow, &shadow_rule, [Some(0.0), None, None]);
    assert_eq!(decided.shadow_verdict, Some(Verdict::Allow));
    let (decided, _) = judged(Verdict::Block, &shadow_rule, [Some(1.0), None, None]);
    assert_eq!(decided.shadow_verdict, Some(Verdict::Block));
}

#[test]
fn what_is_answered_of_a_model_in_shadow_has_no_score() {
    let policy = rules(vec![rule("a", "m2", CLASS)]);
    let said = said(&policy, [Some(0.25), None, Some(1.0)]);
    let [first, second, third] = &said.classifications()[..] else { panic!() };
    assert_eq!((first.is_shadow, first.scores.len(), first.version), (false, 2, 1));
    assert!(second.unavailable.is_some() && second.scores.is_empty());
    assert!(third.is_shadow && third.scores.is_empty() && third.unavailable.is_none());
    // The score is counted nevertheless.
    let counted: Vec<_> = said.uses().filter(|used| used.model == "m2").map(|used| used.is_above).collect();
    assert_eq!(counted, [Some(false), Some(true)]);
}

#[test]
fn a_rule_for_what_is_not_there_does_nothing() {
    let policy = rules(vec![rule("a", "m0", "none"), rule("b", "m9", CLASS), rule("c", "m0", "other")]);
    // The class `other` has no threshold.
    let (decided, _) = {
        let directory = cards::directory(MODELS.map(|(name, mode)| cards::draft(name, Kind::Image, mode)));
        let policies = MemberPolicies::default().with(Arc::clone(&policy), false);
        let plan = Plan::of_images(&directory, &[], Some(&policies), 1).unwrap().unwrap();
        let card = directory.model_card("m0").unwrap();
        let unknown = ScoreFailure::new(ScoreFailureKind::UnknownModel, "none");
        let mut said = Said::new(plan, [Some(Ok(scored(card, 0.0))), Some(Err(unknown))]);
        let mut decided = decided(Verdict::Allow, None);
        apply(&mut decided, policy.scores(), &mut said, &Thresholds::default());
        (decided, said)
    };
    assert_eq!((decided.verdict, decided.by_score, decided.shadow_verdict), (Verdict::Allow, false, None));
}

#[test]
fn what_is_reported_is_counts_and_no_score() {
    let policy = rules(vec![rule("a", "m0", CLASS)]);
    let scores = Scores::default();
    for (score, shadow) in [(Some(1.0), Some(1.0)), (Some(0.25), None), (None, Some(0.0))] {
        let (_, said) = judged(Verdict::Allow, &policy, [score, None, shadow]);
        scores.count(MemberId(4), &said);
    }
    let counted = |model: &str, class: &str, [scored, above, reviews, unavailable]: [u64; 4]| CountedScores {
        member: MemberId(4),
        model: model.into(),
        version: 1,
        class: class.into(),
        scored,
        above,
        reviews,
        unavailable,
    };
    let expected = [
        counted("m0", CLASS, [2, 1, 1, 1]),
        counted("m0", "other", [2, 0, 0, 1]),
        counted("m1", CLASS, [0, 0, 0, 3]),
        counted("m1", "other", [0, 0, 0, 3]),
        counted("m2", CLASS, [2, 1, 0, 1]),
        counted("m2", "other", [2, 0, 0, 1]),
    ];
    // A report has only these fields, and none of them holds a score.
    assert_eq!(scores.taken(), expected);
    assert!(scores.taken().is_empty());
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(Verdict::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_score_never_blocks_and_never_lowers(
        before in verdict(),
        shadow_before in prop::option::of(verdict()),
        drafts in prop::collection::vec((0_usize..4, any::<bool>(), any::<bool>(), prop::sample::select(vec![0_u64, 2, 10, 100, 1_000_000])), 0..16),
        scores in prop::array::uniform3(prop::option::of(0_f32..=1.0)),
    ) {
        let drafts = drafts.into_iter().enumerate().map(|(at, (model, is_bad, shadow, at_most_one_in))| {
            let model = ["m0", "m1", "m2", "m0"][model];
            let class = if is_bad { CLASS } else { "other" };
            ScoreRuleDraft { at_most_one_in, shadow, ..rule(&format!("r{at}"), model, class) }
        });
        let policy = rules(drafts.collect());
        let (mut after, mut said) = (decided(before, shadow_before), said(&policy, scores));
        apply(&mut after, policy.scores(), &mut said, &Thresholds::default());
        // The verdict is unchanged, or REVIEW if it was below.
        prop_assert_eq!(after.verdict, if after.by_score { Verdict::Review } else { before });
        prop_assert!(!after.by_score || before < Verdict::Review);
        prop_assert_eq!(after.by_score, said.uses().any(|used| used.is_review));
        // The named rule does not count in shadow, and its model is not in shadow.
        let named = policy.scores().iter().find(|rule| rule.name() == &*after.rule);
        prop_assert_eq!(named.is_some(), after.by_score);
        prop_assert!(named.is_none_or(|rule| !rule.is_shadow() && rule.model().as_str() != "m2"));
        if let Some(shadow) = after.shadow_verdict {
            let base = shadow_before.unwrap_or(before);
            prop_assert!(shadow == base || (shadow == Verdict::Review && base < Verdict::Review));
        } else {
            prop_assert!(shadow_before.is_none());
        }
        // A trial decides equally, and applying the rules twice changes nothing.
        let mut tried = decided(before, shadow_before);
        try_out(&mut tried, policy.scores(), &said, &Thresholds::default());
        prop_assert_eq!(&tried, &after);
        let mut twice = Decided { by_score: false, ..after.clone() };
        try_out(&mut twice, policy.scores(), &said, &Thresholds::default());
        prop_assert_eq!(twice.verdict, after.verdict);
    }
}
