//! Members, and their principals with roles and credentials.

pub mod member;
pub mod role;
pub mod api_key;
pub mod credential;
pub mod principal;

pub use api_key::{ApiKey, ApiKeys, ApiKeysError, KeyDigest, KeyId, KeyIdError};
pub use credential::{Credential, CredentialError, SpiffeId, TokenSubject};
pub use member::{
    Jurisdictions, JurisdictionsError, Member, MemberId, MemberName, MemberNameError, MemberState,
    TokenIssuers, TokenIssuersError,
};
pub use principal::{Principal, PrincipalId};
pub use role::{Role, Roles};
