//! The writes that callers request of the log.

use prost::Message as _;
use vigie_consortium::{Admitted, Caller, Denied, Details, DocumentKey, Expiry, Method, Origin, View};
use vigie_model::{
    BankId, BankName, BankRef, Hash, Item, ItemContent, ItemId, Labels, MatchRatio, MemberId, UnixMillis,
};
use vigie_proto::bank::{ContributedItem, encode_item};
use vigie_proto::pb::bank::v1 as pb;
use vigie_statistics::{Histogram, LatencyKind};

use crate::plan::audit::NewEntry;
use crate::plan::beside::counters::MatchCounts;
use crate::plan::beside::opinion_write::OpinionWrite;
use crate::plan::cases::write::CaseWrite;
use crate::plan::exchanges::write::ExchangeWrite;
use crate::plan::members::MembersWrite;

/// A write, checked as far as possible without the state.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    /// The caller that requests it.
    pub(crate) by: Author,
    /// The requested change.
    pub(crate) action: Action,
}

/// The caller of a write, as authenticated when the call arrived. Rights are decided when the write is
/// planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Author {
    /// The caller.
    pub(crate) caller: Caller,
    /// The method that was called.
    pub(crate) method: Method,
}

impl Author {
    /// Returns the caller with its rights in a state of the directory.
    pub(crate) fn admitted(self, view: &View, now: UnixMillis) -> Result<Admitted<'_>, Denied> {
        view.admit(self.caller, self.method, now)
    }
}

/// Sets the caller's holds of items, or lifts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    /// Items are held until this time.
    Held(Expiry),
    /// The caller's holds are lifted.
    Lifted,
}

/// The change that a write requests.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Creates a bank.
    CreateBank {
        /// Its name.
        name: BankRef,
        /// The share of lookups in which it takes part.
        match_ratio: MatchRatio,
    },
    /// Renames a bank.
    RenameBank {
        /// The present one.
        name: BankRef,
        /// The new one.
        new_name: BankName,
    },
    /// Enables or disables a bank: a disabled bank is not searched.
    SetBankEnabled {
        /// The bank.
        name: BankRef,
        /// Whether the bank is searched from now on.
        enabled: bool,
    },
    /// Changes the share of lookups in which a bank takes part.
    SetBankMatchRatio {
        /// The bank.
        name: BankRef,
        /// The share.
        ratio: MatchRatio,
    },
    /// Deletes a bank and its items.
    DeleteBank {
        /// The bank.
        name: BankRef,
    },
    /// Adds items, or submissions of existing items.
    AddItems {
        /// Their bank.
        bank: BankRef,
        /// The items, at least one.
        items: Vec<ContributedItem>,
    },
    /// Replaces the details or the labels of an item; at least one of them is given.
    UpdateItem {
        /// The item.
        item: ItemId,
        /// The new details; `None` keeps the present ones.
        details: Option<Box<Details>>,
        /// The new labels; `None` keeps the present ones.
        labels: Option<Labels>,
    },
    /// Restores removed items.
    RestoreItems {
        /// The items, at least one, each once.
        items: Vec<ItemId>,
    },
    /// Holds items, so that they match for nobody, or lifts the caller's holds.
    SetItemHold {
        /// The items, at least one, each once.
        items: Vec<ItemId>,
        /// Whether the caller holds them, or lifts its holds.
        holding: Holding,
    },
    /// Ends expired holds, and updates those of quarantines and charters. Only the bank itself requests it.
    ReviewHolds {
        /// The items, each once.
        items: Vec<ItemId>,
        /// The documents of charter changes that all items of their banks now follow.
        followed: Vec<DocumentKey>,
    },
    /// Adds items of an earlier version to the published list of their bank. Only the bank itself requests
    /// it.
    ListItems {
        /// The bank.
        bank: BankId,
        /// All of its items up to `through` that are not listed yet.
        items: Vec<ItemId>,
        /// The last item that the list then covers.
        through: ItemId,
    },
    /// Removes items, or submissions of them.
    RemoveItems {
        /// The items, at least one, each once.
        items: Vec<ItemId>,
        /// The origin of the submissions to withdraw; `None` for all.
        origin: Option<Origin>,
    },
    /// Changes members, principals, grants, quotas or charters.
    Members(MembersWrite),
    /// Changes exchanges, or applies a page of a programme.
    Exchange(ExchangeWrite),
    /// Changes opinions, outcomes of disputes, or holds for one member.
    Opinions(OpinionWrite),
    /// Counts matches and verdicts.
    CountMatches(MatchCounts),
    /// Counts latencies, each kind once, of a request with this digest.
    CountLatencies(Vec<(LatencyKind, Histogram)>, [u8; 32]),
    /// Creates or changes a report, a referral or an incident.
    Case(CaseWrite),
    /// Adds entries to the audit, at least one, and changes nothing else.
    Record(Vec<NewEntry>),
}

