//! The text form of keys: generated, read and checked.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use zeroize::Zeroizing;

/// The beginning of every key.
pub const PREFIX: &str = "vgk_";

const ID_BYTES: usize = 10;
const SECRET_BYTES: usize = 32;
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 52;
const CHECK_CHARS: usize = 6;
const SECRET_START: usize = PREFIX.len() + ID_CHARS + 1;
const CHECK_START: usize = SECRET_START + SECRET_CHARS;
const KEY_CHARS: usize = CHECK_START + CHECK_CHARS;

/// Base32 of RFC 4648, section 6, in lower case and without padding. Bits beyond the last byte must be 0.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().expect("32 different symbols are an alphabet")
});

/// The public id of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID_BYTES]);

impl KeyId {
    /// Returns its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// Returns its characters, in ASCII.
    #[must_use]
    pub fn characters(&self) -> [u8; ID_CHARS] {
        let mut characters = [0; ID_CHARS];
        // 10 bytes are 16 characters of 5 bits.
        BASE32.encode_mut(&self.0, &mut characters);
        characters
    }
}

/// Formats the id as 16 characters of base32.
impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE32.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        if text.len() != ID_CHARS {
            return Err(KeyFault::IdLength { bytes: text.len() });
        }
        check_characters(text.as_bytes(), 0)?;
        decode(text.as_bytes()).map(Self)
    }
}

/// A whole key, with its secret. Only [`ApiKey::reveal`] shows it, and its memory is wiped.
#[derive(Clone)]
pub struct ApiKey {
    id: KeyId,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl ApiKey {
    /// Makes a new key from the system's randomness.
    ///
    /// # Errors
    ///
    /// The system has no randomness to give.
    pub fn generate() -> Result<Self, NoRandomness> {
        let random = SystemRandom::new();
        let mut id = [0; ID_BYTES];
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        random.fill(&mut id).map_err(|_| NoRandomness)?;
        random.fill(&mut *secret).map_err(|_| NoRandomness)?;
        Ok(Self { id: KeyId(id), secret })
    }

    /// Reads a key.
    ///
    /// # Errors
    ///
    /// The text is no key. The error repeats no part of it.
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        let bytes = text.as_bytes();
        if !bytes.starts_with(PREFIX.as_bytes()) {
            return Err(KeyFault::Prefix);
        }
        if bytes.len() != KEY_CHARS {
            return Err(KeyFault::Length { bytes: bytes.len() });
        }
        check_characters(&bytes[PREFIX.len()..SECRET_START - 1], PREFIX.len())?;
        if bytes[SECRET_START - 1] != b'_' {
            return Err(KeyFault::Character { position: SECRET_START });
        }
        check_characters(&bytes[SECRET_START..], SECRET_START)?;
        let (body, found) = bytes.split_at(CHECK_START);
        if found != check(body).as_bytes() {
            return Err(KeyFault::Check);
        }
        let id = KeyId(decode(&bytes[PREFIX.len()..SECRET_START - 1])?);
        let secret = Zeroizing::new(decode(&bytes[SECRET_START..CHECK_START])?);
        Ok(Self { id, secret })
    }

    /// Returns the public id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the whole text, to be shown once to the key's owner.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(KEY_CHARS));
        text.push_str(PREFIX);
        BASE32.encode_append(&self.id.0, &mut text);
        text.push('_');
        BASE32.encode_append(&*self.secret, &mut text);
        let check = check(text.as_bytes());
        text.push_str(&check);
        text
    }

    pub(super) fn secret(&self) -> &[u8; SECRET_BYTES] {
        &self.secret
    }
}

/// Shows only the id.
impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiKey({PREFIX}{}_..)", self.id)
    }
}

/// The reasons for which a text is no key. Positions count bytes from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyFault {
    /// The text does not begin with the prefix.
    #[error("an API key begins with {PREFIX}")]
    Prefix,
    /// The text is too short or too long.
    #[error("an API key has {KEY_CHARS} characters, and this has {bytes}: copy the whole of it")]
    Length {
        /// The number of bytes.
        bytes: usize,
    },
    /// The text of an id is too short or too long.
    #[error("the id of an API key has {ID_CHARS} characters, and this has {bytes}")]
    IdLength {
        /// The number of bytes.
        bytes: usize,
    },
    /// A byte is not of the alphabet, or not the underscore where one belongs.
    #[error("character {position} of the API key is none of a-z and 2-7, or no _ where one belongs")]
    Character {
        /// Its position.
        position: usize,
    },
    /// The check does not match the rest.
    #[error(
        "the check at the end of the API key does not fit the rest: a character is wrong or two are exchanged"
    )]
    Check,
    /// The last character of the id or secret has unused bits that are set.
    #[error("the API key was not made by Vigie: unused bits are set")]
    UnusedBits,
}

/// The error if the system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gave no random bytes for a key")]
pub struct NoRandomness;

fn check_characters(bytes: &[u8], from: usize) -> Result<(), KeyFault> {
    let is_symbol = |byte: &u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(byte);
    let wrong = bytes.iter().position(|byte| !is_symbol(byte));
    wrong.map_or(Ok(()), |index| Err(KeyFault::Character { position: from + index + 1 }))
}

/// Decodes checked characters, whose number matches `BYTES`.
fn decode<const BYTES: usize>(text: &[u8]) -> Result<[u8; BYTES], KeyFault> {
    let mut bytes = [0; BYTES];
    match BASE32.decode_mut(text, &mut bytes) {
        Ok(written) if written == BYTES => Ok(bytes),
        Ok(_) | Err(_) => Err(KeyFault::UnusedBits),
    }
}

