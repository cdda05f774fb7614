//! Decides who a caller is, by what a call carries. Rights are decided elsewhere: this crate knows none.
//!
//! | credential | form | proven by | found in the directory by |
//! |---|---|---|---|
//! | certificate | `spiffe://<domain>/member/<name>/<workload>` | the handshake | the whole SPIFFE ID |
//! | API key | `Authorization: Bearer vgk_...` | a keyed digest of its secret | the key's id |
//! | token (JWT) | `Authorization: Bearer <header>.<claims>.<signature>` | a key of its issuer | issuer and subject, or groups |
//!
//! Always true: a credential that is present and wrong fails the call, also where none is needed; the caller gets one text for
//! all wrong credentials, and the log gets the reason ([`Rejected`]), in which no part of a credential is; two credentials of one
//! call name the same member; no header names a member. Everything that a caller controls is bounded: the length of a token, the
//! time that a call waits for an issuer's keys, how often those are fetched, and how many wrong credentials one host may try.
//!
//! A server uses it in two steps: [`Authenticator::verify`] proves what a call carries, and [`Authenticator::resolve`] finds the
//! principal in the server's directory. A [`Verified`] says until when it holds, for calls that outlive a token.
//!
//! Reading order: [`Carried`] and `presented` (what a call carries, read), [`Authenticator`], [`Verified`], [`Rejected`];
//! then the kinds: `spiffe`, [`api_key`], [`jwt`]; `attempts` (the limit of failed attempts); [`CredentialsConfig`].

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
