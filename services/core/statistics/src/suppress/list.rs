//! Suppression in a list of parts whose sum is known: banks, classes, verdicts.

use std::collections::{BTreeMap, BTreeSet};

use vigie_model::MemberId;

use super::rule::{Cell, Rule};

/// The contribution of each member to one part; the key `None` is for counts that belong to no member.
pub type Contributions = BTreeMap<Option<MemberId>, u64>;

/// Suppresses the small parts of a total, and further parts from which they could be computed.
///
/// The total is the sum of the parts as [`super::suppress_table`] shows it. If it is suppressed, all parts
/// are, because they could be added up. A part is shown only if enough members contribute to it.
#[must_use]
pub fn suppress_list(parts: &[Contributions], total: Cell, rule: Rule) -> Vec<Cell> {
    if total.is_suppressed() {
        return vec![Cell::Suppressed; parts.len()];
    }
    let sum = |part: &Contributions| part.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let is_small = |part: &Contributions| {
        let members = part.iter().filter(|(member, count)| member.is_some() && **count > 0).count();
        sum(part) < rule.threshold || members < rule.members_min
    };
    let mut suppressed: BTreeSet<usize> = (0..parts.len()).filter(|part| is_small(&parts[*part])).collect();
    if !suppressed.is_empty() {
        let members: BTreeSet<MemberId> =
            parts.iter().flat_map(|part| part.keys().flatten()).copied().collect();
        let mut others: Vec<usize> = (0..parts.len()).filter(|part| !suppressed.contains(part)).collect();
        others.sort_by_key(|part| std::cmp::Reverse(sum(&parts[*part])));
        // The smallest shown part is suppressed first.
        while !is_protected(parts, &suppressed, &members, rule) {
            let Some(smallest) = others.pop() else { break };
            suppressed.insert(smallest);
        }
    }
    let cell = |(at, part)| if suppressed.contains(&at) { Cell::Suppressed } else { Cell::Shown(sum(part)) };
    parts.iter().enumerate().map(cell).collect()
}

/// Checks whether the sum of the suppressed parts, without any one member's own contribution, can be
/// distributed in enough ways.
fn is_protected(
    parts: &[Contributions],
    suppressed: &BTreeSet<usize>,
    members: &BTreeSet<MemberId>,
    rule: Rule,
) -> bool {
    let known = |reader: Option<MemberId>| {
        let others = |part: &usize| {
            let others = parts[*part].iter().filter(|(member, _)| reader.is_none() || **member != reader);
            others.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
        };
        suppressed.iter().map(others).fold(0_u64, u64::saturating_add)
    };
    let readers = members.iter().map(|member| Some(*member)).chain([None]);
    suppressed.len() >= 2 && readers.into_iter().all(|reader| known(reader) + 1 >= rule.threshold)
}
