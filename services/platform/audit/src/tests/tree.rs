//! Roots, proofs and stored hashes of trees of all sizes, against RFC 6962.

use proptest::prelude::*;

use super::{Log, rfc, size_of, small};
use crate::export::{StoredError, check_stored};
use crate::tree::*;

/// Every size up to this one, and every proof of each up to [`PROOFS`].
const SIZES: usize = 300;
const PROOFS: usize = 70;

/// Returns the head of a tree of this size, which a test does not have to build.
fn head(size: u64) -> TreeHead {
    TreeHead { size: Size::new(size).unwrap(), root: NodeHash([7; 32]) }
}

#[test]
fn the_root_of_every_size_is_that_of_the_rfc() {
    let mut log = Log::of_size(SIZES);
    let mut frontier = Frontier::empty();
    for size in 0..=SIZES {
        let expected = rfc::mth(&log.entries[..size]);
        assert_eq!(root(size_of(size)).read(&mut log).unwrap(), expected, "of {size}");
        assert_eq!(frontier.root(), expected, "of {size}");
        if let Some(entry) = log.entries.get(size) {
            frontier.append(entry).unwrap();
        }
    }
}

#[test]
fn proofs_are_those_of_the_rfc_and_prove() {
    let mut log = Log::of_size(SIZES);
    for size in (1..=PROOFS).chain([128, 129, 255, 256, 257, SIZES]) {
        let tree = log.head_at(size);
        let step = 1 + size / PROOFS;
        for index in (0..size).step_by(step) {
            let proof = log.inclusion(index, size);
            assert_eq!(proof, rfc::path(index, &log.entries[..size]), "of entry {index} of {size}");
            let leaf = NodeHash::of_entry(&log.entries[index]);
            check_inclusion(&proof, LeafIndex(index as u64), &leaf, &tree).unwrap();
        }
        for old in (1..=size).step_by(step) {
            let proof = log.consistency(old, size);
            assert_eq!(proof, rfc::proof(old, &log.entries[..size]), "from {old} to {size}");
            let old = log.head_at(old);
            check_consistency(&proof, &old, &tree).unwrap();
        }
        assert!(log.consistency(0, size).is_empty());
        check_consistency(&[], &log.head_at(0), &tree).unwrap();
    }
    assert!(log.read_max < 2 * 10, "a proof reads {} hashes", log.read_max);
}

#[test]
fn a_proof_proves_nothing_else() {
    let mut log = Log::of_size(40);
    for size in 1..=40 {
        let tree = log.head_at(size);
        for index in 0..size {
            let (proof, at) = (log.inclusion(index, size), LeafIndex(index as u64));
            let leaf = NodeHash::of_entry(&log.entries[index]);
            let check = |proof: &[NodeHash], at, leaf: &NodeHash, tree: &TreeHead| {
                check_inclusion(proof, at, leaf, tree)
            };
            for (number, _) in proof.iter().enumerate() {
                let mut other = proof.clone();
                other[number].0[number % 32] ^= 1;
                assert!(matches!(check(&other, at, &leaf, &tree), Err(ProofError::Inclusion { .. })));
            }
            let other = NodeHash::of_entry(b"another");
            assert!(matches!(check(&proof, at, &other, &tree), Err(ProofError::Inclusion { .. })));
            let longer: Vec<NodeHash> = proof.iter().copied().chain([other]).collect();
            assert!(matches!(check(&longer, at, &leaf, &tree), Err(ProofError::Length { .. })));
            if let Some((_, shorter)) = proof.split_last() {
                assert!(matches!(check(shorter, at, &leaf, &tree), Err(ProofError::Length { .. })));
            }
            for wrong in (0..size).filter(|wrong| *wrong != index) {
                assert!(
                    check(&proof, LeafIndex(wrong as u64), &leaf, &tree).is_err(),
                    "{index} {wrong} {size}"
                );
            }
        }
        assert!(matches!(
            check_inclusion(&[], LeafIndex(size as u64), &NodeHash::EMPTY, &tree),
            Err(ProofError::NoSuchEntry(_))
        ));
        for old in 1..=size {
            let (proof, before) = (log.consistency(old, size), log.head_at(old));
            for (number, _) in proof.iter().enumerate() {
                let mut other = proof.clone();
                other[number].0[number % 32] ^= 1;
                assert!(check_consistency(&other, &before, &tree).is_err(), "{old} to {size}, hash {number}");
            }
            let forked = TreeHead { root: NodeHash::of_entry(b"another"), ..before };
            assert!(check_consistency(&proof, &forked, &tree).is_err(), "{old} to {size}");
            let forked = TreeHead { root: NodeHash::of_entry(b"another"), ..tree };
            assert!(check_consistency(&proof, &before, &forked).is_err(), "{old} to {size}");
            if old < size {
                let error = check_consistency(&proof, &tree, &before).unwrap_err();
                assert!(matches!(error, ProofError::Shrinks(_)));
                assert!(consistency(tree.size, before.size).is_err());
            }
        }
    }
}

