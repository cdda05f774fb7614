//! The directory: members, principals, grants, quotas, banks, hash types and model cards as of one place in
//! the log.

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

/// Members, principals, grants, quotas, banks, declared hash types and model cards as of one place in the
/// log.
///
/// A copy costs a few pointers and shares its rows with the original until one of the two changes: a reader
/// keeps the copy that it was given. Rows are sorted vectors of pointers, for each order in which they are
/// looked for.
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
    /// By member, then bank.
    grants: Table<Arc<Grant>, ByMember>,
    grants_of_banks: Table<Arc<Grant>, ByBank>,
    aliases: Table<Arc<Grant>, ByAlias>,
}

/// The directory before the first change.
impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// The directory before the first change: one member, the host, called `local`. The consortium is off.
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

    /// The last change that was applied. It names the state: two directories of one log with the same
    /// sequence are the same.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The digest of all rows, whatever the order of the changes that led there.
    #[must_use]
    pub const fn digest(&self) -> SetDigest {
        self.digest
    }

    /// The largest id of a principal that was ever used; 0 before the first.
    #[must_use]
    pub const fn principal_used(&self) -> PrincipalId {
        self.used.principal
    }

    /// Whether there has been a principal. Before the first one, every caller acts for the host with every
    /// role.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.used.principal != PrincipalId(0)
    }

    /// A member.
    #[must_use]
    pub fn member(&self, id: MemberId) -> Option<&Arc<Member>> {
        self.members.find(|row| row.id.cmp(&id))
    }

    /// The member of this name.
    #[must_use]
    pub fn member_called(&self, name: &MemberName) -> Option<&Arc<Member>> {
        self.member_names.find(|row| row.name.cmp(name))
    }

    /// All members, by id.
    #[must_use]
    pub fn members(&self) -> &[Arc<Member>] {
        self.members.rows()
    }

    /// The limits of a member: none, where none were set.
    #[must_use]
    pub fn quota(&self, member: MemberId) -> Quota {
        self.quotas.find(|row| row.0.cmp(&member)).map(|row| row.1).unwrap_or_default()
    }

    /// The policies of a member; `None` for one that never had any.
    #[must_use]
    pub fn policies(&self, member: MemberId) -> Option<&Arc<MemberPolicies>> {
        self.policies.find(|row| row.0.cmp(&member)).map(|row| &row.1)
    }

    /// A declared hash type.
    #[must_use]
    pub fn hash_type(&self, hash_type: HashType) -> Option<&Arc<Declaration>> {
        self.hash_types.find(|row| row.hash_type.cmp(&hash_type))
    }

    /// The declared hash type of this name.
    #[must_use]
    pub fn hash_type_called(&self, name: &str) -> Option<&Arc<Declaration>> {
        self.hash_types().iter().find(|row| &*row.name == name)
    }

    /// All declared hash types, by number.
    #[must_use]
    pub fn hash_types(&self) -> &[Arc<Declaration>] {
        self.hash_types.rows()
    }

    /// The newest card of a model.
    #[must_use]
    pub fn model_card(&self, name: &str) -> Option<&Arc<CardVersion>> {
        self.model_cards.find(|row| row.name().cmp(name))
    }

    /// The newest card of each model, by ascending name.
    #[must_use]
    pub fn model_cards(&self) -> &[Arc<CardVersion>] {
        self.model_cards.rows()
    }

    /// A living principal.
    #[must_use]
    pub fn principal(&self, id: PrincipalId) -> Option<&Arc<Principal>> {
        self.principals.find(|row| row.id.cmp(&id))
    }

    /// All living principals, by id.
    #[must_use]
    pub fn principals(&self) -> &[Arc<Principal>] {
        self.principals.rows()
    }

    /// The living principals of a member, by id.
    #[must_use]
    pub fn principals_of(&self, member: MemberId) -> &[Arc<Principal>] {
        self.principals_of.range(|row| row.member.cmp(&member))
    }

    /// A living bank.
    #[must_use]
    pub fn bank(&self, id: BankId) -> Option<&Arc<OwnedBank>> {
        self.banks.find(|row| row.id.cmp(&id))
    }

    /// All living banks, by id.
    #[must_use]
    pub fn banks(&self) -> &[Arc<OwnedBank>] {
        self.banks.rows()
    }

    /// The banks of a member, by name.
    #[must_use]
    pub fn banks_of(&self, owner: MemberId) -> &[Arc<OwnedBank>] {
        self.bank_names.range(|row| row.owner.cmp(&owner))
    }

    /// The bank that its owner calls so.
    #[must_use]
    pub fn bank_called(&self, owner: MemberId, name: &BankName) -> Option<&Arc<OwnedBank>> {
        self.bank_names.find(|row| row.owner.cmp(&owner).then_with(|| row.name.cmp(name)))
    }

    /// The grant of a bank to a member, expired or not.
    #[must_use]
    pub fn grant(&self, bank: BankId, member: MemberId) -> Option<&Arc<Grant>> {
        self.grants.find(|row| row.member.cmp(&member).then(row.bank.cmp(&bank)))
    }

    /// The grants to a member, by bank, expired or not.
    #[must_use]
    pub fn grants_to(&self, member: MemberId) -> &[Arc<Grant>] {
        self.grants.range(|row| row.member.cmp(&member))
    }

    /// The grants of a bank, by member, expired or not.
    #[must_use]
    pub fn grants_of(&self, bank: BankId) -> &[Arc<Grant>] {
        self.grants_of_banks.range(|row| row.bank.cmp(&bank))
    }

    /// The grant that a member knows by this alias, expired or not.
    #[must_use]
    pub fn grant_called(&self, member: MemberId, alias: &BankName) -> Option<&Arc<Grant>> {
        self.aliases.find(|row| row.member.cmp(&member).then_with(|| row.alias.as_ref().cmp(&Some(alias))))
    }

    /// The living principal that has a credential.
    pub(crate) fn principal_with(&self, credential: CredentialId) -> Option<&Arc<Principal>> {
        let (_, id) = self.credentials.find(|row| row.0.cmp(&credential))?;
        self.principal(*id)
    }

    /// The place of a principal among [`Self::principals`].
    pub(crate) fn principal_place(&self, id: PrincipalId) -> Option<usize> {
        self.principals.place(|row| row.id.cmp(&id))
    }

    /// The place of a member among [`Self::members`].
    pub(crate) fn member_place(&self, id: MemberId) -> Option<usize> {
        self.members.place(|row| row.id.cmp(&id))
    }
}
