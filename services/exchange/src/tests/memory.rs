//! A bank in memory, which can fail at any write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use vigie_formats::programme::Key;
use vigie_model::{BankId, Hash, ItemId, Sequence};

use super::opinions::said::SaidItems;
use super::write_back::own::OwnItems;
use crate::bank::{
    Applied, Bank, BankError, ChangePage, Exchange, ExchangeId, ForeignPage, KeyPage, Lease,
    PART_RECORDS_MAX, Part, Put, Reader, RecordsOfItem, Report, SaidPage,
};
use crate::secret::Secret;

/// The way in which a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Fails before anything is stored.
    Before,
    /// Fails after everything is stored: the answer is lost.
    After,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) exchanges: BTreeMap<String, Stored>,
    /// The number of the lease, and whether another process holds it.
    pub(crate) lease: u64,
    pub(crate) is_leased_elsewhere: bool,
    /// The number of writes until one fails, and how.
    pub(crate) fail: Option<(u64, Failing)>,
    pub(crate) is_away: bool,
    pub(crate) parts: Vec<(usize, usize)>,
    /// The items that write-back reads, and the id of their bank.
    pub(crate) own: OwnItems,
    pub(crate) own_bank: u32,
    /// The opinions of the owner's people.
    pub(crate) said: SaidItems,
}

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) exchange: Exchange,
    pub(crate) records: BTreeMap<Key, Put>,
    pub(crate) reports: Vec<Report>,
}

impl State {
    fn of(&mut self, id: ExchangeId) -> Result<&mut Stored, BankError> {
        self.exchanges.values_mut().find(|stored| stored.exchange.id == id).ok_or(BankError::Gone)
    }
}

/// A bank in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryBank(Arc<Mutex<State>>);

impl MemoryBank {
    /// Returns a bank with one exchange, `programme`.
    pub(crate) fn with(api: &str, config: &str) -> Self {
        let bank = Self::default();
        bank.add("programme", api, config);
        bank
    }

    pub(crate) fn add(&self, name: &str, api: &str, config: &str) {
        let id = ExchangeId(u64::try_from(self.lock().exchanges.len()).unwrap() + 1);
        let exchange = Exchange {
            id,
            name: name.to_owned(),
            member: None,
            api: api.to_owned(),
            config: config.to_owned(),
            enabled: true,
            interval_s: None,
            cursor: Vec::new(),
            fetch_requests: 0,
            report: Report::default(),
        };
        let stored = Stored { exchange, records: BTreeMap::new(), reports: Vec::new() };
        self.lock().exchanges.insert(name.to_owned(), stored);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn only(&self) -> Exchange {
        self.lock().exchanges["programme"].exchange.clone()
    }

    pub(crate) fn last_report(&self, name: &str) -> Option<Report> {
        self.lock().exchanges[name].reports.last().cloned()
    }

    /// Returns the records of an exchange by key, with their hashes and a description of the rest.
    pub(crate) fn records(&self, name: &str) -> BTreeMap<String, String> {
        let describe = |put: &Put| {
            let hashes: Vec<String> = put.content.hashes().iter().map(vigie_model::Hash::to_text).collect();
            let classes: Vec<String> = put.details.classification.iter().map(ToString::to_string).collect();
            let opinion = put.opinion.as_ref().map(|opinion| (opinion.kind, opinion.word.as_str()));
            format!("{hashes:?} {:?} {classes:?} {opinion:?}", put.content.labels())
        };
        let state = self.lock();
        state.exchanges[name].records.iter().map(|(key, put)| (key.to_string(), describe(put))).collect()
    }

    /// Loses a record of an exchange, like a fault would.
    pub(crate) fn lose(&self, name: &str, key: &str) {
        let mut state = self.lock();
        let stored = state.exchanges.get_mut(name).unwrap();
        assert!(stored.records.remove(&Key::new(key).unwrap()).is_some());
    }
}

impl Bank for MemoryBank {
    async fn lease(&self, _ttl: Duration) -> Result<Option<Lease>, BankError> {
        let state = self.lock();
        if state.is_away {
            return Err(BankError::Unavailable("away".to_owned()));
        }
        Ok((!state.is_leased_elsewhere).then(|| Lease(state.lease)))
    }

