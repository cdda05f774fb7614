//! The reasons for denying a call, with texts that reveal nothing that the caller may not see.

use thiserror::Error;
use vigie_model::ItemId;

use super::caller::InvalidCredential;
use super::method::Method;
use crate::banks::bank::BankRef;
use crate::banks::grant::Capability;
use crate::flags::Flag as _;
use crate::members::member::{MemberName, MemberState};
use crate::members::principal::PrincipalId;

/// The reason for denying a call. Texts repeat only names that the caller sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denied {
    /// The method needs a credential, and none was sent.
    #[error("the call needs a credential: a client certificate, an API key or a token")]
    NoCredential,
    /// A credential is invalid, expired or revoked.
    #[error(transparent)]
    Credential(#[from] InvalidCredential),
    /// The member is suspended or quarantined.
    #[error("the member is {0}; ask the deployment's operator")]
    MemberInactive(MemberState),
    /// None of the caller's roles may call the method.
    #[error("none of the caller's roles may call {0}")]
    Role(Method),
    /// The bank does not exist, or is not shared with the member.
    #[error("there is no bank called {0}")]
    BankNotFound(BankRef),
    /// The bank is shared with the member, but without the capability that the call needs.
    #[error("the bank {bank} is not shared with the caller's member for {}", capability.name())]
    Capability {
        /// The bank, as the caller named it.
        bank: BankRef,
        /// The capability that the call needs.
        capability: Capability,
    },
    /// The member sees the bank, but another member owns it.
    #[error("the bank {0} belongs to another member")]
    BankOfAnother(BankRef),
    /// The member owns the bank, so there is no grant of it to the member.
    #[error("the bank {0} is the member's own and has no alias")]
    OwnBank(BankRef),
    /// A bank would be created for another member.
    #[error("banks are created for the caller's own member, not for {0}")]
    OwnerOfAnother(MemberName),
    /// The bank is disabled or in shadow, or its owner is quarantined.
    #[error("the bank {0} is disabled")]
    BankDisabled(BankRef),
    /// The item does not exist, or is in a bank that does not show it to the member.
    #[error("there is no item {0}")]
    ItemNotFound(ItemId),
    /// The member sees the item, but may not change it: another member contributed it, or owns its bank.
    #[error("item {0} is another member's to change")]
    ItemOfAnother(ItemId),
    /// The member may not read the hashes of any bank.
    #[error("the member has no bank, and none is shared with it for {}", Capability::SeeHashes.name())]
    NoBankWithHashes,
    /// The member does not exist, or the caller may not read it.
    #[error("there is no member called {0}")]
    MemberNotFound(MemberName),
    /// The principal does not exist, or the caller may not read it.
    #[error("there is no principal {0}")]
    PrincipalNotFound(PrincipalId),
    /// The caller may not create, rotate or revoke principals with these roles.
    #[error("the caller may not manage principals with these roles")]
    RolesOfPrincipal,
    /// The credential cannot belong to the member.
    #[error(
        "the certificate has to be spiffe://DOMAIN/member/{0}/WORKLOAD, and the token of one of the member's issuers, which operators set"
    )]
    CredentialOfAnother(MemberName),
    /// The entry does not exist, or belongs to another member.
    #[error("there is no entry {0}")]
    EntryNotFound(u64),
}

/// The kind of a refusal. Each has a gRPC code of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeniedKind {
    /// The caller is unknown.
    Unauthenticated,
    /// The caller is known, but may not do this.
    PermissionDenied,
    /// The target does not exist for the caller.
    NotFound,
    /// The target is in a state that does not allow the call.
    FailedPrecondition,
}

impl Denied {
    /// Returns the kind of the refusal.
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
