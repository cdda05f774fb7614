//! The banks of a shard: their names, how many living hashes each has, and the digests of those.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vigie_model::{BankId, BankName, Hash, HashType, ItemId, SetDigest};

use crate::shard::beside::interning::Interned;
use crate::shard::indexes::IndexPlan;
use crate::shard::rows;

/// One bank as searches need it.
#[derive(Debug, Clone)]
pub(crate) struct BankState {
    pub(crate) name: BankName,
    pub(crate) enabled: bool,
    /// Its living hashes on this shard, shared by all moments: a count to tell, not one to decide by.
    counts: Arc<HashCounts>,
}

/// Living hashes of the types that this build knows: a counter for each row of the table, and a map for vectors.
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
    /// Adds, or with a negative number takes away. Hashes of a type without a row are not counted.
    pub(crate) fn change(&self, hash_type: HashType, by: i64) {
        if let Some(at) = hash_type.position() {
            self.of_table[at].fetch_add(by.cast_unsigned(), Ordering::Relaxed);
        } else if hash_type.is_known() {
            let mut vectors = self.lock();
            let count = vectors.entry(hash_type).or_default();
            *count = count.wrapping_add_signed(by);
        }
    }

    /// Adds what others count.
    pub(crate) fn add(&self, others: &Self) {
        for (own, other) in self.of_table.iter().zip(&others.of_table) {
            own.fetch_add(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (hash_type, count) in others.lock().iter() {
            self.change(*hash_type, count.cast_signed());
        }
    }

    /// The hashes of a type; 0 for one without a row.
    pub(crate) fn of(&self, hash_type: HashType) -> u64 {
        match hash_type.position() {
            Some(at) => self.of_table[at].load(Ordering::Relaxed),
            None => self.lock().get(&hash_type).copied().unwrap_or_default(),
        }
    }

    /// The bytes of memory that it takes beside itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.of_table) + self.lock().len() * VECTOR_COUNT_BYTES
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<HashType, u64>> {
        self.vectors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About what a counter of a map takes.
const VECTOR_COUNT_BYTES: usize = 32;

/// Living hashes by type: those of known types, and a map for types without a row.
#[derive(Debug, Default)]
struct HashCounts {
    known: KnownCounts,
    unknown: Mutex<BTreeMap<HashType, u64>>,
}

impl HashCounts {
    /// Adds, or with a negative number takes away.
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

    /// The types without a row of which it holds any.
    fn unknown(&self) -> Vec<HashType> {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.iter().filter(|(_, count)| **count > 0).map(|(hash_type, _)| *hash_type).collect()
    }
}

impl BankState {
    /// A bank without an item.
    pub(crate) fn new(name: BankName, enabled: bool) -> Self {
        Self { name, enabled, counts: Arc::default() }
    }

    /// Counts so many more of its hashes, or less where negative.
    pub(crate) fn count(&self, hash_type: HashType, by: i64) {
        self.counts.change(hash_type, by);
    }

    /// Its living hashes of the types that this build knows.
    pub(crate) fn known(&self) -> &KnownCounts {
        &self.counts.known
    }

    /// The types without a row in this build of which it has living hashes.
    pub(crate) fn unknown_types(&self) -> Vec<HashType> {
        self.counts.unknown()
    }

    /// Its living hashes of a type.
    pub(crate) fn hashes(&self, hash_type: HashType) -> u64 {
        self.counts.of(hash_type)
    }
}

/// The living banks.
pub(crate) type BankTable = HashMap<BankId, BankState>;

/// The digest of the living rows of all indexes ([`rows::digest`]), and of which bank each is. An audit computes the same from what
/// searches reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Searched {
    pub(crate) digest: SetDigest,
    /// For each bank a sum of its digest times a weight of its own, modulo 2^64: linear, so that a whole bank can go at once.
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

/// Different for every bank, and odd. The multiplier is that of Fibonacci hashing.
fn weight(bank: BankId) -> u64 {
    (u64::from(bank.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// Digests of the living hashes of a bank, and of the holds and standings of its items.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    whole: SetDigest,
    /// The rows that indexes hold of them.
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

/// What only the one who applies needs to know.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Of each bank its living hashes, so that those of a deleted bank go at once.
    digests: HashMap<BankId, Parts>,
    /// Of all banks.
    pub(crate) whole: SetDigest,
    /// Of all banks, what indexes hold.
    pub(crate) searched: Searched,
    /// The distinct standings of items.
    pub(crate) interned: Interned,
    /// Whether a range was begun and not ended: by a contradiction, or by a panic.
    pub(crate) is_broken: bool,
}

impl Books {
    /// An item of a bank comes, in indexes as planned.
    pub(crate) fn add(&mut self, bank: BankId, item: ItemId, hashes: &[Hash], plan: &IndexPlan) {
        let Parts { whole, searched } = Parts::of(item, hashes, plan);
        let parts = self.digests.entry(bank).or_default();
        parts.whole += whole;
        parts.searched += searched;
        self.whole += whole;
        self.searched.add(bank, searched);
    }

    /// What the living hashes of a bank, and the holds and standings of its items, come to.
    pub(crate) fn digest(&self, bank: BankId) -> SetDigest {
        self.digests.get(&bank).copied().unwrap_or_default().whole
    }

    /// An item of a bank goes.
    pub(crate) fn take(&mut self, bank: BankId, item: ItemId, hashes: &[Hash], plan: &IndexPlan) {
        let Parts { whole, searched } = Parts::of(item, hashes, plan);
        let parts = self.digests.entry(bank).or_default();
        parts.whole -= whole;
        parts.searched -= searched;
        self.whole -= whole;
        self.searched.take(bank, searched);
    }

    /// An item of a bank gets a mark, which counts beside its hashes: a hold, or a standing.
    pub(crate) fn mark(&mut self, bank: BankId, part: SetDigest) {
        self.digests.entry(bank).or_default().whole += part;
        self.whole += part;
    }

    /// A mark of an item of a bank goes.
    pub(crate) fn unmark(&mut self, bank: BankId, part: SetDigest) {
        self.digests.entry(bank).or_default().whole -= part;
        self.whole -= part;
    }

    /// A bank goes with its items and their marks.
    pub(crate) fn take_bank(&mut self, bank: BankId) {
        let Parts { whole, searched } = self.digests.remove(&bank).unwrap_or_default();
        self.whole -= whole;
        self.searched.take(bank, searched);
    }
}
