//! Changes of the directory, in the order of the bank's log, and the reasons for refusing one.

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
/// itself (not of its items).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A member is created or replaced.
    MemberPut(Member),
    /// A principal is created or replaced.
    PrincipalPut(Principal),
    /// A principal is revoked.
    PrincipalRevoked(PrincipalId),
    /// A bank is shared with a member, or the terms of the sharing change.
    GrantPut(Grant),
    /// A bank is no longer shared with a member.
    GrantRevoked {
        /// The bank.
        bank: BankId,
        /// The member.
        member: MemberId,
    },
    /// A member's limits are set.
    QuotaPut {
        /// The member.
        member: MemberId,
        /// The limits.
        quota: Quota,
    },
    /// A member's policies are set.
    PoliciesPut {
        /// The member.
        member: MemberId,
        /// Its policies.
        policies: Arc<MemberPolicies>,
    },
    /// A bank's charter is set.
    CharterPut {
        /// The bank.
        bank: BankId,
        /// The charter.
        charter: Charter,
    },
    /// A hash type of vectors is declared, permanently.
    HashTypeDeclared(Declaration),
    /// A model gets the next version of its card.
    ModelCardPut(Arc<CardVersion>),
    /// A bank is created, enabled, with the default charter.
    BankCreated {
        /// Its id.
        bank: BankId,
        /// The bank's owner; the host if the log names no owner.
        owner: MemberId,
        /// Its name.
        name: BankName,
    },
    /// A bank is renamed.
    BankRenamed {
        /// Its id.
        bank: BankId,
        /// Its new name.
        name: BankName,
    },
    /// A bank is enabled or disabled.
    BankEnabledSet {
        /// Its id.
        bank: BankId,
        /// Whether it is searched.
        enabled: bool,
    },
    /// A bank is deleted together with its grants.
    BankDeleted {
        /// Its id.
        bank: BankId,
    },
}

/// The reason why a change was refused. The directory is unchanged.
///
/// The text may name things that the caller may not see. The bank answers a caller only with what that caller
/// may know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The change's sequence is not after the last applied one.
    #[error("the change {change} does not come after {applied}, which is applied")]
    OutOfOrder {
        /// The change's sequence.
        change: Sequence,
        /// The last change that was applied.
        applied: Sequence,
    },
    /// The id is in use, or was used before.
    #[error("the id {0} has been used before")]
    IdUsed(u64),
    /// The member does not exist.
    #[error("there is no member {0}")]
    UnknownMember(MemberId),
    /// The principal does not exist.
    #[error("there is no principal {0}")]
    UnknownPrincipal(PrincipalId),
    /// The bank does not exist.
    #[error("there is no bank {0}")]
    UnknownBank(BankId),
    /// The grant does not exist.
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
    /// A principal cannot move to another member.
    #[error("principal {0} belongs to another member")]
    PrincipalOfAnother(PrincipalId),
    /// Only principals of the host may be operators.
    #[error("only principals of the host may be operators")]
    OperatorOutsideHost,
    /// No operator with a permanent credential would remain.
    #[error("an operator whose credential does not expire has to remain; create another one first")]
    NoOperatorLeft,
    /// The host is always active.
    #[error("the host cannot be suspended or quarantined")]
    HostInactive,
    /// A bank cannot be shared with its owner.
    #[error("bank {0} belongs to the member that it would be shared with")]
    GrantToOwner(BankId),
    /// The declaration of the hash type is invalid, or differs from an earlier one.
    #[error(transparent)]
    HashType(#[from] DeclarationError),
    /// The card is not the next version.
    #[error("the next version of the card of {name} is {next}, not {put}")]
    CardVersion {
        /// The name of the model.
        name: Box<str>,
        /// The next version.
        next: u32,
        /// The version that the change has.
        put: u32,
    },
    /// A limit of the directory is reached.
    #[error("there are {max} {what} already, and no more can be added")]
    TooMany {
        /// The plural name of the counted things.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// Limits on the size of a directory.
pub mod bounds {
    /// The largest number of members of a deployment.
    pub const MEMBERS_MAX: usize = 1_000;
    /// The largest number of living principals of one member.
    pub const PRINCIPALS_PER_MEMBER_MAX: usize = 100;
    /// The largest number of living banks: as many as a bank service can be configured for.
    pub const BANKS_MAX: usize = 50_000;
    /// The largest number of grants of one bank.
    pub const GRANTS_PER_BANK_MAX: usize = 500;
    /// The largest number of models with a card.
    pub const MODELS_MAX: usize = 64;
    /// The largest number of grants in the directory.
    pub const GRANTS_MAX: usize = 100_000;
}
