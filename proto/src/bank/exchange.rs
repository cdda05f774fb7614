//! Exchanges, and the pages that they bring from programmes.

use vigie_consortium::{
    Exchange, ExchangeConfig, ExchangeId, ExchangeStatus, ForeignOpinion, Metadata, Origin, Text,
};
use vigie_model::{BankId, UnixMillis};

use super::record::contributed_item;
use super::{ContributedItem, WRITE_ITEMS_MAX, member_from_wire, member_to_wire};
use crate::invalid::{Invalid, check_len, each};
use crate::pb::bank::v1 as pb;

/// The key by which a programme names a record.
pub type ForeignKey = Text<{ Origin::KEY_LEN_MAX }>;

/// A record of a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRecord {
    /// The programme's key of the record, not empty.
    pub key: ForeignKey,
    /// The item.
    pub item: ContributedItem,
    /// The record as the programme sent it.
    pub foreign: Metadata,
    /// The opinions of the programme's members on it; `None` if there are none.
    pub opinion: Option<ForeignOpinion>,
}

/// A page of changes of a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangePage {
    /// The exchange that fetched the page.
    pub exchange: ExchangeId,
    /// The expected cursor of the exchange, before the page.
    pub expected: Box<[u8]>,
    /// The cursor after the page.
    pub next: Box<[u8]>,
    /// New and changed records.
    pub puts: Vec<ForeignRecord>,
    /// Keys of withdrawn records.
    pub withdrawn: Vec<ForeignKey>,
    /// The programme's time of the new cursor; `None` if unchanged.
    pub checkpoint: Option<UnixMillis>,
    /// Number of items that were fetched with the page.
    pub fetched_items: u64,
}

impl TryFrom<pb::ApplyExchangePageRequest> for ExchangePage {
    type Error = Invalid;

    fn try_from(message: pb::ApplyExchangePageRequest) -> Result<Self, Invalid> {
        let count = message.puts.len().saturating_add(message.withdrawn_keys.len());
        check_len("puts", count, 0, WRITE_ITEMS_MAX)?;
        Ok(Self {
            exchange: ExchangeId(message.exchange_id),
            expected: cursor("expected_cursor", message.expected_cursor)?,
            next: cursor("new_cursor", message.new_cursor)?,
            puts: each("puts", message.puts, |put| {
                let content = put.content.ok_or_else(|| Invalid::missing("content"))?;
                Ok(ForeignRecord {
                    key: foreign_key("key", &put.key)?,
                    item: contributed_item(content).map_err(|invalid| invalid.within("content"))?,
                    foreign: foreign_json(&put.foreign_json)?,
                    opinion: foreign_opinion(put.foreign_opinion)?,
                })
            })?,
            withdrawn: each("withdrawn_keys", message.withdrawn_keys, |key| foreign_key("", &key))?,
            checkpoint: time(message.checkpoint_unix_ms),
            fetched_items: message.fetched_items,
        })
    }
}

/// Reads the key of a record, which must not be empty. `field`: its field, for errors.
pub fn foreign_key(field: &str, key: &str) -> Result<ForeignKey, Invalid> {
    if key.is_empty() {
        return Err(Invalid::new(field, "is empty"));
    }
    Text::new(key).map_err(|error| Invalid::new(field, error))
}

fn foreign_json(text: &str) -> Result<Metadata, Invalid> {
    Metadata::new(text).map_err(|error| Invalid::new("foreign_json", error))
}

/// Reads the opinions of a programme's members on a record.
pub fn foreign_opinion(message: Option<pb::ForeignOpinion>) -> Result<Option<ForeignOpinion>, Invalid> {
    let opinion = message.map(ForeignOpinion::try_from).transpose();
    opinion.map_err(|invalid| invalid.within("foreign_opinion"))
}

fn cursor(field: &str, bytes: Vec<u8>) -> Result<Box<[u8]>, Invalid> {
    check_len(field, bytes.len(), 0, Exchange::CURSOR_LEN_MAX)?;
    Ok(bytes.into())
}

/// Reads the settings of an exchange.
pub fn exchange_config(field: &str, text: &str) -> Result<ExchangeConfig, Invalid> {
    ExchangeConfig::new(text).map_err(|error| Invalid::new(field, error))
}

/// Reads an interval in seconds; 0 means the default.
pub fn exchange_interval(field: &str, seconds: u32) -> Result<u32, Invalid> {
    let max = Exchange::INTERVAL_SECONDS_MAX;
    if seconds > max {
        return Err(Invalid::new(field, format!("is {seconds}; it must be at most {max}")));
    }
    Ok(seconds)
}

fn time(unix_ms: u64) -> Option<UnixMillis> {
    (unix_ms > 0).then_some(UnixMillis(unix_ms))
}

fn unix_ms(time: Option<UnixMillis>) -> u64 {
    time.map_or(0, |time| time.0)
}

impl From<ExchangeStatus> for pb::ExchangeStatus {
    fn from(status: ExchangeStatus) -> Self {
        Self {
            running_since_unix_ms: unix_ms(status.running_since),
            completed_unix_ms: unix_ms(status.completed_at),
            succeeded: status.succeeded,
            up_to_date: status.up_to_date,
            checkpoint_unix_ms: unix_ms(status.checkpoint),
            fetched_items: status.fetched_items,
            alarm: status.alarm.to_string(),
            answered_rounds: status.answered_rounds,
        }
    }
}

