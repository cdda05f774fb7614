//! A call that was admitted to a method, and its decisions about what it names.
//!
//! A handler asks the function that fits what its request names. One that is asked for a method with other
//! targets denies.

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

/// A call that may call its method. [`View::admit`] makes one for each call, and for each request within a
/// stream.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'v> {
    view: &'v View,
    method: Method,
    now: UnixMillis,
    who: Who<'v>,
}

/// For whom a call is made.
#[derive(Debug, Clone, Copy)]
enum Who<'v> {
    /// For nobody in particular: whoever may call the method may do so on everything.
    Unbound,
    /// For a member.
    Member { id: MemberId, roles: Roles, principal: Option<&'v Principal> },
}

/// The banks that a search goes through.
#[derive(Debug, Clone)]
pub enum SearchBanks {
    /// All that the member may search.
    All(Arc<MemberBanks>),
    /// Those that the caller named.
    Named(BankSet),
}

impl SearchBanks {
    /// The banks.
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
    /// These.
    Only(BankSet),
}

/// Where an item lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemPlace {
    /// Its bank.
    pub bank: BankId,
    /// The member that contributed it.
    pub contributor: MemberId,
}

/// How much of an item an answer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemView {
    /// All but its hashes.
    WithoutHashes,
    /// All.
    Whole,
}

/// The credential that a new principal is to have.
#[derive(Debug, Clone, Copy)]
pub enum Claim<'a> {
    /// A new API key.
    NewKey,
    /// A certificate.
    Certificate(&'a SpiffeId),
    /// A token.
    Token(&'a TokenSubject),
}

/// The members that a call may read, change or list entries of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// This one.
    Only(MemberId),
    /// Every one, and what was done for none.
    Every,
}

impl Members {
    /// Whether the member is one of them; `None` is what was done for no member.
    #[must_use]
    pub fn contain(self, member: Option<MemberId>) -> bool {
        match self {
            Self::Only(one) => member == Some(one),
            Self::Every => true,
        }
    }
}

impl View {
    /// Whether a caller may call a method at all, as of this state of the directory and at `now`.
    pub fn admit(&self, caller: Caller, method: Method, now: UnixMillis) -> Result<Admitted<'_>, Denied> {
        let row = row(method);
        let who = match caller {
            Caller::Anonymous if row.anyone => Who::Unbound,
            Caller::Anonymous => return Err(Denied::NoCredential),
            Caller::Process(process) if row.processes.contains(&process) => Who::Unbound,
            Caller::Process(_) => return Err(Denied::Role(method)),
            Caller::Everyone if self.directory().is_on() => return Err(Denied::NoCredential),
            // Everybody does the work of the deployment's own processes.
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
    /// The member for whom the call is made; `None` for the deployment's own processes, and for what anybody
    /// may call.
    #[must_use]
    pub fn member(&self) -> Option<&'v Arc<Member>> {
        match self.who {
            Who::Unbound => None,
            Who::Member { id, .. } => self.view.directory().member(id),
        }
    }

