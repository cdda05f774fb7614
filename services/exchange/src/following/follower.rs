//! Follows one exchange, round after round.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use vigie_access::WallClock;
use vigie_model::UnixMillis;
use vigie_net::retry::{Backoff, draw};

use super::alarm::{Alarm, Failure};
use super::feedback::{self, FeedbackRound};
use super::round::{Done, Round, open};
use super::write_back::{PAGE_ITEMS_MAX, WriteBack};
use crate::asking::fetch::Fetch;
use crate::asking::pacing::Patience;
use crate::bank::{Bank, BankError, Exchange, ExchangeId, Lease, PART_RECORDS_MAX, Reader, Report};
use crate::credentials::{BANK_KEY, Credentials, Vault};
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::sources::feedback::Feedback;
use crate::sources::settings::{Api, Common, Settings};
use crate::sources::submit::Submit;
use crate::targets;

/// The number of consecutive rounds that may fail because the programme does not answer, before this becomes
/// an alarm.
const PASSING_MAX: u32 = 3;

/// The pause before a round that continues write-back.
const GO_ON_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that a programme may request.
const ASKED_PAUSE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The state that all followers share.
#[derive(Debug)]
pub(crate) struct Shared<B, F> {
    pub(crate) bank: B,
    pub(crate) fetch: F,
    pub(crate) vault: Vault,
    pub(crate) patience: Patience,
    /// The time between rounds of an exchange without its own setting.
    pub(crate) interval: Duration,
    pub(crate) removal_percent_max: u8,
    /// Permits for the rounds that run at once.
    pub(crate) rounds: Semaphore,
    pub(crate) metrics: Metrics,
    pub(crate) clock: WallClock,
}

/// The follower of one exchange.
pub(crate) struct Follower<B, F> {
    shared: Arc<Shared<B, F>>,
    id: ExchangeId,
    label: String,
    lease: watch::Receiver<Lease>,
    report: Report,
    /// The end of the last complete round, for metrics.
    completed_at: Option<UnixMillis>,
    /// Credentials that the programme refused, with the status. No request is made with them again.
    refused: Option<(Credentials, u16)>,
    /// The same for write-back, which has its own credentials. The exchange continues to follow without them.
    submission_refused: Option<(Credentials, u16)>,
    /// The same for opinions.
    feedback_refused: Option<(Credentials, u16)>,
    /// The end of a pause that the programme requested in answer to a submission or an opinion.
    submit_from: Option<Instant>,
    failures: u32,
    backoff: Backoff,
}

/// The step after a round.
enum After {
    /// The next round, after this pause or when a person requests it.
    Round(Duration),
    /// The next round, after this pause: the bank cannot store anything now.
    Pause(Duration),
    /// No further round: the exchange is gone, or another process follows it.
    End,
}

impl<B: Bank, F: Fetch> Follower<B, F> {
    pub(crate) fn new(shared: Arc<Shared<B, F>>, exchange: &Exchange, lease: watch::Receiver<Lease>) -> Self {
        let backoff = Self::backoff(&shared);
        let report = Report { running_since: None, ..exchange.report.clone() };
        let completed_at = report.ended_at.filter(|_| report.succeeded == Some(true));
        let (id, label) = (exchange.id, exchange.label());
        let (refused, submission_refused, feedback_refused) = (None, None, None);
        Self {
            shared,
            id,
            label,
            lease,
            report,
            completed_at,
            refused,
            submission_refused,
            feedback_refused,
            submit_from: None,
            failures: 0,
            backoff,
        }
    }

    fn backoff(shared: &Shared<B, F>) -> Backoff {
        Backoff::new(shared.patience.pause_first * 4, shared.patience.pause_max)
    }

    /// Follows until the exchange is gone. `listed` is the exchange as last listed; a change of it may
    /// request an immediate round.
    pub(crate) async fn run(mut self, mut listed: watch::Receiver<Exchange>) {
        loop {
            let due = match self.round().await {
                After::Round(pause) => Instant::now() + pause,
                After::Pause(pause) => {
                    sleep(pause).await;
                    continue;
                }
                After::End => return,
            };
            let answered = self.report.fetch_request;
            let asked = listed.wait_for(|exchange| exchange.fetch_requests > answered);
            tokio::select! {
                () = sleep_until(due) => {}
                asked = asked => if asked.is_err() { return },
            }
        }
    }

