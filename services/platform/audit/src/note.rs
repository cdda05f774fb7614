//! Signed notes: C2SP `signed-note`, which is also the format of Go's `golang.org/x/mod/sumdb/note`.

mod key;
mod signer;
mod known;
mod signature;

use std::fmt;

use thiserror::Error;

pub use key::{KEY_NAME_BYTES_MAX, KeyError, KeyId, KeyKind, VerifierKey};
pub use known::{KNOWN_KEYS_MAX, KnownKeys};
pub use signature::{Signature, UnixSeconds};
pub use signer::SignerKey;

use key::is_control;

/// The longest note, in bytes: enough for [`SIGNATURES_MAX`] signatures, and for the 16 of up to 5 KB that a
/// reader must accept.
pub const NOTE_BYTES_MAX: usize = 256 << 10;
/// The most signatures of a note: as many as Go's reader accepts.
pub const SIGNATURES_MAX: usize = 100;

/// A text with at least one signature. The signatures are not verified yet.
///
/// The text ends with a line end, and has no other control character below U+0020.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// A signature of a note that a known key has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The key.
    pub key: &'a VerifierKey,
    /// The time at which a witness cosigned, by its own clock.
    pub cosigned_at: Option<UnixSeconds>,
}

impl Note {
    /// Signs a text with the keys of a log: with all of them, while one replaces another.
    ///
    /// # Errors
    ///
    /// If the text cannot be that of a note, there is no key, a key is not a log's, or the note would be too
    /// long.
    pub fn sign(text: String, keys: &[&SignerKey]) -> Result<Self, SignError> {
        if !text.ends_with('\n') {
            return Err(NoteError::NoEnd.into());
        }
        check(&text)?;
        let mut note = Self { text, signatures: Vec::new() };
        for key in keys {
            if key.public().kind() != KeyKind::Log {
                let (name, kind) = (key.public().name().to_owned(), key.public().kind());
                return Err(KeyError::WrongKind { name, kind }.into());
            }
            note.put(Signature::of_log(key, &note.text))?;
        }
        if note.signatures.is_empty() {
            return Err(NoteError::NoSignature.into());
        }
        Ok(note)
    }

