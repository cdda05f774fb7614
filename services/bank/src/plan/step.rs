//! A step of the log: a change of banks, items or the directory, with its number.

use vigie_model::Change;
use vigie_proto::bank::LogChange;

/// One step of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its position.
    pub(crate) sequence: vigie_model::Sequence,
    /// The change.
    pub(crate) change: LogChange,
}

impl Step {
    /// The change as shards have it; `None` for one of the directory alone.
    pub(crate) fn of_shard(self) -> Option<Change> {
        match self.change {
            LogChange::Shard(kind) => Some(Change { sequence: self.sequence, kind }),
            LogChange::Directory(_) | LogChange::Record(..) => None,
        }
    }
}
