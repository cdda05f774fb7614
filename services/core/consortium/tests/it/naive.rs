//! The slow second implementation of the directory: maps of owned values, rules written as searches of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigie_consortium::change::bounds::{MODELS_MAX, PRINCIPALS_PER_MEMBER_MAX};
use vigie_consortium::{
    CardVersion, Change, Charter, Credential, Expiry, Grant, Member, MemberId, MemberPolicies, MemberState,
    OwnedBank, Principal, PrincipalId, Quota, Role, Row,
};
use vigie_model::declared::DECLARED_MAX;
use vigie_model::{BankId, BankName, Declaration};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Naive {
    pub(crate) members: BTreeMap<u32, Member>,
    pub(crate) quotas: BTreeMap<u32, Quota>,
    pub(crate) policies: BTreeMap<u32, Arc<MemberPolicies>>,
    pub(crate) principals: BTreeMap<u64, Principal>,
    pub(crate) banks: BTreeMap<u32, OwnedBank>,
    pub(crate) grants: BTreeMap<(u32, u32), Grant>,
    pub(crate) hash_types: BTreeMap<u16, Declaration>,
    pub(crate) model_cards: BTreeMap<String, Arc<CardVersion>>,
    pub(crate) principal_used: u64,
    pub(crate) bank_used: u32,
}

impl Naive {
    pub(crate) fn new() -> Self {
        Self {
            members: BTreeMap::from([(1, Member::local())]),
            quotas: BTreeMap::new(),
            policies: BTreeMap::new(),
            principals: BTreeMap::new(),
            banks: BTreeMap::new(),
            grants: BTreeMap::new(),
            hash_types: BTreeMap::new(),
            model_cards: BTreeMap::new(),
            principal_used: 0,
            bank_used: 0,
        }
    }

    /// Applies a change, or refuses it and stays unchanged.
    pub(crate) fn apply(&mut self, change: &Change) -> bool {
        let before = self.clone();
        self.put(change);
        let holds = self.is_sound() && self.may_follow(&before, change);
        if !holds {
            *self = before;
        }
        holds
    }

    /// Applies the change without checks.
    fn put(&mut self, change: &Change) {
        match change.clone() {
            Change::MemberPut(member) => {
                self.members.insert(member.id.0, member);
            }
            Change::PrincipalPut(principal) => {
                self.principal_used = self.principal_used.max(principal.id.0);
                self.principals.insert(principal.id.0, principal);
            }
            Change::PrincipalRevoked(id) => {
                self.principals.remove(&id.0);
            }
            Change::GrantPut(grant) => {
                self.grants.insert((grant.member.0, grant.bank.0), grant);
            }
            Change::GrantRevoked { bank, member } => {
                self.grants.remove(&(member.0, bank.0));
            }
            Change::QuotaPut { member, quota } => {
                self.quotas.insert(member.0, quota);
                self.quotas.retain(|_, quota| *quota != Quota::default());
            }
            Change::PoliciesPut { member, policies } => {
                self.policies.insert(member.0, policies);
                self.policies.retain(|_, policies| !policies.is_none());
            }
            Change::HashTypeDeclared(declaration) => {
                self.hash_types.insert(declaration.hash_type.number(), declaration);
            }
            Change::ModelCardPut(card) => {
                self.model_cards.insert(card.name().to_owned(), card);
            }
            Change::CharterPut { bank, charter } => self.edit(bank, |bank| bank.charter = charter),
            Change::BankCreated { bank, owner, name } => {
                self.bank_used = self.bank_used.max(bank.0);
                let charter = Charter::default();
                self.banks.insert(bank.0, OwnedBank { id: bank, owner, name, enabled: true, charter });
            }
            Change::BankRenamed { bank, name } => self.edit(bank, |bank| bank.name = name),
            Change::BankEnabledSet { bank, enabled } => self.edit(bank, |bank| bank.enabled = enabled),
            Change::BankDeleted { bank } => {
                self.banks.remove(&bank.0);
                self.grants.retain(|(_, of), _| *of != bank.0);
            }
        }
    }

    fn edit(&mut self, bank: BankId, edit: impl FnOnce(&mut OwnedBank)) {
        if let Some(bank) = self.banks.get_mut(&bank.0) {
            edit(bank);
        }
    }

