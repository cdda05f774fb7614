//! The stream of a shard's present state, for a follower that starts from it.

use std::time::Duration;

use tonic::{Status, Streaming};
use vigie_model::{ItemId, Sequence, ShardIdentity, StatePart};
use vigie_net::{CallError, Target};
use vigie_proto::pb::bank::v1 as pb;

/// An open stream of a shard's state. The order of its parts is checked, and that they belong to the shard.
///
/// [`StatePart`] describes the state that the parts form. No part may be requested after [`StatePart::End`].
#[derive(Debug)]
pub struct StateStream {
    target: Target,
    stream: Streaming<pb::LoadResponse>,
    order: Order,
}

impl StateStream {
    pub(crate) const fn new(
        target: Target,
        stream: Streaming<pb::LoadResponse>,
        identity: ShardIdentity,
    ) -> Self {
        Self { target, stream, order: Order { identity, place: Stage::Beginning } }
    }

    /// Returns the next part, or an error if none arrives within `silence_max`. The end of the stream before
    /// the end of the state is an error too: the parts so far must be dropped, and the state loaded again.
    pub async fn next_within(&mut self, silence_max: Duration) -> Result<StatePart, CallError> {
        match tokio::time::timeout(silence_max, self.next()).await {
            Ok(next) => next,
            Err(_) => Err(self
                .target
                .failed(Status::unavailable("the next part of the state did not arrive in time"))),
        }
    }

    async fn next(&mut self) -> Result<StatePart, CallError> {
        let message = match self.stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(self.target.failed(Status::unavailable("the state broke off"))),
            Err(status) => return Err(self.target.failed(status)),
        };
        let part = StatePart::try_from(message).map_err(|invalid| self.target.unreadable(&invalid))?;
        self.order.take(&part).map_err(|fault| self.target.failed(Status::data_loss(fault)))?;
        Ok(part)
    }
}

/// The position in a state.
#[derive(Debug)]
struct Order {
    identity: ShardIdentity,
    place: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Beginning,
    /// Items up to the sequence may follow, with ids greater than the last one's.
    Items {
        through: Sequence,
        last: ItemId,
    },
    End,
}

impl Order {
    /// Takes a part, if it may follow the parts before.
    fn take(&mut self, part: &StatePart) -> Result<(), &'static str> {
        self.place = match (self.place, part) {
            (Stage::Beginning, StatePart::Begin { cursor, banks, .. }) => {
                if !banks.is_sorted_by(|one, next| one.id < next.id) {
                    return Err("the state's banks are not in order");
                }
                Stage::Items { through: cursor.sequence, last: ItemId(0) }
            }
            (Stage::Items { through, mut last }, StatePart::Items { items, held, standings }) => {
                for item in items {
                    if item.id <= last {
                        return Err("the state's items are not in order");
                    }
                    if item.id.0 > through.0 {
                        return Err("the state holds an item that is newer than its cursor");
                    }
                    if !self.identity.holds(item.id) {
                        return Err("the state holds an item of another shard");
                    }
                    last = item.id;
                }
                let is_there = |id: &ItemId| items.binary_search_by_key(id, |item| item.id).is_ok();
                if !held.is_sorted_by(|one, next| one < next) || !held.iter().all(is_there) {
                    return Err("the state holds an item that it does not have");
                }
                let stands = |(id, _): &(ItemId, _)| is_there(id);
                if !standings.is_sorted_by(|one, next| one.0 < next.0) || !standings.iter().all(stands) {
                    return Err("the state has a standing of an item that it does not have");
                }
                Stage::Items { through, last }
            }
            (Stage::Items { through, .. }, StatePart::End { settled }) => {
                if *settled < through {
                    return Err("the state is settled before its cursor");
                }
                Stage::End
            }
            (Stage::Beginning, _) => return Err("the state does not begin with its banks"),
            (Stage::Items { .. }, StatePart::Begin { .. }) => return Err("the state begins twice"),
            (Stage::End, _) => return Err("the state goes on after its end"),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::change::{Cursor, LogId};
    use vigie_model::{Bank, BankId, Hash, Item, ItemContent, ItemDraft, UnixMillis};

    use super::*;

    fn begin(sequence: u64, banks: &[u32]) -> StatePart {
        let bank = |&id: &u32| Bank {
            id: BankId(id),
            owner: vigie_model::MemberId::HOST,
            name: format!("bank-{id}").parse().unwrap(),
            enabled: true,
            created_at: UnixMillis(0),
            item_count: 0,
            hash_count: 0,
            match_ratio: vigie_model::MatchRatio::ALWAYS,
        };
        let cursor = Cursor { log: LogId([1; 16]), sequence: Sequence(sequence), chain: None };
        StatePart::Begin { cursor, banks: banks.iter().map(bank).collect(), members_on: false }
    }

    fn items(ids: &[u64]) -> StatePart {
        let draft = ItemDraft { hashes: vec![Hash::md5([1; 16])], ..ItemDraft::default() };
        let content = ItemContent::try_from(draft).unwrap();
        let item = |&id: &u64| Item {
            id: ItemId(id),
            bank: BankId(1),
            added_at: UnixMillis(0),
            contributor: vigie_model::MemberId::HOST,
            content: content.clone(),
        };
        StatePart::Items { items: ids.iter().map(item).collect(), held: Vec::new(), standings: Vec::new() }
    }

    const fn end(settled: u64) -> StatePart {
        StatePart::End { settled: Sequence(settled) }
    }

    #[track_caller]
    fn check(parts: &[StatePart], expected: Result<(), &str>) {
        let identity = ShardIdentity::new(0, 1).unwrap();
        let mut order = Order { identity, place: Stage::Beginning };
        let (last, before) = parts.split_last().unwrap();
        for part in before {
            order.take(part).unwrap();
        }
        let outcome = order.take(last);
        assert_eq!(outcome.is_ok(), expected.is_ok(), "{outcome:?}");
        if let (Err(fault), Err(part)) = (outcome, expected) {
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[test]
    fn parts_come_in_their_order() {
        check(&[begin(9, &[1, 4]), items(&[2, 3]), items(&[9]), end(12)], Ok(()));
        check(&[begin(0, &[]), end(0)], Ok(()));
        check(&[items(&[2])], Err("does not begin"));
        check(&[end(2)], Err("does not begin"));
        check(&[begin(9, &[1]), begin(9, &[1])], Err("begins twice"));
        check(&[begin(9, &[1]), end(9), items(&[2])], Err("after its end"));
    }

    #[test]
    fn every_part_is_checked() {
        check(&[begin(9, &[4, 1])], Err("banks are not in order"));
        check(&[begin(9, &[1]), items(&[3]), items(&[3])], Err("items are not in order"));
        check(&[begin(9, &[1]), items(&[10])], Err("newer than its cursor"));
        check(&[begin(9, &[1]), end(8)], Err("settled before"));
        let identity = ShardIdentity::new(0, 2).unwrap();
        let foreign = (1..).find(|&id| !identity.holds(ItemId(id))).unwrap();
        let mut order = Order { identity, place: Stage::Beginning };
        order.take(&begin(foreign, &[1])).unwrap();
        assert_eq!(order.take(&items(&[foreign])), Err("the state holds an item of another shard"));
    }
}
