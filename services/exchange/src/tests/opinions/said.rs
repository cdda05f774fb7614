//! The opinions of an exchange's owner on items in memory, as rounds read them.

use std::collections::{BTreeMap, BTreeSet};

use vigie_formats::programme::{HashText, Key};
use vigie_model::{ItemId, OpinionKind, Sequence};

use crate::bank::{OwnWord, RecordsOfItem, SaidOfItem, SaidPage};
use crate::tests::model::Model;
use crate::tests::servers::Programme;

/// The items of a bank, and the opinions on them.
#[derive(Debug, Default)]
pub(crate) struct SaidItems {
    /// The newest change of the log.
    pub(crate) head: u64,
    pub(crate) programme: Option<Programme>,
    items: BTreeMap<u64, Item>,
    /// The numbers of removed items. Nothing changes the last opinion about them at the programme.
    removed: BTreeSet<u8>,
}

#[derive(Debug)]
struct Item {
    number: u8,
    is_of_exchange: bool,
    /// The sequence of its latest change.
    sequence: u64,
    words: BTreeMap<Option<u32>, OwnWord>,
}

/// A change of a bank. Items are named by the numbers of their hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    /// Adds an item that is a record of the exchange.
    Add(u8),
    /// Adds an item that did not come from the exchange.
    AddOther(u8),
    /// Sets an opinion on the item.
    Item(u8, OpinionKind),
    /// Sets an opinion on its hash.
    Hash(u8, OpinionKind),
    /// Withdraws all opinions on the item.
    Back(u8),
    /// Changes something else of the item.
    Touch(u8),
    Remove(u8),
}

impl SaidItems {
    pub(crate) fn change(&mut self, change: Says) {
        self.head += 1;
        let sequence = self.head;
        let (Says::Add(number)
        | Says::AddOther(number)
        | Says::Item(number, _)
        | Says::Hash(number, _)
        | Says::Back(number)
        | Says::Touch(number)
        | Says::Remove(number)) = change;
        let known = self.items.iter().find(|(_, item)| item.number == number).map(|(id, _)| *id);
        let Some(id) = known else {
            if let (Says::Add(_) | Says::AddOther(_), false) = (change, self.removed.contains(&number)) {
                let is_of_exchange = matches!(change, Says::Add(_));
                let item = Item { number, is_of_exchange, sequence, words: BTreeMap::new() };
                self.items.insert(sequence, item);
            }
            return;
        };
        let item = self.items.get_mut(&id).unwrap();
        let word = |hash, kind| OwnWord {
            hash,
            kind,
            reason: None,
            word: String::new(),
            sequence: Sequence(sequence),
        };
        match change {
            Says::Item(_, kind) => drop(item.words.insert(None, word(None, Some(kind)))),
            Says::Hash(_, kind) => drop(item.words.insert(Some(0), word(Some(0), Some(kind)))),
            Says::Back(_) => {
                for (hash, one) in &mut item.words {
                    if one.kind.is_some() {
                        *one = word(*hash, None);
                    }
                }
            }
            Says::Remove(_) => {
                self.items.remove(&id);
                self.removed.insert(number);
                return;
            }
            Says::Add(_) | Says::AddOther(_) => return,
            Says::Touch(_) => {}
        }
        item.sequence = sequence;
    }

    pub(crate) fn page(&self, after: Sequence, count_max: u16) -> SaidPage {
        let mut all: Vec<(u64, &Item)> = self
            .items
            .iter()
            .filter(|(_, item)| item.sequence > after.0)
            .map(|(id, item)| (*id, item))
            .collect();
        all.sort_by_key(|(_, item)| item.sequence);
        let has_more = all.len() > usize::from(count_max);
        all.truncate(count_max.into());
        let last = all.last().map_or(self.head, |(_, item)| item.sequence);
        let items = all.iter().filter(|(_, item)| !item.words.is_empty()).map(|(id, item)| SaidOfItem {
            item: ItemId(*id),
            words: item.words.values().cloned().collect(),
        });
        SaidPage {
            items: items.collect(),
            head: Sequence(self.head),
            next_after: Sequence(if has_more { last } else { self.head }),
            has_more,
        }
    }

    pub(crate) fn records_of(&self, item: ItemId) -> Option<RecordsOfItem> {
        let item = self.items.get(&item.0).filter(|item| item.is_of_exchange)?;
        let hash = Model::hash(item.number);
        let by_value =
            |kind: &str| Key::of_value(kind, &HashText::of(&hash), Some(&hash)).unwrap().to_string();
        let key = match self.programme.unwrap() {
            Programme::StopNcii => by_value("VideoMD5"),
            Programme::ThreatExchange => by_value("HASH_VIDEO_MD5"),
            Programme::Ncmec => format!("7-{}", item.number),
            Programme::Tat | Programme::Vigie | Programme::HttpFile => unreachable!(),
        };
        Some(RecordsOfItem { keys: vec![key], hashes: vec![hash] })
    }

    /// Returns the id of an item.
    pub(crate) fn id_of(&self, number: u8) -> u64 {
        *self.items.iter().find(|(_, item)| item.number == number).unwrap().0
    }

    /// Returns the opinions that a programme must have received, by the numbers of hashes.
    pub(crate) fn expected(&self) -> BTreeMap<u8, OpinionKind> {
        let counts = |item: &Item| {
            let words = item.words.values().filter(|word| word.kind.is_some());
            words.max_by_key(|word| (word.kind != Some(OpinionKind::Seen), word.sequence))?.kind
        };
        let of_exchange = self.items.values().filter(|item| item.is_of_exchange);
        of_exchange.filter_map(|item| Some((item.number, counts(item)?))).collect()
    }

    pub(crate) fn is_removed(&self, number: u8) -> bool {
        self.removed.contains(&number)
    }
}
