//! Mutation tests of exports: a thousand changes to an export of each kind. Every change must be found, and
//! the error must name its entry where the format allows.

use std::fmt::Write as _;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use vigie_audit::checkpoint::Checkpoint;
use vigie_audit::files::InclusionFile;
use vigie_audit::note::{KeyKind, KnownKeys, SignerKey, UnixSeconds};
use vigie_audit::tree::{Frontier, LeafIndex, NodeHash, TreeHead, inclusion};
use vigie_audit::witness::Witness;

use super::export_file::{ExportWriter, Kind};
use super::verify::{Proven, Trusted, verify};
use crate::output::sentence;

const ORIGIN: &str = "vigie.example/audit";
const WITNESS: &str = "acme.example/witness";
const ENTRIES: usize = 77;
const MUTATIONS: usize = 1_000;
const SEED: u64 = 20_261_129;

/// A log in memory, whose checkpoint is signed and cosigned.
struct Log {
    entries: Vec<Vec<u8>>,
    stored: Vec<NodeHash>,
    tree: TreeHead,
    note: String,
    trusted: Trusted,
}

impl Log {
    fn of(size: usize) -> Self {
        let entries: Vec<Vec<u8>> =
            (0..size).map(|index| format!("entry {index}{}", ".".repeat(index % 7)).into_bytes()).collect();
        let mut frontier = Frontier::empty();
        let stored = entries.iter().flat_map(|entry| frontier.append(entry).unwrap().hashes).collect();
        let tree = TreeHead { size: frontier.size(), root: frontier.root() };
        let log = SignerKey::from_seed(ORIGIN, KeyKind::Log, [1; 32]).unwrap();
        let witness = SignerKey::from_seed(WITNESS, KeyKind::Witness, [2; 32]).unwrap();
        let keys = KnownKeys::new([log.public().clone(), witness.public().clone()]).unwrap();
        let trusted = Trusted {
            origin: ORIGIN.to_owned(),
            keys,
            witnesses: [WITNESS.to_owned()].into(),
            witnesses_min: 1,
        };
        let note = Checkpoint::new(ORIGIN, tree, &["bank 1".to_owned()]).unwrap().sign(&[&log]).unwrap();
        let keys = KnownKeys::new([log.public().clone()]).unwrap();
        let witness = Witness::new(witness, ORIGIN, keys).unwrap();
        let cosigned = witness.cosign(None, note.to_string().as_bytes(), &[], UnixSeconds(1_795_882_800));
        Self { entries, stored, tree, note: cosigned.unwrap().note.to_string(), trusted }
    }

    fn proof(&self, index: usize) -> Vec<NodeHash> {
        let query = inclusion(LeafIndex(index as u64), self.tree.size).unwrap();
        let positions = query.positions().iter();
        let hashes: Vec<NodeHash> = positions.map(|at| self.stored[usize::try_from(at.0).unwrap()]).collect();
        query.answer(&hashes).unwrap()
    }

    /// Returns an export and the indexes of its entries: all entries, or every third one.
    fn exported(&self, kind: Kind) -> (Vec<usize>, Vec<u8>) {
        let indexes: Vec<usize> = match kind {
            Kind::Complete => (0..self.entries.len()).collect(),
            Kind::Proven => (0..self.entries.len()).step_by(3).collect(),
        };
        let mut file = Vec::new();
        let mut writer = ExportWriter::begin(&mut file, kind, &self.note).unwrap();
        for index in &indexes {
            let entry = &self.entries[*index];
            let proof = if kind == Kind::Proven { self.proof(*index) } else { Vec::new() };
            let hash = NodeHash::of_entry(entry);
            writer.entry(LeafIndex(*index as u64), &hash, entry, &proof).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), indexes.len() as u64);
        (indexes, file)
    }

    fn verify(&self, path: &Path, file: &[u8]) -> Result<Proven, String> {
        std::fs::write(path, file).unwrap();
        verify(path, &self.trusted).map(|(proven, _)| proven).map_err(|error| sentence(&error))
    }
}

