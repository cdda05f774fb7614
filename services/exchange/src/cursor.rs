//! The cursor that the bank keeps for an exchange: opaque to the bank, JSON here.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use vigie_model::Sequence;

/// How far an exchange has come. The bank stores it in the transaction that stores the records before it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The source's own place; `None` at the beginning.
    pub at: Option<Value>,
    /// Parts of the page after that place which are stored. The page is read anew after a crash, and storing it twice changes nothing;
    /// the number makes the cursor of each part another one.
    #[serde(default)]
    pub part: u64,
    /// Items of the bank that came by the exchange, about: the last part that was stored is not counted.
    #[serde(default)]
    pub items: u64,
    /// Whether one round has been completed, so that the bank holds what the programme had.
    #[serde(default)]
    pub complete: bool,
    /// How far write-back has come; `None` before it stored anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<OutPlace>,
    /// How far the owner's opinions have been told; `None` before any was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<SaidPlace>,
}

/// How far write-back has come in a bank's changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutPlace {
    /// The id of the bank whose items are submitted.
    pub bank: u32,
    /// The sequence up to which the programme has every change.
    pub after: u64,
    /// The sequence up to which items may have been submitted. It is stored before they are, so that an item that was submitted before a crash
    /// is withdrawn once it is removed.
    pub through: u64,
    /// The pass over the bank's changes that is not at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
    /// Items that the programme refuses, by id, at most [`OutPlace::IDS_MAX`]. Each round submits them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<u64>,
    /// Removed items whose withdrawal could not be sent, by id, at most [`OutPlace::IDS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsent: Vec<u64>,
    /// How many more there are, which the log names.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsent_more: u64,
}

/// How far opinions have been told to the programme, in the changes of the exchange's bank.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidPlace {
    /// The newest change when it began: what was taken back before was never told.
    pub since: u64,
    /// The sequence after which the pass in progress goes on.
    pub after: u64,
    /// The sequence up to which every opinion has been told: the end of the last whole pass.
    pub known: u64,
    /// Items whose opinion the programme refuses, by id, at most [`OutPlace::IDS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<u64>,
    /// How many more there are, which the log names.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A pass over a bank's changes, up to the newest one. It may take several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// [`OutPlace::through`] when it began.
    pub base: u64,
    /// The newest change when it began.
    pub head: u64,
}

impl OutPlace {
    /// Ids of one list: both lists fit into a cursor and into the text of an alarm.
    pub const IDS_MAX: usize = 20;

    /// Whether what an item has may have been submitted that a change takes from the programme: by this item, or by one that was removed and
    /// brought back as it. In the first pass nothing was before it began.
    #[must_use]
    pub fn may_have_submitted(&self, change: Sequence) -> bool {
        match self.pass {
            Some(Pass { base, head }) => base > 0 || change.0 > head,
            None => self.through > 0,
        }
    }
}

/// The stored bytes are no [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the stored cursor cannot be read")]
pub struct BadCursor;

impl Cursor {
    /// Bytes of a cursor.
    pub const LEN_MAX: usize = 4_096;

    /// Reads the bank's bytes; none are the beginning.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadCursor> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map_err(|_| BadCursor)
    }

    /// The bytes to store; `None` if they are too many, which a source avoids.
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