#[test]
fn a_tree_without_entries_has_one_root_only() {
    let empty = TreeHead { size: Size::ZERO, root: NodeHash::EMPTY };
    let other = TreeHead { size: Size::ZERO, root: NodeHash([0; 32]) };
    check_consistency(&[], &empty, &empty).unwrap();
    check_consistency(&[], &empty, &head(5)).unwrap();
    assert!(matches!(check_consistency(&[], &other, &head(5)), Err(ProofError::OldRoot { .. })));
    assert!(matches!(check_consistency(&[], &empty, &other), Err(ProofError::NewRoot { .. })));
    let proof = [NodeHash::EMPTY];
    assert!(matches!(check_consistency(&proof, &empty, &head(5)), Err(ProofError::Length { needed: 0, .. })));
}

/// Returns the level and the number of each stored hash: each leaf, and the nodes that it completes.
fn nodes(size: u64) -> Vec<(u32, u64)> {
    let added = |index: u64| (0..=index.trailing_ones()).map(move |level| (level, index >> level));
    (0..size).flat_map(added).collect()
}

#[test]
fn hashes_are_stored_in_the_order_of_go() {
    let expected = nodes(64);
    for size in 0..=64 {
        assert_eq!(Size::new(size).unwrap().stored_count(), nodes(size).len() as u64);
    }
    for (position, &(level, number)) in (0..).zip(&expected) {
        assert_eq!(Node::new(level, number).unwrap().stored(), StoredIndex(position), "{level} {number}");
    }
}

#[test]
fn the_largest_tree_has_positions_and_proofs() {
    let size = Size::new(SIZE_MAX).unwrap();
    assert_eq!((Size::new(SIZE_MAX + 1), size.next()), (None, None));
    let last = Node::leaf(LeafIndex(SIZE_MAX - 1)).unwrap();
    let top = Node::new(62, 0).unwrap();
    assert_eq!(top.stored().0 - last.stored().0, 62);
    assert_eq!(top.stored().0 + 1, size.stored_count());
    assert!(i64::try_from(top.stored().0).is_ok());
    assert_eq!((Node::leaf(LeafIndex(SIZE_MAX)), Node::new(62, 1), Node::new(63, 0)), (None, None, None));
    for (index, entries) in
        [(0, SIZE_MAX), (SIZE_MAX - 1, SIZE_MAX), (0, SIZE_MAX - 1), (SIZE_MAX - 2, SIZE_MAX - 1)]
    {
        let size = Size::new(entries).unwrap();
        let query = inclusion(LeafIndex(index), size).unwrap();
        assert!(query.positions().len() < 128, "{}", query.positions().len());
        let proof = query.clone().answer(&vec![NodeHash::EMPTY; query.positions().len()]).unwrap();
        assert!(proof.len() <= PROOF_HASHES_MAX);
        // The proof has the length that the check requires.
        let error = check_inclusion(&proof, LeafIndex(index), &NodeHash::EMPTY, &head(entries)).unwrap_err();
        assert!(matches!(error, ProofError::Inclusion { .. }), "{error}");
    }
    for (old, new) in
        [(1, SIZE_MAX), (SIZE_MAX - 1, SIZE_MAX), (SIZE_MAX / 2, SIZE_MAX - 1), ((1 << 61) + 1, SIZE_MAX)]
    {
        let query = consistency(Size::new(old).unwrap(), Size::new(new).unwrap()).unwrap();
        assert!(query.positions().len() < 128, "{}", query.positions().len());
        let proof = query.clone().answer(&vec![NodeHash::EMPTY; query.positions().len()]).unwrap();
        assert!(proof.len() <= PROOF_HASHES_MAX, "{}", proof.len());
        let error = check_consistency(&proof, &head(old), &head(new)).unwrap_err();
        assert!(matches!(error, ProofError::OldRoot { .. } | ProofError::NewRoot { .. }), "{error}");
    }
    let full = Frontier::decode(&[&SIZE_MAX.to_be_bytes()[..], &[1; 32]].concat()).unwrap();
    assert_eq!(full.clone().append(b"one more"), Err(Full));
}