    async fn exchanges(&self) -> Result<Vec<Exchange>, BankError> {
        let state = self.lock();
        if state.is_away {
            return Err(BankError::Unavailable("away".to_owned()));
        }
        Ok(state.exchanges.values().map(|stored| stored.exchange.clone()).collect())
    }

    async fn exchange(&self, id: ExchangeId) -> Result<Exchange, BankError> {
        self.lock().of(id).map(|stored| stored.exchange.clone())
    }

    async fn apply(&self, exchange: ExchangeId, lease: &Lease, part: Part) -> Result<Applied, BankError> {
        let mut state = self.lock();
        if lease.0 != state.lease || state.is_leased_elsewhere {
            return Err(BankError::LeaseLost);
        }
        let lost = || BankError::Unavailable("crashed".to_owned());
        let failing = match &mut state.fail {
            Some((0, failing)) => Some(*failing),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if failing == Some(Failing::Before) {
            state.fail = None;
            return Err(lost());
        }
        state.parts.push((part.withdrawn.len(), part.puts.len()));
        assert!(part.withdrawn.len() + part.puts.len() <= PART_RECORDS_MAX && part.cursor.len() <= 4_096);
        let stored = state.of(exchange)?;
        if stored.exchange.cursor != part.expected {
            return Err(BankError::Moved);
        }
        assert_ne!(part.expected, part.cursor, "a part does not move the cursor");
        stored.exchange.cursor = part.cursor;
        let mut applied = Applied::default();
        for key in part.withdrawn {
            applied.removed += u64::from(stored.records.remove(&key).is_some());
        }
        for put in part.puts {
            applied.added += u64::from(stored.records.insert(put.key.clone(), put).is_none());
        }
        if failing == Some(Failing::After) {
            state.fail = None;
            return Err(lost());
        }
        Ok(applied)
    }

    async fn keys(&self, exchange: ExchangeId, after: Option<Vec<u8>>) -> Result<KeyPage, BankError> {
        let mut state = self.lock();
        let stored = state.of(exchange)?;
        let after = String::from_utf8(after.unwrap_or_default()).unwrap();
        let keys: Vec<Key> =
            stored.records.keys().filter(|key| key.as_str() > after.as_str()).take(3).cloned().collect();
        let next = (keys.len() == 3).then(|| keys[2].to_string().into_bytes());
        Ok(KeyPage { keys, next })
    }

    async fn foreign(&self, exchange: ExchangeId, after: Option<Vec<u8>>) -> Result<ForeignPage, BankError> {
        let KeyPage { keys, next } = self.keys(exchange, after).await?;
        let mut state = self.lock();
        let stored = state.of(exchange)?;
        Ok(ForeignPage {
            foreign: keys.iter().map(|key| stored.records[key].foreign.clone()).collect(),
            next,
        })
    }

    async fn report(&self, exchange: ExchangeId, _lease: &Lease, report: &Report) -> Result<(), BankError> {
        let mut state = self.lock();
        let stored = state.of(exchange)?;
        stored.exchange.report = report.clone();
        stored.reports.push(report.clone());
        Ok(())
    }

    async fn own_bank(&self, _exchange: ExchangeId, reader: &Reader) -> Result<BankId, BankError> {
        assert_eq!(reader.bank.as_str(), "own-list");
        Ok(BankId(self.lock().own_bank))
    }

    async fn changes(
        &self,
        _reader: &Reader,
        after: Sequence,
        count_max: u16,
    ) -> Result<ChangePage, BankError> {
        Ok(self.lock().own.page(after, count_max))
    }

    async fn said(
        &self,
        _exchange: ExchangeId,
        _key: &Secret,
        after: Sequence,
        count_max: u16,
    ) -> Result<SaidPage, BankError> {
        Ok(self.lock().said.page(after, count_max))
    }

    async fn records_of(
        &self,
        _exchange: ExchangeId,
        _key: &Secret,
        item: ItemId,
    ) -> Result<Option<RecordsOfItem>, BankError> {
        Ok(self.lock().said.records_of(item))
    }

    async fn own_item(&self, _reader: &Reader, item: ItemId) -> Result<Option<Vec<Hash>>, BankError> {
        Ok(self.lock().own.item(item))
    }
}
