//! A directory as rows: for stores, for followers that do not begin with the log's first change, and for what
//! lies between two states.

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
    /// The largest ids that were ever used; always one row.
    Used {
        /// Of principals.
        principal: PrincipalId,
        /// Of banks.
        bank: BankId,
    },
}

/// A row that may go. Members, hash types, model cards and used ids stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKey {
    /// A principal.
    Principal(PrincipalId),
    /// A bank.
    Bank(BankId),
    /// A grant.
    Grant {
        /// Its bank.
        bank: BankId,
        /// Its member.
        member: MemberId,
    },
    /// The limits of a member.
    Quota(MemberId),
    /// The policies of a member.
    Policies(MemberId),
}

/// The rows that lie between two states of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Rows that take the place of those with the same key.
    pub set: Vec<Row>,
    /// Rows that are gone.
    pub gone: Vec<RowKey>,
}

impl Directory {
    /// All rows: members, principals, banks, grants, quotas, policies and hash types by ascending id, model
    /// cards by name, and the used ids.
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

    /// All rows, as they differ from nothing.
    #[must_use]
    pub fn all(&self) -> Difference {
        Difference { set: self.rows().collect(), gone: Vec::new() }
    }

    fn used_row(&self) -> Row {
        Row::Used { principal: self.used.principal, bank: self.used.bank }
    }

    /// The rows by which this state differs from another one of the same log. Takes one step for each row of
    /// the two, and none for tables that they share.
    #[must_use]
    pub fn difference_from(&self, before: &Self) -> Difference {
        let mut difference = Difference::default();
        let Difference { set, gone } = &mut difference;
        // Members stay.
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
        // Hash types stay.
        compare(
            (before.hash_types.rows(), self.hash_types.rows()),
            |one, other| one.hash_type.cmp(&other.hash_type),
            |row| set.push(Row::HashType(Arc::clone(row))),
            |_| {},
        );
        // So do model cards.
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

    /// Puts a row in the place of the one with the same key. Checks nothing: rows come from a directory that
    /// has checked them.
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

    /// Takes a row out, if it is there.
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

    /// The directory of all these rows, which another directory gave, as of `sequence`.
    #[must_use]
    pub fn from_rows(rows: impl IntoIterator<Item = Row>, sequence: Sequence) -> Self {
        let mut directory = Self::new();
        rows.into_iter().for_each(|row| directory.set_row(row));
        directory.sequence = sequence;
        directory
    }

    /// The same directory as of `sequence`, if its digest is `expected`, which its bank proves together with
    /// its log. `None` where rows were damaged, lost or doubled on their way.
    #[must_use]
    pub fn proven(mut self, sequence: Sequence, expected: SetDigest) -> Option<Self> {
        self.sequence = sequence;
        (self.digest == expected).then_some(self)
    }
}

/// Compares two tables in one order: `set` is given each row of the second that the first does not have so,
/// and `gone` each row of the first whose key the second does not have.
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
