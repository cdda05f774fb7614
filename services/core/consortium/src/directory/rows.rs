//! A directory as rows: for stores, for followers that do not begin with the log's first change, and for the
//! difference between two states.

use std::cmp::Ordering;
use std::sync::Arc;

use vigie_model::{BankId, Declaration, Sequence, SetDigest};

use super::Directory;
use super::element::Used;
use crate::banks::bank::OwnedBank;
use crate::banks::grant::Grant;
use crate::classifiers::CardVersion;
use crate::members::member::{Member, MemberId};
use crate::members::principal::{Principal, PrincipalId};
use crate::policies::MemberPolicies;
use crate::quotas::quota::Quota;

/// A row of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A member.
    Member(Arc<Member>),
    /// A living principal.
    Principal(Arc<Principal>),
    /// A living bank.
    Bank(Arc<OwnedBank>),
    /// A grant.
    Grant(Arc<Grant>),
    /// The limits of a member that has any.
    Quota(MemberId, Quota),
    /// The policies of a member that has or had one.
    Policies(MemberId, Arc<MemberPolicies>),
    /// A declared hash type.
    HashType(Arc<Declaration>),
    /// The newest card of a model.
    ModelCard(Arc<CardVersion>),
    /// The largest ids that were ever used; exactly one row.
    Used {
        /// The largest principal id.
        principal: PrincipalId,
        /// The largest bank id.
        bank: BankId,
    },
}

/// The key of a row that may be removed. Rows of members, hash types, model cards and used ids are permanent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKey {
    /// A principal.
    Principal(PrincipalId),
    /// A bank.
    Bank(BankId),
    /// A grant.
    Grant {
        /// The grant's bank.
        bank: BankId,
        /// The grant's member.
        member: MemberId,
    },
    /// The limits of a member.
    Quota(MemberId),
    /// The policies of a member.
    Policies(MemberId),
}

/// The rows in which two states of a directory differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Rows that are new, or replace the row with the same key.
    pub set: Vec<Row>,
    /// The keys of removed rows.
    pub gone: Vec<RowKey>,
}

