//! Tokens of identity providers: JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, by the advice of RFC 8725.
//!
//! A token is good if all of this holds:
//! - it has at most 8 KiB, and neither its header nor its claims have a name twice;
//! - its header names EdDSA, ES256 or RS256, and its issuer may use that; `none` and HMAC do not exist here. It has no `crit`, and its
//!   `typ`, if there is one, is `JWT` or `at+jwt`. Keys and addresses of keys in a header (`jwk`, `jku`, `x5c`, `x5u`) are never read;
//! - `iss` is a configured issuer, and the signature is right by that issuer's key of this `kid` and this algorithm. A token without
//!   `kid` is right only if its issuer has a single key;
//! - `aud` is or holds the configured audience;
//! - `exp`, `iat` and, if there, `nbf` fit the time, with 60 s for clocks that differ, and `exp` is at most an hour after `iat`;
//! - `sub` is 1 to 255 bytes, and the claim of groups, if one is configured and there, has at most 64 of as many bytes.
//!
//! Signatures are verified by `ring`, which TLS has already. The crate `jsonwebtoken` 11 was compared: with its pure Rust
//! cryptography it adds 33 crates (`rsa` 0.9 and doubles of `rand` among them), and with none, a provider of one's own over `ring`
//! leaves it base64 and JSON. It reads the system's clock, checks neither `iat` nor a lifetime, takes the last of two equal
//! names of unread claims, and wants all allowed algorithms to be of one family.
//!
//! Reading order: `issuers` (the whole check), `compact` and `object` (a token read), `claims`, [`JwkSet`] and `algorithm` (keys),
//! `key_cache` (fetched and rotated), [`TokenRefused`].

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
