//! A hash: one fingerprint of an item, and how far two of them are apart.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How a fingerprint is computed and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashType {
    /// PDQ, a perceptual hash of 256 bits compared by Hamming distance.
    Pdq,
    /// MD5 of the content's bytes, compared for equality.
    Md5,
    /// SHA-256 of the content's bytes, compared for equality.
    Sha256,
}

impl HashType {
    /// Every hash type, in the order in which they are listed to people.
    pub const ALL: [Self; 3] = [Self::Pdq, Self::Md5, Self::Sha256];

    /// The length of a hash of this type, in bytes.
    #[must_use]
    pub const fn byte_len(self) -> usize {
        match self {
            Self::Pdq | Self::Sha256 => 32,
            Self::Md5 => 16,
        }
    }

    /// The largest distance that a search of this type accepts, in bits; 0 where only equality has a meaning.
    ///
    /// For PDQ, 64 bits is twice the reference's threshold of 31: beyond it unrelated images begin to match.
    #[must_use]
    pub const fn distance_max(self) -> Distance {
        match self {
            Self::Pdq => Distance(64),
            Self::Md5 | Self::Sha256 => Distance(0),
        }
    }

    /// The distance used where the caller names none: PDQ's reference threshold of 31 bits, or equality.
    #[must_use]
    pub const fn distance_default(self) -> Distance {
        match self {
            Self::Pdq => Distance(31),
            Self::Md5 | Self::Sha256 => Distance(0),
        }
    }

    /// The name used in files, on the command line and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pdq => "pdq",
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
        }
    }
}

impl fmt::Display for HashType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashType {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        Self::ALL
            .into_iter()
            .find(|hash_type| hash_type.name().eq_ignore_ascii_case(text))
            .ok_or(HashError::UnknownType)
    }
}

/// A number of differing bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Distance(pub u16);

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The 32 bytes of a PDQ hash, in the order of its usual hexadecimal form.
pub type PdqHash = [u8; 32];
/// The 16 bytes of an MD5 digest.
pub type Md5Hash = [u8; 16];
/// The 32 bytes of a SHA-256 digest.
pub type Sha256Hash = [u8; 32];

/// One fingerprint: a hash type and as many bytes as it asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// See [`HashType::Pdq`].
    Pdq(PdqHash),
    /// See [`HashType::Md5`].
    Md5(Md5Hash),
    /// See [`HashType::Sha256`].
    Sha256(Sha256Hash),
}

/// Why bytes or text are not a hash. Never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashError {
    /// The name is none of [`HashType::ALL`].
    #[error("unknown hash type: use pdq, md5 or sha256")]
    UnknownType,
    /// The hash has the wrong number of bytes.
    #[error("a {hash_type} hash has {expected} bytes ({} hexadecimal digits), not {actual}", expected * 2)]
    Length {
        /// The type that was named.
        hash_type: HashType,
        /// The bytes that this type has.
        expected: usize,
        /// The bytes that were given.
        actual: usize,
    },
    /// The text holds something else than hexadecimal digits, or an odd number of them.
    #[error("a {hash_type} hash is written as {} hexadecimal digits; this text is something else", hash_type.byte_len() * 2)]
    NotHex {
        /// The type that was named.
        hash_type: HashType,
    },
}

impl Hash {
    /// Checks the length of `bytes` against what `hash_type` asks for.
    pub fn from_bytes(hash_type: HashType, bytes: &[u8]) -> Result<Self, HashError> {
        let wrong_length =
            |_| HashError::Length { hash_type, expected: hash_type.byte_len(), actual: bytes.len() };
        match hash_type {
            HashType::Pdq => bytes.try_into().map(Self::Pdq).map_err(wrong_length),
            HashType::Md5 => bytes.try_into().map(Self::Md5).map_err(wrong_length),
            HashType::Sha256 => bytes.try_into().map(Self::Sha256).map_err(wrong_length),
        }
    }

    /// Reads hexadecimal digits of either case, without prefix or separators.
    pub fn from_hex(hash_type: HashType, text: &str) -> Result<Self, HashError> {
        let digits = text.as_bytes();
        if !digits.len().is_multiple_of(2) {
            return Err(HashError::NotHex { hash_type });
        }
        let bytes = digits
            .chunks_exact(2)
            .map(|pair| Some(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?))
            .collect::<Option<Vec<u8>>>()
            .ok_or(HashError::NotHex { hash_type })?;
        Self::from_bytes(hash_type, &bytes)
    }

    /// How this hash is computed and compared.
    #[must_use]
    pub const fn hash_type(&self) -> HashType {
        match self {
            Self::Pdq(_) => HashType::Pdq,
            Self::Md5(_) => HashType::Md5,
            Self::Sha256(_) => HashType::Sha256,
        }
    }

    /// The bytes, [`HashType::byte_len`] of them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Pdq(bytes) | Self::Sha256(bytes) => bytes,
            Self::Md5(bytes) => bytes,
        }
    }

    /// The usual written form: lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let mut text = String::with_capacity(self.as_bytes().len() * 2);
        for byte in self.as_bytes() {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        text
    }
}

/// Shows the type only: hashes are sensitive and must not reach a log through a derived `Debug`.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.hash_type())
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_reads_back_what_it_wrote() {
        for hash_type in HashType::ALL {
            let bytes: Vec<u8> =
                (0..hash_type.byte_len()).map(|i| u8::try_from(i * 37 % 256).unwrap()).collect();
            let hash = Hash::from_bytes(hash_type, &bytes).unwrap();
            assert_eq!(Hash::from_hex(hash_type, &hash.to_hex()), Ok(hash));
            assert_eq!(Hash::from_hex(hash_type, &hash.to_hex().to_uppercase()), Ok(hash));
        }
    }

    #[test]
    fn a_wrong_length_says_how_many_bytes_are_asked_for() {
        let error = Hash::from_bytes(HashType::Pdq, &[0; 31]).unwrap_err();
        assert_eq!(error.to_string(), "a pdq hash has 32 bytes (64 hexadecimal digits), not 31");
    }

    #[test]
    fn text_that_is_not_hexadecimal_is_refused() {
        for text in ["abc", "zz", "+1", "é"] {
            assert!(Hash::from_hex(HashType::Md5, text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_never_shows_the_digits() {
        assert_eq!(format!("{:?}", Hash::Md5([0xab; 16])), "Hash(md5)");
    }
}
