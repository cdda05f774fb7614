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

/// The longest note, in bytes: room for [`SIGNATURES_MAX`] signatures, and for the 16 of up to 5 KB that a reader has to take.
pub const NOTE_BYTES_MAX: usize = 256 << 10;
/// The most signatures of a note: as many as Go's reader takes.
pub const SIGNATURES_MAX: usize = 100;

/// A text with signatures: at least one, and none of them verified by itself.
///
/// The text ends with an end of line, and has no control character below U+0020 but those.
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
    /// When a witness cosigned, by its own clock.
    pub cosigned_at: Option<UnixSeconds>,
}

impl Note {
    /// Signs a text with the keys of a log: all of them, while one replaces another.
    ///
    /// # Errors
    ///
    /// When the text cannot be that of a note, there is no key, a key is not a log's, or the note would be too long.
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
    /// When it is too long, has too many signatures, or is not of the form.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        // Before anything else, so that the work is bounded.
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

    /// The text, with the end of its last line. Nothing may be believed of it before [`Self::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, of known and unknown keys.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Verifies every signature that is said to be of a known key, and returns them in the order of the note. Those of unknown
    /// keys are ignored.
    ///
    /// Go's reader verifies the first signature of a key and ignores others of the same key. Here each is verified, as the
    /// specification asks.
    ///
    /// # Errors
    ///
    /// When one of them does not verify, or there is none.
    pub fn verify<'a>(&self, keys: &'a KnownKeys) -> Result<Vec<Verified<'a>>, VerifyError> {
        let verified = verify(&self.text, &self.signatures, keys)?;
        if verified.is_empty() {
            return Err(VerifyError::NoKnownKey);
        }
        Ok(verified.into_iter().map(|(_, verified)| verified).collect())
    }

    /// Adds the signatures that a witness has returned, as lines, and returns how many of them were added. Those of unknown keys are
    /// left out; one of a key that has signed before replaces the earlier one.
    ///
    /// # Errors
    ///
    /// When a line is none of a signature, one of a known key does not verify, or the note would be too long. Nothing is added
    /// then.
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

    /// Adds a signature, after the others; one of the same key goes.
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

/// Reads lines of signatures, each with its end.
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

/// Why bytes are not a signed note.
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
    /// The bytes are no text.
    #[error("the note is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// The first byte that is none.
        at: usize,
    },
    /// The text has a control character.
    #[error("the note has a control character at byte {at}")]
    Control {
        /// Its first byte.
        at: usize,
    },
    /// The text does not end with an end of line.
    #[error("the text of a note has to end with an end of line")]
    NoEnd,
    /// No blank line is between a text and signatures.
    #[error("the note has no blank line between its text and its signatures")]
    NoBlankLine,
    /// There is no signature.
    #[error("the note has no signature")]
    NoSignature,
    /// A line is none of a signature.
    #[error(
        "line {line} of the signatures is none: an em dash, a space, a name, a space and Base64, with an end of line"
    )]
    NotASignature {
        /// The line, from 1 for the first signature.
        line: usize,
    },
}

/// Why the signatures of a note do not prove who wrote the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// No known key has signed.
    #[error("no known key has signed the note")]
    NoKnownKey,
    /// A signature is said to be of a known key and is not.
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

/// Why a note is not signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// The note would not be one.
    #[error("cannot sign the note")]
    Note(#[from] NoteError),
    /// A key cannot be used.
    #[error("cannot sign the note with this key")]
    Key(#[from] KeyError),
}

/// Why signatures are not added to a note.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddError {
    /// The lines are no signatures, or too many.
    #[error("cannot add the signatures to the note")]
    Note(#[from] NoteError),
    /// A signature of a known key does not verify.
    #[error("cannot add the signatures to the note")]
    Forged(#[from] VerifyError),
}