impl Directory {
    /// Returns all rows: members, principals, banks, grants, quotas, policies and hash types by ascending id,
    /// model cards by name, and the used ids.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let members = self.members.rows().iter().map(|row| Row::Member(Arc::clone(row)));
        let principals = self.principals.rows().iter().map(|row| Row::Principal(Arc::clone(row)));
        let banks = self.banks.rows().iter().map(|row| Row::Bank(Arc::clone(row)));
        let grants = self.grants.rows().iter().map(|row| Row::Grant(Arc::clone(row)));
        let quotas = self.quotas.rows().iter().map(|(member, quota)| Row::Quota(*member, *quota));
        let policies = self.policies.rows().iter();
        let policies = policies.map(|(member, policies)| Row::Policies(*member, Arc::clone(policies)));
        let of_members = grants.chain(quotas).chain(policies);
        let hash_types = self.hash_types.rows().iter().map(|row| Row::HashType(Arc::clone(row)));
        let model_cards = self.model_cards.rows().iter().map(|row| Row::ModelCard(Arc::clone(row)));
        let of_all = hash_types.chain(model_cards).chain([self.used_row()]);
        members.chain(principals).chain(banks).chain(of_members).chain(of_all)
    }

    /// Returns all rows as the difference from an empty directory.
    #[must_use]
    pub fn all(&self) -> Difference {
        Difference { set: self.rows().collect(), gone: Vec::new() }
    }

    fn used_row(&self) -> Row {
        Row::Used { principal: self.used.principal, bank: self.used.bank }
    }

    /// Returns the rows by which this state differs from `before`, a state of the same log. The time is
    /// linear in the rows of both; shared tables cost nothing.
    #[must_use]
    pub fn difference_from(&self, before: &Self) -> Difference {
        let mut difference = Difference::default();
        let Difference { set, gone } = &mut difference;
        // Members are never removed.
        compare(
            (before.members.rows(), self.members.rows()),
            |one, other| one.id.cmp(&other.id),
            |row| set.push(Row::Member(Arc::clone(row))),
            |_| {},
        );
        compare(
            (before.principals.rows(), self.principals.rows()),
            |one, other| one.id.cmp(&other.id),
            |row| set.push(Row::Principal(Arc::clone(row))),
            |row| gone.push(RowKey::Principal(row.id)),
        );
        compare(
            (before.banks.rows(), self.banks.rows()),
            |one, other| one.id.cmp(&other.id),
            |row| set.push(Row::Bank(Arc::clone(row))),
            |row| gone.push(RowKey::Bank(row.id)),
        );
        compare(
            (before.grants.rows(), self.grants.rows()),
            |one, other| (one.member, one.bank).cmp(&(other.member, other.bank)),
            |row| set.push(Row::Grant(Arc::clone(row))),
            |row| gone.push(RowKey::Grant { bank: row.bank, member: row.member }),
        );
        compare(
            (before.quotas.rows(), self.quotas.rows()),
            |one, other| one.0.cmp(&other.0),
            |row| set.push(Row::Quota(row.0, row.1)),
            |row| gone.push(RowKey::Quota(row.0)),
        );
        compare(
            (before.policies.rows(), self.policies.rows()),
            |one, other| one.0.cmp(&other.0),
            |row| set.push(Row::Policies(row.0, Arc::clone(&row.1))),
            |row| gone.push(RowKey::Policies(row.0)),
        );
        // Hash types are never removed.
        compare(
            (before.hash_types.rows(), self.hash_types.rows()),
            |one, other| one.hash_type.cmp(&other.hash_type),
            |row| set.push(Row::HashType(Arc::clone(row))),
            |_| {},
        );
        // Model cards are never removed.
        compare(
            (before.model_cards.rows(), self.model_cards.rows()),
            |one, other| one.name().cmp(other.name()),
            |row| set.push(Row::ModelCard(Arc::clone(row))),
            |_| {},
        );
        if self.used != before.used {
            set.push(self.used_row());
        }
        difference
    }

    /// Inserts a row, or replaces the row with the same key. Nothing is checked: rows come from a directory
    /// that has checked them.
    pub fn set_row(&mut self, row: Row) {
        match row {
            Row::Member(row) => self.set_member(row),
            Row::Principal(row) => self.set_principal(row),
            Row::Bank(row) => self.set_bank(row),
            Row::Grant(row) => self.set_grant(row),
            Row::Quota(member, quota) => self.set_quota(member, quota),
            Row::Policies(member, policies) => self.set_policies(member, policies),
            Row::HashType(row) => self.set_hash_type(row),
            Row::ModelCard(row) => self.set_model_card(row),
            Row::Used { principal, bank } => self.set_used(Used { principal, bank }),
        }
    }

    /// Removes a row, if it exists.
    pub fn take_row(&mut self, key: RowKey) {
        match key {
            RowKey::Principal(id) => self.take_principal(id),
            RowKey::Bank(id) => self.take_bank(id),
            RowKey::Grant { bank, member } => {
                if let Some(grant) = self.grant(bank, member).cloned() {
                    self.take_grant(&grant);
                }
            }
            RowKey::Quota(member) => self.set_quota(member, Quota::default()),
            RowKey::Policies(member) => self.set_policies(member, Arc::default()),
        }
    }

    /// Builds a directory as of `sequence` from all rows of another directory.
    #[must_use]
    pub fn from_rows(rows: impl IntoIterator<Item = Row>, sequence: Sequence) -> Self {
        let mut directory = Self::new();
        rows.into_iter().for_each(|row| directory.set_row(row));
        directory.sequence = sequence;
        directory
    }

    /// Returns the directory as of `sequence` if its digest equals `expected`, which the bank proves together
    /// with its log. `None` if rows were damaged, lost or duplicated in transit.
    #[must_use]
    pub fn proven(mut self, sequence: Sequence, expected: SetDigest) -> Option<Self> {
        self.sequence = sequence;
        (self.digest == expected).then_some(self)
    }
}

/// Compares two tables in the same order. Calls `set` with each row of the second table that is new or
/// different, and `gone` with each row of the first table whose key the second lacks.
fn compare<R: PartialEq>(
    (before, after): (&[R], &[R]),
    order: impl Fn(&R, &R) -> Ordering,
    mut set: impl FnMut(&R),
    mut gone: impl FnMut(&R),
) {
    if std::ptr::eq(before, after) {
        return;
    }
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let ordered = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => order(one, other),
        };
        let one = if ordered.is_le() { old.next() } else { None };
        let other = if ordered.is_ge() { new.next() } else { None };
        match (one, other) {
            (Some(one), None) => gone(one),
            (one, Some(other)) if one != Some(other) => set(other),
            (_, Some(_)) | (None, None) => {}
        }
    }
}
