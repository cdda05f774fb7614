//! The services behind the gateway, as one caller uses them.

mod lookups;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{
    AuditClient, BankClient, Bearer, CallError, ConsortiumClient, DecisionClient, EndpointError,
    ExchangeClient, IncidentClient, MatchAnswer, MatchClient, ModelCardClient, Network, OpinionClient,
    Patience, PolicyClient, ReferralClient, ReportClient, StatisticsClient,
};
use vigie_model::{Content, SearchOptions, Sequence};

use crate::config::Config;
use crate::upstream::lookups::{Lookup, Lookups};

/// How long a bank that cannot be reached is tried. A client that waits longer has given up.
const CONNECTING: Duration = Duration::from_secs(2);
/// How long lookups ask for the newest write that went through this gateway. Such lookups share no calls; matchers lag by milliseconds.
const WRITES_REMEMBERED: Duration = Duration::from_secs(10);

/// The clients that all callers share.
#[derive(Debug)]
pub(crate) struct Upstream {
    frontends: MatchClient,
    lookups: Lookups,
    banks: BankClient,
    members: ConsortiumClient,
    opinions: OpinionClient,
    policies: PolicyClient,
    model_cards: ModelCardClient,
    reports: ReportClient,
    referrals: ReferralClient,
    incidents: IncidentClient,
    decisions: DecisionClient,
    audit: AuditClient,
    statistics: StatisticsClient,
    exchanges: ExchangeClient,
    newest: Newest,
    within: Duration,
}

/// The services for one caller: calls carry its credential. A clone is a handle of the same caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    upstream: Arc<Upstream>,
    bearer: Option<Bearer>,
    /// When the answer has to be there; `None` until that is first asked.
    until: Arc<Mutex<Option<Instant>>>,
}

impl Upstream {
    pub(crate) fn new(config: &Config, network: &Network) -> Result<Self, EndpointError> {
        let (banks, patience) = (&config.directory.bank, Patience::Connecting(CONNECTING));
        let frontends = MatchClient::new_on(&config.frontend, network)?;
        Ok(Self {
            lookups: lookups::lane(frontends.clone()),
            frontends,
            banks: BankClient::among(banks, network)?.with_patience(patience),
            members: ConsortiumClient::among(banks, network)?.with_patience(patience),
            opinions: OpinionClient::among(banks, network)?.with_patience(patience),
            policies: PolicyClient::among(banks, network)?.with_patience(patience),
            model_cards: ModelCardClient::among(banks, network)?.with_patience(patience),
            reports: ReportClient::among(banks, network)?.with_patience(patience),
            referrals: ReferralClient::among(banks, network)?.with_patience(patience),
            incidents: IncidentClient::among(banks, network)?.with_patience(patience),
            decisions: DecisionClient::among(banks, network)?.with_patience(patience),
            audit: AuditClient::among(banks, network)?.with_patience(patience),
            statistics: StatisticsClient::among(banks, network)?.with_patience(patience),
            exchanges: ExchangeClient::among(banks, network)?.with_patience(patience),
            newest: Newest::default(),
            within: config.deadline(),
        })
    }

    /// The same for a caller.
    pub(crate) fn of(self: &Arc<Self>, bearer: Option<Bearer>) -> Caller {
        Caller { upstream: Arc::clone(self), bearer, until: Arc::default() }
    }
}

impl Caller {
    /// A client of the frontends.
    pub(crate) fn frontends(&self) -> MatchClient {
        self.upstream.frontends.bearing(self.bearer.clone())
    }

    /// A client of the banks.
    pub(crate) fn banks(&self) -> BankClient {
        self.upstream.banks.bearing(self.bearer.clone())
    }

    /// A client for the members, principals, grants, quotas and charters of the banks.
    pub(crate) fn members(&self) -> ConsortiumClient {
        self.upstream.members.bearing(self.bearer.clone())
    }

    /// A client for the opinions and disputes of the banks.
    pub(crate) fn opinions(&self) -> OpinionClient {
        self.upstream.opinions.bearing(self.bearer.clone())
    }

