//! Changes of the directory, in the order of the bank's log, and why one may be refused.

use std::sync::Arc;

use thiserror::Error;
use vigie_model::{BankId, BankName, Declaration, DeclarationError, Sequence};

use crate::banks::charter::Charter;
use crate::banks::grant::Grant;
use crate::classifiers::CardVersion;
use crate::members::member::{Member, MemberId, MemberName};
use crate::members::principal::{Principal, PrincipalId};
use crate::policies::MemberPolicies;
use crate::quotas::quota::Quota;

/// A change of members, principals, grants, quotas, policies, charters, hash types, model cards, or of a bank
/// as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A member is there, or is another one than before.
    MemberPut(Member),
    /// A principal is there, or is another one than before.
    PrincipalPut(Principal),
    /// A principal is gone.
    PrincipalRevoked(PrincipalId),
    /// A bank is shared with a member, or otherwise than before.
    GrantPut(Grant),
    /// A bank is no longer shared with a member.
    GrantRevoked {
        /// The bank.
        bank: BankId,
        /// The member.
        member: MemberId,
    },
    /// A member has these limits.
    QuotaPut {
        /// The member.
        member: MemberId,
        /// The limits.
        quota: Quota,
    },
    /// A member has these policies.
    PoliciesPut {
        /// The member.
        member: MemberId,
        /// Its policies.
        policies: Arc<MemberPolicies>,
    },
    /// A bank has this charter.
    CharterPut {
        /// The bank.
        bank: BankId,
        /// The charter.
        charter: Charter,
    },
    /// A hash type of vectors is declared, permanently.
    HashTypeDeclared(Declaration),
    /// A model has another card: the next version.
    ModelCardPut(Arc<CardVersion>),
    /// A bank began, enabled, with the default charter.
    BankCreated {
        /// Its id.
        bank: BankId,
        /// Its owner; the host where the log names none.
        owner: MemberId,
        /// Its name.
        name: BankName,
    },
    /// A bank has another name.
    BankRenamed {
        /// Its id.
        bank: BankId,
        /// Its new name.
        name: BankName,
    },
    /// A bank is searched from now on, or no longer.
    BankEnabledSet {
        /// Its id.
        bank: BankId,
        /// Whether it is searched.
        enabled: bool,
    },
    /// A bank is gone, and its grants with it.
    BankDeleted {
        /// Its id.
        bank: BankId,
    },
}

/// Why a change cannot be applied. The directory is as it was before.
///
/// For whoever applies changes, who sees everything: the bank answers a caller with what the caller may know
/// of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The change does not come after those that were applied.
    #[error("the change {change} does not come after {applied}, which is applied")]
    OutOfOrder {
        /// The change's sequence.
        change: Sequence,
        /// The last change that was applied.
        applied: Sequence,
    },
    /// An id that is in use, or was.
    #[error("the id {0} has been used before")]
    IdUsed(u64),
    /// No such member.
    #[error("there is no member {0}")]
    UnknownMember(MemberId),
    /// No such principal.
    #[error("there is no principal {0}")]
    UnknownPrincipal(PrincipalId),
    /// No such bank.
    #[error("there is no bank {0}")]
    UnknownBank(BankId),
    /// No such grant.
    #[error("bank {0} is not shared with member {1}")]
    UnknownGrant(BankId, MemberId),
    /// Another member has the name.
    #[error("there is a member called {0} already")]
    MemberNameTaken(MemberName),
    /// Another member has the identity provider.
    #[error("member {0} has this issuer of tokens already")]
    IssuerTaken(MemberId),
    /// The member has a bank or an alias of this name.
    #[error("the member has a bank or an alias called {0} already")]
    BankNameTaken(BankName),
    /// Another living principal has the credential.
    #[error("principal {0} has this credential already")]
    CredentialTaken(PrincipalId),
    /// A principal stays with its member.
    #[error("principal {0} belongs to another member")]
    PrincipalOfAnother(PrincipalId),
    /// Operators belong to the host.
    #[error("only principals of the host may be operators")]
    OperatorOutsideHost,
    /// Nobody would be left who can turn things right.
    #[error("an operator whose credential does not expire has to remain; create another one first")]
    NoOperatorLeft,
    /// The host takes part, always.
    #[error("the host cannot be suspended or quarantined")]
    HostInactive,
    /// A bank cannot be shared with its owner.
    #[error("bank {0} belongs to the member that it would be shared with")]
    GrantToOwner(BankId),
    /// The hash type is not declared in this way.
    #[error(transparent)]
    HashType(#[from] DeclarationError),
    /// The card is not the next version.
    #[error("the next version of the card of {name} is {next}, not {put}")]
    CardVersion {
        /// The name of the model.
        name: Box<str>,
        /// The version that comes next.
        next: u32,
        /// The version of the card.
        put: u32,
    },
    /// A limit of the directory is reached.
    #[error("there are {max} {what} already, and no more can be added")]
    TooMany {
        /// The plural of the things that are counted.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// How much a directory holds.
pub mod bounds {
    /// Members of one deployment.
    pub const MEMBERS_MAX: usize = 1_000;
    /// Living principals of one member.
    pub const PRINCIPALS_PER_MEMBER_MAX: usize = 100;
    /// Living banks: as many as the bank can be configured for.
    pub const BANKS_MAX: usize = 50_000;
    /// Grants of one bank.
    pub const GRANTS_PER_BANK_MAX: usize = 500;
    /// Models that have a card.
    pub const MODELS_MAX: usize = 64;
    /// Grants in all.
    pub const GRANTS_MAX: usize = 100_000;
}
