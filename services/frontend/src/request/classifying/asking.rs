//! Asks classifiers while the rest of a request is processed.
//!
//! Always true:
//!
//! - An answer waits for classifiers until a time that is fixed when they are asked, and never for a
//!   classifier that is known to be unavailable.
//! - The pixels that wait for classifiers are bounded in total; beyond the bound classifiers are not asked.
//! - Each model that was asked has an outcome, whatever a classifier does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Code;
use vigie_classifiers::{Conversation, RgbPicture};
use vigie_clients::{
    CallError, ClassifierClient, EndpointError, Network, RawScores, ScoreContent, ScoreItem,
};
use vigie_model::{ScoreFailure, ScoreFailureKind};
use vigie_rpc::Priority;
use vigie_telemetry::trace;

use super::breaker::{Breaker, End, Turn};
use super::metrics::ClassifierMetrics;
use super::plan::{AskedModel, Input, Plan};
use super::said::{Outcome, Said, checked};

/// The most pixels that wait for classifiers, in KiB: 64 MiB, some hundred pictures of the usual forms.
const PIXELS_KIB_MAX: u32 = 64 << 10;
/// The most bytes of pixels of one call: less than the 4 MiB that gRPC servers accept by default. The largest
/// picture has 3 MiB.
const CALL_BYTES_MAX: usize = 4_000_000;
/// The share of a call's time after which its answer no longer waits for classifiers.
const WAITING_SHARE: f64 = 0.85;
/// The same share for a call that only asks classifiers.
const WAITING_SHARE_ALONE: f64 = 0.95;

/// Asks the classifiers of a deployment, if there are any.
#[derive(Debug, Clone)]
pub(crate) struct Classifiers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `None` if no classifier is configured.
    client: Option<ClassifierClient>,
    /// The longest time that an answer waits.
    wait: Duration,
    breaker: Mutex<Breaker>,
    room: Arc<Semaphore>,
    metrics: ClassifierMetrics,
}

/// The content that models score.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// A picture in the forms of the plan; `None` for a form that could not be computed.
    Pictures(Vec<Option<Arc<RgbPicture>>>),
    /// A conversation.
    Conversation(Arc<Conversation>),
}

/// A question to models. Dropping it cancels the question.
#[derive(Debug)]
pub(crate) struct Asking {
    plan: Arc<Plan>,
    task: JoinHandle<Said>,
}

/// The time until which an answer waits for classifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Until {
    pub(super) at: Instant,
    /// Whether classifiers get their full time, so that a missing answer is a failure.
    is_all: bool,
}

/// How the scores are used: in answers or in a calibration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// In answers: the classifier adds them to its distributions.
    Yes,
    /// In a calibration: the classifier does not count them.
    No,
}

/// A call in progress, which is noted as given up if it is dropped before its end.
#[derive(Debug)]
struct UnderWay<'a> {
    shared: &'a Shared,
    has_ended: bool,
}

impl Classifiers {
    /// Creates the client of the classifiers at these endpoints, if any. An answer waits at most `wait` for
    /// them.
    pub(crate) fn new(
        endpoints: &[String],
        wait: Duration,
        network: &Network,
        metrics: ClassifierMetrics,
    ) -> Result<Self, EndpointError> {
        let client =
            (!endpoints.is_empty()).then(|| ClassifierClient::new_on(endpoints, network)).transpose()?;
        Ok(Self(Arc::new(Shared {
            client,
            wait,
            breaker: Mutex::new(Breaker::new(wait)),
            room: Arc::new(Semaphore::new(usize::try_from(PIXELS_KIB_MAX).unwrap_or(usize::MAX))),
            metrics,
        })))
    }

    /// Returns the time until which an answer with this deadline waits for a question that is asked now,
    /// beside other work.
    pub(crate) fn until(&self, deadline: Instant) -> Until {
        let (now, wait) = (Instant::now(), self.0.wait);
        let share = deadline.saturating_duration_since(now).mul_f64(WAITING_SHARE);
        Until { at: now + wait.min(share), is_all: share >= wait }
    }

