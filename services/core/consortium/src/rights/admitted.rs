//! A call that was admitted to a method, and the decisions about the targets that it names.
//!
//! A handler calls the function for the kind of target that its request names. A function for a kind of
//! target that the method does not have denies the call.

use std::sync::Arc;

use vigie_model::{BankId, BankSet, ItemId, UnixMillis};

use super::caller::Caller;
use super::denied::Denied;
use super::member_banks::{MemberBanks, Relation, is_searched};
use super::method::Method;
use super::table::{Scope, row};
use super::view::View;
use crate::banks::bank::{BankRef, OwnedBank};
use crate::banks::grant::Capability;
use crate::items::hold::Holder;
use crate::members::credential::{SpiffeId, TokenSubject};
use crate::members::member::{Member, MemberId, MemberName, MemberState};
use crate::members::principal::{Principal, PrincipalId};
use crate::members::role::{Role, Roles};

/// A call whose caller may call the method. [`View::admit`] creates one for each call, and for each request
/// within a stream.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'v> {
    view: &'v View,
    method: Method,
    now: UnixMillis,
    who: Who<'v>,
}

/// The party on whose behalf a call is made.
#[derive(Debug, Clone, Copy)]
enum Who<'v> {
    /// No particular member: the call may use all targets.
    Unbound,
    /// A member, with the caller's roles and principal.
    Member { id: MemberId, roles: Roles, principal: Option<&'v Principal> },
}

/// The banks that a search covers.
#[derive(Debug, Clone)]
pub enum SearchBanks {
    /// All banks that the member may search.
    All(Arc<MemberBanks>),
    /// The banks that the caller named.
    Named(BankSet),
}

impl SearchBanks {
    /// Returns the set of banks.
    #[must_use]
    pub fn set(&self) -> &BankSet {
        match self {
            Self::All(banks) => &banks.searched,
            Self::Named(set) => set,
        }
    }
}

/// The banks of a list, a count, or a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedBanks {
    /// Every bank of the deployment.
    Every,
    /// Only these banks.
    Only(BankSet),
}

/// The location of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemPlace {
    /// The item's bank.
    pub bank: BankId,
    /// The member that contributed it.
    pub contributor: MemberId,
}

/// The part of an item that an answer may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemView {
    /// The item without its hashes.
    WithoutHashes,
    /// The whole item.
    Whole,
}

/// The credential that a new principal gets.
#[derive(Debug, Clone, Copy)]
pub enum Claim<'a> {
    /// A new API key.
    NewKey,
    /// A certificate.
    Certificate(&'a SpiffeId),
    /// A token.
    Token(&'a TokenSubject),
}

/// The members that a call may read or change, or whose entries it may list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// Only this member.
    Only(MemberId),
    /// Every member, and entries without a member.
    Every,
}

impl Members {
    /// Whether the member is included; `None` means an entry without a member.
    #[must_use]
    pub fn contain(self, member: Option<MemberId>) -> bool {
        match self {
            Self::Only(one) => member == Some(one),
            Self::Every => true,
        }
    }
}

impl View {
    /// Checks that a caller may call a method at all, in this state of the directory and at `now`.
    pub fn admit(&self, caller: Caller, method: Method, now: UnixMillis) -> Result<Admitted<'_>, Denied> {
        let row = row(method);
        let who = match caller {
            Caller::Anonymous if row.anyone => Who::Unbound,
            Caller::Anonymous => return Err(Denied::NoCredential),
            Caller::Process(process) if row.processes.contains(&process) => Who::Unbound,
            Caller::Process(_) => return Err(Denied::Role(method)),
            Caller::Everyone if self.directory().is_on() => return Err(Denied::NoCredential),
            // While the consortium is off, every caller may act as the deployment's own processes.
            Caller::Everyone if row.anyone || !row.processes.is_empty() => Who::Unbound,
            Caller::Everyone => Who::Member { id: MemberId::HOST, roles: Roles::all(), principal: None },
            Caller::Principal(proven) => {
                let principal = self.still_proven(proven, now)?;
                let state = self.directory().member(principal.member).map(|member| member.state);
                match state {
                    Some(MemberState::Active) => {}
                    Some(state) => return Err(Denied::MemberInactive(state)),
                    None => return Err(Denied::Role(method)),
                }
                if row.scopes(principal.roles).next().is_none() {
                    return Err(Denied::Role(method));
                }
                Who::Member { id: principal.member, roles: principal.roles, principal: Some(principal) }
            }
        };
        Ok(Admitted { view: self, method, now, who })
    }
}

