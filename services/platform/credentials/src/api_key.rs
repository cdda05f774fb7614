//! API keys: `vgk_<16 base32 id>_<52 base32 secret><6 check>`, 79 bytes.
//!
//! - The id has 80 random bits. It is public: it names the key in a directory, in lists and in logs.
//! - The secret has 256 random bits, so a fast digest is enough: there is no list of likely secrets to try. A
//!   server keeps a BLAKE3 digest of both, keyed by its [`Pepper`]. With the store alone, without the pepper,
//!   nobody can even check a guess.
//! - The check is the low 30 bits of the CRC-32 (zlib's) of everything before it. Together with the fixed
//!   beginning it makes a leaked key easy to find: a scanner looks for `vgk_[a-z2-7]{16}_[a-z2-7]{58}` and
//!   drops what fails the check, as with GitHub's tokens. A key with one wrong character, or two neighbours
//!   exchanged, never passes; any other damage passes once in 2^30.
//! - All three are base32 of RFC 4648 in lower case, without padding. Any language has a decoder for it.
//!   Crockford's alphabet corrects misread characters, but keys are copied, not read. Each key has one text:
//!   capitals are refused.

mod text;
mod digest;
mod rotation;

pub use digest::{KeyDigest, KeyRefused, Pepper, StoredKey};
pub use rotation::{LIVE_KEYS_MAX, LiveKeys, NotAdded};
pub use text::{ApiKey, KeyFault, KeyId, NoRandomness, PREFIX};
