//! The directory: members, principals, grants, quotas, banks, hash types and model cards as of one sequence
//! of the log.

mod table;
mod orders;
mod element;
mod apply;
mod rows;

pub use rows::{Difference, Row, RowKey};

use std::sync::Arc;

use vigie_model::{BankId, BankName, Declaration, HashType, Sequence, SetDigest};

use self::element::{Element, Used};
use self::orders::{ByAlias, ByBank, ByCredential, ById, ByMember, ByName};
use self::table::Table;
use crate::banks::bank::OwnedBank;
use crate::banks::grant::Grant;
use crate::classifiers::CardVersion;
use crate::members::credential::CredentialId;
use crate::members::member::{Member, MemberId, MemberName};
use crate::members::principal::{Principal, PrincipalId};
use crate::policies::MemberPolicies;
use crate::quotas::quota::Quota;

/// Members, principals, grants, quotas, banks, declared hash types and model cards as of one sequence of the
/// log.
///
/// A copy costs a few pointers and shares its rows with the original until one of the two changes: a reader's
/// copy stays unchanged. Rows are kept in sorted vectors of pointers, one vector for each order of lookup.
#[derive(Debug, Clone)]
pub struct Directory {
    sequence: Sequence,
    digest: SetDigest,
    used: Used,
    members: Table<Arc<Member>, ById>,
    member_names: Table<Arc<Member>, ByName>,
    quotas: Table<(MemberId, Quota), ById>,
    policies: Table<(MemberId, Arc<MemberPolicies>), ById>,
    hash_types: Table<Arc<Declaration>, ById>,
    model_cards: Table<Arc<CardVersion>, ByName>,
    principals: Table<Arc<Principal>, ById>,
    principals_of: Table<Arc<Principal>, ByMember>,
    credentials: Table<(CredentialId, PrincipalId), ByCredential>,
    banks: Table<Arc<OwnedBank>, ById>,
    bank_names: Table<Arc<OwnedBank>, ByName>,
    /// Sorted by member, then bank.
    grants: Table<Arc<Grant>, ByMember>,
    grants_of_banks: Table<Arc<Grant>, ByBank>,
    aliases: Table<Arc<Grant>, ByAlias>,
}

