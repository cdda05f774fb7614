//! Witnesses, which see a log's checkpoints one after the other and vouch that each continues the last.

use thiserror::Error;

use crate::checkpoint::{Checkpoint, OpenError};
use crate::note::{
    KeyError, KeyKind, KnownKeys, Note, NoteError, Signature, SignerKey, UnixSeconds, VerifierKey,
};
use crate::tree::{NodeHash, ProofError, Size, check_consistency};

/// A witness of one log: C2SP `tlog-cosignature`, `cosignature/v1`.
///
/// The caller keeps the last checkpoint that the witness has cosigned, and replaces it by the new one before
/// it hands out the cosignature, so that two concurrent calls cannot both continue one checkpoint. A witness
/// that has lost its last checkpoint must take a new name: it could sign a second history beside the one that
/// it has signed before.
#[derive(Debug)]
pub struct Witness {
    key: SignerKey,
    origin: String,
    log: KnownKeys,
}

/// A checkpoint with the witness's cosignature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The checkpoint, which the caller keeps in place of the last one.
    pub checkpoint: Checkpoint,
    /// The cosignature. Its text is the line that is sent to the log.
    pub signature: Signature,
    /// The checkpoint as a note, with the signatures that it had and the cosignature.
    pub note: Note,
}

impl Witness {
    /// Returns a witness of the log named `origin`, which has the keys `log`.
    ///
    /// # Errors
    ///
    /// If `key` is not a witness's, or none of the log's keys is a log's.
    pub fn new(key: SignerKey, origin: &str, log: KnownKeys) -> Result<Self, KeyError> {
        let wrong = |key: &VerifierKey| KeyError::WrongKind { name: key.name().to_owned(), kind: key.kind() };
        if key.public().kind() != KeyKind::Witness {
            return Err(wrong(key.public()));
        }
        if let Some(other) = log.iter().find(|key| key.kind() != KeyKind::Log) {
            return Err(wrong(other));
        }
        Ok(Self { key, origin: origin.to_owned(), log })
    }

    /// Cosigns a checkpoint that continues the last one that this witness has cosigned; `last` is `None` for
    /// the first. The proof of consistency is from the last one's size to the new one's
    /// ([`crate::tree::consistency`]), and has no hashes for the first.
    ///
    /// The same checkpoint may be cosigned again, with another time.
    ///
    /// # Errors
    ///
    /// If the checkpoint is not the log's, is smaller than the last one, has another root at the same size,
    /// or the proof does not prove that it continues the last one. In each of these cases, keep both notes,
    /// the last one and this one: the log has signed both.
    pub fn cosign(
        &self,
        last: Option<&Checkpoint>,
        note: &[u8],
        proof: &[NodeHash],
        at: UnixSeconds,
    ) -> Result<Cosigned, CosignError> {
        if at.0 == 0 || i64::try_from(at.0).is_err() {
            return Err(CosignError::Time { at: at.0 });
        }
        let opened = Checkpoint::open(note, &self.origin, &self.log)?;
        let checkpoint = opened.checkpoint;
        match last {
            Some(last) => self.check(last, &checkpoint, proof)?,
            None if !proof.is_empty() => return Err(CosignError::ProofOfTheFirst { given: proof.len() }),
            None => {}
        }
        let mut note = opened.note;
        let signature = Signature::of_witness(&self.key, note.text(), at);
        note.put(signature.clone())?;
        Ok(Cosigned { checkpoint, signature, note })
    }

    fn check(&self, last: &Checkpoint, new: &Checkpoint, proof: &[NodeHash]) -> Result<(), CosignError> {
        if last.origin() != self.origin {
            let (asked, given) = (self.origin.clone(), last.origin().to_owned());
            return Err(CosignError::LastOfAnotherLog { asked, given });
        }
        let (last, new) = (last.tree(), new.tree());
        if new.size < last.size {
            return Err(CosignError::Shrunk { last: last.size, new: new.size });
        }
        if new.size == last.size && new.root != last.root {
            return Err(CosignError::Forked { size: new.size, last: last.root, new: new.root });
        }
        Ok(check_consistency(proof, last, new)?)
    }
}

/// The reasons for which a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CosignError {
    /// The checkpoint is not the log's.
    #[error("the checkpoint is not cosigned")]
    Open(#[from] OpenError),
    /// The log has fewer entries than before.
    #[error("the log had {last} entries when it was last cosigned, and has {new} now: entries were removed")]
    Shrunk {
        /// The size of the last checkpoint.
        last: Size,
        /// The size of the new one.
        new: Size,
    },
    /// The log has shown two histories.
    #[error(
        "the log has shown two histories of {size} entries: the root was {last} when it was last cosigned, and is {new} now"
    )]
    Forked {
        /// The size of both.
        size: Size,
        /// The root of the last checkpoint.
        last: NodeHash,
        /// The root of the new one.
        new: NodeHash,
    },
    /// The proof does not prove that the log continues what was cosigned.
    #[error("nothing proves that the checkpoint continues the last one that was cosigned")]
    Inconsistent(#[from] ProofError),
    /// The first checkpoint came with a proof, although there is nothing to prove.
    #[error("the first checkpoint that a witness cosigns has no proof, and {given} hashes came with it")]
    ProofOfTheFirst {
        /// The number of hashes.
        given: usize,
    },
    /// The last checkpoint is of another log.
    #[error("the last checkpoint is of the log `{given}`, and this is a witness of `{asked}`")]
    LastOfAnotherLog {
        /// The log that is witnessed.
        asked: String,
        /// The log in the last checkpoint.
        given: String,
    },
    /// The time is outside the range of cosignatures.
    #[error("{at} s cannot be the time of a cosignature: it is 1 to 2^63 - 1 s since 1970")]
    Time {
        /// The time.
        at: u64,
    },
    /// The note cannot take a further signature.
    #[error("the checkpoint takes no cosignature")]
    Note(#[from] NoteError),
}
