//! The history of changes and their acknowledgements, and the check of answers against it.
//!
//! Every change of the directory and every item is recorded with the time at which it was sent, and the time
//! and the sequence of its acknowledgement. An answer names the state of the directory that decided it, and
//! the sequence of its items. So the banks that it may come from are known, and for each of their items it is
//! known whether the answer must, may or must not contain it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use vigie_clients::{Code, MatchAnswer};
use vigie_consortium::MemberState;
use vigie_model::{ItemId, MemberId, OpinionKind, Sequence, SetDigest, UnixMillis};

use crate::members::material::{Material, OWNERS};
use crate::members::sent::Sent;
use crate::members::words::{self, Opinions};

/// The maximal age of a directory.
pub(super) const AGE_MAX: Duration = Duration::from_secs(5);

/// A change of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// A bank is shared with a member, until a moment or without end.
    Granted {
        bank: usize,
        with: usize,
        until: Option<UnixMillis>,
    },
    /// The grant is revoked.
    Revoked {
        bank: usize,
        with: usize,
    },
    State {
        member: usize,
        state: MemberState,
    },
    /// A member's principal is created or revoked.
    Principal {
        id: u64,
        is_living: bool,
    },
    /// A member sets this version of its policy.
    Policy {
        member: usize,
        version: u32,
    },
}

/// An item with one hash.
#[derive(Debug, Clone)]
pub(super) struct Banked {
    pub(super) bank: usize,
    pub(super) hash: usize,
    /// The id from the bank; `None` while the addition is under way.
    pub(super) item: Option<ItemId>,
    added: Sent,
    removed: Option<Sent>,
    /// The item's holds and lifts, in alternation.
    holds: Vec<Sent>,
    opinions: Opinions,
}

impl Banked {
    /// Returns whether the item is held at the end.
    pub(super) const fn is_held(&self) -> bool {
        self.holds.len() % 2 == 1
    }

    /// Returns the digest of the opinions on the item at the end.
    pub(super) fn standing(&self, item: ItemId, ids: &[MemberId]) -> SetDigest {
        self.opinions.digest(item, self.bank, ids)
    }

    /// Returns whether an answer as of `sequence`, which arrived at `answered`, shows the item to a member
    /// that may search its bank. `None`: it may or may not.
    fn is_shown_in(&self, asking: usize, sequence: Sequence, answered: Duration) -> Option<bool> {
        let held = self.is_held_in(sequence, answered);
        match (held, self.opinions.is_unconfirmed_in(self.bank, asking, sequence, answered)) {
            (Some(true), _) | (_, Some(true)) => Some(false),
            (Some(false), Some(false)) => Some(true),
            (_, _) => None,
        }
    }

    /// Returns whether an answer as of `sequence`, which arrived at `answered`, leaves the item out as held.
    /// `None`: it may or may not.
    fn is_held_in(&self, sequence: Sequence, answered: Duration) -> Option<bool> {
        let mut held = Some(false);
        for (at, sent) in self.holds.iter().enumerate() {
            match sent.is_in(sequence, answered) {
                Some(true) => held = Some(at % 2 == 0),
                Some(false) => break,
                None => held = None,
            }
        }
        held
    }
}

/// A query of a member.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) member: usize,
    pub(super) principal: u64,
    pub(super) hash: usize,
    /// The only bank that it names, if it names one.
    pub(super) bank: Option<usize>,
    pub(super) min_sequence: Sequence,
    /// Start and end of the call, and the time of the frontends' clocks at both.
    pub(super) during: (Duration, Duration),
    pub(super) clock: (UnixMillis, UnixMillis),
}

/// The outcome of a query.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(MatchAnswer),
    /// The caller's rights were not sufficient.
    Denied(Code),
}

/// Whether a bank is visible to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visible {
    Yes,
    No,
    /// Its grant expired during the call.
    Maybe,
}

/// All changes, items and queries of a run.
#[derive(Debug, Default)]
pub(super) struct History {
    changes: Vec<(Sent, Change)>,
    items: Vec<Banked>,
    asked: Vec<(Asked, Outcome)>,
}

impl History {
    /// Records a change that is sent now; returns its number.
    pub(super) fn send(&mut self, now: Duration, change: Change) -> usize {
        self.changes.push((Sent::now(now), change));
        self.changes.len() - 1
    }

