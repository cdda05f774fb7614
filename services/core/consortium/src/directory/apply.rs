//! Applies changes. Each change is checked completely before anything is modified.

use std::collections::BTreeSet;
use std::sync::Arc;

use vigie_model::declared::DECLARED_MAX;
use vigie_model::{BankId, BankName, Declaration, DeclarationError, SearchOptions, Sequence};

use super::Directory;
use super::element::{Element, Used};
use crate::banks::bank::OwnedBank;
use crate::banks::charter::Charter;
use crate::banks::grant::Grant;
use crate::change::bounds::{
    BANKS_MAX, GRANTS_MAX, GRANTS_PER_BANK_MAX, MEMBERS_MAX, MODELS_MAX, PRINCIPALS_PER_MEMBER_MAX,
};
use crate::change::{Change, Refusal};
use crate::classifiers::CardVersion;
use crate::members::member::{Member, MemberId, MemberState};
use crate::members::principal::{Principal, PrincipalId};
use crate::members::role::Role;
use crate::policies::MemberPolicies;
use crate::quotas::quota::Quota;

impl Directory {
    /// Applies the change at `sequence`, which must be after the last applied one. Sequences may be skipped:
    /// changes of items have sequences too. A refused change leaves the directory unchanged.
    pub fn apply(&mut self, sequence: Sequence, change: &Change) -> Result<(), Refusal> {
        if sequence <= self.sequence {
            return Err(Refusal::OutOfOrder { change: sequence, applied: self.sequence });
        }
        match change {
            Change::MemberPut(member) => self.put_member(member),
            Change::PrincipalPut(principal) => self.put_principal(principal),
            Change::PrincipalRevoked(id) => self.revoke_principal(*id),
            Change::GrantPut(grant) => self.put_grant(grant),
            Change::GrantRevoked { bank, member } => self.revoke_grant(*bank, *member),
            Change::QuotaPut { member, quota } => self.put_quota(*member, *quota),
            Change::PoliciesPut { member, policies } => self.put_policies(*member, policies),
            Change::CharterPut { bank, charter } => self.put_charter(*bank, charter),
            Change::HashTypeDeclared(declaration) => self.declare(declaration),
            Change::ModelCardPut(card) => self.put_model_card(card),
            Change::BankCreated { bank, owner, name } => self.create_bank(*bank, *owner, name),
            Change::BankRenamed { bank, name } => self.rename_bank(*bank, name),
            Change::BankEnabledSet { bank, enabled } => self.edit_bank(*bank, |bank| bank.enabled = *enabled),
            Change::BankDeleted { bank } => self.delete_bank(*bank),
        }?;
        self.sequence = sequence;
        Ok(())
    }

    /// Advances the directory's sequence. No change up to `sequence` may concern the directory, except the
    /// applied ones.
    pub fn advance(&mut self, sequence: Sequence) {
        self.sequence = self.sequence.max(sequence);
    }

    fn put_member(&mut self, member: &Member) -> Result<(), Refusal> {
        let last = self.members().last().map_or(MemberId(0), |last| last.id);
        if self.member(member.id).is_none() {
            if member.id <= last {
                return Err(Refusal::IdUsed(member.id.0.into()));
            }
            at_most("members", MEMBERS_MAX, self.members().len())?;
        }
        if member.id == MemberId::HOST && member.state != MemberState::Active {
            return Err(Refusal::HostInactive);
        }
        if self.member_called(&member.name).is_some_and(|holder| holder.id != member.id) {
            return Err(Refusal::MemberNameTaken(member.name.clone()));
        }
        let others = self.members().iter().filter(|other| other.id != member.id);
        for other in others {
            if member.token_issuers.iter().any(|issuer| other.token_issuers.contains(issuer)) {
                return Err(Refusal::IssuerTaken(other.id));
            }
        }
        self.set_member(Arc::new(member.clone()));
        Ok(())
    }