impl Action {
    /// Returns whether the action deletes a bank.
    pub(crate) const fn deletes_bank(&self) -> bool {
        matches!(self, Self::DeleteBank { .. }) || matches!(self, Self::Case(case) if case.deletes_bank())
    }
}

#[cfg(test)]
impl Action {
    /// Makes this action a write of a bank without members.
    pub(crate) fn by_everyone(self) -> Write {
        let method = match &self {
            Self::CreateBank { .. } => Method::CreateBank,
            Self::RenameBank { .. } => Method::RenameBank,
            Self::SetBankEnabled { .. } => Method::SetBankEnabled,
            Self::SetBankMatchRatio { .. } => Method::SetBankMatchRatio,
            Self::DeleteBank { .. } => Method::DeleteBank,
            Self::AddItems { .. } => Method::AddItems,
            Self::UpdateItem { .. } => Method::UpdateItem,
            Self::RestoreItems { .. } => Method::RestoreItems,
            Self::SetItemHold { .. } | Self::ReviewHolds { .. } | Self::ListItems { .. } => {
                Method::SetItemHold
            }
            Self::RemoveItems { .. } => Method::RemoveItems,
            Self::Members(_) => Method::CreateMember,
            Self::Exchange(_) => Method::ApplyExchangePage,
            Self::Opinions(_) => Method::PutOpinions,
            Self::Case(_) => Method::SubmitReport,
            Self::Record(_) => Method::RecordCalls,
            Self::CountMatches(..) => Method::RecordMatches,
            Self::CountLatencies(..) => Method::RecordLatencies,
        };
        Write { by: Author { caller: Caller::Everyone, method }, action: self }
    }
}

impl vigie_log::Write for Write {
    fn change_count(&self) -> usize {
        match &self.action {
            // The second change is of the ratio.
            Action::CreateBank { match_ratio, .. } => 1 + usize::from(*match_ratio != MatchRatio::ALWAYS),
            Action::RenameBank { .. }
            | Action::SetBankEnabled { .. }
            | Action::SetBankMatchRatio { .. }
            | Action::DeleteBank { .. }
            | Action::UpdateItem { .. }
            | Action::Members(_) => 1,
            Action::AddItems { items, .. } => items.len(),
            Action::RemoveItems { items, .. }
            | Action::RestoreItems { items }
            | Action::SetItemHold { items, .. } => items.len(),
            // A record, a hold, a standing, and the document of a dispute.
            Action::ReviewHolds { items, followed } => 4 * items.len() + followed.len(),
            Action::ListItems { items, .. } => items.len().max(1),
            Action::Exchange(exchange) => exchange.change_count(),
            // A record, a hold, a standing, and the document of a dispute or a hold.
            Action::Opinions(opinions) => 4 * opinions.items().len(),
            Action::Case(case) => case.change_count(),
            Action::Record(entries) => entries.len(),
            // No change of the log, but as many rows.
            Action::CountMatches(counts) => counts.len(),
            Action::CountLatencies(counted, _) => counted.len(),
        }
    }

