//! Private keys, which make signatures.

use std::fmt;
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::note::key::{KEY_BYTES, KeyError, KeyKind, VerifierKey, parse, text_of};

/// The beginning of a private key's text.
const PRIVATE: &str = "PRIVATE+KEY+";

/// A private key, which makes signatures.
///
/// Its text form is that of Go's `golang.org/x/mod/sumdb/note`: `PRIVATE+KEY+`, followed by the form of a
/// public key in which the 32 bytes of the private key's seed (RFC 8032) replace the public key. The id is
/// that of the public key. Go reads only keys of logs. For witnesses no text form is published; this one is
/// the same with their number.
pub struct SignerKey {
    public: VerifierKey,
    seed: [u8; KEY_BYTES],
    pair: Ed25519KeyPair,
}

impl SignerKey {
    /// Draws a new key.
    ///
    /// # Errors
    ///
    /// If the name is not valid, or the system gives no random bytes.
    pub fn generate(name: &str, kind: KeyKind) -> Result<Self, KeyError> {
        let mut seed = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Randomness)?;
        Self::from_seed(name, kind, seed)
    }

    /// Returns the key of a seed of 32 bytes, which is as secret as the key.
    ///
    /// # Errors
    ///
    /// If the name is not valid.
    pub fn from_seed(name: &str, kind: KeyKind, seed: [u8; KEY_BYTES]) -> Result<Self, KeyError> {
        let length = |bytes: usize| KeyError::Length { bytes };
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| length(seed.len()))?;
        let public = pair.public_key().as_ref();
        let public = public.try_into().map_err(|_| length(public.len()))?;
        Ok(Self { public: VerifierKey::new(name, kind, public)?, seed, pair })
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public(&self) -> &VerifierKey {
        &self.public
    }

    /// Returns the text of the private key, for a file that only its owner reads.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let public = &self.public;
        format!("{PRIVATE}{}", text_of(public.name(), public.id(), public.kind(), &self.seed))
    }

    /// Returns the 64 bytes of a signature.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl FromStr for SignerKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let parts = text.strip_prefix(PRIVATE).and_then(parse).ok_or(KeyError::PrivateForm)?;
        let key = Self::from_seed(parts.name, parts.kind()?, parts.bytes()?)?;
        parts.check(key.public.id())?;
        Ok(key)
    }
}
