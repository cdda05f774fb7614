//! Opinions of members, and their effect: an item of a bank that requires confirmations matches for others
//! when a second member has a positive opinion. Also the policies that members set.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use vigie_consortium::{Policy, PolicyDraft, VerdictRuleDraft};
use vigie_model::{Decided, ItemId, MemberId, OpinionKind, Sequence, SetDigest, Standing, Verdict};

use crate::members::material::{CONFIRMATIONS_MIN, OWNERS};
use crate::members::sent::Sent;

/// An opinion, or its withdrawal.
#[derive(Debug, Clone, Copy)]
struct Opinion {
    member: usize,
    kind: Option<OpinionKind>,
    sent: Sent,
}

/// All opinions on one item; those of each member are in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Opinions(Vec<Opinion>);

impl Opinions {
    pub(super) fn send(&mut self, member: usize, kind: Option<OpinionKind>, now: Duration) {
        self.0.push(Opinion { member, kind, sent: Sent::now(now) });
    }

    /// Records the result of a member's last opinion: its sequence, or that it was refused.
    pub(super) fn end(&mut self, member: usize, now: Duration, sequence: Option<Sequence>) {
        let Some(last) = self.0.iter().rposition(|one| one.member == member) else { return };
        match sequence {
            Some(sequence) => self.0[last].sent.done = Some((now, sequence)),
            None => drop(self.0.remove(last)),
        }
    }

    pub(super) fn sent(&self) -> impl Iterator<Item = Sent> {
        self.0.iter().map(|one| one.sent)
    }

    /// Returns whether an answer as of `sequence`, which arrived at `answered`, leaves out an item of a bank
    /// for a member because no other member has confirmed it. `None`: it may or may not.
    pub(super) fn is_unconfirmed_in(
        &self,
        bank: usize,
        asking: usize,
        sequence: Sequence,
        answered: Duration,
    ) -> Option<bool> {
        if CONFIRMATIONS_MIN[bank] < 2 || OWNERS[bank] == asking {
            return Some(false);
        }
        let mut unconfirmed = Some(true);
        for member in (0..OWNERS.len()).filter(|member| *member != OWNERS[bank]) {
            let mut positive = Some(false);
            for one in self.0.iter().filter(|one| one.member == member) {
                let is_positive = one.kind == Some(OpinionKind::Positive);
                match one.sent.is_in(sequence, answered) {
                    Some(true) => positive = Some(is_positive),
                    Some(false) => break,
                    None if positive == Some(is_positive) => {}
                    None => positive = None,
                }
            }
            match positive {
                Some(true) => return Some(false),
                Some(false) => {}
                None => unconfirmed = None,
            }
        }
        unconfirmed
    }

    /// Returns the digest of the item's standing at the end.
    pub(super) fn digest(&self, item: ItemId, bank: usize, ids: &[MemberId]) -> SetDigest {
        let mut newest: BTreeMap<MemberId, OpinionKind> = BTreeMap::new();
        for one in &self.0 {
            match one.kind {
                Some(kind) => drop(newest.insert(ids[one.member], kind)),
                None => drop(newest.remove(&ids[one.member])),
            }
        }
        let confirming = newest.values().filter(|kind| **kind == OpinionKind::Positive).count();
        let probation = confirming + 1 < CONFIRMATIONS_MIN[bank];
        if newest.is_empty() && !probation {
            return SetDigest::EMPTY;
        }
        let (contributors, opinions) = ([ids[OWNERS[bank]]].into(), newest.into_iter().collect());
        SetDigest::of_standing(item, &Standing { probation, contributors, opinions, ..Standing::default() })
    }
}

/// The verdicts on a match; a policy's version selects one of them.
const VERDICTS: [Verdict; 4] = [Verdict::Block, Verdict::Log, Verdict::Review, Verdict::Escalate];

/// Returns the verdict of a policy's version on a query with a match.
const fn verdict(version: u32) -> Verdict {
    VERDICTS[version as usize % VERDICTS.len()]
}

/// Returns the policy that a member sets as this version.
pub(super) fn policy(version: u32) -> anyhow::Result<Policy> {
    let rule = VerdictRuleDraft {
        name: format!("version-{version}"),
        condition: "matches.size() > 0".to_owned(),
        verdict: verdict(version),
        shadow: false,
    };
    Ok(Policy::try_from(PolicyDraft { rules: vec![rule], ..PolicyDraft::default() })?)
}

/// Checks a decision against the version of the policy that decided, `None` for no policy, and against the
/// number of matches.
pub(super) fn check(decision: Option<&Decided>, version: Option<u32>, matches: usize) -> anyhow::Result<()> {
    let (decided, version) = match (decision, version) {
        (None, None) => return Ok(()),
        (Some(decided), Some(version)) => (decided, version),
        (decided, version) => {
            anyhow::bail!("VERDICT: {decided:?}, and the policy is version {version:?}")
        }
    };
    ensure!(
        decided.policy_version == version,
        "POLICY: version {} decided, and {version} was set",
        decided.policy_version
    );
    if decided.failure.is_some() {
        ensure!(decided.verdict >= Verdict::Review, "LET THROUGH: {decided:?} of {matches} matches");
        return Ok(());
    }
    let expected = if matches == 0 { Verdict::Allow } else { verdict(version) };
    ensure!(decided.verdict == expected, "VERDICT: {decided:?} of {matches} matches, not {expected:?}");
    Ok(())
}