    /// Records that a change was acknowledged.
    pub(super) fn acknowledge(&mut self, change: usize, now: Duration, sequence: Sequence) {
        self.changes[change].0.done = Some((now, sequence));
    }

    /// Records an item that is sent now; returns its number.
    pub(super) fn add(&mut self, now: Duration, bank: usize, hash: usize) -> usize {
        let (added, opinions) = (Sent::now(now), Opinions::default());
        self.items.push(Banked { bank, hash, item: None, added, removed: None, holds: Vec::new(), opinions });
        self.items.len() - 1
    }

    pub(super) fn added(&mut self, at: usize, item: ItemId, now: Duration, sequence: Sequence) {
        self.items[at].item = Some(item);
        self.items[at].added.done = Some((now, sequence));
    }

    pub(super) fn remove(&mut self, at: usize, now: Duration) -> Option<ItemId> {
        self.items[at].removed = Some(Sent::now(now));
        self.items[at].item
    }

    pub(super) fn removed(&mut self, at: usize, now: Duration, sequence: Sequence) {
        self.items[at].removed =
            self.items[at].removed.map(|sent| Sent { done: Some((now, sequence)), ..sent });
    }

    /// Records that a hold of an item is sent, or its lifting, in alternation; returns the item, and whether
    /// it is to be held.
    pub(super) fn hold(&mut self, at: usize, now: Duration) -> Option<(ItemId, bool)> {
        let item = self.items[at].item?;
        self.items[at].holds.push(Sent::now(now));
        Some((item, self.items[at].is_held()))
    }

    pub(super) fn held(&mut self, at: usize, now: Duration, sequence: Sequence) {
        if let Some(last) = self.items[at].holds.last_mut() {
            last.done = Some((now, sequence));
        }
    }

    /// Returns live items in banks of other members. Whether their banks are shared with this member is not
    /// checked.
    pub(super) fn of_others(&self, member: usize) -> Vec<usize> {
        let is_there = |item: &Banked| item.item.is_some() && item.removed.is_none();
        let all = self.items.iter().enumerate();
        all.filter(|(_, item)| OWNERS[item.bank] != member && is_there(item)).map(|(at, _)| at).collect()
    }

    /// Records an opinion of a member on an item, or its withdrawal, and returns the item.
    pub(super) fn say(
        &mut self,
        at: usize,
        member: usize,
        kind: Option<OpinionKind>,
        now: Duration,
    ) -> Option<ItemId> {
        let item = self.items[at].item?;
        self.items[at].opinions.send(member, kind, now);
        Some(item)
    }

    /// Records the result of a member's last opinion on an item: its sequence, or that it was refused.
    pub(super) fn said(&mut self, at: usize, member: usize, now: Duration, sequence: Option<Sequence>) {
        self.items[at].opinions.end(member, now, sequence);
    }

    pub(super) fn ask(&mut self, asked: Asked, outcome: Outcome) {
        self.asked.push((asked, outcome));
    }

    /// Returns the highest acknowledged sequence.
    pub(super) fn newest(&self) -> Sequence {
        let changes = self.changes.iter().map(|(sent, _)| *sent);
        let of = |item: &Banked| [Some(item.added), item.removed, item.holds.last().copied()];
        let items = self.items.iter().flat_map(of).flatten();
        let words = self.items.iter().flat_map(|item| item.opinions.sent());
        changes
            .chain(items)
            .chain(words)
            .filter_map(|sent| sent.done)
            .map(|(_, at)| at)
            .max()
            .unwrap_or(Sequence::ZERO)
    }

    /// Returns the sequence of the newest change of the directory.
    pub(super) fn newest_change(&self) -> Sequence {
        let done = self.changes.iter().filter_map(|(sent, _)| sent.done);
        done.map(|(_, at)| at).max().unwrap_or(Sequence::ZERO)
    }

    pub(super) fn living(&self) -> impl Iterator<Item = &Banked> {
        self.items.iter().filter(|item| item.removed.is_none())
    }

    /// Returns the numbers of items, removals, opinions, and changes of the directory.
    pub(super) fn counts(&self) -> (usize, usize, usize, usize) {
        let removed = self.items.iter().filter(|item| item.removed.is_some()).count();
        let words = self.items.iter().map(|item| item.opinions.sent().count()).sum();
        (self.items.len(), removed, words, self.changes.len())
    }

