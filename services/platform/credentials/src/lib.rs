//! Identifies the caller of a call by its credentials. Rights are decided elsewhere: this crate knows none.
//!
//! | credential | form | proven by | found in the directory by |
//! |---|---|---|---|
//! | certificate | `spiffe://<domain>/member/<name>/<workload>` | the handshake | the whole SPIFFE ID |
//! | API key | `Bearer vgk_...` | a keyed digest of its secret | the key's id |
//! | token | `Bearer <header>.<claims>.<signature>` | a key of its issuer | issuer and subject, or groups |
//!
//! API keys and tokens (JWTs) are sent in the header `Authorization`.
//!
//! Always true: a present but wrong credential fails the call, even if the call needs none. The caller gets
//! the same text for every wrong credential, and the log gets the reason ([`Rejected`]), which contains no
//! part of a credential. Two credentials of one call name the same member. No header names a member.
//! Everything that a caller controls is bounded: the length of a token, the time that a call waits for an
//! issuer's keys, how often those are fetched, and how many wrong credentials one host may try.
//!
//! A server uses it in two steps: [`Authenticator::verify`] checks the credentials of a call, and
//! [`Authenticator::resolve`] finds the principal in the server's directory. A [`Verified`] has an expiry,
//! for calls that outlive a token.
//!
//! Reading order: [`Carried`] and `presented` (reads the credentials of a call), [`Authenticator`],
//! [`Verified`], [`Rejected`]; then the kinds: `spiffe`, [`api_key`], [`jwt`]; `attempts` (the limit of
//! failed attempts); [`CredentialsConfig`].

mod presented;
mod authenticator;
mod verified;
mod rejected;
mod spiffe;
pub mod api_key;
pub mod jwt;
mod attempts;
mod config;

pub use attempts::{FailedAttempts, host};
pub use authenticator::Authenticator;
pub use config::{CredentialsConfig, IssuerConfig, is_safe_address};
pub use jwt::TOKEN_BYTES_MAX;
pub use presented::{Authorization, Carried, TokenText, is_bearer_credential};
pub use rejected::{Answer, Rejected, UNAUTHENTICATED};
pub use spiffe::{CertificateFault, CertificateName, MemberSpiffeId};
pub use verified::{PrincipalReference, Verified, VerifiedBearer};
