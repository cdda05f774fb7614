//! A step of the log: a change of banks, items or the directory, with its number.

use vigie_model::{Change, ChangeKind};
use vigie_proto::bank::{LogChange, decode_log_change};

/// One step of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its position.
    pub(crate) sequence: vigie_model::Sequence,
    /// The change.
    pub(crate) change: LogChange,
}

impl Step {
    /// Reads a step from the bytes of the log; `None` where they are none of this place.
    pub(crate) fn read(sequence: vigie_log::Sequence, partition: Option<u16>, bytes: &[u8]) -> Option<Self> {
        let change = decode_log_change(bytes).ok()?;
        // An item's id is the number of the change that added it.
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
            // Its id is the number of the change that added it.
            LogChange::Exchange(exchange) => exchange.id.0 <= sequence.0,
        };
        (is_numbered && change.partition() == partition)
            .then_some(Self { sequence: vigie_model::Sequence(sequence.0), change })
    }

    /// The change as shards have it; `None` for one that no shard is sent.
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