    /// Returns whether the write is alone in its group. A deletion is, because its bank is looked up as of
    /// the moment before the group. So is a page of a programme, and a restoration of items, whose bytes are
    /// bounded for one write.
    fn goes_alone(&self) -> bool {
        self.action.deletes_bank()
            || matches!(&self.action, Action::RestoreItems { .. })
            || matches!(&self.action, Action::Exchange(exchange) if exchange.is_page())
    }

    fn weight(&self) -> usize {
        const EACH: usize = 256;
        /// The size of an item with the most frames of videos.
        const LARGEST_ITEM: usize = 256 << 10;
        match &self.action {
            Action::CreateBank { .. }
            | Action::RenameBank { .. }
            | Action::SetBankEnabled { .. }
            | Action::SetBankMatchRatio { .. }
            | Action::DeleteBank { .. } => 2 * EACH,
            // Texts and lists of a member or a principal, at their bounds.
            Action::Members(_) => 16 * EACH,
            Action::AddItems { items, .. } => items.iter().map(|item| 2 * EACH + item_weight(item)).sum(),
            // Includes the item's content, which is looked up for new labels.
            Action::UpdateItem { details, labels, .. } => {
                let labels = labels.as_deref().map_or(0, |labels| LARGEST_ITEM + labels_weight(labels));
                EACH + details.as_deref().map_or(0, details_weight) + labels
            }
            Action::RemoveItems { items, .. } => 4 * EACH + items.len() * size_of::<ItemId>(),
            // Includes their contents or records, which are looked up.
            Action::RestoreItems { items }
            | Action::SetItemHold { items, .. }
            | Action::ReviewHolds { items, .. }
            | Action::ListItems { items, .. } => 8 * EACH * items.len().max(1),
            Action::Exchange(exchange) => exchange.weight(item_weight),
            Action::Opinions(opinions) => 8 * EACH * opinions.items().len().max(1),
            Action::Case(case) => case.weight(),
            Action::Record(entries) => EACH * entries.len(),
            Action::CountMatches(counts) => 2 * EACH * counts.len(),
            Action::CountLatencies(counted, _) => Histogram::ENCODED_LEN_MAX * counted.len(),
        }
    }

