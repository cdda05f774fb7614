//! The keys of notes: names, ids, kinds, and the public keys that check signatures.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{Context, SHA256};
use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

/// The longest name of a key, in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 255;
/// The bytes of a public key of Ed25519, and of the seed of a private one.
pub(crate) const KEY_BYTES: usize = 32;

/// The short id of a key. A signature names its key by name and id. The text form is 8 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The use of a key. Its number is the signature type of C2SP `signed-note`, and a part of the key's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// 0x01: signs the text of a note with Ed25519. The key of a log.
    Log,
    /// 0x04: signs a checkpoint and a time with Ed25519, according to C2SP `tlog-cosignature`. The key of a
    /// witness.
    Witness,
}

impl KeyKind {
    /// Returns the number of the type.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Witness => 0x04,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            0x01 => Some(Self::Log),
            0x04 => Some(Self::Witness),
            _ => None,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "key of a log (0x01)",
            Self::Witness => "key of a witness (0x04)",
        })
    }
}

/// A public key, which checks signatures.
///
/// Its text form is that of C2SP `signed-note` ("vkey") and of Go's `golang.org/x/mod/sumdb/note`: the name,
/// the id, and the Base64 of the kind's number and the key, joined by plus signs. Go reads only keys of logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    id: KeyId,
    public: [u8; KEY_BYTES],
}

impl VerifierKey {
    /// Builds a key from its parts, and computes its id.
    ///
    /// # Errors
    ///
    /// If the name is not valid.
    pub fn new(name: &str, kind: KeyKind, public: [u8; KEY_BYTES]) -> Result<Self, KeyError> {
        if !is_name(name) || name.len() > KEY_NAME_BYTES_MAX || name.contains(is_control) {
            return Err(KeyError::Name);
        }
        Ok(Self { name: name.to_owned(), kind, id: id_of(name, kind, &public), public })
    }

    /// Returns the name: usually an address without a scheme, such as `vigie.example/audit`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the use of the key.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the short id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Returns whether these 64 bytes are the signature of a message by this key.
    pub(crate) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text_of(&self.name, self.id, self.kind, &self.public))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let parts = parse(text).ok_or(KeyError::PublicForm)?;
        let key = Self::new(parts.name, parts.kind()?, parts.bytes()?)?;
        parts.check(key.id)?;
        Ok(key)
    }
}

/// The parts of a key's text.
pub(crate) struct KeyText<'a> {
    pub(crate) name: &'a str,
    id: KeyId,
    number: u8,
    bytes: Vec<u8>,
}

/// Splits the text of a key at its plus signs; `None` if it is malformed.
pub(crate) fn parse(text: &str) -> Option<KeyText<'_>> {
    if text.len() > KEY_NAME_BYTES_MAX + 128 {
        return None;
    }
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let digits = id.len() == 8 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = u32::from_str_radix(id, 16).ok().filter(|_| digits)?;
    let key = BASE64_STANDARD.decode(key).ok()?;
    let (number, bytes) = key.split_first()?;
    Some(KeyText { name, id: KeyId(id), number: *number, bytes: bytes.to_vec() })
}

impl KeyText<'_> {
    pub(crate) fn kind(&self) -> Result<KeyKind, KeyError> {
        KeyKind::of(self.number).ok_or(KeyError::Kind(self.number))
    }

    pub(crate) fn bytes(&self) -> Result<[u8; KEY_BYTES], KeyError> {
        self.bytes.as_slice().try_into().map_err(|_| KeyError::Length { bytes: self.bytes.len() })
    }

    /// Checks that the id in the text is that of the key.
    pub(crate) fn check(&self, computed: KeyId) -> Result<(), KeyError> {
        if self.id == computed { Ok(()) } else { Err(KeyError::Id { given: self.id, computed }) }
    }
}

/// Returns the text of a public key, or the part after `PRIVATE+KEY+` of a private key's text.
pub(crate) fn text_of(name: &str, id: KeyId, kind: KeyKind, bytes: &[u8; KEY_BYTES]) -> String {
    let numbered: Vec<u8> = std::iter::once(kind.number()).chain(*bytes).collect();
    format!("{name}+{id}+{}", BASE64_STANDARD.encode(numbered))
}

/// Returns whether notes can have a key of this name: not empty, without Unicode white space and plus signs.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace() || letter == '+')
}

/// Returns whether a character is not allowed in notes, apart from line ends.
pub(crate) fn is_control(letter: char) -> bool {
    letter < ' '
}

/// Returns the first 4 bytes of the SHA-256 of name, line end, kind and key.
fn id_of(name: &str, kind: KeyKind, public: &[u8; KEY_BYTES]) -> KeyId {
    let mut context = Context::new(&SHA256);
    context.update(name.as_bytes());
    context.update(&[b'\n', kind.number()]);
    context.update(public);
    let digest = context.finish();
    KeyId(digest.as_ref().iter().take(4).fold(0, |id, byte| id << 8 | u32::from(*byte)))
}

/// The reasons for which a key cannot be used. No message repeats a private key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The text is not that of a public key.
    #[error(
        "the text is not that of a public key, `NAME+ID+KEY`, with an id of 8 hexadecimal digits and a key in Base64"
    )]
    PublicForm,
    /// The text is not that of a private key.
    #[error(
        "the text is not that of a private key, `PRIVATE+KEY+NAME+ID+KEY`, with an id of 8 hexadecimal digits and a key in Base64"
    )]
    PrivateForm,
    /// The name is not valid.
    #[error("the name of a key has 1 to {KEY_NAME_BYTES_MAX} bytes, and no space, plus or control character")]
    Name,
    /// The kind is unknown.
    #[error(
        "the key is of the type {0:#04x}, and only 0x01 (a log's Ed25519) and 0x04 (a witness's Ed25519) are known"
    )]
    Kind(u8),
    /// The key has another length.
    #[error("the key has {bytes} bytes, and one of Ed25519 has 32")]
    Length {
        /// The number of bytes, without the kind's.
        bytes: usize,
    },
    /// The id is not that of the name and the key: one of the three was changed.
    #[error("the text has the id {given}, and its name and key have {computed}: one of them was changed")]
    Id {
        /// The id in the text.
        given: KeyId,
        /// The id of name and key.
        computed: KeyId,
    },
    /// The key is of the other kind.
    #[error("`{name}` is a {kind}, and one of the other kind is needed here")]
    WrongKind {
        /// The key's name.
        name: String,
        /// Its kind.
        kind: KeyKind,
    },
    /// Two keys have one name and id, so a signature does not identify its key.
    #[error("two of the keys are {name}+{id}")]
    Doubled {
        /// The name of both.
        name: String,
        /// The id of both.
        id: KeyId,
    },
    /// There are too many keys.
    #[error("{given} keys are too many: at most {max} can be known")]
    TooMany {
        /// The number of keys.
        given: usize,
        /// The limit.
        max: usize,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for a key")]
    Randomness,
}