/// Returns the directory before the first change.
impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// Returns the directory before the first change: one member, the host, called `local`. The consortium is
    /// off.
    #[must_use]
    pub fn new() -> Self {
        let used = Used { principal: PrincipalId(0), bank: BankId(0) };
        let mut directory = Self {
            sequence: Sequence::ZERO,
            digest: used.digest(),
            used,
            members: Table::default(),
            member_names: Table::default(),
            quotas: Table::default(),
            policies: Table::default(),
            hash_types: Table::default(),
            model_cards: Table::default(),
            principals: Table::default(),
            principals_of: Table::default(),
            credentials: Table::default(),
            banks: Table::default(),
            bank_names: Table::default(),
            grants: Table::default(),
            grants_of_banks: Table::default(),
            aliases: Table::default(),
        };
        directory.set_member(Arc::new(Member::local()));
        directory
    }

    /// Returns the sequence of the last applied change. It identifies the state: two directories of one log
    /// with the same sequence are equal.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Returns the digest of all rows. It does not depend on the order of the changes.
    #[must_use]
    pub const fn digest(&self) -> SetDigest {
        self.digest
    }

    /// Returns the largest principal id that was ever used; 0 before the first.
    #[must_use]
    pub const fn principal_used(&self) -> PrincipalId {
        self.used.principal
    }

    /// Whether a principal was ever created. Before the first one, every caller acts for the host with every
    /// role.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.used.principal != PrincipalId(0)
    }

    /// Returns the member with this id.
    #[must_use]
    pub fn member(&self, id: MemberId) -> Option<&Arc<Member>> {
        self.members.find(|row| row.id.cmp(&id))
    }

    /// Returns the member with this name.
    #[must_use]
    pub fn member_called(&self, name: &MemberName) -> Option<&Arc<Member>> {
        self.member_names.find(|row| row.name.cmp(name))
    }

    /// Returns all members, by id.
    #[must_use]
    pub fn members(&self) -> &[Arc<Member>] {
        self.members.rows()
    }

    /// Returns the limits of a member: unlimited if none were set.
    #[must_use]
    pub fn quota(&self, member: MemberId) -> Quota {
        self.quotas.find(|row| row.0.cmp(&member)).map(|row| row.1).unwrap_or_default()
    }

    /// Returns the policies of a member; `None` if it never had one.
    #[must_use]
    pub fn policies(&self, member: MemberId) -> Option<&Arc<MemberPolicies>> {
        self.policies.find(|row| row.0.cmp(&member)).map(|row| &row.1)
    }

    /// Returns the declaration of a hash type.
    #[must_use]
    pub fn hash_type(&self, hash_type: HashType) -> Option<&Arc<Declaration>> {
        self.hash_types.find(|row| row.hash_type.cmp(&hash_type))
    }

    /// Returns the declared hash type with this name.
    #[must_use]
    pub fn hash_type_called(&self, name: &str) -> Option<&Arc<Declaration>> {
        self.hash_types().iter().find(|row| &*row.name == name)
    }

    /// Returns all declared hash types, by number.
    #[must_use]
    pub fn hash_types(&self) -> &[Arc<Declaration>] {
        self.hash_types.rows()
    }

    /// Returns the newest card of a model.
    #[must_use]
    pub fn model_card(&self, name: &str) -> Option<&Arc<CardVersion>> {
        self.model_cards.find(|row| row.name().cmp(name))
    }

    /// Returns the newest card of each model, by ascending name.
    #[must_use]
    pub fn model_cards(&self) -> &[Arc<CardVersion>] {
        self.model_cards.rows()
    }

    /// Returns the living principal with this id.
    #[must_use]
    pub fn principal(&self, id: PrincipalId) -> Option<&Arc<Principal>> {
        self.principals.find(|row| row.id.cmp(&id))
    }

    /// Returns all living principals, by id.
    #[must_use]
    pub fn principals(&self) -> &[Arc<Principal>] {
        self.principals.rows()
    }

    /// Returns the living principals of a member, by id.
    #[must_use]
    pub fn principals_of(&self, member: MemberId) -> &[Arc<Principal>] {
        self.principals_of.range(|row| row.member.cmp(&member))
    }

    /// Returns the living bank with this id.
    #[must_use]
    pub fn bank(&self, id: BankId) -> Option<&Arc<OwnedBank>> {
        self.banks.find(|row| row.id.cmp(&id))
    }

    /// Returns all living banks, by id.
    #[must_use]
    pub fn banks(&self) -> &[Arc<OwnedBank>] {
        self.banks.rows()
    }

    /// Returns the banks of a member, by name.
    #[must_use]
    pub fn banks_of(&self, owner: MemberId) -> &[Arc<OwnedBank>] {
        self.bank_names.range(|row| row.owner.cmp(&owner))
    }

    /// Returns the bank with this owner and name.
    #[must_use]
    pub fn bank_called(&self, owner: MemberId, name: &BankName) -> Option<&Arc<OwnedBank>> {
        self.bank_names.find(|row| row.owner.cmp(&owner).then_with(|| row.name.cmp(name)))
    }

    /// Returns the grant of a bank to a member, expired or not.
    #[must_use]
    pub fn grant(&self, bank: BankId, member: MemberId) -> Option<&Arc<Grant>> {
        self.grants.find(|row| row.member.cmp(&member).then(row.bank.cmp(&bank)))
    }

    /// Returns the grants to a member, by bank, expired or not.
    #[must_use]
    pub fn grants_to(&self, member: MemberId) -> &[Arc<Grant>] {
        self.grants.range(|row| row.member.cmp(&member))
    }

    /// Returns the grants of a bank, by member, expired or not.
    #[must_use]
    pub fn grants_of(&self, bank: BankId) -> &[Arc<Grant>] {
        self.grants_of_banks.range(|row| row.bank.cmp(&bank))
    }

    /// Returns the grant for which a member has this alias, expired or not.
    #[must_use]
    pub fn grant_called(&self, member: MemberId, alias: &BankName) -> Option<&Arc<Grant>> {
        self.aliases.find(|row| row.member.cmp(&member).then_with(|| row.alias.as_ref().cmp(&Some(alias))))
    }

    /// Returns the living principal with this credential.
    pub(crate) fn principal_with(&self, credential: CredentialId) -> Option<&Arc<Principal>> {
        let (_, id) = self.credentials.find(|row| row.0.cmp(&credential))?;
        self.principal(*id)
    }

    /// Returns the index of a principal in [`Self::principals`].
    pub(crate) fn principal_place(&self, id: PrincipalId) -> Option<usize> {
        self.principals.place(|row| row.id.cmp(&id))
    }

    /// Returns the index of a member in [`Self::members`].
    pub(crate) fn member_place(&self, id: MemberId) -> Option<usize> {
        self.members.place(|row| row.id.cmp(&id))
    }
}
