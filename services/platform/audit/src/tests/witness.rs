//! A witness cosigns one history of a log, and never another.

use proptest::prelude::*;

use super::{Log, ORIGIN, key, known, log_key, signed, small, witness_key};
use crate::checkpoint::{Checkpoint, OpenError};
use crate::files::CosignFile;
use crate::note::{KeyError, KeyKind, UnixSeconds};
use crate::tree::{NodeHash, ProofError, TreeHead};
use crate::witness::*;

const AT: UnixSeconds = UnixSeconds(1_795_000_000);

fn witness() -> Witness {
    Witness::new(witness_key(), ORIGIN, known(&[&log_key()])).unwrap()
}

fn cosign(last: Option<&Checkpoint>, tree: TreeHead, proof: &[NodeHash]) -> Result<Cosigned, CosignError> {
    witness().cosign(last, signed(tree).as_bytes(), proof, AT)
}

fn checkpoint(tree: TreeHead) -> Checkpoint {
    Checkpoint::new(ORIGIN, tree, &[]).unwrap()
}

#[test]
fn a_log_that_grows_is_cosigned_each_time() {
    let mut log = Log::of_size(60);
    let mut last: Option<Checkpoint> = None;
    for size in [0, 1, 1, 2, 3, 8, 33, 60, 60] {
        let before = last.as_ref().map_or(0, |last| small(last.tree().size.get()));
        let request = CosignFile {
            old: super::size_of(before),
            proof: log.consistency(before, size),
            checkpoint: signed(log.head_at(size)),
        };
        // Encoded and decoded, as it is sent.
        let request = CosignFile::parse(request.to_string().as_bytes()).unwrap();
        let cosigned =
            witness().cosign(last.as_ref(), request.checkpoint.as_bytes(), &request.proof, AT).unwrap();
        let keys = known(&[&log_key(), &witness_key()]);
        let opened = Checkpoint::open(cosigned.note.to_string().as_bytes(), ORIGIN, &keys).unwrap();
        assert_eq!(opened.cosignatures.len(), 1);
        assert_eq!((opened.cosignatures[0].at, opened.checkpoint), (AT, cosigned.checkpoint.clone()));
        // The log adds the line that the witness returns.
        let mut note = crate::note::Note::parse(request.checkpoint.as_bytes()).unwrap();
        assert_eq!(note.add_signatures(&cosigned.signature.to_string(), &keys).unwrap(), 1);
        assert_eq!(note, cosigned.note);
        last = Some(cosigned.checkpoint);
    }
}

#[test]
fn two_histories_a_shorter_one_and_another_one_are_refused() {
    let mut log = Log::of_size(20);
    let mut fork = Log::of((0..20).map(|index| format!("fork {}", index / 2).into_bytes()));
    let (old, new) = (log.head_at(9), log.head_at(20));
    let last = checkpoint(old);
    let forked = fork.head_at(9);
    assert_eq!(
        cosign(Some(&last), forked, &[]).unwrap_err(),
        CosignError::Forked { size: old.size, last: old.root, new: forked.root }
    );
    for size in 0..9 {
        let (new, proof) = (log.head_at(size), log.consistency(size, 9));
        let error = cosign(Some(&last), new, &proof).unwrap_err();
        assert_eq!(error, CosignError::Shrunk { last: old.size, new: new.size });
    }
    let error = cosign(Some(&last), fork.head_at(20), &fork.consistency(9, 20)).unwrap_err();
    assert!(matches!(error, CosignError::Inconsistent(ProofError::OldRoot { .. })), "{error:?}");
    for proof in [vec![], log.consistency(8, 20), log.consistency(9, 19)] {
        let error = cosign(Some(&last), new, &proof).unwrap_err();
        assert!(matches!(error, CosignError::Inconsistent(_)), "{error:?}");
    }
    cosign(Some(&last), new, &log.consistency(9, 20)).unwrap();
}

#[test]
fn only_the_log_is_cosigned_at_a_time_that_can_be_signed() {
    let tree = Log::of_size(5).head();
    let of = |key: &_, origin| Checkpoint::new(origin, tree, &[]).unwrap().sign(&[key]).unwrap().to_string();
    let refused = |note: &str, proof: &[_], at| {
        witness().cosign(None, note.as_bytes(), proof, UnixSeconds(at)).unwrap_err()
    };
    let stranger = key(ORIGIN, KeyKind::Log, 9);
    assert!(matches!(refused(&of(&stranger, ORIGIN), &[], 1), CosignError::Open(OpenError::Signatures(_))));
    assert!(matches!(
        refused(&of(&log_key(), "other"), &[], 1),
        CosignError::Open(OpenError::AnotherLog { .. })
    ));
    let note = signed(tree);
    assert_eq!(refused(&note, &[NodeHash::EMPTY], 1), CosignError::ProofOfTheFirst { given: 1 });
    assert_eq!(refused(&note, &[], 0), CosignError::Time { at: 0 });
    assert_eq!(refused(&note, &[], 1 << 63), CosignError::Time { at: 1 << 63 });
    witness().cosign(None, note.as_bytes(), &[], UnixSeconds((1 << 63) - 1)).unwrap();
    let other = Checkpoint::new("other", tree, &[]).unwrap();
    assert!(matches!(cosign(Some(&other), tree, &[]), Err(CosignError::LastOfAnotherLog { .. })));
    let keys = [(log_key(), known(&[&log_key()])), (witness_key(), known(&[&log_key(), &witness_key()]))];
    for (key, log) in keys {
        assert!(matches!(Witness::new(key, ORIGIN, log), Err(KeyError::WrongKind { .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two logs with the same first entries: in whatever order their checkpoints come, with either of the
    /// proofs, a witness signs one history that each of its cosignatures continues.
    #[test]
    fn a_witness_signs_one_history_only(
        common in 0_usize..20,
        shown in prop::collection::vec((any::<bool>(), 0_usize..24, any::<bool>(), 0_usize..24), 1..12),
    ) {
        let entry = |fork: bool, index: usize| format!("{} {index}", fork && index >= common).into_bytes();
        let mut logs = [false, true].map(|fork| Log::of((0..24).map(|index| entry(fork, index))));
        let mut last: Option<Checkpoint> = None;
        let mut signed_of: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        for (fork, size, other_proof, old) in shown {
            let tree = logs[usize::from(fork)].head_at(size);
            let from = last.as_ref().map_or(0, |last| small(last.tree().size.get()));
            let from = if other_proof { old } else { from };
            let proof = if from <= size { logs[usize::from(fork)].consistency(from, size) } else { Vec::new() };
            if let Ok(cosigned) = cosign(last.as_ref(), tree, &proof) {
                signed_of[usize::from(fork)].push(size);
                last = Some(cosigned.checkpoint);
            }
        }
        // Beyond the common entries, only checkpoints of one of the logs.
        let beyond = |sizes: &[usize]| sizes.iter().any(|size| *size > common);
        prop_assert!(!(beyond(&signed_of[0]) && beyond(&signed_of[1])), "{signed_of:?} of {common}");
        prop_assert!(signed_of.iter().all(|sizes| sizes.is_sorted()));
    }
}
