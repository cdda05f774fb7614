//! Exchanges and the records of programmes, as they are stored.

use std::collections::BTreeMap;

use prost::Message as _;
use vigie_consortium::{ContentDigest, Exchange, ExchangeId, ForeignOpinion, Metadata};
use vigie_model::ItemId;
use vigie_proto::bank::{ForeignKey, foreign_key, foreign_opinion};
use vigie_proto::pb::bank::v1 as pb;

use crate::store::error::{StoreError, corrupt};

/// The BLAKE3-256 of a programme's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyDigest(pub(crate) [u8; 32]);

impl KeyDigest {
    /// Returns the digest of a key.
    pub(crate) fn of(key: &ForeignKey) -> Self {
        Self(blake3::hash(key.as_str().as_bytes()).into())
    }
}

/// A record of a programme, mapped to its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MappedRecord {
    /// The exchange.
    pub(crate) exchange: ExchangeId,
    /// The digest of the programme's key.
    pub(crate) key_digest: KeyDigest,
    /// The digest of the bank and the item's hashes.
    pub(crate) content: ContentDigest,
    /// The item, as of the time when the record was written.
    pub(crate) item: ItemId,
    /// The programme's key.
    pub(crate) key: ForeignKey,
    /// The record as the programme sent it.
    pub(crate) foreign: Metadata,
    /// The opinion of the programme's members on it.
    pub(crate) opinion: Option<ForeignOpinion>,
}

impl MappedRecord {
    /// Returns the bytes to store.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let message = pb::ExchangeRecord {
            key: self.key.to_string(),
            foreign_json: self.foreign.as_str().to_owned(),
            content_digest: self.content.0.to_vec(),
            foreign_opinion: self.opinion.clone().map(Into::into),
        };
        message.encode_to_vec()
    }

    /// Reads a stored record.
    pub(crate) fn read(
        exchange: ExchangeId,
        key_digest: KeyDigest,
        item: ItemId,
        payload: &[u8],
    ) -> Result<Self, StoreError> {
        let read = || {
            let message = pb::ExchangeRecord::decode(payload).ok()?;
            let key = foreign_key("key", &message.key).ok()?;
            let foreign = Metadata::new(&message.foreign_json).ok()?;
            let opinion = foreign_opinion(message.foreign_opinion).ok()?;
            let content = ContentDigest(message.content_digest.try_into().ok()?);
            (KeyDigest::of(&key) == key_digest).then_some(Self {
                exchange,
                key_digest,
                content,
                item,
                key,
                foreign,
                opinion,
            })
        };
        read().ok_or_else(|| corrupt("the record of an exchange"))
    }
}

/// The rows of exchanges that one commit sets and deletes.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExchangeRows {
    /// Exchanges in their new state.
    pub(crate) set: Vec<Exchange>,
    /// Removed exchanges. Their records are swept later.
    pub(crate) removed: Vec<ExchangeId>,
    /// Records in their new state.
    pub(crate) records_set: Vec<MappedRecord>,
    /// Removed records.
    pub(crate) records_removed: Vec<(ExchangeId, KeyDigest)>,
}

impl ExchangeRows {
    /// Makes the rows of changed exchanges and records; `None` for a removed one.
    pub(crate) fn of(
        exchanges: BTreeMap<ExchangeId, Option<Exchange>>,
        records: BTreeMap<(ExchangeId, KeyDigest), Option<MappedRecord>>,
    ) -> Self {
        let mut rows = Self::default();
        for (id, exchange) in exchanges {
            match exchange {
                Some(exchange) => rows.set.push(exchange),
                None => rows.removed.push(id),
            }
        }
        for (key, record) in records {
            match record {
                Some(record) => rows.records_set.push(record),
                None => rows.records_removed.push(key),
            }
        }
        rows
    }
}

/// Returns the bytes of an exchange, to store them.
pub(crate) fn payload(exchange: &Exchange) -> Vec<u8> {
    pb::Exchange::from(exchange.clone()).encode_to_vec()
}

/// Reads a stored exchange.
pub(crate) fn read(id: ExchangeId, payload: &[u8]) -> Result<Exchange, StoreError> {
    let exchange = pb::Exchange::decode(payload).ok().and_then(|message| Exchange::try_from(message).ok());
    let exchange = exchange.filter(|exchange| exchange.id == id);
    exchange.ok_or_else(|| StoreError::Corrupt { row: format!("exchange {id}") })
}
