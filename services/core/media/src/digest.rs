//! Digests of the file's bytes, which are compared only for equality.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use vigie_model::{Hash, HashType};

/// Computes the digest of a type from the bytes of a file.
type Hasher = fn(&[u8]) -> Vec<u8>;

/// Every digest that is computed of a file, in ascending order of type.
///
/// Many older banks have MD5. It identifies equal files, but gives no protection against forgery.
const HASHERS: &[(HashType, Hasher)] = &[
    (HashType::MD5, of::<Md5>),
    (HashType::SHA256, of::<Sha256>),
    (HashType::SHA1, of::<Sha1>),
    (HashType::SHA512, of::<Sha512>),
];

/// Computes all digests of a file's bytes, in ascending order of type.
#[must_use]
pub fn digests(content: &[u8]) -> Vec<Hash> {
    let compute = |(hash_type, hasher): &(HashType, Hasher)| {
        Hash::from_bytes(*hash_type, &hasher(content)).expect("a hasher yields a length of its row")
    };
    HASHERS.iter().map(compute).collect()
}

fn of<D: Digest>(content: &[u8]) -> Vec<u8> {
    D::digest(content).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests of "abc": RFC 1321, FIPS 180-4.
    const OF_ABC: &[(HashType, &str)] = &[
        (HashType::MD5, "900150983cd24fb0d6963f7d28e17f72"),
        (HashType::SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (HashType::SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            HashType::SHA512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];

    #[test]
    fn digests_are_those_of_the_standards_test_vectors() {
        let expected: Vec<_> =
            OF_ABC.iter().map(|(hash_type, text)| Hash::from_text(*hash_type, text).unwrap()).collect();
        assert_eq!(digests(b"abc"), expected);
    }
}
