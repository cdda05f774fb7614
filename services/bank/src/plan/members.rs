//! Plans changes of members, principals, grants, quotas, charters, hash types and model cards.
//! [`vigie_consortium`] decides; this module only orders its checks.

use std::sync::Arc;
use std::time::Duration;

use vigie_consortium::{
    Admitted, ApiKey, ApiKeys, Capabilities, Change, Charter, Claim, Credential, Expiry, Grant,
    Jurisdictions, KeyDigest, KeyId, Member, MemberId, MemberState, Policy, Principal, PrincipalId, Quota,
    Roles, Text, TokenIssuers, TokenSubject,
};
use vigie_model::{BankName, BankRef, MemberName, UnixMillis};

use crate::error::Error;
use crate::plan::classifiers::model_cards::NewCard;
use crate::plan::vectors::hash_types::NewHashType;

/// A change of the directory, and the digest of the request for it.
#[derive(Debug, Clone)]
pub(crate) struct MembersWrite {
    /// The change.
    pub(crate) action: MembersAction,
    /// BLAKE3 of the method and of the request without its idempotency key.
    pub(crate) request_digest: [u8; 32],
}

/// The credential of a new principal.
#[derive(Debug, Clone)]
pub(crate) enum NewCredential {
    /// A new API key.
    Key(NewKey),
    /// A certificate.
    Certificate(vigie_consortium::SpiffeId),
    /// A token.
    Token(TokenSubject),
}

/// An API key that was just made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewKey {
    /// Its public part.
    pub(crate) id: KeyId,
    /// The digest of its secret.
    pub(crate) digest: KeyDigest,
}

/// A display name.
pub(crate) type DisplayName = Text<{ Member::DISPLAY_NAME_LEN_MAX }>;
/// A note on a principal.
pub(crate) type Note = Text<{ Principal::NOTE_LEN_MAX }>;

/// A change of the directory that a caller asks for.
#[derive(Debug, Clone)]
pub(crate) enum MembersAction {
    /// Creates a member.
    CreateMember { name: MemberName, display_name: DisplayName, jurisdictions: Jurisdictions },
    /// Changes the texts of a member.
    UpdateMember {
        name: MemberName,
        display_name: DisplayName,
        jurisdictions: Jurisdictions,
        is_named: Option<bool>,
    },
    /// Changes the state of a member.
    SetMemberState { name: MemberName, state: MemberState },
    /// Replaces the identity providers of a member.
    SetTokenIssuers { name: MemberName, issuers: TokenIssuers },
    /// Creates a principal; of the caller's member if no member is named.
    CreatePrincipal {
        member: Option<MemberName>,
        roles: Roles,
        credential: NewCredential,
        expiry: Expiry,
        note: Note,
    },
    /// Adds a second API key to a principal; the newest existing key stays valid for `overlap`.
    RotateKey { principal: PrincipalId, key: NewKey, overlap: Duration },
    /// Revokes a principal.
    RevokePrincipal { principal: PrincipalId },
    /// Shares a bank.
    PutGrant { bank: BankRef, member: MemberName, capabilities: Capabilities, expiry: Expiry },
    /// Ends the sharing of a bank.
    RevokeGrant { bank: BankRef, member: MemberName },
    /// Sets the caller's own name for a bank that is shared with it.
    SetAlias { bank: BankRef, alias: Option<BankName> },
    /// Replaces the policy of the caller's member.
    SetPolicy { policy: Arc<Policy>, is_trial: bool, expected: Option<u32> },
    /// Replaces the quota of a member.
    SetQuota { member: MemberName, quota: Quota },
    /// Declares a hash type of vectors.
    DeclareHashType(NewHashType),
    /// Sets the card of a model.
    PutModelCard(NewCard),
    /// Replaces the charter of a bank.
    SetCharter { bank: BankRef, charter: Charter },
}

/// The present state, as far as it determines ids and rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing<'v> {
    /// The caller and its rights.
    pub(crate) admitted: Admitted<'v>,
    /// The directory.
    pub(crate) directory: &'v vigie_consortium::Directory,
    /// The time of the write.
    pub(crate) now: UnixMillis,
}

