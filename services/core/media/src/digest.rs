//! Digests of the file's bytes, for equality only.

use md5::{Digest, Md5};
use sha2::Sha256;
use vigie_model::{Md5Hash, Sha256Hash};

/// MD5 of the bytes: what many older banks hold. Equality of files, not security.
#[must_use]
pub fn md5(content: &[u8]) -> Md5Hash {
    Md5::digest(content).into()
}

/// SHA-256 of the bytes.
#[must_use]
pub fn sha256(content: &[u8]) -> Sha256Hash {
    Sha256::digest(content).into()
}

#[cfg(test)]
mod tests {
    use vigie_model::Hash;

    use super::*;

    #[test]
    fn digests_are_those_of_the_standards_test_vectors() {
        assert_eq!(Hash::Md5(md5(b"abc")).to_hex(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            Hash::Sha256(sha256(b"abc")).to_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
