//! The feed of the bank's log: ranges of changes, cursors, and the parts of a shard's current state.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message as _;
use vigie_model::change::{Cursor, LogId};
use vigie_model::{
    Bank, BankId, Change, FeedRange, Item, ItemId, Sequence, ShardIdentity, Standing, StatePart,
};

use crate::invalid::{Invalid, each};
use crate::model::digest;
use crate::model::standing::{standing_from_wire, standing_to_wire};
use crate::pb::bank::v1 as pb;
use crate::time::{time, unix_ms};

/// Returns the checksum of changes: the first 8 bytes of BLAKE3 over the encoded changes, each after its
/// length in 4 big-endian bytes; empty without changes. See `WatchResponse.changes_checksum`.
#[must_use]
pub fn changes_checksum(changes: &[pb::Change]) -> Vec<u8> {
    if changes.is_empty() {
        return Vec::new();
    }
    let (mut hasher, mut encoded) = (blake3::Hasher::new(), Vec::new());
    for change in changes {
        encoded.clear();
        // Encoding to a vector cannot fail: it grows as needed.
        let _always = change.encode(&mut encoded);
        // A change has a few kilobytes at most, so its length fits.
        let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
        hasher.update(&length.to_be_bytes()).update(&encoded);
    }
    hasher.finalize().as_bytes()[..8].to_vec()
}

impl From<FeedRange> for pb::WatchResponse {
    fn from(range: FeedRange) -> Self {
        let changes: Vec<_> = range.changes.into_iter().map(pb::Change::from).collect();
        Self {
            after_sequence: range.after.0,
            through_sequence: range.through.0,
            head_sequence: range.head.0,
            head_committed_unix_ms: unix_ms(range.head_committed),
            first_committed_unix_ms: unix_ms(range.first_committed),
            changes_checksum: changes_checksum(&changes),
            changes,
            log_id: range.log.0.to_vec(),
            through_chain: range.chain.map(Vec::from).unwrap_or_default(),
            digest: range.digest.map(Into::into),
            members_on: range.members_on,
        }
    }
}

impl TryFrom<pb::WatchResponse> for FeedRange {
    type Error = Invalid;

    fn try_from(message: pb::WatchResponse) -> Result<Self, Invalid> {
        let (after, through) = (Sequence(message.after_sequence), Sequence(message.through_sequence));
        if changes_checksum(&message.changes) != message.changes_checksum {
            return Err(Invalid::new("changes_checksum", "is not that of the changes"));
        }
        let changes = each("changes", message.changes, Change::try_from)?;
        let positions: Vec<_> = changes.iter().map(|change: &Change| change.sequence).collect();
        let ordered = positions.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = positions.iter().all(|&position| after < position && position <= through);
        if after > through || !ordered || !inside {
            return Err(Invalid::new("changes", "are not in order within the range that the message covers"));
        }
        let log = log_id(message.log_id)?;
        let chain = chain("through_chain", message.through_chain)?;
        let digest = message.digest.map(|message| digest("digest", message)).transpose()?;
        let head = Sequence(message.head_sequence);
        let head_committed = time(message.head_committed_unix_ms);
        let first_committed = time(message.first_committed_unix_ms);
        let members_on = message.members_on;
        Ok(Self {
            log,
            after,
            through,
            head,
            head_committed,
            chain,
            changes,
            first_committed,
            digest,
            members_on,
        })
    }
}

/// Reads the id of a log.
fn log_id(bytes: Vec<u8>) -> Result<LogId, Invalid> {
    let reason = format!("has {} bytes; it must have 16", bytes.len());
    bytes.try_into().map(LogId).map_err(|_| Invalid::new("log_id", reason))
}

/// Reads a chain; empty bytes mean that it is unknown.
fn chain(field: &str, bytes: Vec<u8>) -> Result<Option<[u8; 32]>, Invalid> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let reason = format!("has {} bytes; it must have 32, or none", bytes.len());
    bytes.try_into().map(Some).map_err(|_| Invalid::new(field, reason))
}