    /// Checks every answer and refusal against the history. Called when nothing is under way.
    pub(super) fn check(&self, material: &Material) -> anyhow::Result<()> {
        for (asked, outcome) in &self.asked {
            let checked = match outcome {
                Outcome::Answered(answer) => self.check_answer(material, asked, answer),
                Outcome::Denied(code) => self.check_denied(asked, *code),
            };
            checked.with_context(|| format!("{asked:?}"))?;
        }
        Ok(())
    }

    /// Returns the grant of a bank to a member as of a state of the directory, as its end; `None` without a
    /// grant.
    pub(super) fn grant(&self, bank: usize, with: usize, directory: Sequence) -> Option<Option<UnixMillis>> {
        let last = self.last(directory, |change| match change {
            Change::Granted { bank: of, with: to, until } => {
                ((of, to) == (bank, with)).then_some(Some(until))
            }
            Change::Revoked { bank: of, with: to } => ((of, to) == (bank, with)).then_some(None),
            Change::State { .. } | Change::Principal { .. } | Change::Policy { .. } => None,
        });
        last.flatten()
    }

    pub(super) fn check_answer(
        &self,
        material: &Material,
        asked: &Asked,
        answer: &MatchAnswer,
    ) -> anyhow::Result<()> {
        let (directory, sequence) = (answer.directory, answer.coverage.sequence_min);
        let due = self.due(asked.during.0);
        ensure!(
            directory >= due,
            "OLD DIRECTORY: decided as of {directory}, and {due} was acknowledged {AGE_MAX:?} before"
        );
        let is_living = self.is_living(asked.principal, directory);
        ensure!(is_living, "REVOKED: principal {} is none as of {directory}", asked.principal);
        let state = self.state(asked.member, directory);
        ensure!(state == MemberState::Active, "the member is {state} as of {directory}");
        ensure!(answer.coverage.is_full(), "INCOMPLETE: {:?} was not asked for", answer.coverage);
        ensure!(sequence >= asked.min_sequence, "STALE: as of {sequence}");

        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        let matched = answer.results.first().context("the answer is empty")?.as_ref();
        let matched = matched.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
        for one in &matched.found.matches {
            *found.entry(one.bank_name.to_string()).or_default() += 1;
        }
        let version = self.policy(asked.member, directory);
        words::check(matched.decision.as_ref(), version, matched.found.matches.len())?;
        let (mut searched_min, mut searched_max) = (0, 0);
        for bank in 0..OWNERS.len() {
            let visible = match asked.bank {
                Some(named) if named != bank => Visible::No,
                Some(_) | None => self.visible(asked, bank, directory),
            };
            let name = material.name_for(asked.member, bank);
            let has = found.remove(&name.to_string()).unwrap_or_default();
            if visible == Visible::No {
                ensure!(has == 0, "LEAK: {has} items of {name}, which is not visible as of {directory}");
                continue;
            }
            let may_be_none = visible == Visible::Maybe;
            let floor = |count: u64| if may_be_none { 0 } else { count };
            let of_hash = |item: &&Banked| item.hash == asked.hash;
            let shown = |item: &Banked| item.is_shown_in(asked.member, sequence, asked.during.1);
            let (min, max) = self.bounds(bank, sequence, asked.during.1, of_hash, shown);
            ensure!(
                (floor(min)..=max).contains(&has),
                "WRONG: {has} items of {name}, and there are {min} to {max} as of {sequence}"
            );
            let hash_type = material.hash_type(asked.hash);
            let of_type = |item: &&Banked| material.hash_type(item.hash) == hash_type;
            // Hashes of held and of unconfirmed items are searched, and left out of the answer.
            let (min, max) = self.bounds(bank, sequence, asked.during.1, of_type, |_| Some(true));
            searched_min += floor(min);
            searched_max += max;
        }
        ensure!(found.is_empty(), "LEAK: banks that nobody knows: {found:?}");
        let searched = answer.coverage.hashes_searched;
        ensure!(
            (searched_min..=searched_max).contains(&searched),
            "COVERAGE: {searched} hashes were searched, and the visible banks have {searched_min} to {searched_max}"
        );
        Ok(())
    }

    /// Checks that a refusal follows from a state of the directory by which the call may have been decided.
    fn check_denied(&self, asked: &Asked, code: Code) -> anyhow::Result<()> {
        let states = self.states(asked.during);
        let is_explained = |directory: Sequence| {
            if code == Code::Unauthenticated {
                !self.is_living(asked.principal, directory)
            } else if code == Code::PermissionDenied {
                self.state(asked.member, directory) != MemberState::Active
            } else {
                let is_named = matches!(code, Code::NotFound | Code::FailedPrecondition);
                let named = asked.bank.filter(|_| is_named);
                named.is_some_and(|bank| self.visible(asked, bank, directory) != Visible::Yes)
            }
        };
        ensure!(
            states.iter().any(|state| is_explained(*state)),
            "refused with {code:?} by none of {states:?}"
        );
        Ok(())
    }

