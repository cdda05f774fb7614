//! A simulated programme, an exchange that follows it, and faults between any two steps.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use vigie_access::WallClock;
use vigie_model::UnixMillis;

use super::memory::MemoryBank;
use super::model::Model;
use super::servers::Programme;
use crate::asking::fetch::{Fetch, FetchError};
use crate::asking::pacing::Patience;
use crate::asking::request::{Request, Response};
use crate::bank::Lease;
use crate::credentials::Credentials;
use crate::following::alarm::Failure;
use crate::following::round::{Done, Round, open};
use crate::sources::settings::Settings;

/// A script that replaces answers. It gets the request and the answer of the simulated programme.
type Script = Box<dyn FnMut(&Request, Response) -> Result<Response, FetchError> + Send>;

/// Sends requests to a simulated programme.
pub(crate) struct Played {
    programme: Programme,
    model: Arc<Mutex<Model>>,
    script: Mutex<Script>,
}

impl Played {
    pub(crate) fn new(
        programme: Programme,
        model: &Arc<Mutex<Model>>,
        script: impl FnMut(&Request, Response) -> Result<Response, FetchError> + Send + 'static,
    ) -> Self {
        Self { programme, model: Arc::clone(model), script: Mutex::new(Box::new(script)) }
    }
}

impl Fetch for Played {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let answer = self.programme.answer(&self.model.lock().unwrap(), request);
        (self.script.lock().unwrap())(request, answer)
    }
}

/// Returns a clock that shows the model's time.
pub(crate) fn clock(model: &Arc<Mutex<Model>>) -> WallClock {
    let model = Arc::clone(model);
    WallClock::new(move || UnixMillis(model.lock().unwrap().now * 1_000))
}

pub(crate) fn credentials() -> Credentials {
    let fields = ["user", "password", "token", "fetch_key", "subscription_key", "key"];
    Credentials::of(fields.map(|field| (field, field.to_owned())))
}

/// Returns limits for attempts without pauses.
pub(crate) fn patience(retries_max: u32) -> Patience {
    let pause = Duration::from_millis(1);
    Patience { retries_max, pause_first: pause, pause_max: Duration::from_secs(60) }
}

/// Runs one round of the bank's only exchange, like a process that has just started.
pub(crate) async fn round<F: Fetch>(
    bank: &MemoryBank,
    fetch: &F,
    clock: &WallClock,
    retries_max: u32,
) -> Result<Done, Failure> {
    let mut done = Done::default();
    let exchange = bank.only();
    let (settings, common) = Settings::parse(exchange.api.parse().unwrap(), &exchange.config).unwrap();
    let mut source = open(&exchange, &settings, &credentials(), clock.now())?;
    let lease = Lease(bank.lock().lease);
    let round = Round {
        bank,
        fetch,
        lease: &lease,
        exchange: &exchange,
        patience: patience(retries_max),
        // There are fewer than a page has, so that pages have several parts.
        part_records_max: 2,
        removal_percent_max: common.removal_percent_max.unwrap_or(20),
        known_as: common.known_as.as_deref(),
        clock,
    };
    round.run(source.as_mut(), &mut done).await.map(|()| done)
}