#[test]
fn a_frontier_is_read_back_from_the_store_or_its_bytes() {
    let mut log = Log::of_size(SIZES);
    for size in 0..SIZES {
        let mut frontier = Frontier::query(size_of(size)).read(&mut log).unwrap();
        assert_eq!(Frontier::decode(&frontier.encode()).unwrap(), frontier);
        assert_eq!(frontier.encode().len(), 8 + 32 * size.count_ones() as usize);
        let appended = frontier.append(&log.entries[size]).unwrap();
        let first = small(appended.first.0);
        assert_eq!(log.stored[first..first + appended.hashes.len()], appended.hashes);
        assert_eq!(frontier.root(), rfc::mth(&log.entries[..=size]));
    }
    assert!(log.read_max <= 9);
    let (bytes, fault) =
        (Log::of_size(5).frontier.encode(), |bytes: &[u8]| Frontier::decode(bytes).unwrap_err());
    assert_eq!(fault(&bytes[..bytes.len() - 1]), NotAFrontier { bytes: 71 });
    assert_eq!(fault(&bytes[..40]), NotAFrontier { bytes: 40 });
    assert_eq!(fault(&[]), NotAFrontier { bytes: 0 });
    assert_eq!(fault(&[0xff; 8 + 64 * 32]), NotAFrontier { bytes: 2056 });
}

#[test]
fn a_store_that_is_not_asked_rightly_is_named() {
    let mut log = Log::of_size(10);
    assert_eq!(root(size_of(100)).read(&mut log).unwrap_err(), QueryError::Store(StoredIndex(126)));
    let query = root(size_of(3));
    assert_eq!(query.positions(), [StoredIndex(2), StoredIndex(3)]);
    assert_eq!(query.answer(&log.stored[..1]), Err(WrongCount { asked: 2, given: 1 }));
    let error = inclusion(LeafIndex(10), size_of(10)).unwrap_err();
    assert_eq!(error.to_string(), "there is no entry 10 in a log of 10 entries");
}

#[test]
fn a_stored_hash_that_was_changed_is_named() {
    let log = Log::of_size(100);
    let check = |stored: &[NodeHash]| check_stored::<()>(&log.head(), stored.iter().copied().map(Ok));
    check(&log.stored).unwrap();
    let nodes = nodes(100);
    for position in 0..log.stored.len() {
        let mut stored = log.stored.clone();
        stored[position].0[position % 32] ^= 0x10;
        // A changed node is itself reported, a changed leaf by the node above it, and one without such a node
        // only by the root.
        let (level, number) = nodes[position];
        let named = if level == 0 {
            Node::new(1, number / 2).unwrap().stored()
        } else {
            StoredIndex(position as u64)
        };
        let error = check(&stored).unwrap_err();
        if small(named.0) < log.stored.len() {
            assert_eq!(error, StoredError::Altered(named));
        } else {
            assert!(matches!(error, StoredError::Root { .. }), "{error:?}");
        }
        let mut stored = log.stored.clone();
        stored.remove(position);
        check(&stored).unwrap_err();
    }
    let missing = StoredIndex(log.stored.len() as u64 - 1);
    assert_eq!(check(&log.stored[..small(missing.0)]).unwrap_err(), StoredError::Missing(missing));
    let extra = [&log.stored[..], &[NodeHash::EMPTY]].concat();
    assert_eq!(check(&extra).unwrap_err(), StoredError::Extra(StoredIndex(missing.0 + 1)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Entries of any bytes, including equal ones.
    #[test]
    fn any_log_has_the_proofs_of_the_rfc(
        entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 1..200),
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let mut log = Log::of(entries);
        let size = 1 + one.index(log.entries.len());
        let (index, old) = (other.index(size), 1 + other.index(size));
        let tree = log.head_at(size);
        prop_assert_eq!(tree.root, rfc::mth(&log.entries[..size]));
        let proof = log.inclusion(index, size);
        prop_assert_eq!(&proof, &rfc::path(index, &log.entries[..size]));
        prop_assert_eq!(check_inclusion(&proof, LeafIndex(index as u64), &log.leaves()[index], &tree), Ok(()));
        let proof = log.consistency(old, size);
        prop_assert_eq!(&proof, &rfc::proof(old, &log.entries[..size]));
        let old = log.head_at(old);
        prop_assert_eq!(check_consistency(&proof, &old, &tree), Ok(()));
    }
}