    /// A client for the policies of the banks.
    pub(crate) fn policies(&self) -> PolicyClient {
        self.upstream.policies.bearing(self.bearer.clone())
    }

    /// A client for the model cards of the banks.
    pub(crate) fn model_cards(&self) -> ModelCardClient {
        self.upstream.model_cards.bearing(self.bearer.clone())
    }

    /// A client for the reports of the banks.
    pub(crate) fn reports(&self) -> ReportClient {
        self.upstream.reports.bearing(self.bearer.clone())
    }

    /// A client for the referrals of the banks.
    pub(crate) fn referrals(&self) -> ReferralClient {
        self.upstream.referrals.bearing(self.bearer.clone())
    }

    /// A client for the incidents of the banks.
    pub(crate) fn incidents(&self) -> IncidentClient {
        self.upstream.incidents.bearing(self.bearer.clone())
    }

    /// A client for the records of decisions of the banks.
    pub(crate) fn decisions(&self) -> DecisionClient {
        self.upstream.decisions.bearing(self.bearer.clone())
    }

    /// A client for the audit of the banks.
    pub(crate) fn audit(&self) -> AuditClient {
        self.upstream.audit.bearing(self.bearer.clone())
    }

    /// A client for the statistics of the banks.
    pub(crate) fn statistics(&self) -> StatisticsClient {
        self.upstream.statistics.bearing(self.bearer.clone())
    }

    /// A client for the exchanges of the banks.
    pub(crate) fn exchanges(&self) -> ExchangeClient {
        self.upstream.exchanges.bearing(self.bearer.clone())
    }

    /// The newest write, whoever made it.
    pub(crate) fn newest(&self) -> &Newest {
        &self.upstream.newest
    }

    /// When the answer has to be there. The time begins with the first call to a service.
    pub(crate) fn deadline(&self) -> Instant {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until.get_or_insert_with(|| Instant::now() + self.upstream.within)
    }

    /// Begins the time anew, after something that has a bound of its own, such as a fetch.
    pub(crate) fn begin_anew(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The same for a caller that waits no longer than this.
    pub(crate) fn deadline_within(&self, asked: Option<Duration>) -> Instant {
        let until = self.deadline();
        asked.map_or(until, |asked| until.min(Instant::now() + asked))
    }

    /// Looks hashes up, in a call that others of the same caller may share.
    pub(crate) async fn look_up(
        &self,
        contents: Vec<Content>,
        options: SearchOptions,
        deadline: Instant,
    ) -> Result<MatchAnswer, CallError> {
        let lookup = Lookup::new(self.bearer.clone(), contents, options, deadline);
        self.upstream.lookups.search(lookup).await
    }
}

/// The newest write that went through this gateway. Lookups ask for it, so that what was added is found by the next of them.
#[derive(Debug, Default)]
pub(crate) struct Newest(Mutex<Option<(Sequence, Instant)>>);

impl Newest {
    /// Remembers a write.
    pub(crate) fn wrote(&self, sequence: Sequence) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_newer = newest.is_none_or(|(known, at)| sequence > known || now - at > WRITES_REMEMBERED);
        if is_newer {
            *newest = Some((sequence, now));
        }
    }

    /// The sequence that a lookup asks for.
    pub(crate) fn sequence(&self) -> Sequence {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.filter(|(_, at)| at.elapsed() <= WRITES_REMEMBERED).map_or(Sequence(0), |(known, _)| known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_newest_write_is_asked_for_as_long_as_it_is_remembered() {
        let newest = Newest::default();
        assert_eq!(newest.sequence(), Sequence(0));
        newest.wrote(Sequence(9));
        newest.wrote(Sequence(7));
        assert_eq!(newest.sequence(), Sequence(9));
        tokio::time::advance(WRITES_REMEMBERED + Duration::from_secs(1)).await;
        assert_eq!(newest.sequence(), Sequence(0));
        // The log may be another one by now.
        newest.wrote(Sequence(3));
        assert_eq!(newest.sequence(), Sequence(3));
    }
}