    /// Checks the invariants of every directory.
    fn is_sound(&self) -> bool {
        let members: Vec<_> = self.members.values().map(|member| member.name.to_string()).collect();
        let credentials: Vec<_> = self.principals.values().flat_map(shown).collect();
        // The flat names of each member: own banks and aliases.
        let mut names: Vec<(u32, BankName)> =
            self.banks.values().map(|bank| (bank.owner.0, bank.name.clone())).collect();
        names.extend(self.grants.values().filter_map(|grant| Some((grant.member.0, grant.alias.clone()?))));
        let of_member =
            |id: u32| self.principals.values().filter(move |principal| principal.member.0 == id).count();
        let is_known = |id: MemberId| self.members.contains_key(&id.0);
        let is_operator = |one: &Principal| one.roles.contains(Role::Operator);
        self.members[&1].state == MemberState::Active
            && is_distinct(members)
            && is_distinct(credentials)
            && is_distinct(self.members.values().flat_map(|member| member.token_issuers.iter()).collect())
            && is_distinct(names)
            && is_distinct(self.hash_types.values().map(|one| &one.name).collect())
            && self.hash_types.len() <= DECLARED_MAX
            && self.model_cards.len() <= MODELS_MAX
            && self.hash_types.values().all(|one| one.check().is_ok())
            && self.members.keys().all(|id| of_member(*id) <= PRINCIPALS_PER_MEMBER_MAX)
            && self.principals.values().all(|one| is_known(one.member))
            && self.principals.values().all(|one| !is_operator(one) || one.member == MemberId::HOST)
            && (self.principal_used == 0
                || self.principals.values().any(|one| is_operator(one) && lasts(one)))
            && self.banks.values().all(|bank| is_known(bank.owner))
            && self.quotas.keys().chain(self.policies.keys()).all(|id| self.members.contains_key(id))
            && self.grants.values().all(|grant| {
                let owner = self.banks.get(&grant.bank.0).map(|bank| bank.owner);
                is_known(grant.member) && owner.is_some_and(|owner| owner != grant.member)
            })
    }

    /// Checks the conditions of every change.
    fn may_follow(&self, before: &Self, change: &Change) -> bool {
        match change {
            Change::MemberPut(member) => {
                let last = before.members.keys().last().copied().unwrap();
                before.members.contains_key(&member.id.0) || member.id.0 > last
            }
            Change::PrincipalPut(principal) => match before.principals.get(&principal.id.0) {
                Some(other) => other.member == principal.member,
                None => principal.id.0 > before.principal_used,
            },
            Change::PrincipalRevoked(id) => before.principals.contains_key(&id.0),
            Change::GrantPut(_) => true,
            Change::GrantRevoked { bank, member } => before.grants.contains_key(&(member.0, bank.0)),
            Change::QuotaPut { member, .. } | Change::PoliciesPut { member, .. } => {
                before.members.contains_key(&member.0)
            }
            Change::HashTypeDeclared(declaration) => {
                let known = before.hash_types.get(&declaration.hash_type.number());
                known.is_none_or(|known| known == declaration)
            }
            Change::ModelCardPut(card) => {
                let known = before.model_cards.get(card.name()).map_or(0, |known| known.version());
                card.version() == known + 1
            }
            Change::BankCreated { bank, .. } => bank.0 > before.bank_used,
            Change::CharterPut { bank, .. }
            | Change::BankRenamed { bank, .. }
            | Change::BankEnabledSet { bank, .. }
            | Change::BankDeleted { bank } => before.banks.contains_key(&bank.0),
        }
    }

    /// Returns the rows in the order of [`Directory::rows`](vigie_consortium::Directory::rows).
    pub(crate) fn rows(&self) -> Vec<Row> {
        let members = self.members.values().map(|row| Row::Member(Arc::new(row.clone())));
        let principals = self.principals.values().map(|row| Row::Principal(Arc::new(row.clone())));
        let banks = self.banks.values().map(|row| Row::Bank(Arc::new(row.clone())));
        let grants = self.grants.values().map(|row| Row::Grant(Arc::new(row.clone())));
        let quotas = self.quotas.iter().map(|(member, quota)| Row::Quota(MemberId(*member), *quota));
        let policies = self.policies.iter();
        let policies =
            policies.map(|(member, policies)| Row::Policies(MemberId(*member), Arc::clone(policies)));
        let hash_types = self.hash_types.values().map(|row| Row::HashType(Arc::new(row.clone())));
        let model_cards = self.model_cards.values().map(|row| Row::ModelCard(Arc::clone(row)));
        let used = Row::Used { principal: PrincipalId(self.principal_used), bank: BankId(self.bank_used) };
        members
            .chain(principals)
            .chain(banks)
            .chain(grants)
            .chain(quotas)
            .chain(policies)
            .chain(hash_types)
            .chain(model_cards)
            .chain([used])
            .collect()
    }
}

fn is_distinct<T: Ord>(mut all: Vec<T>) -> bool {
    all.sort();
    all.windows(2).all(|pair| pair[0] != pair[1])
}

/// Returns the credentials of a principal, as texts.
fn shown(principal: &Principal) -> Vec<String> {
    match &principal.credential {
        Credential::Certificate(id) => vec![format!("certificate {id}")],
        Credential::ApiKeys(keys) => keys.iter().map(|key| format!("key {}", key.id)).collect(),
        Credential::Token(token) => vec![format!("token {:?} {:?}", token.issuer(), token.subject())],
    }
}

fn lasts(principal: &Principal) -> bool {
    let has_key = match &principal.credential {
        Credential::ApiKeys(keys) => keys.iter().any(|key| key.expiry == Expiry::NEVER),
        Credential::Certificate(_) | Credential::Token(_) => true,
    };
    has_key && principal.expiry == Expiry::NEVER
}
