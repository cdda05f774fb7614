//! A step of the log: a change of banks, items or the directory, with its sequence.

use vigie_model::{Change, ChangeKind};
use vigie_proto::bank::{LogChange, decode_log_change};

/// A step of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The step's sequence.
    pub(crate) sequence: vigie_model::Sequence,
    /// The change.
    pub(crate) change: LogChange,
}

impl Step {
    /// Decodes a step of the log; `None` if the bytes do not belong at this sequence.
    pub(crate) fn read(sequence: vigie_log::Sequence, partition: Option<u16>, bytes: &[u8]) -> Option<Self> {
        let change = decode_log_change(bytes).ok()?;
        // An item's id is the sequence of the change that added it.
        let is_numbered = match &change {
            LogChange::Shard(ChangeKind::ItemAdded(item)) => item.id.0 == sequence.0,
            LogChange::Shard(_)
            | LogChange::Directory(_)
            | LogChange::Record(..)
            | LogChange::BroughtBack(..)
            | LogChange::MatchRatio(..)
            | LogChange::ExchangeRemoved(_)
            | LogChange::Document(_)
            | LogChange::DocumentGone(_) => true,
            // An exchange's id is the sequence of the change that added it.
            LogChange::Exchange(exchange) => exchange.id.0 <= sequence.0,
        };
        (is_numbered && change.partition() == partition)
            .then_some(Self { sequence: vigie_model::Sequence(sequence.0), change })
    }

    /// Returns the change for shards; `None` if no shard is sent it.
    pub(crate) fn of_shard(self) -> Option<Change> {
        match self.change {
            LogChange::Shard(kind) => Some(Change { sequence: self.sequence, kind }),
            LogChange::Directory(_)
            | LogChange::Record(..)
            | LogChange::BroughtBack(..)
            | LogChange::MatchRatio(..)
            | LogChange::Exchange(_)
            | LogChange::ExchangeRemoved(_)
            | LogChange::Document(_)
            | LogChange::DocumentGone(_) => None,
        }
    }
}