impl Standing<'_> {
    /// Returns the change that an action makes, if the caller may request it. The directory checks the rest
    /// when the change is applied.
    pub(crate) fn change(&self, action: &MembersAction) -> Result<Change, Error> {
        let admitted = &self.admitted;
        Ok(match action {
            MembersAction::CreateMember { name, display_name, jurisdictions } => {
                admitted.members()?;
                let last = self.directory.members().last().map_or(MemberId::HOST, |last| last.id);
                Change::MemberPut(Member {
                    id: MemberId(last.0.checked_add(1).ok_or(Error::Broken)?),
                    name: name.clone(),
                    display_name: display_name.clone(),
                    state: MemberState::Active,
                    jurisdictions: jurisdictions.clone(),
                    token_issuers: TokenIssuers::default(),
                    created_at: self.now,
                    is_named: false,
                })
            }
            MembersAction::UpdateMember { name, display_name, jurisdictions, is_named } => {
                self.edit(name, |member| {
                    member.is_named = is_named.unwrap_or(member.is_named);
                    member.display_name = display_name.clone();
                    member.jurisdictions = jurisdictions.clone();
                })?
            }
            MembersAction::SetMemberState { name, state } => {
                self.edit(name, |member| member.state = *state)?
            }
            MembersAction::SetTokenIssuers { name, issuers } => {
                self.edit(name, |member| member.token_issuers = issuers.clone())?
            }
            MembersAction::CreatePrincipal { member, roles, credential, expiry, note } => {
                let claim = match credential {
                    NewCredential::Key(_) => Claim::NewKey,
                    NewCredential::Certificate(id) => Claim::Certificate(id),
                    NewCredential::Token(token) => Claim::Token(token),
                };
                let member = admitted.new_principal(member.as_ref(), *roles, claim)?;
                Change::PrincipalPut(Principal {
                    id: PrincipalId(self.directory.principal_used().0.checked_add(1).ok_or(Error::Broken)?),
                    member,
                    roles: *roles,
                    credential: self.credential(credential)?,
                    created_at: self.now,
                    expiry: *expiry,
                    note: note.clone(),
                })
            }
            MembersAction::RotateKey { principal, key, overlap } => {
                let principal = admitted.managed_principal(*principal)?;
                let Credential::ApiKeys(keys) = &principal.credential else {
                    return Err(Error::NoApiKey(principal.id));
                };
                let overlap = u64::try_from(overlap.as_millis()).unwrap_or(u64::MAX);
                let end = UnixMillis(self.now.0.saturating_add(overlap));
                let keys = keys.rotated(self.key(*key), end).map_err(|_| Error::Broken)?;
                let credential = Credential::ApiKeys(Box::new(keys));
                Change::PrincipalPut(Principal { credential, ..Principal::clone(principal) })
            }
            MembersAction::RevokePrincipal { principal } => {
                Change::PrincipalRevoked(admitted.managed_principal(*principal)?.id)
            }
            MembersAction::PutGrant { bank, member, capabilities, expiry } => {
                let (bank, member) = (admitted.bank(bank)?.id, admitted.grantee(member)?.id);
                // The alias belongs to the other member, and stays.
                let alias = self.directory.grant(bank, member).and_then(|grant| grant.alias.clone());
                Change::GrantPut(Grant { bank, member, capabilities: *capabilities, alias, expiry: *expiry })
            }
            MembersAction::RevokeGrant { bank: name, member: to } => {
                let (bank, member) = (admitted.bank(name)?.id, admitted.grantee(to)?.id);
                if self.directory.grant(bank, member).is_none() {
                    return Err(Error::GrantNotFound { bank: name.clone(), member: to.clone() });
                }
                Change::GrantRevoked { bank, member }
            }
            MembersAction::SetAlias { bank, alias } => {
                let bank = admitted.bank(bank)?.id;
                let member = admitted.member().ok_or(Error::Broken)?.id;
                let grant = self.directory.grant(bank, member).ok_or(Error::Broken)?;
                Change::GrantPut(Grant { alias: alias.clone(), ..Grant::clone(grant) })
            }
            MembersAction::SetPolicy { policy, is_trial, expected } => {
                let member = admitted.member().ok_or(Error::Broken)?.id;
                let before = self.directory.policies(member).cloned().unwrap_or_default();
                if expected.is_some_and(|expected| expected != before.used) {
                    return Err(Error::StalePolicy { used: before.used });
                }
                let policies = Arc::new(before.with(Arc::clone(policy), *is_trial));
                Change::PoliciesPut { member, policies }
            }
            MembersAction::SetQuota { member, quota } => {
                Change::QuotaPut { member: admitted.member_called(member)?.id, quota: *quota }
            }
            MembersAction::DeclareHashType(new) => {
                Change::HashTypeDeclared(new.clone().declared(self.directory)?)
            }
            MembersAction::PutModelCard(new) => new.change(self.directory)?,
            MembersAction::SetCharter { bank, charter } => {
                Change::CharterPut { bank: admitted.bank(bank)?.id, charter: charter.clone() }
            }
        })
    }

    fn edit(&self, name: &MemberName, edit: impl FnOnce(&mut Member)) -> Result<Change, Error> {
        let mut member = Member::clone(self.admitted.member_called(name)?);
        edit(&mut member);
        Ok(Change::MemberPut(member))
    }

    fn credential(&self, new: &NewCredential) -> Result<Credential, Error> {
        Ok(match new {
            NewCredential::Key(key) => {
                let keys = ApiKeys::new([self.key(*key)]).map_err(|_| Error::Broken)?;
                Credential::ApiKeys(Box::new(keys))
            }
            NewCredential::Certificate(id) => Credential::Certificate(id.clone()),
            NewCredential::Token(token) => Credential::Token(token.clone()),
        })
    }

    const fn key(&self, NewKey { id, digest }: NewKey) -> ApiKey {
        ApiKey { id, digest, created_at: self.now, expiry: Expiry::NEVER }
    }
}