impl From<(Option<Cursor>, ShardIdentity)> for pb::WatchRequest {
    fn from((from, identity): (Option<Cursor>, ShardIdentity)) -> Self {
        Self {
            after_sequence: from.map_or(0, |cursor| cursor.sequence.0),
            shard: identity.shard().0.into(),
            shard_count: identity.shard_count().get().into(),
            log_id: from.map(|cursor| cursor.log.0.to_vec()).unwrap_or_default(),
            after_chain: from.and_then(|cursor| cursor.chain).map(Vec::from).unwrap_or_default(),
        }
    }
}

impl TryFrom<pb::WatchRequest> for (Option<Cursor>, ShardIdentity) {
    type Error = Invalid;

    fn try_from(message: pb::WatchRequest) -> Result<Self, Invalid> {
        let identity = ShardIdentity::new(message.shard, message.shard_count)
            .map_err(|error| Invalid::new("shard", error))?;
        let sequence = Sequence(message.after_sequence);
        let chain = chain("after_chain", message.after_chain)?;
        if sequence == Sequence::ZERO && chain.is_some() {
            return Err(Invalid::new("after_chain", "is given, though no change came before it"));
        }
        if message.log_id.is_empty() {
            return match sequence {
                Sequence::ZERO => Ok((None, identity)),
                _ => Err(Invalid::new("log_id", "is empty; a cursor needs the id of the log that it is of")),
            };
        }
        Ok((Some(Cursor { log: log_id(message.log_id)?, sequence, chain }), identity))
    }
}

impl From<ShardIdentity> for pb::LoadRequest {
    fn from(identity: ShardIdentity) -> Self {
        Self { shard: identity.shard().0.into(), shard_count: identity.shard_count().get().into() }
    }
}

impl TryFrom<pb::LoadRequest> for ShardIdentity {
    type Error = Invalid;

    fn try_from(message: pb::LoadRequest) -> Result<Self, Invalid> {
        Self::new(message.shard, message.shard_count).map_err(|error| Invalid::new("shard", error))
    }
}

impl From<StatePart> for pb::LoadResponse {
    fn from(part: StatePart) -> Self {
        use pb::load_response::Part;
        let part = match part {
            StatePart::Begin { cursor, banks, members_on } => Part::Begin(pb::LoadBegin {
                log_id: cursor.log.0.to_vec(),
                sequence: cursor.sequence.0,
                chain: cursor.chain.map(Vec::from).unwrap_or_default(),
                banks: banks.into_iter().map(Into::into).collect(),
                members_on,
            }),
            StatePart::Items { items, held, standings } => {
                let banks: HashMap<ItemId, BankId> = items.iter().map(|item| (item.id, item.bank)).collect();
                let standing = |(item, standing): (ItemId, Arc<Standing>)| pb::ItemStandingSet {
                    item_id: item.0,
                    bank_id: banks.get(&item).map_or(0, |bank| bank.0),
                    standing: standing_to_wire(&standing),
                };
                Part::Items(pb::LoadItems {
                    standings: standings.into_iter().map(standing).collect(),
                    items: items.into_iter().map(Into::into).collect(),
                    held_item_ids: held.into_iter().map(|item| item.0).collect(),
                })
            }
            StatePart::End { settled } => Part::End(pb::LoadEnd { settled_sequence: settled.0 }),
        };
        Self { part: Some(part) }
    }
}

impl TryFrom<pb::LoadResponse> for StatePart {
    type Error = Invalid;

