//! The cursor that the bank keeps for an exchange: opaque to the bank, JSON here.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

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
        let cursor = Cursor { at: Some(serde_json::json!({"start": 10})), part: 3, items: 7, complete: true };
        assert_eq!(Cursor::parse(&cursor.to_bytes().unwrap()), Ok(cursor));
        assert_eq!(Cursor::parse(b""), Ok(Cursor::default()));
        assert_eq!(Cursor::default().to_bytes(), Some(Vec::new()));
        for bad in [&b"{"[..], b"[]", b"{\"later\": 1}"] {
            assert_eq!(Cursor::parse(bad), Err(BadCursor));
        }
        let long = Cursor { at: Some(Value::String("x".repeat(5_000))), ..Cursor::default() };
        assert_eq!(long.to_bytes(), None);
    }
}
