//! Tracks the shards that answers have lacked, so that each loss and each return is logged once, with the
//! reason.
//!
//! A shard that is too slow for some calls only would be lost and back many times a second. So after a line
//! about a shard the next one follows [`HOLD`] later at the earliest, if the state still holds then.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use vigie_model::{Coverage, ShardId};

/// The shortest time between two log lines about one shard.
const HOLD: Duration = Duration::from_secs(10);

/// A log line about one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Answers lack a shard.
    Lost { shard: ShardId, reason: String },
    /// Answers include the shard again.
    Back { shard: ShardId },
}

impl Notice {
    /// Writes the log line.
    pub(crate) fn log(&self) {
        match self {
            Self::Lost { shard, reason } => tracing::warn!(%shard, reason, "answers lack a shard"),
            Self::Back { shard } => tracing::info!(%shard, "answers have a shard again"),
        }
    }
}

/// For each shard with a log line: whether the line reported a loss, and when it was written.
#[derive(Debug, Default)]
pub(crate) struct LostShards(BTreeMap<ShardId, (bool, Instant)>);

impl LostShards {
    /// Records what an answer covers, and returns the log lines to write. Cheap if no shard has been lost
    /// recently.
    pub(crate) fn take(&mut self, coverage: &Coverage, now: Instant) -> Vec<Notice> {
        if coverage.failures.is_empty() && self.0.is_empty() {
            return Vec::new();
        }
        let may_log = |logged: Option<&(bool, Instant)>| logged.is_none_or(|(_, at)| now >= *at + HOLD);
        let mut notices = Vec::new();
        for failure in &coverage.failures {
            let logged = self.0.get(&failure.shard);
            if logged.is_none_or(|(is_lost, _)| !is_lost) && may_log(logged) {
                self.0.insert(failure.shard, (true, now));
                notices.push(Notice::Lost { shard: failure.shard, reason: failure.reason.clone() });
            }
        }
        let is_missing = |shard: ShardId| coverage.failures.iter().any(|failure| failure.shard == shard);
        self.0.retain(|shard, logged| {
            if is_missing(*shard) || !may_log(Some(logged)) {
                return true;
            }
            if logged.0 {
                notices.push(Notice::Back { shard: *shard });
                *logged = (false, now);
                return true;
            }
            // The shard has been back for longer than the hold time.
            false
        });
        notices
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::ShardFailure;

    use super::*;

    fn lacking(shards: &[u16]) -> Coverage {
        let failure =
            |shard: &u16| ShardFailure { shard: ShardId(*shard), reason: format!("{shard} is away") };
        Coverage { failures: shards.iter().map(failure).collect(), ..Coverage::default() }
    }

    fn lost(shard: u16) -> Notice {
        Notice::Lost { shard: ShardId(shard), reason: format!("{shard} is away") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_and_a_return_are_each_noted_once() {
        let (mut shards, mut now) = (LostShards::default(), Instant::now());
        assert_eq!(shards.take(&lacking(&[]), now), []);
        assert_eq!(shards.take(&lacking(&[1, 3]), now), [lost(1), lost(3)]);
        for _ in 0..1_000 {
            assert_eq!(shards.take(&lacking(&[1]), now), []);
            assert_eq!(shards.take(&lacking(&[1, 3]), now), []);
            now += Duration::from_millis(9);
        }
        now += HOLD;
        assert_eq!(shards.take(&lacking(&[1]), now), [Notice::Back { shard: ShardId(3) }]);
        assert_eq!(shards.take(&lacking(&[1, 3]), now), [], "it comes and goes");
        now += HOLD;
        assert_eq!(shards.take(&lacking(&[1, 3]), now), [lost(3)], "and is away");
        now += HOLD;
        let back = [1, 3].map(|shard| Notice::Back { shard: ShardId(shard) });
        assert_eq!(shards.take(&lacking(&[]), now), back);
        now += HOLD;
        assert_eq!(shards.take(&lacking(&[]), now), []);
        assert!(shards.0.is_empty(), "what has been back for long is forgotten");
    }
}
