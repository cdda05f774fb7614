//! Proofs as files, for an auditor who checks them without the log, and for a witness.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

use crate::checkpoint::{Checkpoint, OpenError, Opened, decimal};
use crate::note::{KnownKeys, NOTE_BYTES_MAX};
use crate::tree::{LeafIndex, NodeHash, PROOF_HASHES_MAX, ProofError, Size, check_inclusion};

/// The longest extra data of a proof, in bytes.
pub const EXTRA_BYTES_MAX: usize = 16 << 10;
/// The longest file, in bytes: the lines before the checkpoint, and the checkpoint.
pub const FILE_BYTES_MAX: usize = NOTE_BYTES_MAX + (32 << 10);
/// The first line of a proof of inclusion.
const PROOF: &str = "c2sp.org/tlog-proof@v1";

/// A proof that an entry is in a log, with the checkpoint: C2SP `tlog-proof`. The files are named
/// `*.tlog-proof`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionFile {
    /// Bytes that no signature covers, at most [`EXTRA_BYTES_MAX`].
    pub extra: Option<Vec<u8>>,
    /// The entry.
    pub index: LeafIndex,
    /// The hashes of the proof, at most [`PROOF_HASHES_MAX`].
    pub proof: Vec<NodeHash>,
    /// The signed checkpoint, as text.
    pub checkpoint: String,
}

/// A checkpoint for a witness to cosign, with the proof that it continues the last one: the body of
/// `add-checkpoint` in C2SP `tlog-witness`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignFile {
    /// The size of the last checkpoint that the witness has cosigned; 0 if there is none.
    pub old: Size,
    /// The hashes of the proof, at most [`PROOF_HASHES_MAX`].
    pub proof: Vec<NodeHash>,
    /// The signed checkpoint, as text.
    pub checkpoint: String,
}

impl InclusionFile {
    /// Reads a file without verifying it.
    ///
    /// # Errors
    ///
    /// If the file is too long or malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        let (lines, checkpoint) = split(bytes)?;
        let mut lines = lines.into_iter().peekable();
        if lines.next().is_none_or(|line| line != PROOF) {
            return Err(FileError::Line { number: 1, is: "`c2sp.org/tlog-proof@v1`" });
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => Some(extra(line).ok_or(FileError::Line { number: 2, is: "`extra` and Base64" })?),
            None => None,
        };
        let before = 2 + usize::from(extra.is_some());
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or(FileError::Line { number: before, is: "`index` and a number" })?;
        let proof = hashes(lines, before)?;
        Ok(Self { extra, index: LeafIndex(index), proof, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that this entry is in the log named `origin`, whose keys are known, and returns the checkpoint.
    ///
    /// # Errors
    ///
    /// If the checkpoint is not the log's, or the proof does not lead from the entry to its root.
    pub fn verify(&self, entry: &[u8], origin: &str, keys: &KnownKeys) -> Result<Opened, InclusionError> {
        let opened = Checkpoint::open(self.checkpoint.as_bytes(), origin, keys)?;
        check_inclusion(&self.proof, self.index, &NodeHash::of_entry(entry), opened.checkpoint.tree())?;
        Ok(opened)
    }
}

impl fmt::Display for InclusionFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{PROOF}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64_STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        write(f, &self.proof, &self.checkpoint)
    }
}

impl CosignFile {
    /// Reads a file without verifying it.
    ///
    /// # Errors
    ///
    /// If the file is too long or malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        let (lines, checkpoint) = split(bytes)?;
        let mut lines = lines.into_iter();
        let old = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?)).and_then(Size::new);
        let old = old.ok_or(FileError::Line { number: 1, is: "`old` and a size" })?;
        Ok(Self { old, proof: hashes(lines, 1)?, checkpoint: checkpoint.to_owned() })
    }
}

impl fmt::Display for CosignFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        write(f, &self.proof, &self.checkpoint)
    }
}

fn write(f: &mut fmt::Formatter<'_>, proof: &[NodeHash], checkpoint: &str) -> fmt::Result {
    proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
    write!(f, "\n{checkpoint}")
}

/// Splits a file into the lines before the first blank line, and the checkpoint after it.
fn split(bytes: &[u8]) -> Result<(Vec<&str>, &str), FileError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(FileError::TooLong { bytes: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| FileError::NotUtf8)?;
    let (lines, checkpoint) = text.split_once("\n\n").ok_or(FileError::NoCheckpoint)?;
    // Three lines more than the longest proof: one too many is enough to refuse it.
    Ok((lines.split('\n').take(PROOF_HASHES_MAX + 4).collect(), checkpoint))
}

fn extra(line: &str) -> Option<Vec<u8>> {
    let extra = BASE64_STANDARD.decode(line.strip_prefix("extra ")?).ok()?;
    (extra.len() <= EXTRA_BYTES_MAX).then_some(extra)
}

fn hashes<'a>(lines: impl Iterator<Item = &'a str>, before: usize) -> Result<Vec<NodeHash>, FileError> {
    let mut hashes = Vec::new();
    for (number, line) in (before + 1..).zip(lines) {
        if hashes.len() == PROOF_HASHES_MAX {
            return Err(FileError::TooManyHashes);
        }
        hashes
            .push(line.parse().map_err(|_| FileError::Line { number, is: "a hash of 32 bytes in Base64" })?);
    }
    Ok(hashes)
}

/// The reasons for which bytes are no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FileError {
    /// There are too many bytes.
    #[error("the proof has {bytes} bytes, and at most {FILE_BYTES_MAX} are read")]
    TooLong {
        /// The number of bytes.
        bytes: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the proof is not UTF-8")]
    NotUtf8,
    /// No blank line ends the proof.
    #[error("no blank line and no checkpoint are behind the proof")]
    NoCheckpoint,
    /// A line is not what it should be.
    #[error("line {number} of the proof is not {is}")]
    Line {
        /// The line, from 1.
        number: usize,
        /// Its expected form, as in the message.
        is: &'static str,
    },
    /// There are too many hashes.
    #[error("the proof has more than {PROOF_HASHES_MAX} hashes, and no log needs so many")]
    TooManyHashes,
}

/// The reasons for which a proof does not prove that an entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InclusionError {
    /// The checkpoint is not the log's.
    #[error("the checkpoint of the proof does not hold")]
    Open(#[from] OpenError),
    /// The proof does not lead to the checkpoint.
    #[error("the entry is not proven")]
    Proof(#[from] ProofError),
}