    /// Returns BLAKE3 of the request.
    fn digest(&self) -> [u8; 32] {
        let mut parts = Parts(blake3::Hasher::new());
        match &self.action {
            Action::CreateBank { name, match_ratio } => {
                parts.add(b"create").add(name.to_string().as_bytes());
                // A field that older builds did not have is hashed only if it is present.
                if *match_ratio != MatchRatio::ALWAYS {
                    parts.add(b"ratio").add(&match_ratio.get().to_be_bytes());
                }
                &mut parts
            }
            Action::RenameBank { name, new_name } => {
                parts.add(b"rename").add(name.to_string().as_bytes()).add(new_name.as_str().as_bytes())
            }
            Action::SetBankEnabled { name, enabled } => {
                parts.add(b"enable").add(name.to_string().as_bytes()).add(&[u8::from(*enabled)])
            }
            Action::SetBankMatchRatio { name, ratio } => {
                parts.add(b"ratio").add(name.to_string().as_bytes()).add(&ratio.get().to_be_bytes())
            }
            Action::DeleteBank { name } => parts.add(b"delete").add(name.to_string().as_bytes()),
            Action::AddItems { bank, items } => {
                parts.add(b"add").add(bank.to_string().as_bytes());
                for item in items {
                    // In the store's form of an item, without the fields that the bank adds.
                    let (id, bank, added_at) = (ItemId(0), BankId(0), UnixMillis(0));
                    let (contributor, content) = (MemberId::HOST, item.content.clone());
                    parts.add(&encode_item(Item { id, bank, added_at, contributor, content }));
                    // A field that older builds did not have is hashed only if it is present.
                    if let Some(origin) = &item.origin {
                        parts.add(b"origin").add(&pb::Origin::from(origin.clone()).encode_to_vec());
                    }
                    if !item.details.is_empty() {
                        parts.add(b"details").add(&encoded(&item.details));
                    }
                }
                &mut parts
            }
            Action::UpdateItem { item, details, labels } => {
                // The first word says which parts follow. The form with details alone is that of builds whose
                // labels never changed.
                match details {
                    Some(details) => parts.add(b"update").add(&item.0.to_be_bytes()).add(&encoded(details)),
                    None => parts.add(b"relabel").add(&item.0.to_be_bytes()),
                };
                if let Some(labels) = labels {
                    parts.add(b"labels");
                    for label in labels.iter() {
                        parts.add(label.as_bytes());
                    }
                }
                &mut parts
            }
            Action::RestoreItems { items } => {
                parts.add(b"restore");
                for item in items {
                    parts.add(&item.0.to_be_bytes());
                }
                &mut parts
            }
            Action::SetItemHold { items, holding } => {
                let (word, until) = match holding {
                    Holding::Held(until) => (&b"hold"[..], until.to_wire()),
                    Holding::Lifted => (&b"lift"[..], 0),
                };
                parts.add(word).add(&until.to_be_bytes());
                for item in items {
                    parts.add(&item.0.to_be_bytes());
                }
                &mut parts
            }
            Action::ReviewHolds { items, followed } => {
                parts.add(b"review");
                for key in followed {
                    parts.add(key.as_bytes());
                }
                for item in items {
                    parts.add(&item.0.to_be_bytes());
                }
                &mut parts
            }
            Action::ListItems { bank, through, .. } => {
                parts.add(b"list").add(&bank.0.to_be_bytes()).add(&through.0.to_be_bytes())
            }
            Action::RemoveItems { items, origin } => {
                parts.add(b"remove");
                if let Some(origin) = origin {
                    parts.add(b"origin").add(&pb::Origin::from(origin.clone()).encode_to_vec());
                }
                for item in items {
                    parts.add(&item.0.to_be_bytes());
                }
                &mut parts
            }
            Action::Members(write) => parts.add(b"members").add(&write.request_digest),
            Action::Exchange(write) => parts.add(b"exchange").add(&write.request_digest),
            Action::Opinions(write) => parts.add(b"opinions").add(&write.request_digest),
            Action::CountMatches(counts) => parts.add(b"matches").add(&counts.request_digest),
            Action::CountLatencies(_, digest) => parts.add(b"latencies").add(digest),
            Action::Case(write) => parts.add(b"case").add(&write.request_digest),
            Action::Record(entries) => {
                parts.add(b"record");
                for entry in entries {
                    parts.add(format!("{entry:?}").as_bytes());
                }
                &mut parts
            }
        };
        parts.0.finalize().into()
    }
}

/// Hashes parts with their lengths, so that no two lists of parts give the same bytes.
struct Parts(blake3::Hasher);

impl Parts {
    fn add(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&(part.len() as u64).to_be_bytes()).update(part);
        self
    }
}

fn encoded(details: &Details) -> Vec<u8> {
    pb::ItemDetails::from(details.clone()).encode_to_vec()
}

fn item_weight(item: &ContributedItem) -> usize {
    let origin = item.origin.as_ref();
    let origin = origin.map_or(0, |origin| {
        [origin.programme(), origin.key(), origin.case()].iter().map(|text| text.len()).sum()
    });
    content_weight(&item.content) + origin + details_weight(&item.details)
}

fn details_weight(details: &Details) -> usize {
    const CLASS: usize = 96;
    details.note.as_str().len()
        + details.metadata.as_str().len()
        + details.classification.iter().len() * CLASS
}

fn content_weight(content: &ItemContent) -> usize {
    let hashes: usize = content.hashes().iter().map(|hash| size_of::<Hash>() + hash.as_bytes().len()).sum();
    hashes + labels_weight(content.labels()) + content.external_reference().map_or(0, str::len)
}

