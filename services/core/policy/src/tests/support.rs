//! Builders of facts and policies, and a number generator.

use std::sync::Arc;

use vigie_consortium::{BankRef, BankRule, Policy, PolicyDraft, Verdict, VerdictRuleDraft};

use crate::{CompileError, CompiledPolicy, MatchFacts, QueryFacts};

/// SplitMix64: reproducible numbers from a seed.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn small(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(end.into())).unwrap()
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

pub(super) const BANKS: [&str; 5] = ["acme/known", "acme/other", "ncmec/list", "iwf/list", "good/allowed"];

pub(super) fn bank(name: &str) -> BankRef {
    name.parse().unwrap()
}

pub(super) fn found(bank_name: &str, distance: u32) -> MatchFacts {
    let id = BANKS.iter().position(|name| *name == bank_name).unwrap();
    MatchFacts::of(bank(bank_name), u32::try_from(id).unwrap(), distance)
}

pub(super) fn random_match(numbers: &mut Numbers) -> MatchFacts {
    let texts = |numbers: &mut Numbers, of: &[&str]| -> Vec<Box<str>> {
        (0..numbers.below(4)).map(|_| numbers.pick(of).into()).collect()
    };
    let bank = numbers.pick(&BANKS);
    let mut facts = found(bank, numbers.small(32));
    facts.alias = numbers.pick(&["", "main", "second"]).into();
    facts.hash_type = numbers.pick(&["pdq", "md5"]);
    facts.variant = numbers.pick(&["", "mirrored", "rotated90"]).into();
    facts.labels = texts(numbers, &["propaganda", "flag", "ümläut", "x"]);
    facts.classification = texts(numbers, &["A1", "A2", "B1", "B2"]);
    facts.age_days = if numbers.one_in(20) { u64::MAX } else { numbers.below(1_000) };
    facts.positives = numbers.small(4);
    facts.negatives = numbers.small(3);
    facts.seen = numbers.small(5);
    facts.disputed = facts.positives > 0 && facts.negatives > 0;
    facts.mine = numbers.pick(&["", "positive", "negative", "seen"]);
    if numbers.one_in(4) {
        (facts.is_in_bits, facts.hash_type) = (false, "clip");
        facts.distance = numbers.small(40_000);
    }
    facts.query_share = numbers.small(101);
    facts.item_share = numbers.small(101);
    facts.held = numbers.one_in(8);
    facts.probation = numbers.one_in(8);
    facts.contributors = numbers.small(3) + 1;
    facts.shadow = numbers.one_in(10);
    if bank == "good/allowed" && numbers.one_in(2) {
        facts.suppresses = Arc::from([numbers.small(3)]);
    }
    facts
}

pub(super) fn random_matches(numbers: &mut Numbers) -> Vec<MatchFacts> {
    let count = if numbers.one_in(12) { numbers.below(150) } else { numbers.below(9) };
    (0..count).map(|_| random_match(numbers)).collect()
}

pub(super) fn random_query(numbers: &mut Numbers) -> QueryFacts {
    QueryFacts {
        quality: (!numbers.one_in(3)).then(|| numbers.small(101)),
        kind: numbers.pick(&["image", "video", "hashes"]),
        surface: numbers.pick(&["", "avatar", "message"]).into(),
        size: numbers.below(1 << 40),
        digest: numbers.next(),
        is_cut: numbers.one_in(16),
    }
}

pub(super) fn random_bank_rules(numbers: &mut Numbers) -> Vec<BankRule> {
    let mut rules = Vec::new();
    for name in BANKS.iter().copied().chain(["main", "second"]) {
        if numbers.one_in(3) {
            let mut rule = BankRule::of(bank(name));
            rule.ignored = numbers.one_in(8);
            rule.max_distance = numbers.one_in(3).then(|| u16::try_from(numbers.below(32)).unwrap());
            rule.positives_min = if numbers.one_in(3) { numbers.small(4) } else { 0 };
            rule.ignore_disputed = numbers.one_in(4);
            if numbers.one_in(4) {
                rule.ratio = (f64::from(numbers.small(11)) / 10.0).try_into().unwrap();
            }
            rule.shadow = numbers.one_in(6);
            rules.push(rule);
        }
    }
    rules
}

/// Returns a policy of bank rules and of conditions with their verdicts. A rule whose name begins with
/// "shadow" is in shadow.
pub(super) fn policy(banks: Vec<BankRule>, rules: &[(&str, &str, Verdict)]) -> Policy {
    let rules = rules.iter().map(|(name, condition, verdict)| VerdictRuleDraft {
        name: (*name).to_owned(),
        condition: (*condition).to_owned(),
        verdict: *verdict,
        shadow: name.starts_with("shadow"),
    });
    PolicyDraft { banks, rules: rules.collect(), scores: Vec::new() }.try_into().unwrap()
}

pub(super) fn compiled(rules: &[(&str, &str, Verdict)]) -> CompiledPolicy {
    CompiledPolicy::compile(&policy(vec![], rules)).unwrap()
}

/// Compiles a policy of one rule.
pub(super) fn compile(condition: &str) -> Result<CompiledPolicy, CompileError> {
    CompiledPolicy::compile(&policy(vec![], &[("only", condition, Verdict::Block)]))
}
