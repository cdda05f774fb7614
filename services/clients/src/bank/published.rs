//! The published list of one bank, page by page.

use vigie_consortium::{EntryDigest, ListChain, ListContent, ListKey};
use vigie_model::{SetDigest, UnixMillis};
use vigie_proto::Invalid;
use vigie_proto::pb::bank::v1 as pb;

use super::changes::EntryContent;

/// A page of a published list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The entries, by number, without gaps.
    pub entries: Vec<ListEntry>,
    /// The chain after the last of them.
    pub chain: ListChain,
    /// Whether the list continues after this page.
    pub has_more: bool,
    /// The newest entry of the list.
    pub head: u64,
    /// The digest of the list's items as of `head`; its `hashes` counts the items.
    pub set: SetDigest,
    /// Whether the list has every item of the bank that belongs in it.
    pub is_whole: bool,
    /// The list includes every change up to this time.
    pub as_of: UnixMillis,
}

/// An entry of a published list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Its number.
    pub number: u64,
    /// The content of the entry.
    pub says: ListSays,
}

/// The content of an entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSays {
    /// The item is in the list from here on, or has changed.
    Put(ListKey, Box<EntryContent>),
    /// The item is no longer in the list.
    Gone(ListKey),
    /// A later entry replaces this one.
    Superseded(EntryDigest),
}

impl ListEntry {
    /// Returns the digest of the entry, computed from its content.
    #[must_use]
    pub fn digest(&self) -> EntryDigest {
        match &self.says {
            ListSays::Put(key, content) => {
                let listed =
                    ListContent::of_parts(&content.hashes, content.labels.iter().map(String::as_str));
                EntryDigest::put(*key, listed, &content.details.classification)
            }
            ListSays::Gone(key) => EntryDigest::gone(*key),
            ListSays::Superseded(digest) => *digest,
        }
    }
}

impl TryFrom<pb::ReadPublishedListResponse> for ListPage {
    type Error = Invalid;

    fn try_from(message: pb::ReadPublishedListResponse) -> Result<Self, Invalid> {
        let entries: Vec<ListEntry> =
            message.entries.into_iter().map(ListEntry::try_from).collect::<Result<_, _>>()?;
        if !entries.is_sorted_by(|one, next| one.number.checked_add(1) == Some(next.number)) {
            return Err(Invalid::new("entries", "are not numbered without gaps"));
        }
        let sums = array::<32>("set_digest", &message.set_digest)?;
        let (words, _) = sums.as_chunks::<8>();
        Ok(Self {
            entries,
            chain: ListChain(array("chain", &message.chain)?),
            has_more: message.has_more,
            head: message.head_number,
            set: SetDigest {
                sums: [0, 1, 2, 3].map(|at| u64::from_be_bytes(words[at])),
                hashes: message.item_count,
            },
            is_whole: message.is_whole,
            as_of: UnixMillis(message.as_of_unix_ms),
        })
    }
}

impl TryFrom<pb::PublishedEntry> for ListEntry {
    type Error = Invalid;

    fn try_from(message: pb::PublishedEntry) -> Result<Self, Invalid> {
        let pb::PublishedEntry { number, key, content, gone, superseded_digest } = message;
        let says = match (content, gone) {
            (Some(content), false) => {
                ListSays::Put(ListKey(array("key", &key)?), Box::new(content.try_into()?))
            }
            (None, true) => ListSays::Gone(ListKey(array("key", &key)?)),
            (None, false) => {
                ListSays::Superseded(EntryDigest(array("superseded_digest", &superseded_digest)?))
            }
            (Some(_), true) => return Err(Invalid::new("gone", "is set, and there is content")),
        };
        Ok(Self { number, says })
    }
}

fn array<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], Invalid> {
    bytes.try_into().map_err(|_| Invalid::new(field, format!("has {N} bytes")))
}