    /// The principal that makes the call; `None` for others, and while the consortium is off.
    #[must_use]
    pub const fn principal(&self) -> Option<&'v Principal> {
        match self.who {
            Who::Unbound => None,
            Who::Member { principal, .. } => principal,
        }
    }

    /// The banks that a search goes through: those that are named, at least one, or all that the member may
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

    /// The bank that the call names, if the caller may do with it what the method does.
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

    /// The member that a new bank of this name belongs to: the caller's.
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

    /// The banks of a call that names none: those of a list or a count, or whose items or changes are read.
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

    /// How much of an item the caller may read, or whether it may withdraw it. `place` is where the item
    /// lies, `None` if there is none.
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
        // The caller can read the item elsewhere, so that its existence is no secret.
        Err(if has(Scope::Withdraw) && sees_details { Denied::ItemOfAnother(item) } else { not_found })
    }

    /// The member on whose behalf the caller says or changes something of an item. `place` is where the item
    /// lies, `None` if there is none.
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
        // The caller can read the item elsewhere, so that its existence is no secret.
        let sees_item = relation.allows(Capability::SeeHashes) || relation.allows(Capability::SeeDetails);
        Err(if sees_item { Denied::ItemOfAnother(item) } else { Denied::ItemNotFound(item) })
    }

    /// As which holders the caller may hold an item, at least one. `place` is where the item lies, `None` if
    /// there is none.
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
        // The caller can read the item elsewhere, so that its existence is no secret.
        let sees_item = relation.is_some_and(|relation| {
            relation.allows(Capability::SeeHashes) || relation.allows(Capability::SeeDetails)
        });
        Err(if sees_item { Denied::ItemOfAnother(item) } else { not_found })
    }

    /// The members that the call may read, change or list entries of.
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

    /// The host, whose cases of the whole deployment the call may change.
    pub fn host(&self) -> Result<MemberId, Denied> {
        let (member, scopes) = self.bound()?;
        let is_host = member == MemberId::HOST && scopes.contains(&Scope::HostCases);
        if is_host { Ok(member) } else { Err(self.wrong_target()) }
    }

    /// The member of this name, if the call may read or change it.
    pub fn member_called(&self, name: &MemberName) -> Result<&'v Arc<Member>, Denied> {
        let members = self.members()?;
        let found = self.view.directory().member_called(name);
        let found = found.filter(|member| members.contain(Some(member.id)));
        found.ok_or_else(|| Denied::MemberNotFound(name.clone()))
    }

    /// The member that a bank is to be shared with. Its administrator learns from this that there is a member
    /// of the name.
    pub fn grantee(&self, name: &MemberName) -> Result<&'v Arc<Member>, Denied> {
        if !self.bound()?.1.contains(&Scope::Own) {
            return Err(self.wrong_target());
        }
        let found = self.view.directory().member_called(name);
        found.ok_or_else(|| Denied::MemberNotFound(name.clone()))
    }

    /// The member that a new principal with these roles belongs to: the one that is named, or the caller's.
    ///
    /// A certificate has to name the member. An administrator gives tokens of the member's own issuers alone
    /// (and one of the host, those of issuers that no member has): otherwise one member could claim a token
    /// of another, whose calls it would then see as its own. An operator gives tokens of every issuer.
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
            // No other would be accepted.
            Claim::Certificate(id) => id.member() == of.name.as_str(),
            Claim::Token(token) => is_appointed || self.has_issuer(of, token.issuer()),
        };
        if may_claim { Ok(of.id) } else { Err(Denied::CredentialOfAnother(of.name.clone())) }
    }

    /// Whether an issuer of tokens is the member's, or nobody's and the member is the host.
    fn has_issuer(&self, member: &Member, issuer: &str) -> bool {
        let mut members = self.view.directory().members().iter();
        let holder = members.find(|holder| holder.token_issuers.contains(issuer));
        holder.map_or(member.id == MemberId::HOST, |holder| holder.id == member.id)
    }

    /// The principal that is to get another key or to be revoked.
    pub fn managed_principal(&self, id: PrincipalId) -> Result<&'v Arc<Principal>, Denied> {
        let members = self.members()?;
        let found = self.view.directory().principal(id);
        let found = found.filter(|principal| members.contain(Some(principal.member)));
        let principal = found.ok_or(Denied::PrincipalNotFound(id))?;
        let may = self.may_manage(principal.member, principal.roles)?;
        if may { Ok(principal) } else { Err(Denied::RolesOfPrincipal) }
    }

    /// Whether the call may read the entry of this index, which was made for `member`; `None` for no member,
    /// and the outer `None` if there is no such entry.
    pub fn entry(&self, index: u64, of: Option<Option<MemberId>>) -> Result<(), Denied> {
        let members = self.members()?;
        let is_found = of.is_some_and(|member| members.contain(member));
        if is_found { Ok(()) } else { Err(Denied::EntryNotFound(index)) }
    }

    /// Whether one of the caller's roles manages principals of the member with these roles.
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

    /// The member, and on what its roles have the method.
    fn bound(&self) -> Result<(MemberId, smallvec::SmallVec<[Scope; 6]>), Denied> {
        match self.who {
            Who::Unbound => Err(self.wrong_target()),
            Who::Member { id, roles, .. } => Ok((id, row(self.method).scopes(roles).collect())),
        }
    }

    /// The method has no targets of the kind that it is asked about.
    fn wrong_target(&self) -> Denied {
        Denied::Role(self.method)
    }
}

/// Whether the role reads neither hashes nor items: one that an operator may give.
const fn is_appointed(role: Role) -> bool {
    matches!(role, Role::Administrator | Role::Auditor | Role::Operator)
}