    /// Runs one round and reports it.
    async fn round(&mut self) -> After {
        let shared = Arc::clone(&self.shared);
        let Ok(_permit) = shared.rounds.acquire().await else { return After::End };
        let exchange = match shared.bank.exchange(self.id).await {
            Ok(exchange) => exchange,
            Err(error) => return self.bank_failed(&error),
        };
        let interval = exchange.interval_s.map_or(shared.interval, Duration::from_secs);
        self.report.running_since = Some(shared.clock.now());
        // The first round may take hours, and a person may wait for a requested round, so their beginning is
        // reported too. For other rounds, one report at the end is enough.
        if self.completed_at.is_none() || exchange.fetch_requests > self.report.fetch_request {
            self.send_report().await;
        }
        let mut done = Done::default();
        // The future is large, because it holds a whole page.
        let outcome = Box::pin(self.attempt(&exchange, &mut done)).await;
        let ended = shared.clock.now();
        self.report.running_since = None;
        self.report.ended_at = Some(ended);
        self.report.succeeded = Some(outcome.is_ok());
        self.report.fetch_request = exchange.fetch_requests;
        let after = match outcome {
            Ok(left_over) => {
                self.completed_at = Some(ended);
                match left_over {
                    Some(alarm) => self.raise(&alarm),
                    None => self.report.alarm.clear(),
                }
                (self.failures, self.backoff) = (0, Self::backoff(&shared));
                tracing::debug!(exchange = self.label, pages = done.pages, "round complete");
                After::Round(if done.goes_on { GO_ON_PAUSE } else { spread(interval) })
            }
            Err(Failure::Alarm(alarm)) => {
                self.raise(&alarm);
                After::Round(spread(interval))
            }
            Err(Failure::Passing(reason, asked)) => {
                self.failures += 1;
                tracing::warn!(exchange = self.label, reason, failures = self.failures, "round ended early");
                if self.failures >= PASSING_MAX {
                    self.report.alarm =
                        cut(&format!("{} rounds in a row ended early: {reason}", self.failures));
                }
                // The programme's own pause counts, even if it is longer than the interval.
                After::Round(match asked {
                    Some(pause) => pause.min(ASKED_PAUSE_MAX),
                    None => self.backoff.next_pause().min(interval),
                })
            }
            Err(Failure::Bank(error)) => self.bank_failed(&error),
        };
        shared.metrics.round(&self.label, &done, &self.report, self.completed_at);
        if matches!(after, After::Round(_)) {
            self.send_report().await;
        }
        after
    }

    async fn send_report(&self) {
        let lease = self.lease.borrow().clone();
        if let Err(error) = self.shared.bank.report(self.id, &lease, &self.report).await {
            tracing::warn!(exchange = self.label, %error, "cannot report a round");
        }
    }

    /// Puts an alarm into the report.
    fn raise(&mut self, alarm: &Alarm) {
        let text = cut(&alarm.to_string());
        // An alarm is logged once. It stays in the report until a round is complete.
        if self.report.alarm != text {
            tracing::error!(exchange = self.label, kind = alarm.name(), %alarm, "exchange needs attention");
        }
        self.shared.metrics.alarm(&self.label, alarm.name());
        self.report.alarm = text;
    }

