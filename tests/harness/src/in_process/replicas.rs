//! Several replicas of each shard, in addition to the bank of a cluster.

use vigie_telemetry::Telemetry;

use crate::delay::DelayProxy;
use crate::in_process::role::{Role, Slot};

/// Matchers of `shards` shards, with several replicas each. The first matcher is reached through a link that
/// can delay.
#[derive(Debug)]
pub struct Replicas {
    roles: Vec<Role>,
    shards: u32,
    link: DelayProxy,
}

impl Replicas {
    /// Starts the matchers with the configuration `of`, except for their shards.
    pub async fn start(
        shards: u32,
        replicas: u32,
        of: &vigie_matcher::Config,
        telemetry: impl Fn() -> Telemetry,
    ) -> anyhow::Result<Self> {
        let mut roles = Vec::new();
        for number in 0..shards * replicas {
            let config = vigie_matcher::Config { shard: number % shards, shard_count: shards, ..of.clone() };
            roles.push(Slot::take().await?.start(config, telemetry())?);
        }
        let first = roles.first().map(Role::address);
        let link = DelayProxy::start(first.ok_or_else(|| anyhow::anyhow!("there are no replicas"))?)?;
        Ok(Self { roles, shards, link })
    }

    /// Returns the endpoints at which a coordinator reaches them.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let others = self.roles.iter().skip(1).map(Role::url);
        std::iter::once(self.link.url()).chain(others).collect()
    }

    /// Returns the link of the first matcher.
    #[must_use]
    pub const fn link(&self) -> &DelayProxy {
        &self.link
    }

    /// Asks all replicas of a shard to stop, without waiting for them.
    pub fn cancel(&self, shard: u32) {
        let of_shard = self.roles.iter().zip(0..).filter(|(_, number)| number % self.shards == shard);
        of_shard.for_each(|(role, _)| role.cancel());
    }

    /// Returns each matcher.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Role> {
        self.roles.iter_mut()
    }
}
