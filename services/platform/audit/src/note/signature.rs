//! A signature of a note, as a line.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;

use crate::note::key::{KeyId, KeyKind, VerifierKey, is_name};
use crate::note::signer::SignerKey;

/// The beginning of a signature line: an em dash and a space.
const BEGINNING: &str = "\u{2014} ";
/// The first line of a cosigned message.
const COSIGNATURE: &str = "cosignature/v1";
/// Base64 as Go decodes it: the unused bits of the last character may have any value. No signature is refused
/// because of them.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// A time in whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

/// A signature of a note, in the name of a known or an unknown key. Only verifying the note shows whether
/// that key made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: String,
    id: KeyId,
    /// At least one byte.
    bytes: Vec<u8>,
}

impl Signature {
    /// Returns the name of the key that the signature claims.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of that key.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Reads a line without its line end; `None` if it is not a signature.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (name, bytes) = line.strip_prefix(BEGINNING)?.split_once(' ')?;
        let bytes = LENIENT.decode(bytes).ok()?;
        let (id, bytes) = bytes.split_first_chunk()?;
        let whole = is_name(name) && !bytes.is_empty();
        whole.then(|| Self {
            name: name.to_owned(),
            id: KeyId(u32::from_be_bytes(*id)),
            bytes: bytes.to_vec(),
        })
    }

    /// Signs the text of a note with the key of a log.
    pub(crate) fn of_log(key: &SignerKey, text: &str) -> Self {
        Self::of(key, key.sign(text.as_bytes()))
    }

    /// Signs a checkpoint and a time with the key of a witness.
    pub(crate) fn of_witness(key: &SignerKey, text: &str, at: UnixSeconds) -> Self {
        let signature = key.sign(cosigned(text, at).as_bytes());
        Self::of(key, at.0.to_be_bytes().into_iter().chain(signature).collect())
    }

    fn of(key: &SignerKey, bytes: Vec<u8>) -> Self {
        Self { name: key.public().name().to_owned(), id: key.public().id(), bytes }
    }

    /// Returns whether `key` made the signature for a text.
    pub(crate) fn is_of(&self, key: &VerifierKey, text: &str) -> bool {
        match key.kind() {
            KeyKind::Log => key.accepts(text.as_bytes(), &self.bytes),
            KeyKind::Witness => self.timestamped().is_some_and(|(at, signature)| {
                i64::try_from(at.0).is_ok() && key.accepts(cosigned(text, at).as_bytes(), signature)
            }),
        }
    }

    /// Returns the time of a cosignature, if it is one.
    pub(crate) fn cosigned_at(&self) -> Option<UnixSeconds> {
        self.timestamped().map(|(at, _)| at)
    }

    fn timestamped(&self) -> Option<(UnixSeconds, &[u8])> {
        let (at, signature) = self.bytes.split_first_chunk()?;
        Some((UnixSeconds(u64::from_be_bytes(*at)), signature))
    }

    /// Returns whether both claim the same key.
    pub(crate) fn is_of_the_key_of(&self, other: &Self) -> bool {
        (&self.name, self.id) == (&other.name, other.id)
    }

    /// Returns the bytes of the line, including its line end.
    pub(crate) fn line_bytes(&self) -> usize {
        BEGINNING.len() + self.name.len() + 2 + (4 + self.bytes.len()).div_ceil(3) * 4
    }
}

/// The line, with its line end.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.id.0.to_be_bytes().iter().chain(&self.bytes).copied().collect();
        writeln!(f, "{BEGINNING}{} {}", self.name, BASE64_STANDARD.encode(bytes))
    }
}

/// The message that a witness signs: C2SP `tlog-cosignature`, "Ed25519 signed message".
fn cosigned(text: &str, at: UnixSeconds) -> String {
    format!("{COSIGNATURE}\ntime {}\n{text}", at.0)
}
