//! Digests of uploaded bytes.

use thiserror::Error;

/// The types of digests that the documentation of `originalFileHash` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestType {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
}

impl DigestType {
    /// Returns the value of the attribute `hashType`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
        }
    }

    const fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
        }
    }
}

/// A digest of the bytes that a user uploaded, before any change.
#[derive(Clone, PartialEq, Eq)]
pub struct FileDigest {
    digest_type: DigestType,
    hex: Box<str>,
}

/// Shows only the type: a digest is sensitive.
impl std::fmt::Debug for FileDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FileDigest").field(&self.digest_type).finish()
    }
}

/// The text is not a digest of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a digest of type {name} has {len} hexadecimal digits", name = .0.name(), len = .0.hex_len())]
pub struct DigestError(DigestType);

impl FileDigest {
    /// Creates a digest after checking its hexadecimal digits. A perceptual hash has another length and is
    /// refused.
    pub fn new(digest_type: DigestType, hex: &str) -> Result<Self, DigestError> {
        if hex.len() != digest_type.hex_len() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(DigestError(digest_type));
        }
        Ok(Self { digest_type, hex: hex.to_ascii_lowercase().into() })
    }

    /// Returns the type.
    #[must_use]
    pub const fn digest_type(&self) -> DigestType {
        self.digest_type
    }

    /// Returns the hexadecimal digits, in lower case.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }
}
