//! Score rules: verdicts before and after, and the lines of a trace.

use proptest::prelude::*;
use vigie_consortium::{Policy, PolicyDraft, ScoreRule, ScoreRuleDraft};
use vigie_model::{Decided, Verdict};

use crate::facts::{NoScore, ScoreFacts};
use crate::scores::{apply_scores, try_scores};

const VERDICTS: [Verdict; 5] =
    [Verdict::Allow, Verdict::Log, Verdict::Review, Verdict::Block, Verdict::Escalate];

fn decided(verdict: Verdict, shadow_verdict: Option<Verdict>) -> Decided {
    Decided {
        verdict,
        rule: "earlier".into(),
        policy_version: 1,
        shadow_verdict,
        failure: None,
        suppressed: 0,
        by_score: false,
        id: None,
    }
}

/// Returns rules named `r0`, `r1` and so on, each about a model of its own; `true` for one in shadow.
fn rules(shadows: &[bool]) -> Policy {
    let draft = |(at, shadow): (usize, &bool)| ScoreRuleDraft {
        name: format!("r{at}"),
        model: format!("m{at}"),
        class: "bad".to_owned(),
        at_most_one_in: 0,
        shadow: *shadow,
    };
    let scores = shadows.iter().enumerate().map(draft).collect();
    Policy::try_from(PolicyDraft { scores, ..PolicyDraft::default() }).unwrap()
}

fn number(rule: &ScoreRule) -> usize {
    rule.name()[1..].parse().unwrap()
}

#[test]
fn each_rule_has_a_line_that_says_what_it_found() {
    let policy = rules(&[false, false, false, true, false]);
    let facts = |score, threshold| Ok(ScoreFacts { score, threshold, in_shadow: false });
    let seen = [
        Err(NoScore::Missing),
        facts(0.5, None),
        facts(0.25, Some(0.5)),
        facts(0.75, Some(0.5)),
        facts(0.5, Some(0.5)),
    ];
    let mut decided = decided(Verdict::Log, None);
    let lines = try_scores(&mut decided, policy.scores(), |rule| seen[number(rule)]);
    assert_eq!(
        lines,
        [
            "score rule r0: not compared, m0/bad: there is no score",
            "score rule r1: not compared, m1/bad: there is no threshold",
            "score rule r2: m2/bad 0.25 is below 0.5",
            "score rule r3: m3/bad 0.75 is at least 0.5, REVIEW, in shadow",
            "score rule r4: m4/bad 0.5 is at least 0.5, REVIEW",
        ]
    );
    assert_eq!((decided.verdict, &*decided.rule, decided.by_score), (Verdict::Review, "r4", true));
    assert_eq!(decided.shadow_verdict, Some(Verdict::Review));
}

prop_compose! {
    fn any_facts()(score in 0.0_f32..=1.0, threshold in prop::option::of(0.0_f32..=1.0), in_shadow: bool) -> ScoreFacts {
        ScoreFacts { score, threshold, in_shadow }
    }
}

proptest! {
    /// A verdict stays as it was, or it was below REVIEW and is REVIEW by the first rule that holds and is
    /// not in shadow; the trace changes nothing.
    #[test]
    fn scores_ask_for_a_review_and_for_nothing_else(
        rows in prop::collection::vec((any::<bool>(), prop::option::of(any_facts())), 0..6),
        verdict in 0_usize..5,
        shadow in prop::option::of(0_usize..5),
    ) {
        let policy = rules(&rows.iter().map(|(shadow, _)| *shadow).collect::<Vec<_>>());
        let before = decided(VERDICTS[verdict], shadow.map(|at| VERDICTS[at]));
        let facts = |rule: &ScoreRule| rows[number(rule)].1.ok_or(NoScore::Missing);
        let (mut after, mut tried) = (before.clone(), before.clone());
        let by = apply_scores(&mut after, policy.scores(), facts).map(|rule| rule.name().to_owned());
        let lines = try_scores(&mut tried, policy.scores(), facts);
        prop_assert_eq!((&tried, lines.len()), (&after, rows.len()));

        let holds = |(shadow, facts): &(bool, Option<ScoreFacts>)| {
            let facts = (*facts)?;
            (facts.score >= facts.threshold?).then_some(*shadow || facts.in_shadow)
        };
        let first = rows.iter().position(|row| holds(row) == Some(false));
        let expected = first.filter(|_| before.verdict < Verdict::Review);
        prop_assert_eq!(&by, &expected.map(|at| format!("r{at}")));
        match &by {
            Some(name) => prop_assert_eq!((after.verdict, &*after.rule, after.by_score), (Verdict::Review, &**name, true)),
            None => prop_assert_eq!((after.verdict, &*after.rule, after.by_score), (before.verdict, "earlier", false)),
        }
        let any = rows.iter().any(|row| holds(row).is_some());
        let is_in_shadow = before.shadow_verdict.is_some()
            || rows.iter().any(|(shadow, facts)| *shadow || facts.is_some_and(|facts| facts.in_shadow));
        let was = before.shadow_verdict.unwrap_or(before.verdict);
        let expected = if any { was.max(Verdict::Review) } else { was };
        prop_assert_eq!(after.shadow_verdict, is_in_shadow.then_some(expected));
    }
}
