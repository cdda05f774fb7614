//! A set of keys (JWKS, RFC 7517), as an issuer publishes it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::jwt::algorithm::{Algorithm, PublicKey};

/// The largest set, in bytes. Those of large providers are below 20 KiB.
pub const JWKS_BYTES_MAX: usize = 256 << 10;
/// The most keys of a set: they are compared one by one.
const KEYS_MAX: usize = 64;
/// The longest name of a key, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;
const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 8_192;
/// The smallest exponent (FIPS 186-5, section 5.1), and the largest that `ring` accepts, of 33 bits.
const RSA_EXPONENT_MIN: u64 = 65_537;
const RSA_EXPONENT_MAX: u64 = (1 << 33) - 1;

/// The keys of an issuer. Unusable keys are kept by name, so that a token of one is refused with the reason.
#[derive(Debug)]
pub struct JwkSet(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    key_id: Option<String>,
    key: Result<Arc<PublicKey>, UnusableKey>,
}

/// The reasons for which a whole set is refused. The former keys then stay in use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JwksFault {
    /// The set is larger than the limit, and is not read.
    #[error("the set of keys has {bytes} bytes, more than {JWKS_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The set is not a JSON object with a list `keys`.
    #[error("the set of keys is not an object of JSON with a list of keys")]
    Malformed,
    /// The set has too many keys.
    #[error("the set has {keys} keys, more than {KEYS_MAX}")]
    TooManyKeys {
        /// The number of keys.
        keys: usize,
    },
    /// Two keys of one algorithm have one name.
    #[error("two keys of one algorithm have the same kid")]
    SameName,
}

/// The reasons for which a key of a set cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnusableKey {
    /// A member is missing, of another type, not base64url, or of the wrong length.
    #[error("it is malformed")]
    Malformed,
    /// The type of key, the curve or the `alg` is not supported.
    #[error("its type or its algorithm is not offered")]
    Kind,
    /// The key is a secret or private one: everybody who reads the set can sign with it.
    #[error("it is a secret key, and public now: the issuer has to replace it")]
    Secret,
    /// The key is for another use, such as encryption.
    #[error("it is not for verifying signatures")]
    Use,
    /// The modulus is too short to be safe, or too long to verify with.
    #[error("its RSA modulus has {bits} bits, and not {RSA_BITS_MIN} to {RSA_BITS_MAX}")]
    RsaBits {
        /// The number of bits.
        bits: usize,
    },
    /// The exponent is too small, even, or too large.
    #[error("its RSA exponent is even, below 65537 or above 2^33")]
    RsaExponent,
}

/// The reasons for which a set has no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyMissing {
    /// There is no set.
    NoKeys,
    Unknown,
    NotNamed,
    OtherAlgorithm,
    Unusable(UnusableKey),
}

