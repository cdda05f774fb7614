//! The changes of one bank, page by page.

use vigie_consortium::{Details, Origin, Whose};
use vigie_model::{Hash, ItemId, Sequence, UnixMillis};
use vigie_proto::Invalid;
use vigie_proto::bank::{answered_hash, details_of, origin_of};
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::read_bank_changes_request::Start;

/// The position at which a page of changes begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangesFrom {
    /// With the first change.
    Beginning,
    /// After this change: [`ChangesPage::next_after`] of the page before.
    After(Sequence),
    /// With the first change later than this time.
    AfterTime(UnixMillis),
}

/// A page of a bank's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesPage {
    /// The items by sequence, each once, at its latest change. May be empty although there are more.
    pub entries: Vec<BankEntry>,
    /// The sequence after which the next page begins. The pages so far have every change of the range up to
    /// it.
    pub next_after: Sequence,
    /// Whether the range continues after this page.
    pub has_more: bool,
    /// The newest change of the log.
    pub sequence: Sequence,
    /// Every change with a time up to this one was committed before the page was read.
    pub as_of: UnixMillis,
}

/// An item of a bank at its latest change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankEntry {
    /// Its id.
    pub item: ItemId,
    /// Its latest change.
    pub sequence: Sequence,
    /// The time of that change.
    pub changed_at: UnixMillis,
    /// The time at which it was added.
    pub added_at: UnixMillis,
    /// The item's state since then.
    pub state: EntryState,
    /// The owner class of the item: own, of programmes, or a canary; at its removal if it was removed.
    pub whose: Whose,
}

/// The state of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// The item exists.
    Living(Box<EntryContent>),
    /// The item exists and matches for nobody.
    Held(Box<EntryContent>),
    /// The item was removed, and restored as another item, which has an entry of its own.
    BroughtBack,
    /// The item was removed.
    Removed {
        /// Its hashes; `None` if the bank has none of them any more.
        hashes: Option<Vec<Hash>>,
    },
}

/// The content of an item with its origin and details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryContent {
    /// Its hashes.
    pub hashes: Vec<Hash>,
    /// Its labels.
    pub labels: Vec<String>,
    /// The contributor's own name for the item; empty for none.
    pub external_reference: String,
    /// The origin of its first submission.
    pub origin: Option<Origin>,
    /// Its details.
    pub details: Details,
}

impl ChangesFrom {
    pub(super) const fn to_wire(self) -> Option<Start> {
        match self {
            Self::Beginning => None,
            Self::After(sequence) => Some(Start::AfterSequence(sequence.0)),
            Self::AfterTime(time) => Some(Start::AfterUnixMs(time.0)),
        }
    }
}

impl TryFrom<pb::ReadBankChangesResponse> for ChangesPage {
    type Error = Invalid;

    fn try_from(message: pb::ReadBankChangesResponse) -> Result<Self, Invalid> {
        let entries: Vec<BankEntry> =
            message.entries.into_iter().map(BankEntry::try_from).collect::<Result<_, _>>()?;
        let next_after = Sequence(message.next_after_sequence);
        // A cursor before an entry would return the entry again endlessly.
        let ascend = entries.is_sorted_by(|one, next| one.sequence < next.sequence);
        if !ascend || entries.last().is_some_and(|last| last.sequence > next_after) {
            return Err(Invalid::new("next_after_sequence", "does not follow the entries in order"));
        }
        Ok(Self {
            entries,
            next_after,
            has_more: message.has_more,
            sequence: Sequence(message.sequence),
            as_of: UnixMillis(message.as_of_unix_ms),
        })
    }
}

impl TryFrom<pb::BankEntry> for BankEntry {
    type Error = Invalid;

    fn try_from(message: pb::BankEntry) -> Result<Self, Invalid> {
        let content = message.content;
        let whole = |content: Option<pb::ItemContent>| {
            let content = content.ok_or_else(|| Invalid::missing("content"))?;
            EntryContent::try_from(content).map(Box::new)
        };
        let state = match pb::EntryState::try_from(message.state) {
            Ok(pb::EntryState::Living) => EntryState::Living(whole(content)?),
            Ok(pb::EntryState::Held) => EntryState::Held(whole(content)?),
            Ok(pb::EntryState::Removed) if message.brought_back => EntryState::BroughtBack,
            Ok(pb::EntryState::Removed) => {
                let hashes = |content: pb::ItemContent| hashes_of(content.hashes);
                EntryState::Removed { hashes: content.map(hashes).transpose()? }
            }
            Ok(pb::EntryState::Unspecified) | Err(_) => {
                return Err(Invalid::new("state", format!("{} is no state of an item", message.state)));
            }
        };
        Ok(Self {
            item: ItemId(message.item_id),
            sequence: Sequence(message.sequence),
            changed_at: UnixMillis(message.changed_unix_ms),
            added_at: UnixMillis(message.added_unix_ms),
            state,
            whose: match pb::EntryWhose::try_from(message.whose) {
                Ok(pb::EntryWhose::FormerlyOwn) => Whose::FormerlyOwn,
                Ok(pb::EntryWhose::Programmes) => Whose::Programmes,
                Ok(pb::EntryWhose::Canary) => Whose::Canary,
                // All items of a bank of an earlier version count as its own.
                Ok(pb::EntryWhose::Own | pb::EntryWhose::Unspecified) | Err(_) => Whose::Own,
            },
        })
    }
}

impl TryFrom<pb::ItemContent> for EntryContent {
    type Error = Invalid;

    fn try_from(message: pb::ItemContent) -> Result<Self, Invalid> {
        let pb::ItemContent { hashes, labels, external_reference, origin, details } = message;
        let details = details.map(|given| details_of("details", given)).transpose()?;
        Ok(Self {
            hashes: hashes_of(hashes)?,
            labels,
            external_reference,
            origin: origin.map(|given| origin_of("origin", given)).transpose()?.flatten(),
            details: details.unwrap_or_default(),
        })
    }
}

fn hashes_of(hashes: Vec<vigie_proto::pb::model::v1::Hash>) -> Result<Vec<Hash>, Invalid> {
    hashes.into_iter().map(answered_hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_do_not_lead_on_are_refused() {
        let entry = |sequence: u64| pb::BankEntry {
            item_id: 1,
            sequence,
            state: pb::EntryState::Removed.into(),
            forgotten: true,
            ..Default::default()
        };
        let check = |sequences: &[u64], next_after_sequence: u64, is_good: bool| {
            let entries = sequences.iter().copied().map(entry).collect();
            let message = pb::ReadBankChangesResponse { entries, next_after_sequence, ..Default::default() };
            assert_eq!(ChangesPage::try_from(message).is_ok(), is_good, "{sequences:?}");
        };
        check(&[], 0, true);
        check(&[3, 5], 5, true);
        check(&[3, 5], 9, true);
        check(&[3, 5], 4, false);
        check(&[5, 3], 9, false);
        check(&[3, 3], 9, false);
        let living = pb::BankEntry { state: pb::EntryState::Living.into(), ..entry(1) };
        assert!(BankEntry::try_from(living).is_err());
        assert!(BankEntry::try_from(pb::BankEntry { state: 9, ..entry(1) }).is_err());
    }
}
