//! The page and its entries, and their reading and writing.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vigie_consortium::{Class, Classification, EntryDigest, ListChain, ListContent, ListKey};
use vigie_model::{Hash, HashType, SetDigest, UnixMillis};

use crate::json;
use crate::programme::Fault;

/// A page of a list, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries, ordered by number, without gaps.
    pub entries: Vec<Entry>,
    /// The chain after the last entry.
    pub chain: ListChain,
    /// Whether the list has more entries.
    pub has_more: bool,
    /// The number of the newest entry of the list.
    pub head: u64,
    /// The digest of the list's content as of `head`; its `hashes` field counts the items.
    pub set: SetDigest,
    /// Whether the list has every item of the bank that belongs in it.
    pub is_whole: bool,
    /// The time up to which all changes are in the list.
    pub as_of: UnixMillis,
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's number.
    pub number: u64,
    /// The entry's content.
    pub says: Says,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// The item is in the list from this entry on, or its content has changed.
    Put {
        /// The key of the item.
        key: ListKey,
        /// The item's hashes.
        hashes: Vec<Hash>,
        /// The item's labels.
        labels: Vec<String>,
        /// The item's classes.
        classes: Classification,
    },
    /// The item is no longer in the list.
    Gone(ListKey),
    /// A later entry replaces this one. Contains the digest of the replaced content.
    Superseded(EntryDigest),
}

impl Entry {
    /// Returns the digest of the entry's content.
    #[must_use]
    pub fn digest(&self) -> EntryDigest {
        match &self.says {
            Says::Put { key, hashes, labels, classes } => {
                let content = ListContent::of_parts(hashes, labels.iter().map(String::as_str));
                EntryDigest::put(*key, content, classes)
            }
            Says::Gone(key) => EntryDigest::gone(*key),
            Says::Superseded(digest) => *digest,
        }
    }
}

/// Reads a page. An entry that cannot be read is a fault of the whole page, because nothing after it could be
/// proven.
pub fn parse(bytes: &[u8]) -> Result<Page, Fault> {
    let wire: WirePage = json::read(bytes)?;
    let fault = |field| Fault::Field { syntax: "JSON", field };
    let sums = (0..4).map(|at| wire.set.get(at * 16..at * 16 + 16).and_then(hex64));
    let sums: Option<Vec<u64>> = sums.collect();
    let sums = sums.filter(|_| wire.set.len() == 64).and_then(|sums| sums.try_into().ok());
    let entries = wire.entries.into_iter().map(|entry| entry.read().ok_or_else(|| fault("entry")));
    Ok(Page {
        entries: entries.collect::<Result<_, _>>()?,
        chain: array(&wire.chain).map(ListChain).ok_or_else(|| fault("chain"))?,
        has_more: wire.has_more,
        head: wire.head,
        set: SetDigest { sums: sums.ok_or_else(|| fault("set"))?, hashes: wire.items },
        is_whole: wire.is_whole,
        as_of: UnixMillis(wire.as_of_unix_ms),
    })
}

/// Writes a page.
#[must_use]
pub fn render(page: &Page) -> Vec<u8> {
    let wire = WirePage {
        entries: page.entries.iter().map(WireEntry::of).collect(),
        chain: hex(&page.chain.0),
        has_more: page.has_more,
        head: page.head,
        items: page.set.hashes,
        set: page.set.sums.iter().map(|sum| format!("{sum:016x}")).collect(),
        is_whole: page.is_whole,
        as_of_unix_ms: page.as_of.0,
    };
    // The values are numbers and texts, which JSON can always represent.
    serde_json::to_vec(&wire).unwrap_or_default()
}

/// Unknown keys are skipped, because a newer build may send more.
#[derive(Serialize, Deserialize)]
struct WirePage {
    entries: Vec<WireEntry>,
    chain: String,
    has_more: bool,
    head: u64,
    items: u64,
    set: String,
    is_whole: bool,
    as_of_unix_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct WireEntry {
    number: u64,
    #[serde(flatten)]
    says: WireSays,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum WireSays {
    Put { key: String, hashes: Vec<WireHash>, labels: Vec<String>, classification: Vec<WireClass> },
    Gone { key: String },
    Superseded { digest: String },
}

#[derive(Serialize, Deserialize)]
struct WireHash {
    hash_type: String,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct WireClass {
    taxonomy: String,
    dimension: String,
    value: String,
}

impl WireEntry {
    fn of(entry: &Entry) -> Self {
        let says = match &entry.says {
            Says::Put { key, hashes, labels, classes } => WireSays::Put {
                key: hex(&key.0),
                hashes: hashes.iter().map(WireHash::of).collect(),
                labels: labels.clone(),
                classification: classes.iter().map(WireClass::of).collect(),
            },
            Says::Gone(key) => WireSays::Gone { key: hex(&key.0) },
            Says::Superseded(digest) => WireSays::Superseded { digest: hex(&digest.0) },
        };
        Self { number: entry.number, says }
    }

    fn read(self) -> Option<Entry> {
        let says = match self.says {
            WireSays::Put { key, hashes, labels, classification } => {
                let classes = classification.iter().map(WireClass::read).collect::<Option<_>>()?;
                Says::Put {
                    key: ListKey(array(&key)?),
                    hashes: hashes.iter().map(WireHash::read).collect::<Option<_>>()?,
                    labels,
                    classes: Classification::new(classes).ok()?,
                }
            }
            WireSays::Gone { key } => Says::Gone(ListKey(array(&key)?)),
            WireSays::Superseded { digest } => Says::Superseded(EntryDigest(array(&digest)?)),
        };
        Some(Entry { number: self.number, says })
    }
}

impl WireHash {
    fn of(hash: &Hash) -> Self {
        Self { hash_type: hash.hash_type().to_string(), hash: hash.to_text() }
    }

    fn read(&self) -> Option<Hash> {
        Hash::from_text(HashType::from_str(&self.hash_type).ok()?, &self.hash).ok()
    }
}

impl WireClass {
    fn of(class: &Class) -> Self {
        let own = str::to_owned;
        Self { taxonomy: own(class.taxonomy()), dimension: own(class.dimension()), value: own(class.value()) }
    }

    fn read(&self) -> Option<Class> {
        Class::new(&self.taxonomy, &self.dimension, &self.value).ok()
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn hex64(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
