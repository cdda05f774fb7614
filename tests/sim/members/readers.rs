//! Those who search, by the key that their member has for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use vigie_clients::{Code, Deadline, MatchClient};
use vigie_model::{MatchCall, SearchOptions, Sequence};
use vigie_tests::material::hashed;
use vigie_tests::workload::may_be_an_outage;

use crate::cluster::{FRONTENDS, elapsed, now};
use crate::members::credentials::Credential;
use crate::members::history::{Asked, Outcome};
use crate::members::material::OWNERS;
use crate::members::{Consortium, REST};
use crate::network::endpoint;

/// A search waits so long for what is down.
const SEARCH_WITHIN: Duration = Duration::from_secs(2);
/// The pause after a key was refused: a frontend counts wrong keys.
const AFTER_A_WRONG_KEY: Duration = Duration::from_millis(500);

/// A credential, and the frontends that it is shown to.
pub(super) struct Searching {
    pub(super) credential: Credential,
    frontends: Vec<MatchClient>,
}

impl Searching {
    pub(super) fn by(credential: Credential) -> anyhow::Result<Self> {
        let client = |host| MatchClient::new_on(&[endpoint(host)], &credential.network);
        let frontends = FRONTENDS.into_iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { credential, frontends })
    }
}

impl Consortium {
    /// Searches for one member until the run is over.
    pub(crate) async fn read(&self, member: usize, mut rng: SmallRng) -> anyhow::Result<()> {
        self.prepared().await;
        let mut searching = Searching::by(self.teams()[member].matcher.clone())?;
        while !self.is_over() {
            tokio::time::sleep(REST).await;
            let bank = rng.random_bool(0.2).then(|| rng.random_range(0..OWNERS.len()));
            let min_sequence = if rng.random_bool(0.3) { self.history().newest() } else { Sequence::ZERO };
            let hash = rng.random_range(0..self.material.count());
            let outcome = self.search(&searching, member, hash, bank, min_sequence, &mut rng).await?;
            if outcome == Err(Code::Unauthenticated) {
                tokio::time::sleep(AFTER_A_WRONG_KEY).await;
                // Until it is refused an old key is used on.
                searching = Searching::by(self.teams()[member].matcher.clone())?;
            }
        }
        Ok(())
    }

    /// Makes one search and notes its outcome. Returns the state of the directory that decided it, or the code of a failure.
    pub(super) async fn search(
        &self,
        searching: &Searching,
        member: usize,
        hash: usize,
        bank: Option<usize>,
        min_sequence: Sequence,
        rng: &mut SmallRng,
    ) -> anyhow::Result<Result<Sequence, Code>> {
        let banks = bank.map(|bank| self.material.name_for(member, bank)).into_iter().collect();
        let options = SearchOptions { banks, min_sequence, ..SearchOptions::default() };
        let contents = vec![hashed([self.material.hash(hash)])];
        let call = MatchCall {
            contents,
            options,
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let frontend = searching.frontends.choose(rng).context("there are frontends")?;
        let (begun, clock_begun) = (elapsed(), now());
        let answered = frontend.match_content(call, Deadline::now() + SEARCH_WITHIN).await;
        let (during, clock) = ((begun, elapsed()), (clock_begun, now()));
        let principal = searching.credential.id.0;
        let asked = Asked { member, principal, hash, bank, min_sequence, during, clock };
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match answered {
            Ok(answer) => {
                count(&self.answers);
                let directory = answer.directory;
                self.history().ask(asked, Outcome::Answered(answer));
                Ok(Ok(directory))
            }
            Err(error) if may_be_an_outage(error.code()) => {
                count(&self.unanswered);
                Ok(Err(error.code()))
            }
            Err(error) => {
                count(&self.denied);
                self.history().ask(asked, Outcome::Denied(error.code()));
                Ok(Err(error.code()))
            }
        }
    }
}