/// Returns the check of `body`: the low 30 bits of CRC-32, in 6 characters.
fn check(body: &[u8]) -> String {
    let mut crc = crc32fast::Hasher::new();
    crc.update(body);
    // The 30 bits are the highest of 32, which gives 6 characters and two bits of a seventh.
    let mut text = BASE32.encode(&(crc.finalize() << 2).to_be_bytes());
    text.truncate(CHECK_CHARS);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key_of(id: [u8; ID_BYTES], secret: [u8; SECRET_BYTES]) -> ApiKey {
        ApiKey { id: KeyId(id), secret: Zeroizing::new(secret) }
    }

    /// Computed by Python: `zlib.crc32(text) & 0x3fffffff`, and `base64.b32encode`.
    #[test]
    fn a_key_has_the_text_that_another_implementation_makes() {
        let id = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let secret = std::array::from_fn(|index| 0xff - u8::try_from(index).unwrap());
        let text = include_str!("../../testdata/api-key.txt").trim_end();
        assert_eq!(*key_of(id, secret).reveal(), text);
    }

    #[test]
    fn new_keys_differ_and_show_no_secret() {
        let (one, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_ne!(one.id(), other.id());
        assert_ne!(one.secret(), other.secret());
        let (text, shown) = (one.reveal(), format!("{one:?}"));
        assert_eq!(text.len(), 79);
        assert!(shown.contains(&one.id().to_string()) && !shown.contains(&text[SECRET_START..]), "{shown}");
        assert_eq!(one.id().to_string().parse(), Ok(one.id()));
        assert_eq!("short".parse::<KeyId>(), Err(KeyFault::IdLength { bytes: 5 }));
        assert_eq!("AAAAAAAAAAAAAAAA".parse::<KeyId>(), Err(KeyFault::Character { position: 1 }));
    }

    #[test]
    fn a_fault_is_named_and_the_key_is_not() {
        let text = key_of([7; ID_BYTES], [9; SECRET_BYTES]).reveal();
        let with = |position: usize, character: &str| {
            format!("{}{character}{}", &text[..position - 1], &text[position..])
        };
        for (wrong, fault) in [
            (String::new(), KeyFault::Prefix),
            (text[1..].to_owned(), KeyFault::Prefix),
            (text.to_uppercase(), KeyFault::Prefix),
            (text[..78].to_owned(), KeyFault::Length { bytes: 78 }),
            (format!("{}a", *text), KeyFault::Length { bytes: 80 }),
            (with(21, "a"), KeyFault::Character { position: 21 }),
            (with(5, "0"), KeyFault::Character { position: 5 }),
            (with(22, "A"), KeyFault::Character { position: 22 }),
            (with(79, "="), KeyFault::Character { position: 79 }),
        ] {
            assert_eq!(ApiKey::parse(&wrong).err(), Some(fault), "{wrong}");
            let shown = format!("{fault} {fault:?}");
            assert!(!shown.contains(&text[4..20]) && !shown.contains(&text[SECRET_START..30]), "{shown}");
        }
    }

    /// A key with a valid check, whose secret's last character has unused bits set, would be a second text of
    /// one secret.
    #[test]
    fn there_is_one_text_for_each_key() {
        let text = key_of([7; ID_BYTES], [0; SECRET_BYTES]).reveal();
        let mut other = format!("{}b", &text[..CHECK_START - 1]);
        let fitting = check(other.as_bytes());
        other.push_str(&fitting);
        assert_eq!(ApiKey::parse(&other).err(), Some(KeyFault::UnusedBits));
    }

    /// The CRCs of two texts of one length differ by a value that depends only on the difference of the
    /// texts. So one key represents all: every byte at every position, and every exchange of neighbours,
    /// which is a difference of 16 bits.
    #[test]
    fn no_change_of_a_character_and_no_exchange_of_two_passes_the_check() {
        let text = key_of([0x5a; ID_BYTES], [0xc3; SECRET_BYTES]).reveal();
        let right = check(&text.as_bytes()[..CHECK_START]);
        for index in 0..CHECK_START {
            for difference in 1..=255_u8 {
                let mut body = text.as_bytes()[..CHECK_START].to_vec();
                body[index] ^= difference;
                assert_ne!(check(&body), right, "byte {index}, {difference:08b}");
                if index + 1 < CHECK_START {
                    body[index + 1] ^= difference;
                    assert_ne!(check(&body), right, "bytes {index} and {}, {difference:08b}", index + 1);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_key_survives_its_text(id: [u8; ID_BYTES], secret: [u8; SECRET_BYTES]) {
            let text = key_of(id, secret).reveal();
            let key = ApiKey::parse(&text).unwrap();
            prop_assert_eq!((key.id, *key.secret), (KeyId(id), secret));
            prop_assert_eq!(key.reveal(), text);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,100}", rest in "[a-z2-7_é]{70,80}") {
            let _ = text.parse::<KeyId>();
            let _ = ApiKey::parse(&text);
            let _ = ApiKey::parse(&format!("vgk_{rest}"));
        }

        #[test]
        fn a_flipped_character_is_refused(secret: [u8; SECRET_BYTES], index in 0..KEY_CHARS, other: u8) {
            let text = key_of([1; ID_BYTES], secret).reveal();
            let mut bytes = text.as_bytes().to_vec();
            prop_assume!(bytes[index] != other);
            bytes[index] = other;
            if let Ok(wrong) = String::from_utf8(bytes) {
                prop_assert!(ApiKey::parse(&wrong).is_err(), "at {}", index);
            }
        }
    }
}