    fn put_principal(&mut self, principal: &Principal) -> Result<(), Refusal> {
        self.known_member(principal.member)?;
        match self.principal(principal.id) {
            Some(before) if before.member != principal.member => {
                return Err(Refusal::PrincipalOfAnother(principal.id));
            }
            Some(_) => {}
            None if principal.id <= self.used.principal => return Err(Refusal::IdUsed(principal.id.0)),
            None => {
                let living = self.principals_of(principal.member).len();
                at_most("principals of the member", PRINCIPALS_PER_MEMBER_MAX, living)?;
            }
        }
        if principal.roles.contains(Role::Operator) && principal.member != MemberId::HOST {
            return Err(Refusal::OperatorOutsideHost);
        }
        let mut holders = principal.credential.ids().filter_map(|id| self.principal_with(id));
        if let Some(other) = holders.find(|holder| holder.id != principal.id) {
            return Err(Refusal::CredentialTaken(other.id));
        }
        self.operator_remains(principal.id, Some(principal))?;
        self.set_principal(Arc::new(principal.clone()));
        self.set_used(Used { principal: self.used.principal.max(principal.id), ..self.used });
        Ok(())
    }

    fn revoke_principal(&mut self, id: PrincipalId) -> Result<(), Refusal> {
        if self.principal(id).is_none() {
            return Err(Refusal::UnknownPrincipal(id));
        }
        self.operator_remains(id, None)?;
        self.take_principal(id);
        Ok(())
    }

    /// Checks that a permanent operator remains if the principal `id` is replaced by `instead`, or removed.
    /// Only the host's principals are operators, and the host is always active.
    fn operator_remains(&self, id: PrincipalId, instead: Option<&Principal>) -> Result<(), Refusal> {
        let others = self.principals_of(MemberId::HOST).iter().map(AsRef::as_ref);
        let mut after = others.filter(|other| other.id != id).chain(instead);
        let remains = after.any(|one| one.roles.contains(Role::Operator) && one.is_permanent());
        if remains { Ok(()) } else { Err(Refusal::NoOperatorLeft) }
    }

    fn put_grant(&mut self, grant: &Grant) -> Result<(), Refusal> {
        let owner = self.known_bank(grant.bank)?.owner;
        self.known_member(grant.member)?;
        if grant.member == owner {
            return Err(Refusal::GrantToOwner(grant.bank));
        }
        if self.grant(grant.bank, grant.member).is_none() {
            at_most("grants of the bank", GRANTS_PER_BANK_MAX, self.grants_of(grant.bank).len())?;
            at_most("grants", GRANTS_MAX, self.grants.rows().len())?;
        }
        if let Some(alias) = &grant.alias {
            let other = self.grant_called(grant.member, alias).filter(|other| other.bank != grant.bank);
            if other.is_some() || self.bank_called(grant.member, alias).is_some() {
                return Err(Refusal::BankNameTaken(alias.clone()));
            }
        }
        self.set_grant(Arc::new(grant.clone()));
        Ok(())
    }

    fn revoke_grant(&mut self, bank: BankId, member: MemberId) -> Result<(), Refusal> {
        let grant = self.grant(bank, member).cloned().ok_or(Refusal::UnknownGrant(bank, member))?;
        self.take_grant(&grant);
        Ok(())
    }

    fn put_quota(&mut self, member: MemberId, quota: Quota) -> Result<(), Refusal> {
        self.known_member(member)?;
        self.set_quota(member, quota);
        Ok(())
    }

    fn put_policies(&mut self, member: MemberId, policies: &Arc<MemberPolicies>) -> Result<(), Refusal> {
        self.known_member(member)?;
        self.set_policies(member, Arc::clone(policies));
        Ok(())
    }

    fn put_charter(&mut self, bank: BankId, charter: &Charter) -> Result<(), Refusal> {
        self.distances_are_few(bank, charter)?;
        self.edit_bank(bank, |bank| bank.charter = charter.clone())
    }

