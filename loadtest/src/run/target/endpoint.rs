//! A connection to what is put under load.

use std::time::{Duration, Instant};

use crate::run::target::call::{Answer, Call, Refusal};
use crate::run::target::hma::Lookups;
use crate::run::target::vigie::Frontend;

/// One connection to what is put under load.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    Vigie(Box<Frontend>),
    Hma(Lookups),
}

impl Endpoint {
    /// Waits until it is connected, and fails with the reason if it is not in time.
    pub(crate) async fn opened(&self, within: Duration) -> anyhow::Result<()> {
        match self {
            Self::Vigie(frontend) => frontend.opened(within).await,
            Self::Hma(lookups) => lookups.opened(within).await,
        }
    }

    /// Why it will never be connected, if that is known.
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
