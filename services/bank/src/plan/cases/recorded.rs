//! Records of decisions in their stored form, and the keys of their documents.
//!
//! A record is stored in parts. The matches in one bank are one part, under a key that begins with the time
//! at which the part expires, so that expired parts are found first. Two more documents refer to the parts:
//! one by the decision's id, one by member and time. A decision that waits for a person has a third: by
//! member and time in the list of waiting decisions.

use prost::Message as _;
use vigie_consortium::cases::{RecordedDecision, RecordedMatch};
use vigie_consortium::{Directory, Document, DocumentId, DocumentKey, DocumentKind};
use vigie_model::{BankId, MemberId, UnixMillis};
use vigie_proto::pb::consortium::v1 as pb;

/// A decision that a frontend has made.
#[derive(Debug, Clone)]
pub(crate) struct NewDecision {
    /// The member for which it was made.
    pub(crate) member: MemberId,
    /// The record, with the matches of all banks.
    pub(crate) record: RecordedDecision,
    /// Keyed digests of the query's hashes.
    pub(crate) digests: Vec<Vec<u8>>,
    /// The id of the digests' key.
    pub(crate) digest_key_id: [u8; 4],
}

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// First number of the key of a document that refers to a record by its id.
const BY_ID: u64 = 0;
/// First number of the key of a document that refers to a record by member and time.
const BY_TIME: u64 = 1;
/// First number of the key of a document that refers to a waiting decision by member and time.
const WAITING: u64 = 2;

/// A list of a member's decisions by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByTime {
    /// All decisions.
    All,
    /// Decisions that wait for a person.
    Waiting,
}

impl ByTime {
    const fn number(self) -> u64 {
        match self {
            Self::All => BY_TIME,
            Self::Waiting => WAITING,
        }
    }
}

/// Returns the id as two numbers.
fn numbers(id: [u8; 16]) -> [u64; 2] {
    let (halves, _) = id.as_chunks::<8>();
    [0, 1].map(|at| halves.get(at).map_or(0, |half| u64::from_be_bytes(*half)))
}

/// Returns the id from the two numbers after the first `skipped` numbers of a key.
fn id_after(key: &DocumentKey, skipped: usize) -> [u8; 16] {
    (u128::from(key.number(skipped)) << 64 | u128::from(key.number(skipped + 1))).to_be_bytes()
}

/// Returns the document id of a bank's part of a record.
pub(crate) fn part(kept_until_unix_ms: u64, id: [u8; 16], bank: BankId) -> DocumentId {
    let [high, low] = numbers(id);
    (DocumentKind::MatchRecord, DocumentKey::of_numbers(&[kept_until_unix_ms, high, low, bank.0.into()]))
}

/// Returns the bank whose matches are in the part with this key.
pub(crate) fn bank_of(part: &DocumentKey) -> BankId {
    BankId(u32::try_from(part.number(3)).unwrap_or(0))
}

/// Returns the time until which matches of a bank are kept by its present charter, in milliseconds since
/// 1970; `None` if the charter asks for no records or the bank is gone.
pub(crate) fn kept_until(directory: &Directory, bank: BankId, decided_at: UnixMillis) -> Option<u64> {
    let days = directory.bank(bank)?.charter.match_record_days()?;
    Some(decided_at.0.saturating_add(u64::from(days) * DAY_MS))
}

/// Returns whether a part is still kept, by its own expiry and by the bank's present charter.
pub(crate) fn is_kept(directory: &Directory, document: &Document, now: UnixMillis) -> bool {
    let decided_at = pb::StoredDecision::decode(&*document.payload).ok().and_then(|part| part.record);
    let decided_at = UnixMillis(decided_at.map_or(0, |record| record.decided_at_unix_ms));
    let until = kept_until(directory, bank_of(&document.key), decided_at);
    until.is_some_and(|until| until.min(document.key.number(0)) > now.0)
}

/// Returns the decision whose part has this key.
pub(crate) fn id_of(part: &DocumentKey) -> [u8; 16] {
    id_after(part, 1)
}

/// Returns the document that refers to a record by its id.
pub(crate) fn by_id(id: [u8; 16]) -> DocumentId {
    let [high, low] = numbers(id);
    (DocumentKind::DecisionKey, DocumentKey::of_numbers(&[BY_ID, high, low]))
}

/// Returns the decision of a document that refers to it by its id.
pub(crate) fn id_by_id(key: &DocumentKey) -> [u8; 16] {
    id_after(key, 1)
}

