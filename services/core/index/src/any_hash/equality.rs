//! An index of hashes of any length that are compared for equality.
//!
//! Compiling a store for each length would take minutes, so there are only four widths, and a hash is stored
//! in the next larger one. A shorter hash is padded with zeros: all hashes of an index have the same length,
//! so different hashes stay different. A hash of more than 64 bytes is replaced by its BLAKE3-256 digest.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Weak};

use vigie_model::{BankId, Distance};

use super::batch::{HashEdit, HashEdits, HashRows};
use super::index::{HashIndex, HashSnapshot};
use super::shape::HashShape;
use crate::equality::{EqualityIndex, EqualitySnapshot};
use crate::options::IndexOptions;
use crate::question::audit::{AuditError, Pace, check};
use crate::question::cancel::{Cancellation, Cancelled};
use crate::question::entry::{Edit, Entry, Hit};
use crate::question::filter::BankFilter;
use crate::rows::home::OpenError;
use crate::rows::saved::SavedFile;
use crate::rows::segment_file::SegmentError;
use crate::rows::stored::Stored;

/// An index of hashes of `bytes` bytes, stored as keys of `WIDTH` bytes.
#[derive(Debug)]
pub(super) struct KeyedIndex<const WIDTH: usize> {
    index: EqualityIndex<WIDTH>,
    bytes: usize,
}

/// A [`KeyedIndex`] as it was at one moment.
#[derive(Debug)]
struct KeyedSnapshot<const WIDTH: usize> {
    snapshot: EqualitySnapshot<WIDTH>,
    bytes: usize,
}

impl<const WIDTH: usize> KeyedIndex<WIDTH> {
    pub(super) fn in_memory(bytes: usize, options: IndexOptions) -> Self {
        Self { index: EqualityIndex::in_memory(key_form::<WIDTH>(bytes), options), bytes }
    }

    pub(super) fn begin(bytes: usize, folder: &Path, options: IndexOptions) -> Result<Self, OpenError> {
        Ok(Self { index: EqualityIndex::begin_of(key_form::<WIDTH>(bytes), folder, options)?, bytes })
    }

    pub(super) fn open_tagged(
        bytes: usize,
        folder: &Path,
        options: IndexOptions,
        tag: &[u8],
    ) -> Result<Self, OpenError> {
        let index = EqualityIndex::open_tagged_of(key_form::<WIDTH>(bytes), folder, options, tag)?;
        Ok(Self { index, bytes })
    }

    fn key(&self, hash: &[u8]) -> [u8; WIDTH] {
        key_of(self.bytes, hash)
    }
}

/// Returns the form of the keys, which files record so that an index is not opened with hashes of another
/// length: 0 if the key is the hash itself, otherwise the length of the hashes in bytes.
const fn key_form<const WIDTH: usize>(bytes: usize) -> u64 {
    if bytes == WIDTH { 0 } else { bytes as u64 }
}

/// Returns the key under which an index of `WIDTH` bytes stores a hash.
fn key_of<const WIDTH: usize>(bytes: usize, hash: &[u8]) -> [u8; WIDTH] {
    assert_eq!(hash.len(), bytes, "a hash as long as those of the index");
    let mut key = [0; WIDTH];
    if let Some(held) = key.get_mut(..bytes) {
        held.copy_from_slice(hash);
    } else {
        // Digests have 32 bytes, which is also the width that `begin` selects for such hashes.
        key.copy_from_slice(&blake3::hash(hash).as_bytes()[..WIDTH]);
    }
    key
}

impl<const WIDTH: usize> HashIndex for KeyedIndex<WIDTH> {
    fn shape(&self) -> HashShape {
        HashShape::Equality { bytes: self.bytes }
    }

    fn apply(&self, edits: &HashEdits) -> usize {
        self.index.apply_each(edits.iter().map(|edit| match edit {
            HashEdit::Insert(hash, entry) => Edit::Insert(self.key(hash), entry),
            HashEdit::Remove(hash, item) => Edit::Remove(self.key(hash), item),
        }))
    }

    fn load(&self, rows: HashRows) -> Result<(), SegmentError> {
        let pairs = rows.iter().map(|(hash, entry)| (self.key(hash), entry)).collect();
        drop(rows);
        self.index.load(pairs)
    }

    fn remove_bank(&self, bank: BankId) -> usize {
        self.index.remove_bank(bank)
    }

    fn merge(&self) -> Result<(), SegmentError> {
        self.index.merge()
    }

    fn clear_dead(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        self.index.clear_dead(stop)
    }

    fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        self.index.save(tag)
    }

    fn forget_before(&self, tag: &[u8]) {
        self.index.forget_before(tag);
    }

    fn fault(&self) -> Option<String> {
        self.index.footprint().fault
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn snapshot(&self) -> Arc<dyn HashSnapshot> {
        Arc::new(KeyedSnapshot { snapshot: self.index.snapshot(), bytes: self.bytes })
    }
}

impl<const WIDTH: usize> HashSnapshot for KeyedSnapshot<WIDTH> {
    fn shape(&self) -> HashShape {
        HashShape::Equality { bytes: self.bytes }
    }

    fn each(
        &self,
        queries: &[&[u8]],
        _: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        let keys = queries.iter().map(|query| key_of(self.bytes, query));
        self.snapshot.each_of(keys, filter, cancel, |query, entry| {
            take(query, Hit { entry, distance: Distance(0) });
        })
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn audit(&self, pace: &mut Pace<'_>, take: &mut dyn FnMut(&[u8], Entry)) -> Result<(), AuditError> {
        let length = self.bytes.min(if self.shape().holds_digests() { DIGEST_BYTES } else { WIDTH });
        self.snapshot.audit(pace, &mut |key, entry| {
            let (held, rest) = key.split_at(length);
            check(rest.iter().all(|&byte| byte == 0), "a digest is longer than those of its index")?;
            take(held, entry);
            Ok(())
        })
    }

    fn stored(&self) -> Vec<Weak<dyn Stored>> {
        self.snapshot.stored()
    }

    fn tail_memory(&self) -> Vec<Range<usize>> {
        self.snapshot.tail_memory()
    }
}

/// The length of the digest that replaces a hash which is too long, in bytes.
const DIGEST_BYTES: usize = blake3::OUT_LEN;