    /// Returns the same for an answer that consists of scores alone: it waits for nearly all of its time.
    pub(crate) fn until_nearly(&self, deadline: Instant) -> Until {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now).mul_f64(WAITING_SHARE_ALONE);
        Until { at: now + share, is_all: share >= self.0.wait }
    }

    /// Asks all models of a plan about a content. Models that have not answered by `until` are out of time.
    pub(crate) fn ask(
        &self,
        plan: &Arc<Plan>,
        content: Asked,
        counted: Counted,
        priority: Priority,
        until: Until,
    ) -> Asking {
        let (shared, of_plan) = (Arc::clone(&self.0), Arc::clone(plan));
        let asking = async move { shared.said(of_plan, content, counted, priority, until).await };
        Asking { plan: Arc::clone(plan), task: tokio::spawn(trace::scope(trace::current(), asking)) }
    }

    /// Returns the outcome of a content that no model reads: for the models that the request names, or for
    /// all.
    pub(super) fn unread(&self, plan: &Arc<Plan>, by_all: bool, text: &str) -> Said {
        let said = Said::unread(plan, by_all, text);
        self.0.count(&said);
        said
    }
}

impl Asking {
    /// Waits for the outcomes.
    pub(crate) async fn said(mut self) -> Said {
        (&mut self.task).await.unwrap_or_else(|_| {
            tracing::error!("the task that asks classifiers failed");
            let failed = || ScoreFailure::new(ScoreFailureKind::Failed, "the question failed");
            let outcomes = self.plan.models().iter().map(|_| Some(Err(failed())));
            Said::new(Arc::clone(&self.plan), outcomes.collect::<Vec<_>>())
        })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Asks all models of a plan.
    async fn said(
        &self,
        plan: Arc<Plan>,
        content: Asked,
        counted: Counted,
        priority: Priority,
        until: Until,
    ) -> Said {
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(plan.models().len());
        let mut items: Vec<(usize, ScoreItem)> = Vec::new();
        for (place, model) in plan.models().iter().enumerate() {
            match item(model, &content) {
                Ok(item) => {
                    items.push((place, item));
                    outcomes.push(None);
                }
                Err(failure) => outcomes.push(Some(Err(failure))),
            }
        }
        drop(content);
        let raw = self.raw(items, counted, priority, until).await;
        for (place, raw) in raw {
            let card = plan.models().get(place).and_then(|model| model.card.as_deref());
            if let (Some(outcome), Some(card)) = (outcomes.get_mut(place), card) {
                *outcome = Some(checked(card, raw));
            }
        }
        let said = Said::new(plan, outcomes);
        self.count(&said);
        said
    }

    /// Returns the scores of each item, by the index of its model.
    async fn raw(
        &self,
        items: Vec<(usize, ScoreItem)>,
        counted: Counted,
        priority: Priority,
        until: Until,
    ) -> Vec<(usize, RawScores)> {
        let all = |items: Vec<(usize, ScoreItem)>, failure: ScoreFailure| {
            items.into_iter().map(|(place, _)| (place, Err(failure.clone()))).collect()
        };
        if items.is_empty() {
            return Vec::new();
        }
        let Some(client) = &self.client else {
            let text = "no classifier is configured";
            return all(items, ScoreFailure::new(ScoreFailureKind::Away, text));
        };
        // The factor 2 is for the pixels that wait here and for their copy in messages.
        let kib = u32::try_from(2 * bytes_of(&items) / 1024).unwrap_or(PIXELS_KIB_MAX).min(PIXELS_KIB_MAX);
        let Ok(_room) = self.room.try_acquire_many(kib) else {
            let text = "too many pictures wait for classifiers";
            return all(items, ScoreFailure::new(ScoreFailureKind::Busy, text));
        };
        let calls = chunks(items).into_iter().map(|part| self.call(client, part, counted, priority, until));
        join_all(calls).await.into_iter().flatten().collect()
    }

    /// Makes one call.
    async fn call(
        &self,
        client: &ClassifierClient,
        items: Vec<(usize, ScoreItem)>,
        counted: Counted,
        priority: Priority,
        until: Until,
    ) -> Vec<(usize, RawScores)> {
        let (places, items): (Vec<usize>, Vec<ScoreItem>) = items.into_iter().unzip();
        let answered = match self.begin() {
            Some(under_way) => {
                let begun = Instant::now();
                let answered = client.score(&items, counted == Counted::No, priority, until.at).await;
                self.metrics.seconds.observe(begun.elapsed().as_secs_f64());
                let end = match &answered {
                    Ok(_) => End::Heard,
                    Err(error) => end_of(error, until.is_all),
                };
                under_way.end(end, answered.as_ref().err());
                answered.map_err(|error| failure(&error))
            }
            None => Err(ScoreFailure::new(ScoreFailureKind::Away, "the classifier does not answer")),
        };
        match answered {
            Ok(raw) => places.into_iter().zip(raw).collect(),
            Err(failure) => places.into_iter().map(|place| (place, Err(failure.clone()))).collect(),
        }
    }

    /// Begins a call, unless the breaker is open.
    fn begin(&self) -> Option<UnderWay<'_>> {
        let may = self.breaker().may_ask(Instant::now());
        may.then(|| UnderWay { shared: self, has_ended: false })
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        // No code that holds this lock can panic between two changes.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, said: &Said) {
        for (model, failure) in said.outcome_kinds() {
            self.metrics.count(model, failure);
        }
    }
}