    /// Declares a hash type, permanently: an equal declaration changes nothing, and a different one with the
    /// same number or name is refused.
    fn declare(&mut self, declaration: &Declaration) -> Result<(), Refusal> {
        declaration.check()?;
        if let Some(before) = self.hash_type(declaration.hash_type) {
            let is_same = **before == *declaration;
            return if is_same {
                Ok(())
            } else {
                Err(DeclarationError::Conflict(declaration.name.clone()).into())
            };
        }
        if self.hash_type_called(&declaration.name).is_some() {
            return Err(DeclarationError::NameTaken(declaration.name.clone()).into());
        }
        if self.hash_types().len() >= DECLARED_MAX {
            return Err(DeclarationError::TooMany.into());
        }
        self.set_hash_type(Arc::new(declaration.clone()));
        Ok(())
    }

    /// Sets a model's card. Its version must be the last one plus one, or 1 for the first card.
    fn put_model_card(&mut self, card: &Arc<CardVersion>) -> Result<(), Refusal> {
        let before = self.model_card(card.name());
        let next = before.map_or(1, |before| before.version().saturating_add(1));
        if card.version() != next {
            return Err(Refusal::CardVersion { name: card.name().into(), next, put: card.version() });
        }
        if before.is_none() {
            at_most("models", MODELS_MAX, self.model_cards().len())?;
        }
        self.set_model_card(Arc::clone(card));
        Ok(())
    }

    /// Checks that a search of all banks stays within the largest number of thresholds.
    fn distances_are_few(&self, bank: BankId, charter: &Charter) -> Result<(), Refusal> {
        if charter.vector_distances().is_empty() {
            return Ok(());
        }
        let others = self.banks().iter().filter(|other| other.id != bank);
        let all = others.flat_map(|other| other.charter.vector_distances()).chain(charter.vector_distances());
        let all: BTreeSet<_> = all.collect();
        let max = SearchOptions::THRESHOLDS_MAX;
        let what = "different distances of vectors in charters";
        if all.len() > max { Err(Refusal::TooMany { what, max }) } else { Ok(()) }
    }

    fn create_bank(&mut self, id: BankId, owner: MemberId, name: &BankName) -> Result<(), Refusal> {
        self.known_member(owner)?;
        if id <= self.used.bank {
            return Err(Refusal::IdUsed(id.0.into()));
        }
        at_most("banks", BANKS_MAX, self.banks().len())?;
        self.name_is_free(owner, name, id)?;
        let charter = Charter::default();
        self.set_bank(Arc::new(OwnedBank { id, owner, name: name.clone(), enabled: true, charter }));
        self.set_used(Used { bank: id, ..self.used });
        Ok(())
    }

    fn rename_bank(&mut self, id: BankId, name: &BankName) -> Result<(), Refusal> {
        let owner = self.known_bank(id)?.owner;
        self.name_is_free(owner, name, id)?;
        self.edit_bank(id, |bank| bank.name = name.clone())
    }

    fn delete_bank(&mut self, id: BankId) -> Result<(), Refusal> {
        self.known_bank(id)?;
        for grant in self.grants_of(id).to_vec() {
            self.take_grant(&grant);
        }
        self.take_bank(id);
        Ok(())
    }

    fn edit_bank(&mut self, id: BankId, edit: impl FnOnce(&mut OwnedBank)) -> Result<(), Refusal> {
        let mut bank = OwnedBank::clone(self.known_bank(id)?);
        edit(&mut bank);
        self.set_bank(Arc::new(bank));
        Ok(())
    }

    fn known_member(&self, id: MemberId) -> Result<&Arc<Member>, Refusal> {
        self.member(id).ok_or(Refusal::UnknownMember(id))
    }

    fn known_bank(&self, id: BankId) -> Result<&Arc<OwnedBank>, Refusal> {
        self.bank(id).ok_or(Refusal::UnknownBank(id))
    }

    /// Checks that no other bank and no alias of the member has the name.
    fn name_is_free(&self, member: MemberId, name: &BankName, for_bank: BankId) -> Result<(), Refusal> {
        let is_taken = self.bank_called(member, name).is_some_and(|holder| holder.id != for_bank)
            || self.grant_called(member, name).is_some();
        if is_taken { Err(Refusal::BankNameTaken(name.clone())) } else { Ok(()) }
    }
}

