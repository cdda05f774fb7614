//! The banks of a shard: their names, how many living hashes each has, and the digests of those.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use vigie_model::{BankId, BankName, HashType, SetDigest};

/// One bank as searches need it.
#[derive(Debug, Clone)]
pub(crate) struct BankState {
    pub(crate) name: BankName,
    pub(crate) enabled: bool,
    /// Its living hashes on this shard, shared by all moments: a count to tell, not one to decide by.
    counts: Arc<HashCounts>,
}

/// Living hashes by type: a counter for each row of the table, and a map for types without a row.
#[derive(Debug)]
struct HashCounts {
    known: Box<[AtomicU64]>,
    unknown: Mutex<BTreeMap<HashType, u64>>,
}

impl Default for HashCounts {
    fn default() -> Self {
        Self { known: HashType::known().map(|_| AtomicU64::new(0)).collect(), unknown: Mutex::default() }
    }
}

impl HashCounts {
    /// Adds, or with a negative number takes away.
    fn change(&self, hash_type: HashType, by: i64) {
        match hash_type.position() {
            Some(at) => {
                self.known[at].fetch_add(by.cast_unsigned(), Ordering::Relaxed);
            }
            None => {
                let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
                let count = unknown.entry(hash_type).or_default();
                *count = count.wrapping_add_signed(by);
            }
        }
    }

    fn of(&self, hash_type: HashType) -> u64 {
        match hash_type.position() {
            Some(at) => self.known[at].load(Ordering::Relaxed),
            None => {
                let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
                unknown.get(&hash_type).copied().unwrap_or_default()
            }
        }
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

    /// Counts one more of its hashes.
    pub(crate) fn count(&self, hash_type: HashType) {
        self.counts.change(hash_type, 1);
    }

    /// Counts one less of its hashes.
    pub(crate) fn discount(&self, hash_type: HashType) {
        self.counts.change(hash_type, -1);
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

/// What only the one who applies needs to know.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Of each bank its living hashes, so that those of a deleted bank go at once.
    digests: HashMap<BankId, SetDigest>,
    /// Of all banks.
    pub(crate) whole: SetDigest,
    /// Whether a range was begun and not ended: by a contradiction, or by a panic.
    pub(crate) is_broken: bool,
}

impl Books {
    pub(crate) fn add(&mut self, bank: BankId, part: SetDigest) {
        *self.digests.entry(bank).or_default() += part;
        self.whole += part;
    }

    /// What the living hashes of a bank come to.
    pub(crate) fn digest(&self, bank: BankId) -> SetDigest {
        self.digests.get(&bank).copied().unwrap_or_default()
    }

    pub(crate) fn take(&mut self, bank: BankId, part: SetDigest) {
        *self.digests.entry(bank).or_default() -= part;
        self.whole -= part;
    }

    pub(crate) fn take_bank(&mut self, bank: BankId) {
        self.whole -= self.digests.remove(&bank).unwrap_or_default();
    }
}
