//! Tokens of identity providers: JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, following RFC
//! 8725.
//!
//! A token is valid if all of this holds:
//! - it has at most 8 KiB, and neither its header nor its claims contain a name twice;
//! - its header names EdDSA, ES256 or RS256, and its issuer may use that; `none` and HMAC are not
//!   implemented. It has no `crit`, and its `typ`, if present, is `JWT` or `at+jwt`. Keys and addresses of
//!   keys in a header (`jwk`, `jku`, `x5c`, `x5u`) are never read;
//! - `iss` is a configured issuer, and the signature verifies with that issuer's key of this `kid` and this
//!   algorithm. A token without `kid` is valid only if its issuer has a single key;
//! - `aud` is or contains the configured audience;
//! - `exp`, `iat` and, if present, `nbf` match the time, with a tolerance of 60 s for clocks that differ, and
//!   `exp` is at most an hour after `iat`;
//! - `sub` has 1 to 255 bytes, and the claim of groups, if configured and present, has at most 64 entries of
//!   1 to 255 bytes.
//!
//! Signatures are verified by `ring`, which TLS uses already. The crate `jsonwebtoken` 11 was compared. With
//! its pure Rust cryptography it adds 33 crates (including `rsa` 0.9 and second versions of `rand`). Without
//! it, and with our own provider over `ring`, only base64 and JSON would be left to it. It reads the system's
//! clock, checks neither `iat` nor a lifetime, takes the last of two equal names of unread claims, and
//! requires all allowed algorithms to be of one family.
//!
//! Reading order: `issuers` (the whole check), `compact` and `object` (read a token), `claims`, [`JwkSet`]
//! and `algorithm` (keys), `key_cache` (fetches and replaces keys), [`TokenRefused`].

mod issuers;
mod compact;
mod object;
mod claims;
mod jwks;
mod algorithm;
mod key_cache;
mod refused;

pub use algorithm::Algorithm;
pub use claims::VerifiedToken;
pub use compact::TOKEN_BYTES_MAX;
pub use issuers::Issuers;
pub use jwks::{JWKS_BYTES_MAX, JwkSet, JwksFault, UnusableKey};
pub use key_cache::{FetchFailed, FetchKeys, Fetched};
pub use refused::{Part, TokenRefused};