/// Refuses to add another thing if there are already `max`.
fn at_most(what: &'static str, max: usize, count: usize) -> Result<(), Refusal> {
    if count < max { Ok(()) } else { Err(Refusal::TooMany { what, max }) }
}

/// Sets and removes rows in each table and in the digest, without checks.
impl Directory {
    pub(super) fn set_member(&mut self, member: Arc<Member>) {
        if let Some(before) = self.member(member.id).cloned() {
            self.digest -= before.digest();
            self.member_names.remove(&before);
        }
        self.digest += member.digest();
        self.member_names.put(Arc::clone(&member));
        self.members.put(member);
    }

    pub(super) fn set_quota(&mut self, member: MemberId, quota: Quota) {
        let before = (member, self.quota(member));
        // A member without limits has no row.
        if before.1 != Quota::default() {
            self.digest -= before.digest();
            self.quotas.remove(&before);
        }
        if quota != Quota::default() {
            self.digest += (member, quota).digest();
            self.quotas.put((member, quota));
        }
    }

    pub(super) fn set_policies(&mut self, member: MemberId, policies: Arc<MemberPolicies>) {
        // A member that never had a policy has no row.
        if let Some(before) = self.policies(member).cloned() {
            let before = (member, before);
            self.digest -= before.digest();
            self.policies.remove(&before);
        }
        if !policies.is_none() {
            let row = (member, policies);
            self.digest += row.digest();
            self.policies.put(row);
        }
    }

    pub(super) fn set_hash_type(&mut self, declaration: Arc<Declaration>) {
        if let Some(before) = self.hash_type(declaration.hash_type).cloned() {
            self.digest -= before.digest();
            self.hash_types.remove(&before);
        }
        self.digest += declaration.digest();
        self.hash_types.put(declaration);
    }

    pub(super) fn set_model_card(&mut self, card: Arc<CardVersion>) {
        if let Some(before) = self.model_card(card.name()) {
            self.digest -= before.digest();
        }
        self.digest += card.digest();
        self.model_cards.put(card);
    }

    pub(super) fn set_principal(&mut self, principal: Arc<Principal>) {
        self.take_principal(principal.id);
        self.digest += principal.digest();
        for id in principal.credential.ids() {
            self.credentials.put((id, principal.id));
        }
        self.principals_of.put(Arc::clone(&principal));
        self.principals.put(principal);
    }

    pub(super) fn take_principal(&mut self, id: PrincipalId) {
        let Some(principal) = self.principal(id).cloned() else { return };
        self.digest -= principal.digest();
        for id in principal.credential.ids() {
            self.credentials.remove(&(id, principal.id));
        }
        self.principals_of.remove(&principal);
        self.principals.remove(&principal);
    }

    pub(super) fn set_bank(&mut self, bank: Arc<OwnedBank>) {
        self.take_bank(bank.id);
        self.digest += bank.digest();
        self.bank_names.put(Arc::clone(&bank));
        self.banks.put(bank);
    }

    pub(super) fn take_bank(&mut self, id: BankId) {
        let Some(bank) = self.bank(id).cloned() else { return };
        self.digest -= bank.digest();
        self.bank_names.remove(&bank);
        self.banks.remove(&bank);
    }

    pub(super) fn set_grant(&mut self, grant: Arc<Grant>) {
        if let Some(before) = self.grant(grant.bank, grant.member).cloned() {
            self.take_grant(&before);
        }
        self.digest += grant.digest();
        if grant.alias.is_some() {
            self.aliases.put(Arc::clone(&grant));
        }
        self.grants_of_banks.put(Arc::clone(&grant));
        self.grants.put(grant);
    }

    pub(super) fn take_grant(&mut self, grant: &Arc<Grant>) {
        self.digest -= grant.digest();
        if grant.alias.is_some() {
            self.aliases.remove(grant);
        }
        self.grants_of_banks.remove(grant);
        self.grants.remove(grant);
    }

    pub(super) fn set_used(&mut self, used: Used) {
        self.digest -= self.used.digest();
        self.digest += used.digest();
        self.used = used;
    }
}
