//! The hashes of leaves and of nodes: RFC 6962, section 2.1.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{Context, Digest, SHA256};
use thiserror::Error;

/// The first byte of the hashed data of a leaf. It differs from that of a node, so no entry can pass for two
/// subtrees.
const LEAF: u8 = 0x00;
/// The first byte of the hashed data of a node.
const NODE: u8 = 0x01;

/// The SHA-256 of a leaf, of a subtree, or of a whole tree: 32 bytes. Its text form is standard Base64, 44
/// characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeHash(pub [u8; 32]);

impl NodeHash {
    /// The root of a tree without entries: the SHA-256 of an empty string.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// Returns the hash of the leaf that holds an entry: `SHA-256(0x00 || entry)`.
    #[must_use]
    pub fn of_entry(entry: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[LEAF]);
        context.update(entry);
        Self::from_digest(&context.finish())
    }

    /// Returns the hash of the node above two others: `SHA-256(0x01 || left || right)`.
    #[must_use]
    pub fn of_children(left: &Self, right: &Self) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[NODE]);
        context.update(&left.0);
        context.update(&right.0);
        Self::from_digest(&context.finish())
    }

    fn from_digest(digest: &Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeHash({self})")
    }
}

/// The error of reading a text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not the Base64 of a hash of 32 bytes: 44 characters, the last of which is `=`")]
pub struct NotAHash;

impl FromStr for NodeHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        if text.len() != 44 {
            return Err(NotAHash);
        }
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| NotAHash)?;
        bytes.try_into().map(Self).map_err(|_| NotAHash)
    }
}