    /// Runs one round of following, then the outgoing rounds that the settings require. Returns the alarm of
    /// a complete round that left something over.
    ///
    /// Following comes first, because the programme's withdrawals protect the callers of this deployment.
    /// Write-back continues after an alarm about the programme's pages, because such an alarm may last for
    /// weeks while own items are removed.
    async fn attempt(&mut self, exchange: &Exchange, done: &mut Done) -> Result<Option<Alarm>, Failure> {
        let api: Api = exchange.api.parse().map_err(Alarm::Settings)?;
        let (settings, common) = Settings::parse(api, &exchange.config).map_err(Alarm::Settings)?;
        let followed = self.follow(exchange, api, &settings, &common, done).await;
        match followed {
            Ok(()) => self.outward(exchange, api, (&settings, &common), true, done).await,
            Err(Failure::Alarm(alarm)) if alarm.is_of_pages() => {
                // The alarm of write-back is not in the report here, so a person cannot have read it.
                match self.outward(exchange, api, (&settings, &common), false, done).await {
                    Ok(None) => {}
                    Ok(Some(left_over)) => {
                        tracing::error!(exchange = self.label, alarm = %left_over, "write-back needs attention too")
                    }
                    Err(failure) => {
                        tracing::warn!(exchange = self.label, ?failure, "write-back ended early too")
                    }
                }
                Err(alarm.into())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Sends what the settings require: own items, and opinions. A failure of one does not stop the other.
    async fn outward(
        &mut self,
        exchange: &Exchange,
        api: Api,
        (settings, common): (&Settings, &Common),
        is_reported: bool,
        done: &mut Done,
    ) -> Result<Option<Alarm>, Failure> {
        let submitted = match &common.submit {
            Some(submit) => self.write_back(exchange, api, settings, submit, is_reported, done).await,
            None => Ok(None),
        };
        // Both share the lease and the exchange, and the pause of a programme that does not answer.
        if let Err(Failure::Bank(_) | Failure::Passing(..)) = submitted {
            return submitted;
        }
        let said = match &common.feedback {
            Some(feedback) => self.send_opinions(exchange, api, settings, feedback, is_reported, done).await,
            None => Ok(None),
        };
        joined(submitted, said)
    }

    /// Returns whether write-back waits for the end of a pause that the programme requested. Following does
    /// not wait for it.
    fn waits_to_submit(&self) -> bool {
        self.submit_from.is_some_and(|from| Instant::now() < from)
    }

    async fn follow(
        &mut self,
        exchange: &Exchange,
        api: Api,
        settings: &Settings,
        common: &Common,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let shared = &self.shared;
        let read = shared.vault.read(exchange.member.as_deref(), &exchange.name, api);
        let credentials = read.map_err(Alarm::NoCredentials)?;
        check_refused(&self.refused, &credentials)?;
        let mut source = open(exchange, settings, &credentials, shared.clock.now())?;
        let lease = self.lease.borrow().clone();
        let round = Round {
            bank: &shared.bank,
            fetch: &shared.fetch,
            lease: &lease,
            exchange,
            patience: shared.patience,
            part_records_max: PART_RECORDS_MAX,
            removal_percent_max: common.removal_percent_max.unwrap_or(shared.removal_percent_max),
            known_as: common.known_as.as_deref(),
            clock: &shared.clock,
        };
        let outcome = round.run(source.as_mut(), done).await;
        self.refused = refused(&outcome, credentials);
        outcome
    }

    async fn write_back(
        &mut self,
        exchange: &Exchange,
        api: Api,
        settings: &Settings,
        submit: &Submit,
        is_reported: bool,
        done: &mut Done,
    ) -> Result<Option<Alarm>, Failure> {
        if self.waits_to_submit() {
            return Ok(None);
        }
        let shared = &self.shared;
        let read = shared.vault.read_for_submission(exchange.member.as_deref(), &exchange.name, api);
        let credentials = read.map_err(Alarm::NoCredentials)?;
        check_refused(&self.submission_refused, &credentials)?;
        let target = targets::open(settings, submit, &credentials).map_err(Alarm::Settings)?;
        let reader =
            Reader { bank: submit.bank.clone(), key: Secret::new(credentials.get(BANK_KEY).to_owned()) };
        let lease = self.lease.borrow().clone();
        let round = WriteBack {
            bank: &shared.bank,
            fetch: &shared.fetch,
            lease: &lease,
            exchange: exchange.id,
            reader: &reader,
            target: target.as_ref(),
            patience: shared.patience,
            page_items_max: PAGE_ITEMS_MAX,
            is_asked: is_reported && exchange.fetch_requests > exchange.report.fetch_request,
            clock: &shared.clock,
        };
        let outcome = round.run(done).await;
        self.submission_refused = refused(&outcome, credentials);
        self.paused(outcome)
    }

    async fn send_opinions(
        &mut self,
        exchange: &Exchange,
        api: Api,
        settings: &Settings,
        feedback: &Feedback,
        is_reported: bool,
        done: &mut Done,
    ) -> Result<Option<Alarm>, Failure> {
        if self.waits_to_submit() {
            return Ok(None);
        }
        let shared = &self.shared;
        let read = shared.vault.read_for_feedback(exchange.member.as_deref(), &exchange.name, api);
        let credentials = read.map_err(Alarm::NoCredentials)?;
        check_refused(&self.feedback_refused, &credentials)?;
        let hearer = targets::feedback::open(settings, feedback, &credentials).map_err(Alarm::Settings)?;
        let key = Secret::new(credentials.get(BANK_KEY).to_owned());
        let lease = self.lease.borrow().clone();
        let round = FeedbackRound {
            bank: &shared.bank,
            fetch: &shared.fetch,
            lease: &lease,
            exchange: exchange.id,
            key: &key,
            hearer: hearer.as_ref(),
            patience: shared.patience,
            page_items_max: feedback::PAGE_ITEMS_MAX,
            is_asked: is_reported && exchange.fetch_requests > exchange.report.fetch_request,
        };
        let outcome = round.run(done).await;
        self.feedback_refused = refused(&outcome, credentials);
        self.paused(outcome)
    }

    /// Returns the outcome, and records a pause that the programme requested, so that only write-back and
    /// opinions wait for it.
    fn paused<T>(&mut self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match outcome {
            Err(Failure::Passing(reason, Some(pause))) => {
                self.submit_from = Some(Instant::now() + pause.min(ASKED_PAUSE_MAX));
                Err(Failure::Passing(reason, None))
            }
            outcome => outcome,
        }
    }

    fn bank_failed(&mut self, error: &BankError) -> After {
        match error {
            BankError::LeaseLost | BankError::Gone => After::End,
            // Another process has stored a page meanwhile, or an earlier call has whose answer was lost.
            BankError::Moved | BankError::Unavailable(_) | BankError::Refused(_) => {
                tracing::warn!(exchange = self.label, %error, "cannot store what was fetched");
                After::Pause(self.backoff.next_pause())
            }
        }
    }
}

/// Combines the outcomes of both outgoing rounds: a temporary failure comes before alarms, and two alarms
/// become one.
fn joined(
    first: Result<Option<Alarm>, Failure>,
    second: Result<Option<Alarm>, Failure>,
) -> Result<Option<Alarm>, Failure> {
    let are_complete = first.is_ok() && second.is_ok();
    let mut alarms = Vec::new();
    for outcome in [first, second] {
        match outcome {
            Ok(left_over) => alarms.extend(left_over),
            Err(Failure::Alarm(alarm)) => alarms.push(alarm),
            Err(failure) => return Err(failure),
        }
    }
    let alarm = alarms.into_iter().reduce(|first, second| Alarm::Both(Box::new(first), Box::new(second)));
    match alarm {
        Some(alarm) if !are_complete => Err(alarm.into()),
        alarm => Ok(alarm),
    }
}

/// Returns the credentials of a round if the programme refused them.
fn refused<T>(outcome: &Result<T, Failure>, credentials: Credentials) -> Option<(Credentials, u16)> {
    match outcome {
        Err(Failure::Alarm(Alarm::Credentials(status))) => Some((credentials, *status)),
        Ok(_) | Err(_) => None,
    }
}

/// Returns an error for credentials that were refused before, so that they are not sent again.
fn check_refused(former: &Option<(Credentials, u16)>, credentials: &Credentials) -> Result<(), Alarm> {
    match former {
        Some((refused, status)) if refused == credentials => Err(Alarm::Credentials(*status)),
        Some(_) | None => Ok(()),
    }
}

/// Returns the first bytes of an alarm's text, as many as a report can hold.
fn cut(text: &str) -> String {
    let mut end = text.len().min(Report::ALARM_LEN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// Returns the interval, changed at random by up to a tenth, so that deployments do not all call at the same
/// time.
fn spread(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * draw())
}