    /// Returns the states of the directory by which a call may have been decided.
    fn states(&self, (begun, ended): (Duration, Duration)) -> Vec<Sequence> {
        let recent = self.changes.iter().filter_map(|(sent, _)| Some((sent.at, sent.done?)));
        let recent = recent.filter(|(at, (done, _))| *at <= ended && *done + AGE_MAX >= begun);
        std::iter::once(self.due(begun)).chain(recent.map(|(_, (_, sequence))| sequence)).collect()
    }

    /// Returns the oldest state by which a call that began at `begun` may be decided.
    fn due(&self, begun: Duration) -> Sequence {
        let done = self.changes.iter().filter_map(|(sent, _)| sent.done);
        let due = done.filter(|(at, _)| *at + AGE_MAX < begun).map(|(_, sequence)| sequence);
        due.max().unwrap_or(Sequence::ZERO)
    }

    fn visible(&self, asked: &Asked, bank: usize, directory: Sequence) -> Visible {
        if self.state(OWNERS[bank], directory) == MemberState::Quarantined {
            return Visible::No;
        }
        if OWNERS[bank] == asked.member {
            return Visible::Yes;
        }
        match self.grant(bank, asked.member, directory) {
            None => Visible::No,
            Some(Some(until)) if asked.clock.0 >= until => Visible::No,
            Some(Some(until)) if asked.clock.1 >= until => Visible::Maybe,
            Some(_) => Visible::Yes,
        }
    }

    fn state(&self, member: usize, directory: Sequence) -> MemberState {
        let last = self.last(directory, |change| match change {
            Change::State { member: of, state } => (of == member).then_some(state),
            Change::Granted { .. }
            | Change::Revoked { .. }
            | Change::Principal { .. }
            | Change::Policy { .. } => None,
        });
        last.unwrap_or(MemberState::Active)
    }

    /// Returns the version of a member's policy as of a state of the directory.
    fn policy(&self, member: usize, directory: Sequence) -> Option<u32> {
        self.last(directory, |change| match change {
            Change::Policy { member: of, version } => (of == member).then_some(version),
            Change::Granted { .. }
            | Change::Revoked { .. }
            | Change::Principal { .. }
            | Change::State { .. } => None,
        })
    }

    fn is_living(&self, principal: u64, directory: Sequence) -> bool {
        let last = self.last(directory, |change| match change {
            Change::Principal { id, is_living } => (id == principal).then_some(is_living),
            Change::Granted { .. }
            | Change::Revoked { .. }
            | Change::State { .. }
            | Change::Policy { .. } => None,
        });
        last.unwrap_or(false)
    }

    /// Returns the result of `of` for the newest change up to `directory` for which it has one.
    fn last<T>(&self, directory: Sequence, of: impl Fn(Change) -> Option<T>) -> Option<T> {
        let known = self.changes.iter().filter_map(|(sent, change)| Some((sent.done?.1, of(*change)?)));
        let known = known.filter(|(sequence, _)| *sequence <= directory);
        known.max_by_key(|(sequence, _)| *sequence).map(|(_, said)| said)
    }

    /// Returns the smallest and the largest number of a bank's items in an answer as of `sequence` that
    /// arrived at `answered`.
    fn bounds(
        &self,
        bank: usize,
        sequence: Sequence,
        answered: Duration,
        counts: impl Fn(&&Banked) -> bool,
        shown: impl Fn(&Banked) -> Option<bool>,
    ) -> (u64, u64) {
        let (mut min, mut max) = (0, 0);
        for item in self.items.iter().filter(|item| item.bank == bank).filter(counts) {
            let added = item.added.is_in(sequence, answered);
            let removed = item.removed.map_or(Some(false), |removed| removed.is_in(sequence, answered));
            let shown = shown(item);
            let is_sure = added == Some(true) && removed == Some(false) && shown == Some(true);
            min += u64::from(is_sure);
            max += u64::from(added != Some(false) && removed != Some(true) && shown != Some(false));
        }
        (min, max)
    }
}
