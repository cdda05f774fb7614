//! The first two layers: bank rules drop matches, and allow-list banks suppress matches of other banks.

use std::collections::{BTreeSet, HashMap};

use vigie_consortium::{BankRef, BankRule};

use crate::facts::{MatchFacts, QueryFacts};

/// The bank rules of a policy, with lookup by every name of a bank.
#[derive(Debug, Default)]
pub(crate) struct BankRules {
    rules: Box<[BankRule]>,
    by_ref: HashMap<BankRef, usize>,
    by_text: HashMap<Box<str>, usize>,
}

/// The effect of the bank rules on a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The match counts.
    Counts,
    /// The match counts only for the shadow verdict.
    Shadow,
    /// The match does not count, for this reason.
    Dropped(&'static str),
}

/// The matches that count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Indices of the matches, the nearest first.
    pub(crate) indices: Vec<usize>,
    /// Indices of the matches that an allow-list bank suppressed.
    pub(crate) suppressed: Vec<usize>,
}

impl BankRules {
    pub(crate) fn new(rules: &[BankRule]) -> Self {
        let numbered = || rules.iter().enumerate();
        Self {
            by_ref: numbered().map(|(index, rule)| (rule.bank.clone(), index)).collect(),
            by_text: numbered().map(|(index, rule)| (rule.bank.to_string().into(), index)).collect(),
            rules: rules.into(),
        }
    }

    /// Returns the effect of the rules on a match: the first reason of any rule that names its bank, by
    /// whichever name.
    pub(crate) fn standing(&self, facts: &MatchFacts, query: &QueryFacts) -> Standing {
        let mut is_shadow = facts.shadow;
        if !self.rules.is_empty() {
            let named = [
                self.by_ref.get(&facts.bank_ref),
                self.by_text.get(&facts.bank),
                self.by_text.get(&facts.alias),
            ];
            for rule in named.into_iter().flatten().filter_map(|index| self.rules.get(*index)) {
                if let Some(reason) = dropped(rule, facts, query) {
                    return Standing::Dropped(reason);
                }
                is_shadow |= rule.shadow;
            }
        }
        if is_shadow { Standing::Shadow } else { Standing::Counts }
    }
}

/// Returns the matches that count, with or without those in shadow.
pub(crate) fn counted(matches: &[MatchFacts], standings: &[Standing], with_shadow: bool) -> Counted {
    let is_present = |standing: &Standing| match standing {
        Standing::Counts => true,
        Standing::Shadow => with_shadow,
        Standing::Dropped(_) => false,
    };
    let present = || {
        let all = matches.iter().zip(standings).enumerate();
        all.filter(|(_, (_, standing))| is_present(standing)).map(|(index, (facts, _))| (index, facts))
    };
    let taken: BTreeSet<u32> = present().flat_map(|(_, facts)| facts.suppresses.iter().copied()).collect();
    let ordinary = present().filter(|(_, facts)| facts.suppresses.is_empty());
    let (suppressed, mut kept): (Vec<_>, Vec<_>) =
        ordinary.partition(|(_, facts)| taken.contains(&facts.bank_id));
    kept.sort_by_key(|(_, facts)| facts.nearness());
    let indices = |found: Vec<(usize, &MatchFacts)>| found.into_iter().map(|(index, _)| index).collect();
    Counted { indices: indices(kept), suppressed: indices(suppressed) }
}

fn dropped(rule: &BankRule, facts: &MatchFacts, query: &QueryFacts) -> Option<&'static str> {
    if rule.ignored {
        return Some("the bank is ignored");
    }
    // The distance of a bank rule is in bits, so it does not apply to vectors.
    if facts.is_in_bits && rule.max_distance.is_some_and(|max| facts.distance > max.into()) {
        return Some("it is too far");
    }
    if facts.positives < rule.positives_min {
        return Some("it has too few positive opinions");
    }
    if rule.ignore_disputed && facts.disputed {
        return Some("it is disputed");
    }
    (!rule.ratio.takes_part(drawn(query.digest, &facts.bank)))
        .then_some("the query is not in the bank's share")
}

/// Returns a number from 0.0 (included) to 1.0 (not included) for a query and a bank: FNV-1a of the bank's
/// name, and the finalizer of SplitMix64 over it and the digest. The result is deterministic, so that equal
/// pictures get equal decisions everywhere. It is not secret.
pub(crate) fn drawn(digest: u64, bank: &str) -> f64 {
    let named = bank.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = digest.wrapping_add(named).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mixed = mixed ^ (mixed >> 31);
    // Uses 53 bits, which a double represents exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}