fn labels_weight(labels: &[Box<str>]) -> usize {
    labels.iter().map(|label| label.len() + size_of::<Box<str>>()).sum()
}

#[cfg(test)]
mod tests {
    use vigie_log::Write as _;

    use super::*;

    fn name(text: &str) -> BankRef {
        text.parse().unwrap()
    }

    fn labels(labels: &[&str]) -> Option<Labels> {
        Labels::try_from(labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>()).ok()
    }

    fn new_name(text: &str) -> BankName {
        text.parse().unwrap()
    }

    #[test]
    fn different_requests_have_different_digests() {
        let actions = [
            Action::CreateBank { name: name("a"), match_ratio: MatchRatio::ALWAYS },
            Action::CreateBank { name: name("b"), match_ratio: MatchRatio::ALWAYS },
            Action::CreateBank { name: name("b"), match_ratio: MatchRatio::NEVER },
            Action::SetBankMatchRatio { name: name("b"), ratio: MatchRatio::NEVER },
            Action::SetBankMatchRatio { name: name("b"), ratio: MatchRatio::ALWAYS },
            Action::DeleteBank { name: name("a") },
            Action::RenameBank { name: name("a"), new_name: new_name("bc") },
            Action::RenameBank { name: name("ab"), new_name: new_name("c") },
            Action::SetBankEnabled { name: name("a"), enabled: true },
            Action::SetBankEnabled { name: name("a"), enabled: false },
            Action::RemoveItems { items: vec![ItemId(1), ItemId(2)], origin: None },
            Action::RemoveItems { items: vec![ItemId(2), ItemId(1)], origin: None },
            Action::RemoveItems { items: vec![ItemId(1), ItemId(2)], origin: Origin::new("", "", "c").ok() },
            Action::RestoreItems { items: vec![ItemId(1), ItemId(2)] },
            Action::ReviewHolds { items: vec![ItemId(1), ItemId(2)], followed: Vec::new() },
            Action::SetItemHold { items: vec![ItemId(1), ItemId(2)], holding: Holding::Lifted },
            Action::SetItemHold { items: vec![ItemId(1), ItemId(2)], holding: Holding::Held(Expiry::NEVER) },
            Action::SetItemHold {
                items: vec![ItemId(1), ItemId(2)],
                holding: Holding::Held(Expiry::at(UnixMillis(9))),
            },
            Action::UpdateItem { item: ItemId(1), details: Some(Box::default()), labels: None },
            Action::UpdateItem { item: ItemId(2), details: Some(Box::default()), labels: None },
            Action::UpdateItem { item: ItemId(1), details: Some(Box::default()), labels: labels(&[]) },
            Action::UpdateItem { item: ItemId(1), details: None, labels: labels(&[]) },
            Action::UpdateItem { item: ItemId(1), details: None, labels: labels(&["ab"]) },
            Action::UpdateItem { item: ItemId(1), details: None, labels: labels(&["a", "b"]) },
        ];
        let writes = actions.map(Action::by_everyone);
        for (i, one) in writes.iter().enumerate() {
            for (j, other) in writes.iter().enumerate() {
                assert_eq!(one.digest() == other.digest(), i == j, "{one:?} and {other:?}");
            }
        }
    }

    /// A repeated request finds its answer by digest, and an earlier build may have answered the first one.
    #[test]
    fn the_digest_of_new_details_alone_is_that_of_earlier_builds() {
        let details = Some(Box::<Details>::default());
        let update = Action::UpdateItem { item: ItemId(5), details, labels: None }.by_everyone();
        let mut parts = Parts(blake3::Hasher::new());
        parts.add(b"update").add(&5_u64.to_be_bytes()).add(&[]);
        assert_eq!(update.digest(), *parts.0.finalize().as_bytes());
    }
}