/// Returns the document that refers to a record by member and time, in this list.
pub(crate) fn by_time(list: ByTime, member: MemberId, at_unix_ms: u64, id: [u8; 16]) -> DocumentId {
    let [high, low] = numbers(id);
    let numbers = [list.number(), member.0.into(), at_unix_ms, high, low];
    (DocumentKind::DecisionKey, DocumentKey::of_numbers(&numbers))
}

/// Returns whether a decision waits for a person: its verdict asks for a review, and no outcome is set.
pub(crate) fn is_waiting(part: &pb::StoredDecision) -> bool {
    let decision = part.record.as_ref().and_then(|record| record.decision.as_ref());
    part.outcome.is_none() && decision.is_some_and(|decision| decision.verdict() == pb::Verdict::Review)
}

/// Returns the decision of a document that refers to it by member and time.
pub(crate) fn id_by_time(key: &DocumentKey) -> [u8; 16] {
    id_after(key, 3)
}

/// Returns a key that sorts before the member's keys of this time and later, and after those of earlier
/// times.
pub(crate) fn from_time(list: ByTime, member: MemberId, at_unix_ms: u64) -> DocumentKey {
    DocumentKey::of_numbers(&[list.number(), member.0.into(), at_unix_ms])
}

/// Returns a key that sorts after all keys of a member.
pub(crate) fn end_of(list: ByTime, member: MemberId) -> DocumentKey {
    DocumentKey::of_numbers(&[list.number(), u64::from(member.0) + 1])
}

/// Returns the document ids of the parts of a record.
pub(crate) fn parts(id: [u8; 16], key: pb::StoredDecisionKey) -> impl Iterator<Item = DocumentId> {
    key.parts.into_iter().map(move |one| part(one.kept_until_unix_ms, id, BankId(one.bank_id)))
}

/// Joins the parts of a record: counting matches first, and each group by distance. `None` if there are no
/// parts.
pub(crate) fn joined(parts: impl IntoIterator<Item = pb::StoredDecision>) -> Option<pb::StoredDecision> {
    let mut parts = parts.into_iter();
    let mut whole = parts.next()?;
    let record = whole.record.as_mut()?;
    for other in parts.filter_map(|part| part.record) {
        record.matches_omitted = record.matches_omitted.saturating_add(other.matches_omitted);
        record.matches.extend(other.matches);
    }
    record.matches.sort_by_key(|found| (!found.counts, found.distance, found.item_id));
    record.matches.truncate(RecordedMatch::MATCHES_MAX);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_to_ids_and_are_in_the_order_of_time() {
        let id = std::array::from_fn(|at| 200_u8.wrapping_add(u8::try_from(at).unwrap() * 3));
        let (_, key) = part(77, id, BankId(9));
        assert_eq!((key.number(0), id_of(&key), bank_of(&key)), (77, id, BankId(9)));
        for list in [ByTime::All, ByTime::Waiting] {
            let (_, key) = by_time(list, MemberId(4), 9, id);
            assert_eq!(id_by_time(&key), id);
            let from = |at| from_time(list, MemberId(4), at);
            assert!(from(9) < key && key < from(10));
            let end = end_of(list, MemberId(4));
            assert!(key < end && end < by_time(list, MemberId(5), 0, [0; 16]).1);
            assert!(by_id([255; 16]).1 < from_time(list, MemberId(0), 0));
        }
        let last = by_time(ByTime::All, MemberId(u32::MAX), u64::MAX, [255; 16]).1;
        assert!(last < from_time(ByTime::Waiting, MemberId(0), 0));
    }

    #[test]
    fn parts_are_joined_with_the_nearest_matches_first() {
        let part = |distances: &[u32], omitted| pb::StoredDecision {
            record: Some(pb::RecordedDecision {
                matches: distances
                    .iter()
                    .map(|distance| pb::RecordedMatch {
                        distance: *distance,
                        counts: distance % 2 == 0,
                        ..Default::default()
                    })
                    .collect(),
                matches_omitted: omitted,
                ..Default::default()
            }),
            ..Default::default()
        };
        let whole = joined([part(&[1, 9], 2), part(&[4], 1)]).unwrap().record.unwrap();
        let distances: Vec<u32> = whole.matches.iter().map(|found| found.distance).collect();
        assert_eq!((distances, whole.matches_omitted), (vec![4, 1, 9], 3));
        assert!(joined([]).is_none());
    }
}