    /// Reads a note, without verifying it.
    ///
    /// # Errors
    ///
    /// If it is too long, has too many signatures, or is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        // Checked first, so that the work is bounded.
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: bytes.len() });
        }
        let whole =
            std::str::from_utf8(bytes).map_err(|fault| NoteError::NotUtf8 { at: fault.valid_up_to() })?;
        check(whole)?;
        let blank = whole.rfind("\n\n").ok_or(NoteError::NoBlankLine)?;
        let (text, rest) = whole.split_at(blank + 1);
        let signatures = lines(rest.strip_prefix('\n').unwrap_or(rest))?;
        if signatures.is_empty() {
            return Err(NoteError::NoSignature);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Returns the text, with the end of its last line. It must not be trusted before [`Self::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signatures, of known and unknown keys.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Verifies every signature in the name of a known key, and returns them in the order of the note.
    /// Signatures of unknown keys are ignored.
    ///
    /// Go's reader verifies the first signature of a key and ignores others of the same key. Here each is
    /// verified, as the specification requires.
    ///
    /// # Errors
    ///
    /// If one of them does not verify, or there is none.
    pub fn verify<'a>(&self, keys: &'a KnownKeys) -> Result<Vec<Verified<'a>>, VerifyError> {
        let verified = verify(&self.text, &self.signatures, keys)?;
        if verified.is_empty() {
            return Err(VerifyError::NoKnownKey);
        }
        Ok(verified.into_iter().map(|(_, verified)| verified).collect())
    }

    /// Adds the signatures that a witness has returned, as lines, and returns how many were added. Those of
    /// unknown keys are left out; a new signature of a key replaces an earlier one.
    ///
    /// # Errors
    ///
    /// If a line is not a signature, a signature of a known key does not verify, or the note would be too
    /// long. Then nothing is added.
    pub fn add_signatures(&mut self, text: &str, keys: &KnownKeys) -> Result<usize, AddError> {
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: text.len() }.into());
        }
        check(text)?;
        let signatures = lines(text)?;
        let verified = verify(&self.text, &signatures, keys)?;
        let mut with = self.clone();
        for (signature, _) in &verified {
            with.put((*signature).clone())?;
        }
        *self = with;
        Ok(verified.len())
    }

    /// Adds a signature after the others, and removes one of the same key.
    pub(crate) fn put(&mut self, signature: Signature) -> Result<(), NoteError> {
        let others = self.signatures.iter().filter(|other| !other.is_of_the_key_of(&signature));
        let count = others.clone().count() + 1;
        let lines: usize = others.map(Signature::line_bytes).sum();
        let bytes = self.text.len() + 1 + lines + signature.line_bytes();
        if count > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        if bytes > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes });
        }
        self.signatures.retain(|other| !other.is_of_the_key_of(&signature));
        self.signatures.push(signature);
        Ok(())
    }
}

/// The whole note, as it is sent and stored.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(f))
    }
}

fn check(text: &str) -> Result<(), NoteError> {
    match text.find(|letter| is_control(letter) && letter != '\n') {
        Some(at) => Err(NoteError::Control { at }),
        None => Ok(()),
    }
}

/// Reads signature lines, each with its line end.
fn lines(text: &str) -> Result<Vec<Signature>, NoteError> {
    let mut signatures = Vec::new();
    for (before, line) in text.split_inclusive('\n').enumerate() {
        if signatures.len() == SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        let signature = line.strip_suffix('\n').and_then(Signature::parse);
        signatures.push(signature.ok_or(NoteError::NotASignature { line: before + 1 })?);
    }
    Ok(signatures)
}

fn verify<'s, 'k>(
    text: &str,
    signatures: &'s [Signature],
    keys: &'k KnownKeys,
) -> Result<Vec<(&'s Signature, Verified<'k>)>, VerifyError> {
    let mut verified = Vec::new();
    for signature in signatures {
        let Some(key) = keys.find(signature.name(), signature.id()) else { continue };
        if !signature.is_of(key, text) {
            return Err(VerifyError::Forged { name: key.name().to_owned(), id: key.id() });
        }
        let cosigned_at = signature.cosigned_at().filter(|_| key.kind() == KeyKind::Witness);
        verified.push((signature, Verified { key, cosigned_at }));
    }
    Ok(verified)
}

/// The reasons for which bytes are not a signed note.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// There are too many bytes.
    #[error("the note has {bytes} bytes, and at most {NOTE_BYTES_MAX} are read")]
    TooLong {
        /// The number of bytes.
        bytes: usize,
    },
    /// There are too many signatures.
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// The bytes are not UTF-8.
    #[error("the note is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// The first invalid byte.
        at: usize,
    },
    /// The text has a control character.
    #[error("the note has a control character at byte {at}")]
    Control {
        /// The position of its first byte.
        at: usize,
    },
    /// The text does not end with a line end.
    #[error("the text of a note has to end with an end of line")]
    NoEnd,
    /// There is no blank line between the text and the signatures.
    #[error("the note has no blank line between its text and its signatures")]
    NoBlankLine,
    /// There is no signature.
    #[error("the note has no signature")]
    NoSignature,
    /// A line is not a signature.
    #[error(
        "line {line} of the signatures is none: an em dash, a space, a name, a space and Base64, with an end of line"
    )]
    NotASignature {
        /// The line, from 1 for the first signature.
        line: usize,
    },
}

/// The reasons for which the signatures of a note do not prove the author of the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// No known key has signed.
    #[error("no known key has signed the note")]
    NoKnownKey,
    /// A signature in the name of a known key is not by that key.
    #[error(
        "a signature is not that of {name}+{id}, whose it is said to be: the note was changed, or another wrote it"
    )]
    Forged {
        /// The name of the key.
        name: String,
        /// Its id.
        id: KeyId,
    },
}

/// The reasons for which a note is not signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// The note would not be valid.
    #[error("cannot sign the note")]
    Note(#[from] NoteError),
    /// A key cannot be used.
    #[error("cannot sign the note with this key")]
    Key(#[from] KeyError),
}

/// The reasons for which signatures are not added to a note.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddError {
    /// The lines are not signatures, or too many.
    #[error("cannot add the signatures to the note")]
    Note(#[from] NoteError),
    /// A signature of a known key does not verify.
    #[error("cannot add the signatures to the note")]
    Forged(#[from] VerifyError),
}
