//! A connection to the service under load.

use std::time::{Duration, Instant};

use crate::run::target::call::{Answer, Call, Refusal};
use crate::run::target::hma::Lookups;
use crate::run::target::vigie::Frontend;

/// A connection to the service under load.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    Vigie(Box<Frontend>),
    Hma(Lookups),
}

impl Endpoint {
    /// Waits until it is connected; fails with the reason if that takes longer than `within`.
    pub(crate) async fn opened(&self, within: Duration) -> anyhow::Result<()> {
        match self {
            Self::Vigie(frontend) => frontend.opened(within).await,
            Self::Hma(lookups) => lookups.opened(within).await,
        }
    }

    /// Returns the reason why it can never connect, if there is a known one.
    pub(crate) fn hopeless(&self) -> Option<String> {
        match self {
            Self::Vigie(frontend) => frontend.hopeless(),
            Self::Hma(_) => None,
        }
    }

    pub(crate) async fn ask(&self, call: &Call<'_>, deadline: Instant) -> Result<Answer, Refusal> {
        match self {
            Self::Vigie(frontend) => frontend.ask(call, deadline).await,
            Self::Hma(lookups) => lookups.ask(call).await,
        }
    }
}