impl JwkSet {
    /// Reads a set. Unusable keys are not a fault of the set (RFC 7517, section 5).
    ///
    /// # Errors
    ///
    /// The set is too large, malformed, or ambiguous.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksFault> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JwksFault::TooLarge { bytes: bytes.len() });
        }
        let set: RawSet = serde_json::from_slice(bytes).map_err(|_| JwksFault::Malformed)?;
        if set.keys.len() > KEYS_MAX {
            return Err(JwksFault::TooManyKeys { keys: set.keys.len() });
        }
        let entries: Vec<Entry> = set.keys.into_iter().map(Entry::read).collect();
        for (index, entry) in entries.iter().enumerate() {
            let is_same = |other: &Entry| {
                let algorithms = (other.algorithm(), entry.algorithm());
                other.key_id == entry.key_id && algorithms.0.is_some() && algorithms.0 == algorithms.1
            };
            if entry.key_id.is_some() && entries[..index].iter().any(is_same) {
                return Err(JwksFault::SameName);
            }
        }
        Ok(Self(entries))
    }

    /// Iterates over the names of the usable keys.
    pub(super) fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|entry| entry.key.is_ok()).filter_map(|entry| entry.key_id.as_deref())
    }

    /// Iterates over the unusable keys, with name and reason.
    pub(super) fn unusable(&self) -> impl Iterator<Item = (Option<&str>, UnusableKey)> {
        self.0.iter().filter_map(|entry| Some((entry.key_id.as_deref(), *entry.key.as_ref().err()?)))
    }

    /// Returns the key with this name and algorithm; without a name, the only key of the set.
    pub(super) fn find(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<PublicKey>, KeyMissing> {
        let named: Vec<&Entry> = match (key_id, &self.0[..]) {
            (Some(_), entries) => entries.iter().filter(|entry| entry.key_id.as_deref() == key_id).collect(),
            (None, [only]) => vec![only],
            (None, _) => return Err(KeyMissing::NotNamed),
        };
        if let Some(key) = named.iter().flat_map(|entry| &entry.key).find(|key| key.algorithm() == algorithm)
        {
            return Ok(key.clone());
        }
        let unusable = named.iter().find_map(|entry| entry.key.as_ref().err());
        Err(match (unusable, &named[..]) {
            (Some(why), _) => KeyMissing::Unusable(*why),
            (None, []) => KeyMissing::Unknown,
            (None, _) => KeyMissing::OtherAlgorithm,
        })
    }
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

/// The members of a key that are read (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
#[derive(Deserialize)]
struct RawKey {
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Value>,
}

impl Entry {
    fn read(value: Value) -> Self {
        let key_id = value.get("kid").and_then(Value::as_str).map(str::to_owned);
        let is_long = key_id.as_ref().is_some_and(|key_id| key_id.len() > KEY_ID_BYTES_MAX);
        let key = match serde_json::from_value::<RawKey>(value) {
            Ok(raw) if !is_long => raw.public_key(),
            Ok(_) | Err(_) => Err(UnusableKey::Malformed),
        };
        Self { key_id: key_id.filter(|_| !is_long), key: key.map(Arc::new) }
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.key.as_ref().ok().map(|key| key.algorithm())
    }
}

impl RawKey {
    fn public_key(&self) -> Result<PublicKey, UnusableKey> {
        if self.kty == "oct" || self.d.is_some() {
            return Err(UnusableKey::Secret);
        }
        let is_for_signatures = self.usage.as_ref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !is_for_signatures {
            return Err(UnusableKey::Use);
        }
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => PublicKey::Ed25519(of_length(self.x.as_ref())?),
            ("EC", Some("P-256")) => {
                let (x, y): ([u8; 32], [u8; 32]) = (of_length(self.x.as_ref())?, of_length(self.y.as_ref())?);
                let mut point = [4; 65];
                point[1..33].copy_from_slice(&x);
                point[33..].copy_from_slice(&y);
                PublicKey::P256(point)
            }
            ("RSA", _) => rsa(number(self.n.as_ref())?, number(self.e.as_ref())?)?,
            _ => return Err(UnusableKey::Kind),
        };
        let is_its = |name: &String| Algorithm::from_name(name) == Some(key.algorithm());
        if self.alg.as_ref().is_none_or(is_its) { Ok(key) } else { Err(UnusableKey::Kind) }
    }
}

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<PublicKey, UnusableKey> {
    let zeros = n.first().map_or(0, |first| first.leading_zeros());
    let bits = n.len() * 8 - usize::try_from(zeros).unwrap_or_default();
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(UnusableKey::RsaBits { bits });
    }
    let exponent = (e.len() <= 8).then(|| e.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    let is_fit = |e: u64| (RSA_EXPONENT_MIN..=RSA_EXPONENT_MAX).contains(&e) && e % 2 == 1;
    if exponent.is_some_and(is_fit) { Ok(PublicKey::Rsa { n, e }) } else { Err(UnusableKey::RsaExponent) }
}

fn bytes(text: Option<&String>) -> Result<Vec<u8>, UnusableKey> {
    let text = text.ok_or(UnusableKey::Malformed)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| UnusableKey::Malformed)
}

fn of_length<const BYTES: usize>(text: Option<&String>) -> Result<[u8; BYTES], UnusableKey> {
    bytes(text)?.try_into().map_err(|_| UnusableKey::Malformed)
}

/// Decodes a big-endian number, without the zeros that some issuers put in front.
fn number(text: Option<&String>) -> Result<Vec<u8>, UnusableKey> {
    let bytes = bytes(text)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

#[cfg(test)]
mod tests;
