//! The cursor that the bank stores for an exchange. It is opaque to the bank, and JSON in this crate.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use vigie_model::Sequence;

/// The progress of an exchange. The bank stores it in the same transaction as the records before it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The source's own position; `None` at the beginning.
    pub at: Option<Value>,
    /// The number of stored parts of the page after that position. After a crash the page is read again, and
    /// storing it twice changes nothing. The number makes the cursor of each part different.
    #[serde(default)]
    pub part: u64,
    /// The approximate number of items in the bank that came from the exchange: the last stored part is not
    /// counted.
    #[serde(default)]
    pub items: u64,
    /// Whether one round has been completed, so that the bank holds what the programme had.
    #[serde(default)]
    pub complete: bool,
    /// The progress of write-back; `None` before it stored anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<OutPlace>,
    /// The progress of sending the owner's opinions; `None` before any was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<SaidPlace>,
}

/// The progress of write-back in a bank's changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutPlace {
    /// The id of the bank whose items are submitted.
    pub bank: u32,
    /// The sequence up to which the programme has received every change.
    pub after: u64,
    /// The sequence up to which items may have been submitted. It is stored before they are, so that an item
    /// that was submitted before a crash is withdrawn when it is removed.
    pub through: u64,
    /// The pass over the bank's changes that has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
    /// The ids of items that the programme refuses, at most [`OutPlace::IDS_MAX`]. Each round submits them
    /// again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<u64>,
    /// The ids of removed items whose withdrawal could not be sent, at most [`OutPlace::IDS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsent: Vec<u64>,
    /// The number of further such items. Their ids are only in the log.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsent_more: u64,
}

/// The progress of sending opinions to the programme, in the changes of the exchange's bank.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidPlace {
    /// The newest change when sending began. An opinion that was withdrawn before that was never sent.
    pub since: u64,
    /// The sequence after which the running pass continues.
    pub after: u64,
    /// The sequence up to which every opinion has been sent: the end of the last complete pass.
    pub known: u64,
    /// The ids of items whose opinion the programme refuses, at most [`OutPlace::IDS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<u64>,
    /// The number of further such items. Their ids are only in the log.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A pass over a bank's changes, up to the newest one at its beginning. It may take several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// The value of [`OutPlace::through`] when the pass began.
    pub base: u64,
    /// The newest change when the pass began.
    pub head: u64,
}

impl OutPlace {
    /// The most ids in one list. Both lists fit into a cursor and into the text of an alarm.
    pub const IDS_MAX: usize = 20;

    /// Returns whether the hashes that this change withdraws may have been submitted: with this item, or with
    /// a removed item that was brought back as this one. In the first pass, nothing was submitted before the
    /// pass began.
    #[must_use]
    pub fn may_have_submitted(&self, change: Sequence) -> bool {
        match self.pass {
            Some(Pass { base, head }) => base > 0 || change.0 > head,
            None => self.through > 0,
        }
    }
}

/// The error for stored bytes that are not a [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the stored cursor cannot be read")]
pub struct BadCursor;

impl Cursor {
    /// The most bytes of a cursor.
    pub const LEN_MAX: usize = 4_096;

    /// Reads the bank's bytes. No bytes are the beginning.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadCursor> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map_err(|_| BadCursor)
    }

    /// Returns the bytes to store, or `None` if there are more than [`Self::LEN_MAX`], which sources avoid.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        if *self == Self::default() {
            return Some(Vec::new());
        }
        serde_json::to_vec(self).ok().filter(|bytes| bytes.len() <= Self::LEN_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_what_is_none_is_refused() {
        let pass = Some(Pass { base: 1, head: 20 });
        let out = OutPlace {
            bank: 2,
            after: 5,
            through: 9,
            pass,
            refused: vec![7],
            unsent: Vec::new(),
            unsent_more: 4,
        };
        let at = Some(serde_json::json!({"start": 10}));
        let said = Some(SaidPlace { since: 1, after: 2, known: 3, refused: vec![4], more: 5 });
        let cursor = Cursor { at, part: 3, items: 7, complete: true, out: Some(out), said };
        assert_eq!(Cursor::parse(&cursor.to_bytes().unwrap()), Ok(cursor));
        assert_eq!(Cursor::parse(b""), Ok(Cursor::default()));
        assert_eq!(Cursor::default().to_bytes(), Some(Vec::new()));
        for bad in [&b"{"[..], b"[]", b"{\"later\": 1}"] {
            assert_eq!(Cursor::parse(bad), Err(BadCursor));
        }
        let long = Cursor { at: Some(Value::String("x".repeat(5_000))), ..Cursor::default() };
        assert_eq!(long.to_bytes(), None);
    }

    #[test]
    fn what_was_there_before_write_back_began_concerns_nobody() {
        let out = OutPlace { through: 10, pass: Some(Pass { base: 0, head: 50 }), ..OutPlace::default() };
        let may = |out: &OutPlace, change: u64| out.may_have_submitted(Sequence(change));
        assert!(!may(&out, 50) && may(&out, 51));
        let later = OutPlace { pass: Some(Pass { base: 10, head: 50 }), ..out.clone() };
        assert!(may(&later, 50) && may(&later, 51));
        let between = OutPlace { pass: None, ..out };
        assert!(may(&between, 50) && !may(&OutPlace::default(), 50));
    }
}
