//! Why a call is denied, in words that reveal nothing of what the caller may not see.

use thiserror::Error;
use vigie_model::ItemId;

use super::caller::InvalidCredential;
use super::method::Method;
use crate::banks::bank::BankRef;
use crate::banks::grant::Capability;
use crate::flags::Flag as _;
use crate::members::member::{MemberName, MemberState};
use crate::members::principal::PrincipalId;

/// Why a call is denied. Texts repeat what the caller named, and nothing that it did not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denied {
    /// The method needs a credential, and none was sent.
    #[error("the call needs a credential: a client certificate, an API key or a token")]
    NoCredential,
    /// A credential is not valid, or not any more.
    #[error(transparent)]
    Credential(#[from] InvalidCredential),
    /// The member does not take part now.
    #[error("the member is {0}; ask the deployment's operator")]
    MemberInactive(MemberState),
    /// No role of the caller has the method.
    #[error("none of the caller's roles may call {0}")]
    Role(Method),
    /// There is no such bank, or it is not shared with the member.
    #[error("there is no bank called {0}")]
    BankNotFound(BankRef),
    /// The bank is shared with the member, but not for this.
    #[error("the bank {bank} is not shared with the caller's member for {}", capability.name())]
    Capability {
        /// The bank, as the caller named it.
        bank: BankRef,
        /// The capability that the call needs.
        capability: Capability,
    },
    /// The member sees the bank, which belongs to another.
    #[error("the bank {0} belongs to another member")]
    BankOfAnother(BankRef),
    /// The member owns the bank, which therefore is not shared with it.
    #[error("the bank {0} is the member's own and has no alias")]
    OwnBank(BankRef),
    /// A bank would be created for another member.
    #[error("banks are created for the caller's own member, not for {0}")]
    OwnerOfAnother(MemberName),
    /// The bank is disabled, or tried in shadow, or its owner is quarantined.
    #[error("the bank {0} is disabled")]
    BankDisabled(BankRef),
    /// There is no such item, or it lies in a bank that does not show it to the member.
    #[error("there is no item {0}")]
    ItemNotFound(ItemId),
    /// The member sees the item, which another one contributed to a bank of others, or which lies in a bank
    /// of another.
    #[error("item {0} is another member's to change")]
    ItemOfAnother(ItemId),
    /// No bank shows its hashes to the member.
    #[error("the member has no bank, and none is shared with it for {}", Capability::SeeHashes.name())]
    NoBankWithHashes,
    /// There is no such member, or the caller may not read it.
    #[error("there is no member called {0}")]
    MemberNotFound(MemberName),
    /// There is no such principal, or the caller may not read it.
    #[error("there is no principal {0}")]
    PrincipalNotFound(PrincipalId),
    /// The caller may not create, rotate or revoke principals with these roles.
    #[error("the caller may not manage principals with these roles")]
    RolesOfPrincipal,
    /// The credential is not the member's to give.
    #[error(
        "the certificate has to be spiffe://DOMAIN/member/{0}/WORKLOAD, and the token of one of the member's issuers, which operators set"
    )]
    CredentialOfAnother(MemberName),
    /// There is no such entry, or it is of another member.
    #[error("there is no entry {0}")]
    EntryNotFound(u64),
}

/// The kind of a refusal. Each has a gRPC code of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeniedKind {
    /// Nobody known calls.
    Unauthenticated,
    /// Somebody known calls who may not do that.
    PermissionDenied,
    /// There is no such thing for the caller.
    NotFound,
    /// The thing is not in the state for it.
    FailedPrecondition,
}

impl Denied {
    /// The kind of the refusal.
    #[must_use]
    pub const fn kind(&self) -> DeniedKind {
        match self {
            Self::NoCredential | Self::Credential(_) => DeniedKind::Unauthenticated,
            Self::MemberInactive(_)
            | Self::Role(_)
            | Self::Capability { .. }
            | Self::BankOfAnother(_)
            | Self::OwnBank(_)
            | Self::OwnerOfAnother(_)
            | Self::ItemOfAnother(_)
            | Self::NoBankWithHashes
            | Self::RolesOfPrincipal
            | Self::CredentialOfAnother(_) => DeniedKind::PermissionDenied,
            Self::BankNotFound(_)
            | Self::ItemNotFound(_)
            | Self::MemberNotFound(_)
            | Self::PrincipalNotFound(_)
            | Self::EntryNotFound(_) => DeniedKind::NotFound,
            Self::BankDisabled(_) => DeniedKind::FailedPrecondition,
        }
    }
}