/// Returns the lines of a file, with their line ends.
fn lines_of(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn check(kind: Kind) {
    let log = Log::of(ENTRIES);
    let (indexes, file) = log.exported(kind);
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("export");
    let proven = log.verify(path, &file);
    assert!(
        matches!(proven, Ok(Proven::Entries { count, .. }) if count == indexes.len() as u64),
        "{proven:?}"
    );
    let lines = lines_of(&file);
    let first = lines.len() - indexes.len() - 1;
    let random = &mut StdRng::seed_from_u64(SEED);
    for mutation in 0..MUTATIONS {
        let mut changed = lines.clone();
        let at = random.random_range(0..indexes.len());
        let index = indexes[at];
        // The error message must contain at least one of these texts.
        let mut named = vec![format!("entry {index}")];
        let mut words = String::new();
        match mutation % 4 {
            0 => {
                let byte = random.random_range(0..file.len());
                let bit = random.random_range(0..8);
                let mut bytes = file.clone();
                bytes[byte] ^= 1 << bit;
                write!(words, "bit {bit} of byte {byte} is flipped").unwrap();
                changed = lines_of(&bytes);
                let line = file[..byte].iter().filter(|byte| **byte == b'\n').count();
                named = match line.checked_sub(first) {
                    // A flipped bit may remove a line end, which joins two lines, or may add one, which makes
                    // the rest of the line a line of its own.
                    Some(at) if at < indexes.len() => {
                        let entries = indexes[at..indexes.len().min(at + 2)].iter();
                        let lines = [line + 1, line + 2].map(|line| format!("line {line}"));
                        entries.map(|index| format!("entry {index}")).chain(lines).collect()
                    }
                    // A change before the entries, or in the last line, is not the fault of an entry.
                    Some(_) | None => vec![String::new()],
                };
            }
            1 => {
                write!(words, "entry {index} is dropped").unwrap();
                drop(changed.remove(first + at));
                if kind == Kind::Proven {
                    named = vec![format!("counts {} entries, and {}", indexes.len(), indexes.len() - 1)];
                }
            }
            2 => {
                let to = random.random_range(0..=indexes.len());
                write!(words, "entry {index} is doubled, at place {to}").unwrap();
                changed.insert(first + to, lines[first + at].clone());
            }
            _ => {
                let to = (at + random.random_range(1..indexes.len())) % indexes.len();
                write!(words, "entry {index} is moved, to place {to}").unwrap();
                let line = changed.remove(first + at);
                changed.insert(first + to, line);
                // If two neighbours are swapped, either of them may be named as the one that moved.
                if to.abs_diff(at) == 1 {
                    named.push(format!("entry {}", indexes[to]));
                }
            }
        }
        let fault = log.verify(path, &changed.concat());
        let Err(fault) = fault else { panic!("mutation {mutation}: {words}, and nothing is found") };
        let is_named = named.iter().any(|name| {
            let mut ends = fault.match_indices(name.as_str()).map(|(at, _)| &fault[at + name.len()..]);
            name.is_empty() || ends.any(|end| !end.starts_with(|letter: char| letter.is_ascii_digit()))
        });
        assert!(is_named, "mutation {mutation}: {words}, and the message names none of {named:?}: {fault}");
    }
}

#[test]
fn a_thousand_changes_of_a_complete_export_are_found_and_named() {
    check(Kind::Complete);
}

#[test]
fn a_thousand_changes_of_a_proven_export_are_found_and_named() {
    check(Kind::Proven);
}

/// An attacker who also recomputes hashes and indexes is detected by the root, but no entry can be named.
#[test]
fn a_forger_who_writes_hashes_and_numbers_anew_is_found() {
    let log = Log::of(ENTRIES);
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("export");
    let forged = |kind, entries: &[Vec<u8>]| {
        let mut file = Vec::new();
        let mut writer = ExportWriter::begin(&mut file, kind, &log.note).unwrap();
        for (index, entry) in entries.iter().enumerate() {
            let proof = if kind == Kind::Proven { log.proof(index) } else { Vec::new() };
            writer.entry(LeafIndex(index as u64), &NodeHash::of_entry(entry), entry, &proof).unwrap();
        }
        writer.finish().unwrap();
        log.verify(path, &file).unwrap_err()
    };
    let mut entries = log.entries.clone();
    entries[20] = b"forged".to_vec();
    assert!(forged(Kind::Complete, &entries).contains("no entry can be named"));
    assert!(forged(Kind::Proven, &entries).contains("entry 20 (line "));
    entries.swap_remove(20);
    assert!(forged(Kind::Complete, &entries).contains("entry 76 is missing"));
    entries.push(b"one".to_vec());
    entries.push(b"too many".to_vec());
    assert!(forged(Kind::Complete, &entries).contains("entry at place 77 was never logged"));
    entries.truncate(ENTRIES);
    assert!(forged(Kind::Complete, &entries).contains("no entry can be named"));
}

#[test]
fn logs_of_every_small_size_are_exported_and_proven() {
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("export");
    for size in 0..20 {
        let log = Log::of(size);
        for kind in [Kind::Complete, Kind::Proven] {
            let (indexes, file) = log.exported(kind);
            let proven = log.verify(path, &file);
            assert!(matches!(proven, Ok(Proven::Entries { count, .. }) if count == indexes.len() as u64));
        }
    }
}

#[test]
fn a_file_that_is_neither_is_refused_and_so_is_one_without_its_witness() {
    let mut log = Log::of(5);
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("export");
    let (_, file) = log.exported(Kind::Complete);
    assert!(log.verify(path, b"").unwrap_err().contains("cut off"));
    assert!(log.verify(path, b"{\"index\":0}\n").unwrap_err().contains("neither an export nor a proof"));
    assert!(log.verify(path, &[b'x'; 100_000]).unwrap_err().contains("longer than"));
    let end = file.len() - "end 5\n".len();
    assert!(log.verify(path, &file[..end]).unwrap_err().contains("cut off"));
    assert!(log.verify(path, &[&file, &b"\n"[..]].concat()).unwrap_err().contains("more lines follow"));

    let proof =
        InclusionFile { extra: None, index: LeafIndex(1), proof: log.proof(1), checkpoint: log.note.clone() };
    assert!(log.verify(path, proof.to_string().as_bytes()).unwrap_err().contains("no line `extra`"));
    let proof = InclusionFile { extra: Some(log.entries[2].clone()), ..proof };
    assert!(log.verify(path, proof.to_string().as_bytes()).unwrap_err().contains("nothing proves entry 1"));

    log.trusted.witnesses.insert("other.example/witness".to_owned());
    log.verify(path, &file).unwrap();
    log.trusted.witnesses_min = 2;
    let fault = log.verify(path, &file).unwrap_err();
    assert!(
        fault.contains("1 of the named witnesses") && fault.ends_with("other.example/witness"),
        "{fault}"
    );
    log.trusted.origin = "elsewhere.example".to_owned();
    assert!(log.verify(path, &file).unwrap_err().contains("elsewhere.example"));
}
