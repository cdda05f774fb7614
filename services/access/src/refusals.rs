//! Reports the calls that a server for processes alone refuses. Such a server knows no members, and the bank
//! keeps the audit.

use std::sync::Arc;

use vigie_clients::{EndpointError, Network};

use crate::reporting::Reporting;
use crate::tally::Tally;
use crate::wall_clock::WallClock;

/// The refused calls of a server, to be reported to the audit. Without members the bank drops the reports.
#[derive(Debug)]
pub struct Refusals {
    tally: Arc<Tally>,
    reporting: Reporting,
}

impl Refusals {
    /// Makes a counter of refusals that are reported to these banks.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid.
    pub fn reported_to(banks: &[String], network: &Network) -> Result<Self, EndpointError> {
        let tally = Arc::<Tally>::default();
        let reporting = Reporting::new(Arc::clone(&tally), WallClock::system(), banks, network)?;
        Ok(Self { tally, reporting })
    }

    /// Returns the tally that counts calls.
    #[must_use]
    pub const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Reports periodically, for as long as it is polled. It does not end.
    pub async fn run(&mut self) {
        self.reporting.run().await;
    }

    /// Reports the remaining calls, after the server has ended.
    pub async fn finish(&mut self) {
        self.reporting.finish().await;
    }
}
