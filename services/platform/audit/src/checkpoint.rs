//! Checkpoints: C2SP `tlog-checkpoint`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::note::{KeyKind, KnownKeys, Note, NoteError, SignError, SignerKey, UnixSeconds, VerifyError};
use crate::tree::{NodeHash, Size, TreeHead};

/// The longest origin, in bytes: the longest that a cosigner of C2SP `tlog-cosignature` can name.
pub const ORIGIN_BYTES_MAX: usize = 255;
/// The most extension lines.
pub const EXTENSIONS_MAX: usize = 16;
/// The longest extension line, in bytes.
pub const EXTENSION_BYTES_MAX: usize = 1_024;

/// The size and root of a log at one moment. As text, the body of a note: three lines and the extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    tree: TreeHead,
    extensions: Vec<String>,
}

/// A checkpoint that its log has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The cosignatures of known witnesses, in the order of the note.
    pub cosignatures: Vec<Cosignature>,
    /// The note, with all signatures.
    pub note: Note,
}

/// The statement of a known witness that the checkpoint continues every one that this witness has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// The name of the witness's key.
    pub name: String,
    /// The time by the witness's clock. It may be in the future: compare it with a clock where the time
    /// matters.
    pub at: UnixSeconds,
}

impl Checkpoint {
    /// Returns the checkpoint of a log.
    ///
    /// An extension is a line that readers do not interpret. Witnesses do not vouch for extensions.
    ///
    /// # Errors
    ///
    /// If the origin or an extension cannot be a line or is too long, there are too many extensions, or the
    /// tree has no entries and its root is not that of an empty tree.
    pub fn new(origin: &str, tree: TreeHead, extensions: &[String]) -> Result<Self, CheckpointError> {
        if !is_line(origin) || origin.len() > ORIGIN_BYTES_MAX {
            return Err(CheckpointError::Origin);
        }
        if extensions.len() > EXTENSIONS_MAX {
            return Err(CheckpointError::TooManyExtensions { given: extensions.len() });
        }
        let fits = |line: &String| is_line(line) && line.len() <= EXTENSION_BYTES_MAX;
        if let Some(before) = extensions.iter().position(|line| !fits(line)) {
            return Err(CheckpointError::Extension { number: before + 1 });
        }
        if tree.size == Size::ZERO && tree.root != NodeHash::EMPTY {
            return Err(CheckpointError::EmptyRoot { root: tree.root });
        }
        Ok(Self { origin: origin.to_owned(), tree, extensions: extensions.to_owned() })
    }

    /// Returns the name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the size and root.
    #[must_use]
    pub const fn tree(&self) -> &TreeHead {
        &self.tree
    }

    /// Returns the extension lines, without their line ends.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Signs the checkpoint with the keys of the log: with all of them, while one replaces another.
    ///
    /// A log must not sign two checkpoints unless one continues the other.
    ///
    /// # Errors
    ///
    /// If there is no key, or a key is not a log's.
    pub fn sign(&self, keys: &[&SignerKey]) -> Result<Note, SignError> {
        Note::sign(self.to_string(), keys)
    }

    /// Reads the checkpoint of a note without checking its signatures, for a caller that compares it with
    /// others or checks it later.
    ///
    /// # Errors
    ///
    /// If the bytes are no note or no checkpoint.
    pub fn unverified(note: &[u8]) -> Result<Self, OpenError> {
        Ok(Note::parse(note)?.text().parse()?)
    }

    /// Reads a signed checkpoint of the log named `origin`. At least one known key of kind log must have
    /// signed it; the signature of a witness is not enough.
    ///
    /// # Errors
    ///
    /// If the bytes are no note or no checkpoint, a signature in the name of a known key is not by that key,
    /// no key of the log has signed, or the checkpoint is of another log.
    pub fn open(note: &[u8], origin: &str, keys: &KnownKeys) -> Result<Opened, OpenError> {
        let note = Note::parse(note)?;
        let verified = note.verify(keys)?;
        if !verified.iter().any(|one| one.key.kind() == KeyKind::Log) {
            return Err(OpenError::NotOfTheLog);
        }
        let cosignature = |at, name: &str| Cosignature { name: name.to_owned(), at };
        let cosignatures = verified
            .iter()
            .filter_map(|one| one.cosigned_at.map(|at| cosignature(at, one.key.name())))
            .collect();
        let checkpoint: Self = note.text().parse()?;
        if checkpoint.origin != origin {
            let (asked, given) = (origin.to_owned(), checkpoint.origin);
            return Err(OpenError::AnotherLog { asked, given });
        }
        Ok(Opened { checkpoint, cosignatures, note })
    }
}

/// The text of the note, with the end of the last line.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.tree.size, self.tree.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::TooShort)?.split('\n');
        let mut next = || lines.next().ok_or(CheckpointError::TooShort);
        let (origin, size, root) = (next()?, next()?, next()?);
        let size = decimal(size).and_then(Size::new).ok_or(CheckpointError::Size)?;
        let root = root.parse().map_err(|_| CheckpointError::Root)?;
        // One more than is allowed is enough to refuse the checkpoint.
        let extensions: Vec<String> = lines.take(EXTENSIONS_MAX + 1).map(str::to_owned).collect();
        Self::new(origin, TreeHead { size, root }, &extensions)
    }
}

/// Reads a number in decimal digits, without leading zeroes.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.contains(|letter| letter < ' ')
}

/// The reasons for which a text is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// A line is missing, or the end of the last one.
    #[error("a checkpoint has at least three lines, each with its end: origin, size and root")]
    TooShort,
    /// The first line is no origin.
    #[error("the origin of a checkpoint has 1 to {ORIGIN_BYTES_MAX} bytes and no control character")]
    Origin,
    /// The second line is no size.
    #[error(
        "the second line of a checkpoint is its size in decimal digits, without leading zeroes, and at most 2^62"
    )]
    Size,
    /// The third line is no root.
    #[error("the third line of a checkpoint is its root, 32 bytes in Base64")]
    Root,
    /// The tree has no entries, but its root is not that of an empty tree.
    #[error("the root of a log without entries is {}, and the checkpoint has {root}", NodeHash::EMPTY)]
    EmptyRoot {
        /// The root.
        root: NodeHash,
    },
    /// There are too many extensions.
    #[error("the checkpoint has {given} extension lines or more, and at most {EXTENSIONS_MAX} are read")]
    TooManyExtensions {
        /// The number of extensions.
        given: usize,
    },
    /// An extension is no line.
    #[error(
        "extension line {number} of the checkpoint is empty, too long (at most {EXTENSION_BYTES_MAX} bytes), or has a control character"
    )]
    Extension {
        /// The extension, from 1.
        number: usize,
    },
}

/// The reasons for which a signed checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The bytes are no note.
    #[error("the checkpoint is no signed note")]
    Note(#[from] NoteError),
    /// The signatures do not verify.
    #[error("the checkpoint's signatures do not hold")]
    Signatures(#[from] VerifyError),
    /// Only witnesses have signed, and not the log.
    #[error("no known key of the log has signed the checkpoint, only keys of witnesses")]
    NotOfTheLog,
    /// The text of the note is no checkpoint.
    #[error("the signed note is no checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log `{given}`, and not of `{asked}`")]
    AnotherLog {
        /// The log whose checkpoint was asked for.
        asked: String,
        /// The log in the checkpoint.
        given: String,
    },
}