    fn try_from(message: pb::LoadResponse) -> Result<Self, Invalid> {
        use pb::load_response::Part;
        match message.part.ok_or_else(|| Invalid::missing("part"))? {
            Part::Begin(begin) => {
                let cursor = Cursor {
                    log: log_id(begin.log_id)?,
                    sequence: Sequence(begin.sequence),
                    chain: chain("chain", begin.chain)?,
                };
                let banks = each("banks", begin.banks, Bank::try_from)?;
                Ok(Self::Begin { cursor, banks, members_on: begin.members_on })
            }
            Part::Items(part) => Ok(Self::Items {
                items: each("items", part.items, Item::try_from)?,
                held: part.held_item_ids.into_iter().map(ItemId).collect(),
                standings: each("standings", part.standings, |set| {
                    Ok((ItemId(set.item_id), standing_from_wire(set.standing)?))
                })?,
            }),
            Part::End(end) => Ok(Self::End { settled: Sequence(end.settled_sequence) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{BankId, ChangeKind, Hash, Item, ItemDraft, ItemId, MemberId, SetDigest, UnixMillis};

    use super::*;
    use crate::pb::model::v1 as pb_model;

    fn item() -> Item {
        let draft = ItemDraft {
            hashes: vec![Hash::pdq([9; 32]), Hash::md5([1; 16])],
            labels: vec!["a".into(), "b".into()],
            external_reference: "ref".into(),
        };
        Item {
            id: ItemId(7),
            bank: BankId(2),
            added_at: UnixMillis(5),
            contributor: MemberId::HOST,
            content: draft.try_into().unwrap(),
        }
    }

    #[test]
    fn a_range_whose_changes_lie_outside_it_is_refused() {
        let removal = |sequence| pb::Change {
            sequence,
            kind: Some(ChangeKind::ItemRemoved { item: ItemId(1), bank: BankId(1) }.into()),
        };
        let check = |after, through, sequences: &[u64], accepted: bool| {
            let changes: Vec<_> = sequences.iter().map(|&sequence| removal(sequence)).collect();
            let message = pb::WatchResponse {
                after_sequence: after,
                through_sequence: through,
                head_sequence: through,
                head_committed_unix_ms: 0,
                first_committed_unix_ms: 0,
                changes_checksum: changes_checksum(&changes),
                changes,
                log_id: vec![7; 16],
                through_chain: Vec::new(),
                digest: None,
                members_on: false,
            };
            assert_eq!(FeedRange::try_from(message).is_ok(), accepted, "{after}..{through}: {sequences:?}");
        };
        check(4, 9, &[5, 7, 9], true);
        check(4, 4, &[], true);
        check(4, 9, &[4], false);
        check(4, 9, &[10], false);
        check(4, 9, &[6, 5], false);
        check(4, 9, &[6, 6], false);
        check(9, 4, &[], false);
    }

    #[test]
    fn a_range_that_was_damaged_on_its_way_is_refused() {
        let change = |sequence| Change { sequence: Sequence(sequence), kind: ChangeKind::ItemAdded(item()) };
        let range = FeedRange {
            log: LogId([7; 16]),
            after: Sequence(4),
            through: Sequence(9),
            head: Sequence(9),
            head_committed: None,
            chain: None,
            changes: vec![change(5), change(7), change(9)],
            first_committed: Some(UnixMillis(1_700_000_000_000)),
            digest: None,
            members_on: false,
        };
        let sent = pb::WatchResponse::from(range.clone());
        assert_eq!(FeedRange::try_from(sent.clone()).unwrap(), range);
        let check = |damage: fn(&mut Vec<pb::Change>)| {
            let mut message = sent.clone();
            damage(&mut message.changes);
            let invalid = FeedRange::try_from(message).unwrap_err();
            assert!(invalid.to_string().starts_with("changes_checksum: "), "{invalid}");
        };
        check(|changes| drop(changes.remove(1)));
        check(|changes| changes.insert(1, changes[0].clone()));
        check(|changes| changes.swap(0, 2));
        check(|changes| changes[2].sequence = 8);
        check(|changes| changes.clear());
    }

    #[test]
    fn a_range_names_its_log() {
        let range = FeedRange {
            log: LogId([7; 16]),
            after: Sequence(4),
            through: Sequence(4),
            head: Sequence(9),
            head_committed: Some(UnixMillis(1_700_000_000_000)),
            chain: Some([3; 32]),
            changes: Vec::new(),
            first_committed: None,
            digest: Some(SetDigest { sums: [1, 2, 3, u64::MAX], hashes: 5 }),
            members_on: true,
        };
        let message = pb::WatchResponse::from(range.clone());
        assert_eq!(FeedRange::try_from(message.clone()).unwrap(), range);
        for log_id in [vec![], vec![7; 15], vec![7; 17]] {
            let invalid = FeedRange::try_from(pb::WatchResponse { log_id, ..message.clone() }).unwrap_err();
            assert!(invalid.to_string().starts_with("log_id: has "), "{invalid}");
        }
        let through_chain = vec![3; 31];
        assert!(FeedRange::try_from(pb::WatchResponse { through_chain, ..message.clone() }).is_err());
        let digest = Some(pb_model::SetDigest { sums: vec![0; 31], hash_count: 0 });
        let invalid = FeedRange::try_from(pb::WatchResponse { digest, ..message }).unwrap_err();
        assert_eq!(invalid.to_string(), "digest.sums: has 31 bytes; it must have 32");
    }

    #[test]
    fn a_cursor_comes_with_its_log() {
        let identity = ShardIdentity::new(2, 3).unwrap();
        let cursor = |sequence, chain| Cursor { log: LogId([7; 16]), sequence: Sequence(sequence), chain };
        for from in [None, Some(cursor(0, None)), Some(cursor(5, None)), Some(cursor(5, Some([3; 32])))] {
            let message = pb::WatchRequest::from((from, identity));
            assert_eq!(<(Option<Cursor>, _)>::try_from(message).unwrap(), (from, identity));
        }
        let check = |after_sequence, log_id: usize, after_chain: usize, text: &str| {
            let (log_id, after_chain) = (vec![7; log_id], vec![3; after_chain]);
            let message = pb::WatchRequest { after_sequence, shard: 0, shard_count: 1, log_id, after_chain };
            let invalid = <(Option<Cursor>, ShardIdentity)>::try_from(message).unwrap_err();
            assert!(invalid.to_string().starts_with(text), "{invalid}");
        };
        check(1, 0, 0, "log_id: is empty");
        check(1, 15, 0, "log_id: has 15 bytes");
        check(0, 17, 0, "log_id: has 17 bytes");
        check(1, 16, 31, "after_chain: has 31 bytes");
        check(0, 16, 32, "after_chain: is given");
        check(0, 0, 32, "after_chain: is given");
    }

    #[test]
    fn the_parts_of_a_state_survive_the_wire() {
        let bank = Bank {
            id: BankId(2),
            owner: MemberId(3),
            name: "n".parse().unwrap(),
            enabled: false,
            created_at: UnixMillis(3),
            item_count: 1,
            hash_count: 2,
            match_ratio: vigie_model::MatchRatio::ALWAYS,
        };
        let cursor = Cursor { log: LogId([7; 16]), sequence: Sequence(9), chain: Some([3; 32]) };
        let parts = [
            StatePart::Begin { cursor, banks: vec![bank], members_on: false },
            StatePart::Begin { cursor, banks: vec![], members_on: true },
            StatePart::Items { items: vec![item()], held: vec![], standings: vec![] },
            StatePart::Items {
                items: vec![item()],
                held: vec![ItemId(7)],
                standings: vec![(ItemId(7), Arc::new(Standing { probation: true, ..Standing::default() }))],
            },
            StatePart::End { settled: Sequence(11) },
        ];
        for part in parts {
            assert_eq!(StatePart::try_from(pb::LoadResponse::from(part.clone())).unwrap(), part);
        }
        assert!(StatePart::try_from(pb::LoadResponse { part: None }).is_err());
    }
}
