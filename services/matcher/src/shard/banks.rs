//! The banks of a shard: their names, how many living hashes each has, and the digests of those.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vigie_model::{BankId, BankName, HashType, SetDigest};

/// One bank as searches need it.
#[derive(Debug, Clone)]
pub(crate) struct BankState {
    pub(crate) name: BankName,
    pub(crate) enabled: bool,
    /// Its living hashes on this shard, shared by all moments: a count to tell, not one to decide by.
    counts: Arc<HashCounts>,
}

/// A count for each of [`HashType::ALL`].
#[derive(Debug, Default)]
struct HashCounts([AtomicU64; HashType::ALL.len()]);

impl HashCounts {
    fn of(&self, hash_type: HashType) -> &AtomicU64 {
        match hash_type {
            HashType::Pdq => &self.0[0],
            HashType::Md5 => &self.0[1],
            HashType::Sha256 => &self.0[2],
        }
    }
}

impl BankState {
    /// A bank without an item.
    pub(crate) fn new(name: BankName, enabled: bool) -> Self {
        Self { name, enabled, counts: Arc::default() }
    }

    /// Counts that many more of its hashes.
    pub(crate) fn count(&self, hash_type: HashType, more: u64) {
        self.counts.of(hash_type).fetch_add(more, Ordering::Relaxed);
    }

    /// Counts one less of its hashes.
    pub(crate) fn discount(&self, hash_type: HashType) {
        self.counts.of(hash_type).fetch_sub(1, Ordering::Relaxed);
    }

    /// Its living hashes of a type.
    pub(crate) fn hashes(&self, hash_type: HashType) -> u64 {
        self.counts.of(hash_type).load(Ordering::Relaxed)
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