impl UnderWay<'_> {
    fn end(mut self, end: End, error: Option<&CallError>) {
        self.has_ended = true;
        let turn = self.shared.breaker().ended(end, Instant::now());
        match turn {
            Turn::None => {}
            Turn::Opened => {
                let error = error.map(tracing::field::display);
                tracing::warn!(error, "classifiers do not answer: they are asked again some seconds later");
            }
            Turn::Closed => tracing::info!("classifiers answer again"),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            // The caller has gone.
            let _turn = self.shared.breaker().ended(End::GivenUp, Instant::now());
        }
    }
}

/// Returns the item of a model for a content.
fn item(model: &AskedModel, content: &Asked) -> Result<ScoreItem, ScoreFailure> {
    let no_content = |text| ScoreFailure::new(ScoreFailureKind::Content, text);
    let content = match (model.input.clone()?, content) {
        (Input::Form(form), Asked::Pictures(pictures)) => {
            let picture = pictures.get(form).and_then(Option::as_ref).cloned();
            let text = "the picture cannot be brought to the form that the model reads";
            ScoreContent::Picture(picture.ok_or_else(|| no_content(text))?)
        }
        (Input::Conversation, Asked::Conversation(conversation)) => {
            ScoreContent::Conversation(Arc::clone(conversation))
        }
        (Input::Form(_), Asked::Conversation(_)) | (Input::Conversation, Asked::Pictures(_)) => {
            return Err(no_content("the model does not read this kind of content"));
        }
    };
    Ok(ScoreItem { model: model.name.clone(), version: model.version(), content })
}

fn item_bytes(item: &ScoreItem) -> usize {
    match &item.content {
        ScoreContent::Picture(picture) => picture.pixels().len(),
        ScoreContent::Conversation(conversation) => conversation.bytes(),
    }
}

fn bytes_of(items: &[(usize, ScoreItem)]) -> usize {
    items.iter().map(|(_, item)| item_bytes(item)).sum()
}

/// Splits items into as few calls as possible.
fn chunks(items: Vec<(usize, ScoreItem)>) -> Vec<Vec<(usize, ScoreItem)>> {
    let mut chunks: Vec<Vec<(usize, ScoreItem)>> = Vec::new();
    let mut bytes = 0;
    for (place, item) in items {
        let of_item = item_bytes(&item);
        match chunks.last_mut() {
            Some(last) if last.len() < ClassifierClient::ITEMS_MAX && bytes + of_item <= CALL_BYTES_MAX => {
                bytes += of_item;
                last.push((place, item));
            }
            _ => {
                bytes = of_item;
                chunks.push(vec![(place, item)]);
            }
        }
    }
    chunks
}

/// Returns how a call without an answer ended, given whether it had the full time of a classifier.
fn end_of(error: &CallError, has_all_its_time: bool) -> End {
    match error.code() {
        Code::Unavailable | Code::Cancelled | Code::Aborted => End::Failed,
        // A server with this status is not a classifier for this frontend.
        Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated => End::Failed,
        Code::DeadlineExceeded if has_all_its_time => End::Failed,
        Code::DeadlineExceeded => End::GivenUp,
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Internal
        | Code::DataLoss => End::Heard,
    }
}

/// Returns why there are no scores, without the text of the error, which names machines.
fn failure(error: &CallError) -> ScoreFailure {
    let (kind, text) = match error.code() {
        Code::Unavailable | Code::Cancelled | Code::Aborted => {
            (ScoreFailureKind::Away, "the classifier cannot be reached")
        }
        Code::DeadlineExceeded => {
            (ScoreFailureKind::OutOfTime, "the classifier gave no answer in the time that this one waits")
        }
        Code::ResourceExhausted => (ScoreFailureKind::Busy, "the classifier has too much to do"),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => {
            tracing::warn!(%error, "a classifier failed");
            (ScoreFailureKind::Failed, "the classifier failed")
        }
    };
    ScoreFailure::new(kind, text)
}

#[cfg(test)]
mod tests;
