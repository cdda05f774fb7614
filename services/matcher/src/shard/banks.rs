//! The banks of a shard: their names, the number of living hashes of each, and the digests of those hashes.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vigie_model::{BankId, BankName, Hash, HashType, ItemId, SetDigest};

use crate::shard::beside::interning::Interned;
use crate::shard::indexes::IndexPlan;
use crate::shard::rows;

/// The data of one bank that searches need.
#[derive(Debug, Clone)]
pub(crate) struct BankState {
    pub(crate) name: BankName,
    pub(crate) enabled: bool,
    /// The number of its living hashes on this shard. All moments share it, so it may be reported, but
    /// nothing may be decided by it.
    counts: Arc<HashCounts>,
}

/// The numbers of living hashes of the types that this build knows: a counter for each row of the table of
/// hash types, and a map for vector types.
#[derive(Debug)]
pub(crate) struct KnownCounts {
    of_table: Box<[AtomicU64]>,
    vectors: Mutex<BTreeMap<HashType, u64>>,
}

impl Default for KnownCounts {
    fn default() -> Self {
        let of_table = HashType::of_table().map(|_| AtomicU64::new(0)).collect();
        Self { of_table, vectors: Mutex::default() }
    }
}

impl KnownCounts {
    /// Adds `by`, which may be negative, to the count of a type. Types without a row that are not vectors are
    /// not counted.
    pub(crate) fn change(&self, hash_type: HashType, by: i64) {
        if let Some(at) = hash_type.position() {
            self.of_table[at].fetch_add(by.cast_unsigned(), Ordering::Relaxed);
        } else if hash_type.is_known() {
            let mut vectors = self.lock();
            let count = vectors.entry(hash_type).or_default();
            *count = count.wrapping_add_signed(by);
        }
    }

