//! Arbitrary input in place of notes, keys, checkpoints and proofs: an error, and never a panic.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{Log, ORIGIN, known, log_key, signed, witness_key};
use crate::checkpoint::Checkpoint;
use crate::files::{CosignFile, InclusionFile};
use crate::note::{KnownKeys, Note, SignerKey, UnixSeconds, VerifierKey};
use crate::tree::*;
use crate::witness::Witness;

static KEYS: LazyLock<KnownKeys> = LazyLock::new(|| known(&[&log_key(), &witness_key()]));
static WITNESS: LazyLock<Witness> =
    LazyLock::new(|| Witness::new(witness_key(), ORIGIN, known(&[&log_key()])).unwrap());
static SAMPLES: LazyLock<Vec<String>> = LazyLock::new(samples);

fn read_all(bytes: &[u8]) {
    let keys = &*KEYS;
    if let Ok(note) = Note::parse(bytes) {
        // A note that was read is written as it was, apart from the unused bits of Base64.
        let again = Note::parse(note.to_string().as_bytes());
        assert_eq!(again.as_ref(), Ok(&note));
        let _ = note.verify(keys);
    }
    let _ = Checkpoint::open(bytes, ORIGIN, keys);
    let _ = Frontier::decode(bytes);
    if let Ok(file) = InclusionFile::parse(bytes) {
        assert_eq!(file.to_string().as_bytes(), bytes);
        let _ = file.verify(bytes, ORIGIN, keys);
    }
    if let Ok(file) = CosignFile::parse(bytes) {
        assert_eq!(file.to_string().as_bytes(), bytes);
        let _ = WITNESS.cosign(None, file.checkpoint.as_bytes(), &file.proof, UnixSeconds(1));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string().to_lowercase(), text.to_lowercase());
    }
    let _ = text.parse::<SignerKey>();
    let _ = text.parse::<NodeHash>();
    let mut note = Note::parse(SAMPLES[0].as_bytes()).unwrap();
    let _ = note.add_signatures(text, keys);
}

/// Returns valid texts, a checkpoint first.
fn samples() -> Vec<String> {
    let mut log = Log::of_size(9);
    let (proof, consistency) = (log.inclusion(4, 9), log.consistency(3, 9));
    let checkpoint = signed(log.head());
    let inclusion =
        InclusionFile { extra: Some(vec![1]), index: LeafIndex(4), proof, checkpoint: checkpoint.clone() };
    let old = Size::new(3).unwrap();
    let cosign = CosignFile { old, proof: consistency, checkpoint: checkpoint.clone() };
    let cosigned = WITNESS.cosign(None, checkpoint.as_bytes(), &[], UnixSeconds(9)).unwrap();
    let keys = [log_key().public().to_string(), witness_key().to_secret_text()];
    let texts = [checkpoint, inclusion.to_string(), cosign.to_string(), cosigned.note.to_string()];
    let body = cosigned.checkpoint.to_string();
    texts.into_iter().chain(keys).chain([body, log.head().root.to_string()]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn any_lines(text in "([a-z0-9=+/ —\n]|old |index |extra |AAAA|\n\n){0,60}") {
        read_all(text.as_bytes());
    }

    #[test]
    fn right_texts_with_bytes_changed(
        sample in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 0..4),
    ) {
        let mut bytes = sample.get(&SAMPLES).clone().into_bytes();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        read_all(&bytes);
    }

    #[test]
    fn any_proof(
        proof in prop::collection::vec(any::<[u8; 32]>().prop_map(NodeHash), 0..80),
        (index, old, new) in (any::<u64>(), any::<u64>(), any::<u64>()),
        shift in (0_u32..64, 0_u32..64),
    ) {
        let size = |number: u64| Size::new(number >> 2).unwrap();
        let (old, new) = (size(old >> shift.0), size(new >> shift.1));
        let head = |size| TreeHead { size, root: NodeHash([5; 32]) };
        prop_assert!(check_inclusion(&proof, LeafIndex(index >> shift.0), &NodeHash([6; 32]), &head(new)).is_err());
        let consistent = check_consistency(&proof, &head(old), &head(new));
        prop_assert_eq!(consistent.is_ok(), old == new && proof.is_empty() && old != Size::ZERO);
        if let Ok(query) = consistency(old, new) {
            prop_assert!(query.positions().len() < 128);
            let hashes = vec![NodeHash::EMPTY; query.positions().len()];
            prop_assert!(query.answer(&hashes).unwrap().len() <= PROOF_HASHES_MAX);
        }
        if let Ok(query) = inclusion(LeafIndex(index >> shift.0), new) {
            prop_assert!(query.positions().len() < 128);
        }
        prop_assert!(Frontier::query(new).positions().len() <= 62);
    }
}