impl<'v> Admitted<'v> {
    /// Returns the member for whom the call is made; `None` for the deployment's own processes, and for
    /// methods that anybody may call.
    #[must_use]
    pub fn member(&self) -> Option<&'v Arc<Member>> {
        match self.who {
            Who::Unbound => None,
            Who::Member { id, .. } => self.view.directory().member(id),
        }
    }

    /// Returns the principal that makes the call; `None` for other callers, and while the consortium is off.
    #[must_use]
    pub const fn principal(&self) -> Option<&'v Principal> {
        match self.who {
            Who::Unbound => None,
            Who::Member { principal, .. } => principal,
        }
    }

    /// Returns the banks that a search covers: the named ones (at least one), or all that the member may
    /// search.
    pub fn search(&self, named: &[BankRef]) -> Result<SearchBanks, Denied> {
        let (member, scopes) = self.bound()?;
        if !scopes.contains(&Scope::Search) {
            return Err(self.wrong_target());
        }
        if named.is_empty() {
            return Ok(SearchBanks::All(self.view.banks(member, self.now)));
        }
        let searched = |name: &BankRef| {
            let (bank, relation) = self.resolve(member, name)?;
            if !relation.allows(Capability::Match) {
                return Err(Denied::Capability { bank: name.clone(), capability: Capability::Match });
            }
            if !is_searched(self.view.directory(), bank) {
                return Err(Denied::BankDisabled(name.clone()));
            }
            Ok(bank.id)
        };
        named.iter().map(searched).collect::<Result<_, _>>().map(SearchBanks::Named)
    }

    /// Returns the named bank, if the caller may call the method on it.
    pub fn bank(&self, name: &BankRef) -> Result<&'v Arc<OwnedBank>, Denied> {
        let (member, scopes) = self.bound()?;
        let (bank, relation) = self.resolve(member, name)?;
        let lacks = |capability| Denied::Capability { bank: name.clone(), capability };
        let mut denied = self.wrong_target();
        for scope in scopes {
            denied = match (scope, relation) {
                (Scope::Visible, _) | (Scope::Own, Relation::Own) | (Scope::Shared, Relation::Granted(_)) => {
                    return Ok(bank);
                }
                (Scope::Own, Relation::Granted(_)) => Denied::BankOfAnother(name.clone()),
                (Scope::Shared, Relation::Own) => Denied::OwnBank(name.clone()),
                (Scope::Contribute, _) if relation.allows(Capability::Contribute) => return Ok(bank),
                (Scope::Contribute, _) => lacks(Capability::Contribute),
                (Scope::Hashes, _) if relation.allows(Capability::SeeHashes) => return Ok(bank),
                (Scope::Hashes, _) => lacks(Capability::SeeHashes),
                (
                    Scope::No
                    | Scope::Free
                    | Scope::Search
                    | Scope::Everything
                    | Scope::Withdraw
                    | Scope::OwnItems
                    | Scope::Opine
                    | Scope::Searched
                    | Scope::EveryItem
                    | Scope::Items
                    | Scope::Details
                    | Scope::OwnMember
                    | Scope::OwnMemberOrAllOfHost
                    | Scope::HostCases
                    | Scope::EveryMember
                    | Scope::Appointed,
                    _,
                ) => denied,
            };
        }
        Err(denied)
    }

    /// Returns the owner of a new bank with this name: the caller's member.
    pub fn new_bank(&self, name: &BankRef) -> Result<MemberId, Denied> {
        let (member, scopes) = self.bound()?;
        if !scopes.contains(&Scope::Own) {
            return Err(self.wrong_target());
        }
        match &name.owner {
            Some(owner) if self.member().is_none_or(|own| own.name != *owner) => {
                Err(Denied::OwnerOfAnother(owner.clone()))
            }
            Some(_) | None => Ok(member),
        }
    }

    /// Returns the banks of a call that names none: those that are listed or counted, or whose items or
    /// changes are read.
    pub fn banks(&self) -> Result<ListedBanks, Denied> {
        if matches!(self.who, Who::Unbound) {
            return Ok(ListedBanks::Every);
        }
        let (member, scopes) = self.bound()?;
        let banks = self.view.banks(member, self.now);
        if scopes.contains(&Scope::Everything) {
            return Ok(ListedBanks::Every);
        }
        if scopes.contains(&Scope::Visible) {
            return Ok(ListedBanks::Only(banks.visible.clone()));
        }
        if !scopes.contains(&Scope::Hashes) {
            return Err(self.wrong_target());
        }
        if banks.hashes.is_empty() {
            return Err(Denied::NoBankWithHashes);
        }
        Ok(ListedBanks::Only(banks.hashes.clone()))
    }

    /// Returns the part of an item that the caller may read, or checks that it may withdraw the item. `place`
    /// is the item's location, `None` if there is no such item.
    pub fn item(&self, item: ItemId, place: Option<ItemPlace>) -> Result<ItemView, Denied> {
        let (member, scopes) = self.bound()?;
        let not_found = Denied::ItemNotFound(item);
        let directory = self.view.directory();
        let bank = place.and_then(|place| directory.bank(place.bank));
        let relation = bank.and_then(|bank| Relation::of(directory, bank, member, self.now));
        let (Some(place), Some(relation)) = (place, relation) else { return Err(not_found) };
        let sees_hashes = relation.allows(Capability::SeeHashes);
        let sees_details = relation.sees_details();
        let may_withdraw = relation == Relation::Own
            || relation.allows(Capability::Contribute) && place.contributor == member;
        let has = |scope| scopes.contains(&scope);
        if has(Scope::Items) && sees_hashes {
            return Ok(ItemView::Whole);
        }
        let may = (has(Scope::Items) || has(Scope::Details)) && sees_details
            || has(Scope::Withdraw) && may_withdraw;
        if may {
            return Ok(ItemView::WithoutHashes);
        }
        // The caller can read the item through another method, so its existence is no secret.
        Err(if has(Scope::Withdraw) && sees_details { Denied::ItemOfAnother(item) } else { not_found })
    }

    /// Returns the member on whose behalf the caller gives an opinion on an item or changes it. `place` is
    /// the item's location, `None` if there is no such item.
    pub fn word_on(&self, item: ItemId, place: Option<ItemPlace>) -> Result<MemberId, Denied> {
        let (member, scopes) = self.bound()?;
        let directory = self.view.directory();
        let bank = place.and_then(|place| directory.bank(place.bank));
        let relation = bank.and_then(|bank| Relation::of(directory, bank, member, self.now));
        let Some(relation) = relation else { return Err(Denied::ItemNotFound(item)) };
        let may = scopes.iter().any(|scope| match scope {
            Scope::OwnItems => relation == Relation::Own,
            Scope::Opine => relation.allows(Capability::Opine),
            Scope::Searched => relation.allows(Capability::Match),
            Scope::No
            | Scope::Free
            | Scope::Search
            | Scope::Visible
            | Scope::Everything
            | Scope::Own
            | Scope::Shared
            | Scope::Contribute
            | Scope::Withdraw
            | Scope::Hashes
            | Scope::EveryItem
            | Scope::Items
            | Scope::Details
            | Scope::OwnMember
            | Scope::OwnMemberOrAllOfHost
            | Scope::HostCases
            | Scope::EveryMember
            | Scope::Appointed => false,
        });
        if may {
            return Ok(member);
        }
        // The caller can read the item through another method, so its existence is no secret.
        let sees_item = relation.allows(Capability::SeeHashes) || relation.allows(Capability::SeeDetails);
        Err(if sees_item { Denied::ItemOfAnother(item) } else { Denied::ItemNotFound(item) })
    }

    /// Returns the holders as which the caller may hold an item, at least one. `place` is the item's
    /// location, `None` if there is no such item.
    pub fn holders(
        &self,
        item: ItemId,
        place: Option<ItemPlace>,
    ) -> Result<smallvec::SmallVec<[Holder; 2]>, Denied> {
        let (member, scopes) = self.bound()?;
        let not_found = Denied::ItemNotFound(item);
        let directory = self.view.directory();
        let Some(bank) = place.and_then(|place| directory.bank(place.bank)) else { return Err(not_found) };
        let relation = Relation::of(directory, bank, member, self.now);
        let has = |scope| scopes.contains(&scope);
        let owner = (has(Scope::OwnItems) && relation == Some(Relation::Own)).then_some(Holder::Owner);
        let operator = has(Scope::EveryItem).then_some(Holder::Operator);
        let holders: smallvec::SmallVec<[Holder; 2]> = owner.into_iter().chain(operator).collect();
        if !holders.is_empty() {
            return Ok(holders);
        }
        // The caller can read the item through another method, so its existence is no secret.
        let sees_item = relation.is_some_and(|relation| {
            relation.allows(Capability::SeeHashes) || relation.allows(Capability::SeeDetails)
        });
        Err(if sees_item { Denied::ItemOfAnother(item) } else { not_found })
    }

    /// Returns the members that the call may read or change, or whose entries it may list.
    pub fn members(&self) -> Result<Members, Denied> {
        let (member, scopes) = self.bound()?;
        let has = |scope| scopes.contains(&scope);
        let is_every = has(Scope::EveryMember)
            || has(Scope::Appointed)
            || has(Scope::OwnMemberOrAllOfHost) && member == MemberId::HOST;
        let is_own = has(Scope::OwnMember) || has(Scope::OwnMemberOrAllOfHost);
        match (is_every, is_own) {
            (true, _) => Ok(Members::Every),
            (false, true) => Ok(Members::Only(member)),
            (false, false) => Err(self.wrong_target()),
        }
    }

    /// Returns the host, if the call may change cases of the whole deployment.
    pub fn host(&self) -> Result<MemberId, Denied> {
        let (member, scopes) = self.bound()?;
        let is_host = member == MemberId::HOST && scopes.contains(&Scope::HostCases);
        if is_host { Ok(member) } else { Err(self.wrong_target()) }
    }

    /// Returns the member with this name, if the call may read or change it.
    pub fn member_called(&self, name: &MemberName) -> Result<&'v Arc<Member>, Denied> {
        let members = self.members()?;
        let found = self.view.directory().member_called(name);
        let found = found.filter(|member| members.contain(Some(member.id)));
        found.ok_or_else(|| Denied::MemberNotFound(name.clone()))
    }

    /// Returns the member with whom a bank will be shared. The caller learns from the answer that a member
    /// with this name exists.
    pub fn grantee(&self, name: &MemberName) -> Result<&'v Arc<Member>, Denied> {
        if !self.bound()?.1.contains(&Scope::Own) {
            return Err(self.wrong_target());
        }
        let found = self.view.directory().member_called(name);
        found.ok_or_else(|| Denied::MemberNotFound(name.clone()))
    }

    /// Returns the member of a new principal with these roles: the named one, or the caller's.
    ///
    /// A certificate must contain the member's name. An administrator may assign only tokens of the member's
    /// own issuers; an administrator of the host also those of issuers that no member has. Otherwise a member
    /// could claim a token of another member and see that member's calls as its own. An operator may assign
    /// tokens of every issuer.
    pub fn new_principal(
        &self,
        member: Option<&MemberName>,
        roles: Roles,
        claim: Claim<'_>,
    ) -> Result<MemberId, Denied> {
        let of = match member {
            Some(name) => self.member_called(name)?,
            None => self.member().ok_or_else(|| self.wrong_target())?,
        };
        let (caller, scopes) = self.bound()?;
        let has = |scope| scopes.contains(&scope);
        let is_appointed = has(Scope::Appointed) && roles.iter().all(is_appointed);
        let is_own = has(Scope::OwnMember) && of.id == caller && !roles.contains(Role::Operator);
        if !is_appointed && !is_own {
            return Err(Denied::RolesOfPrincipal);
        }
        let may_claim = match claim {
            Claim::NewKey => true,
            // A certificate with another name would be refused in calls.
            Claim::Certificate(id) => id.member() == of.name.as_str(),
            Claim::Token(token) => is_appointed || self.has_issuer(of, token.issuer()),
        };
        if may_claim { Ok(of.id) } else { Err(Denied::CredentialOfAnother(of.name.clone())) }
    }

    /// Whether the member has an issuer of tokens, or nobody has it and the member is the host.
    fn has_issuer(&self, member: &Member, issuer: &str) -> bool {
        let mut members = self.view.directory().members().iter();
        let holder = members.find(|holder| holder.token_issuers.contains(issuer));
        holder.map_or(member.id == MemberId::HOST, |holder| holder.id == member.id)
    }

    /// Returns the principal, if the call may give it another key or revoke it.
    pub fn managed_principal(&self, id: PrincipalId) -> Result<&'v Arc<Principal>, Denied> {
        let members = self.members()?;
        let found = self.view.directory().principal(id);
        let found = found.filter(|principal| members.contain(Some(principal.member)));
        let principal = found.ok_or(Denied::PrincipalNotFound(id))?;
        let may = self.may_manage(principal.member, principal.roles)?;
        if may { Ok(principal) } else { Err(Denied::RolesOfPrincipal) }
    }

    /// Checks that the call may read the audit entry with this index. `of` is the entry's member: the inner
    /// `None` means an entry without a member, the outer `None` a missing entry.
    pub fn entry(&self, index: u64, of: Option<Option<MemberId>>) -> Result<(), Denied> {
        let members = self.members()?;
        let is_found = of.is_some_and(|member| members.contain(member));
        if is_found { Ok(()) } else { Err(Denied::EntryNotFound(index)) }
    }

    /// Whether one of the caller's roles may manage principals of member `of` with these roles.
    fn may_manage(&self, of: MemberId, roles: Roles) -> Result<bool, Denied> {
        let (member, scopes) = self.bound()?;
        let has = |scope| scopes.contains(&scope);
        Ok(has(Scope::EveryMember)
            || has(Scope::Appointed) && roles.iter().all(is_appointed)
            || has(Scope::OwnMember) && of == member && !roles.contains(Role::Operator))
    }

    fn resolve(&self, member: MemberId, name: &BankRef) -> Result<(&'v Arc<OwnedBank>, Relation), Denied> {
        let found = self.view.resolve(member, name, self.now);
        found.ok_or_else(|| Denied::BankNotFound(name.clone()))
    }

    /// Returns the caller's member, and the scopes on which its roles may call the method.
    fn bound(&self) -> Result<(MemberId, smallvec::SmallVec<[Scope; 6]>), Denied> {
        match self.who {
            Who::Unbound => Err(self.wrong_target()),
            Who::Member { id, roles, .. } => Ok((id, row(self.method).scopes(roles).collect())),
        }
    }

    /// Returns the error for a method that has no targets of this kind.
    fn wrong_target(&self) -> Denied {
        Denied::Role(self.method)
    }
}

/// Whether an operator may give the role: one that reads neither hashes nor items.
const fn is_appointed(role: Role) -> bool {
    matches!(role, Role::Administrator | Role::Auditor | Role::Operator)
}