    /// Adds the counts of `others`.
    pub(crate) fn add(&self, others: &Self) {
        for (own, other) in self.of_table.iter().zip(&others.of_table) {
            own.fetch_add(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (hash_type, count) in others.lock().iter() {
            self.change(*hash_type, count.cast_signed());
        }
    }

    /// Returns the number of hashes of a type; 0 for a type that is not counted.
    pub(crate) fn of(&self, hash_type: HashType) -> u64 {
        match hash_type.position() {
            Some(at) => self.of_table[at].load(Ordering::Relaxed),
            None => self.lock().get(&hash_type).copied().unwrap_or_default(),
        }
    }

    /// Returns the bytes of heap memory that the counts take.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.of_table) + self.lock().len() * VECTOR_COUNT_BYTES
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<HashType, u64>> {
        self.vectors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The approximate bytes that a counter of the map takes.
const VECTOR_COUNT_BYTES: usize = 32;

/// Living hashes by type: those of known types, and a map for types that this build does not know.
#[derive(Debug, Default)]
struct HashCounts {
    known: KnownCounts,
    unknown: Mutex<BTreeMap<HashType, u64>>,
}

impl HashCounts {
    /// Adds `by`, which may be negative, to the count of a type.
    fn change(&self, hash_type: HashType, by: i64) {
        if hash_type.is_known() {
            return self.known.change(hash_type, by);
        }
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let count = unknown.entry(hash_type).or_default();
        *count = count.wrapping_add_signed(by);
    }

    fn of(&self, hash_type: HashType) -> u64 {
        if hash_type.is_known() {
            return self.known.of(hash_type);
        }
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.get(&hash_type).copied().unwrap_or_default()
    }

    /// Returns the unknown types of which the bank has any hash.
    fn unknown(&self) -> Vec<HashType> {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.iter().filter(|(_, count)| **count > 0).map(|(hash_type, _)| *hash_type).collect()
    }
}

impl BankState {
    /// Returns a bank without items.
    pub(crate) fn new(name: BankName, enabled: bool) -> Self {
        Self { name, enabled, counts: Arc::default() }
    }

    /// Adds `by`, which may be negative, to the count of the bank's hashes of a type.
    pub(crate) fn count(&self, hash_type: HashType, by: i64) {
        self.counts.change(hash_type, by);
    }

    /// Returns the counts of the bank's living hashes of known types.
    pub(crate) fn known(&self) -> &KnownCounts {
        &self.counts.known
    }

    /// Returns the types that this build does not know and of which the bank has living hashes.
    pub(crate) fn unknown_types(&self) -> Vec<HashType> {
        self.counts.unknown()
    }

    /// Returns the number of the bank's living hashes of a type.
    pub(crate) fn hashes(&self, hash_type: HashType) -> u64 {
        self.counts.of(hash_type)
    }
}

/// The living banks by id.
pub(crate) type BankTable = HashMap<BankId, BankState>;

/// The digest of the living rows of all indexes ([`rows::digest`]), and of the bank of each row. An audit
/// computes the same from the rows that searches reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Searched {
    pub(crate) digest: SetDigest,
    /// The sum over all banks of the bank's digest times the bank's weight, modulo 2^64. It is linear, so a
    /// whole bank can be subtracted at once.
    placed: u64,
}

impl Searched {
    pub(crate) fn add(&mut self, bank: BankId, part: SetDigest) {
        self.digest += part;
        self.placed = self.placed.wrapping_add(weight(bank).wrapping_mul(part.sums[0]));
    }

    fn take(&mut self, bank: BankId, part: SetDigest) {
        self.digest -= part;
        self.placed = self.placed.wrapping_sub(weight(bank).wrapping_mul(part.sums[0]));
    }
}

/// Returns a weight that differs for every bank and is odd. The multiplier is that of Fibonacci hashing.
fn weight(bank: BankId) -> u64 {
    (u64::from(bank.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// The digests of a bank's living hashes, together with the holds and standings of its items.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    whole: SetDigest,
    /// The rows that the indexes hold of them.
    searched: SetDigest,
}

impl Parts {
    fn of(item: ItemId, hashes: &[Hash], plan: &IndexPlan) -> Self {
        let whole = SetDigest::of_item(item, hashes);
        let is_its_row = |hash: &Hash| hash.hash_type() != HashType::VPDQ && plan.searches(hash.hash_type());
        let searched =
            if hashes.iter().all(is_its_row) { whole } else { rows::digest_of_all(item, hashes, plan) };
        Self { whole, searched }
    }
}

/// The state that only the writer needs.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// The digests of each bank, so that those of a deleted bank can be subtracted at once.
    digests: HashMap<BankId, Parts>,
    /// The digest of all banks: living hashes, holds and standings.
    pub(crate) whole: SetDigest,
    /// The digest of the rows that the indexes hold of all banks.
    pub(crate) searched: Searched,
    /// The distinct standings of items.
    pub(crate) interned: Interned,
    /// Whether a range was begun and not finished, because of a contradiction or a panic.
    pub(crate) is_broken: bool,
}

impl Books {
    /// Adds an item of a bank. `plan` determines its rows.
    pub(crate) fn add(&mut self, bank: BankId, item: ItemId, hashes: &[Hash], plan: &IndexPlan) {
        let Parts { whole, searched } = Parts::of(item, hashes, plan);
        let parts = self.digests.entry(bank).or_default();
        parts.whole += whole;
        parts.searched += searched;
        self.whole += whole;
        self.searched.add(bank, searched);
    }

    /// Returns the digest of a bank: its living hashes, and the holds and standings of its items.
    pub(crate) fn digest(&self, bank: BankId) -> SetDigest {
        self.digests.get(&bank).copied().unwrap_or_default().whole
    }

    /// Subtracts an item of a bank.
    pub(crate) fn take(&mut self, bank: BankId, item: ItemId, hashes: &[Hash], plan: &IndexPlan) {
        let Parts { whole, searched } = Parts::of(item, hashes, plan);
        let parts = self.digests.entry(bank).or_default();
        parts.whole -= whole;
        parts.searched -= searched;
        self.whole -= whole;
        self.searched.take(bank, searched);
    }

    /// Adds a mark of an item of a bank, a hold or a standing, to the digests.
    pub(crate) fn mark(&mut self, bank: BankId, part: SetDigest) {
        self.digests.entry(bank).or_default().whole += part;
        self.whole += part;
    }

    /// Subtracts a mark of an item of a bank.
    pub(crate) fn unmark(&mut self, bank: BankId, part: SetDigest) {
        self.digests.entry(bank).or_default().whole -= part;
        self.whole -= part;
    }

    /// Subtracts a bank with its items and their marks.
    pub(crate) fn take_bank(&mut self, bank: BankId) {
        let Parts { whole, searched } = self.digests.remove(&bank).unwrap_or_default();
        self.whole -= whole;
        self.searched.take(bank, searched);
    }
}