impl TryFrom<pb::ExchangeStatus> for ExchangeStatus {
    type Error = Invalid;

    fn try_from(message: pb::ExchangeStatus) -> Result<Self, Invalid> {
        Ok(Self {
            running_since: time(message.running_since_unix_ms),
            completed_at: time(message.completed_unix_ms),
            succeeded: message.succeeded,
            up_to_date: message.up_to_date,
            checkpoint: time(message.checkpoint_unix_ms),
            fetched_items: message.fetched_items,
            alarm: Text::new(&message.alarm).map_err(|error| Invalid::new("alarm", error))?,
            answered_rounds: message.answered_rounds,
        })
    }
}

/// Leaves the name of the bank empty, because it depends on the reader.
impl From<Exchange> for pb::Exchange {
    fn from(exchange: Exchange) -> Self {
        Self {
            id: exchange.id.0,
            name: exchange.name.to_string(),
            api: exchange.api.as_str().to_owned(),
            bank: String::new(),
            bank_id: exchange.bank.0,
            owner_member_id: member_to_wire(exchange.owner),
            config_json: exchange.config.as_str().to_owned(),
            interval_seconds: exchange.interval_seconds,
            enabled: exchange.enabled,
            created_at_unix_ms: exchange.created_at.0,
            requested_rounds: exchange.requested_rounds,
            cursor: exchange.cursor.into(),
            status: Some(exchange.status.into()),
        }
    }
}

impl TryFrom<pb::Exchange> for Exchange {
    type Error = Invalid;

    fn try_from(message: pb::Exchange) -> Result<Self, Invalid> {
        Ok(Self {
            id: ExchangeId(message.id),
            name: message.name.parse().map_err(|error| Invalid::new("name", error))?,
            api: message.api.parse().map_err(|error| Invalid::new("api", error))?,
            bank: BankId(message.bank_id),
            owner: member_from_wire(message.owner_member_id),
            config: exchange_config("config_json", &message.config_json)?,
            interval_seconds: exchange_interval("interval_seconds", message.interval_seconds)?,
            enabled: message.enabled,
            created_at: UnixMillis(message.created_at_unix_ms),
            requested_rounds: message.requested_rounds,
            cursor: cursor("cursor", message.cursor)?,
            status: message.status.unwrap_or_default().try_into()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_survive_the_wire() {
        let status = ExchangeStatus {
            running_since: Some(UnixMillis(1)),
            completed_at: None,
            succeeded: Some(false),
            up_to_date: true,
            checkpoint: Some(UnixMillis(2)),
            fetched_items: 3,
            alarm: Text::new("stalled").unwrap(),
            answered_rounds: 4,
        };
        let exchange = Exchange {
            id: ExchangeId(9),
            name: "_A".parse().unwrap(),
            api: "ncmec".parse().unwrap(),
            bank: BankId(2),
            owner: vigie_model::MemberId(3),
            config: ExchangeConfig::new(r#"{"environment": "x"}"#).unwrap(),
            interval_seconds: 600,
            enabled: false,
            created_at: UnixMillis(5),
            requested_rounds: 6,
            cursor: vec![0, 255].into(),
            status,
        };
        assert_eq!(Exchange::try_from(pb::Exchange::from(exchange.clone())), Ok(exchange));
    }

    #[test]
    fn faults_of_a_page_are_named_by_their_fields() {
        let hash = vigie_model::Hash::md5([1; 16]);
        let content = pb::ItemContent { hashes: vec![hash.into()], ..Default::default() };
        let put = |key: &str| pb::ExchangeRecordPut {
            key: key.into(),
            content: Some(content.clone()),
            foreign_json: String::new(),
            foreign_opinion: None,
        };
        let check = |request: pb::ApplyExchangePageRequest, field: &str| {
            assert_eq!(ExchangePage::try_from(request).unwrap_err().field, field);
        };
        let of = |put: pb::ExchangeRecordPut| pb::ApplyExchangePageRequest {
            puts: vec![put],
            ..Default::default()
        };
        assert!(ExchangePage::try_from(of(put("a"))).is_ok());
        check(of(put("")), "puts[0].key");
        check(of(put(&"x".repeat(513))), "puts[0].key");
        check(of(pb::ExchangeRecordPut { foreign_json: "[]".into(), ..put("a") }), "puts[0].foreign_json");
        check(of(pb::ExchangeRecordPut { content: None, ..put("a") }), "puts[0].content");
        let said = |kind: i32, reason: i32, foreign_value: &str| {
            let foreign_opinion =
                Some(pb::ForeignOpinion { kind, reason, foreign_value: foreign_value.to_owned() });
            of(pb::ExchangeRecordPut { foreign_opinion, ..put("a") })
        };
        assert!(ExchangePage::try_from(said(2, 1, "x")).is_ok());
        check(said(9, 0, ""), "puts[0].foreign_opinion.kind");
        check(said(1, 1, ""), "puts[0].foreign_opinion.reason");
        check(said(2, 99, ""), "puts[0].foreign_opinion.reason");
        check(said(2, 1, &"x".repeat(65)), "puts[0].foreign_opinion.foreign_value");
        let withdrawn_keys = vec!["a".into(); 1_000];
        check(pb::ApplyExchangePageRequest { withdrawn_keys, ..of(put("a")) }, "puts");
        check(pb::ApplyExchangePageRequest { new_cursor: vec![0; 4_097], ..of(put("a")) }, "new_cursor");
    }
}
