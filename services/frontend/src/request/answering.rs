//! Answers a request, from its content to the wire form, whether it arrived as a call or on a stream.

use tokio::time::Instant;
use tonic::Status;
use vigie_model::{MatchCall, SearchOptions, Sequence};
use vigie_proto::Form;
use vigie_proto::pb::matching::v1 as pb;
use vigie_serving::deadline;
use vigie_telemetry::trace;

use crate::matching::{Answer, Failed, Matching};
use crate::request::reports::Counting;
use crate::request::rights::Rights;
use crate::request::rooms::Rooms;
use crate::searcher::Urgency;

/// A request with the rights of its caller.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) call: MatchCall,
    /// The form of the request. Only the answer has it too; the work and the charges are those of the call.
    pub(crate) form: Form,
    pub(crate) rights: Rights,
}

/// Returns whether the answer waits until the cluster has reached a sequence, even if it is idle.
pub(crate) fn waits_for_a_sequence(asked: &MatchCall) -> bool {
    asked.options.min_sequence > Sequence::default()
}

/// Returns the number of matches in an answer; an item counts each time that it matched.
pub(crate) fn matches(answer: &pb::MatchResponse) -> u64 {
    use pb::match_result::Outcome;
    let of_result = |result: &pb::MatchResult| match &result.outcome {
        Some(Outcome::Matched(matched)) => matched.matches.len() as u64,
        Some(Outcome::Failure(_)) | None => 0,
    };
    answer.results.iter().map(of_result).sum()
}

/// Keeps the trace of an answer that does not cover all shards.
fn keep_if_incomplete(answer: &Answer) {
    if answer.coverage.shards_answered < answer.coverage.shards_total
        && let Some(context) = trace::current()
    {
        context.keep();
    }
}

/// Answers one request, in the wire form.
pub(crate) async fn answer(
    matching: &Matching,
    asking: Asking,
    urgency: Urgency,
    rooms: &mut Rooms,
    deadline: Instant,
) -> Result<pb::MatchResponse, Status> {
    deadline::within(deadline, async {
        let asked = Asked::of(&asking);
        let Asking { call, form: _, rights } = asking;
        let answered = matching.answer(call, rights.plan(), urgency, rooms, deadline).await;
        shown(answered, matching, asked, &rights, urgency, rooms, deadline).await
    })
    .await
}

/// Answers several requests by one search, in order; `None` if each has to be answered alone.
pub(crate) async fn answer_together(
    matching: &Matching,
    asked: &[Asking],
    urgency: Urgency,
    rooms: &mut Rooms,
    deadline: Instant,
) -> Option<Vec<Result<pb::MatchResponse, Status>>> {
    let calls: Vec<&MatchCall> = asked.iter().map(|asking| &asking.call).collect();
    let together = async { Ok(matching.answer_together(&calls, urgency, rooms, deadline).await) };
    let shared = deadline::within(deadline, together).await.unwrap_or_else(|late| Some(Err(late)));
    let answers = match shared? {
        Ok(answers) => answers,
        Err(status) => return Some(asked.iter().map(|_| Err(status.clone())).collect()),
    };
    let mut outcomes = Vec::with_capacity(asked.len());
    for (answer, asking) in answers.into_iter().zip(asked) {
        let asked = Asked::of(asking);
        let shown = shown(Ok(answer), matching, asked, &asking.rights, urgency, rooms, deadline);
        outcomes.push(deadline::within(deadline, Box::pin(shown)).await);
    }
    Some(outcomes)
}

/// Returns the part of an answer that its caller may see, in the wire form.
async fn shown(
    answered: Result<Answer, Failed>,
    matching: &Matching,
    asked: Asked,
    rights: &Rights,
    urgency: Urgency,
    rooms: &mut Rooms,
    deadline: Instant,
) -> Result<pb::MatchResponse, Status> {
    let form = asked.form;
    match answered {
        Ok(mut answer) => {
            show(&mut answer, matching, asked, rights, urgency, rooms, deadline).await?;
            keep_if_incomplete(&answer);
            Ok(response(answer, form, rights.sequence()))
        }
        Err(Failed::Call(status)) => Err(status),
        Err(Failed::Incomplete { status, mut partial }) => {
            // A failed call has no verdict, because the missing shards may hold the matches.
            let asked = Asked { is_complete: false, ..asked };
            show(&mut partial, matching, asked, rights, urgency, rooms, deadline).await?;
            let partial = response(*partial, form, rights.sequence());
            Err(vigie_proto::status::with_partial(status.code(), status.message(), partial))
        }
    }
}

/// The options and the form of a request, and whether its answer is complete: a failed call has neither
/// verdict nor record.
struct Asked {
    /// `None` if the answer is not changed before it is sent.
    options: Option<SearchOptions>,
    form: Form,
    is_complete: bool,
}

impl Asked {
    /// Prepares for a complete answer.
    fn of(asking: &Asking) -> Self {
        let options = asking.rights.change_answers().then(|| asking.call.options.clone());
        Self { options, form: asking.form, is_complete: true }
    }
}

/// Reduces an answer to what a member may see, adds the verdicts of its policy, and counts and records it.
async fn show(
    answer: &mut Answer,
    matching: &Matching,
    asked: Asked,
    rights: &Rights,
    urgency: Urgency,
    rooms: &mut Rooms,
    deadline: Instant,
) -> Result<(), Status> {
    let Asked { options, form: _, is_complete } = asked;
    let Some(options) = options else {
        note(answer, rights, is_complete.then_some(&Counting::Every));
        return Ok(());
    };
    let repeats = rights.protect(answer, &options);
    if !repeats.is_empty() {
        let (queries, by_anchor) = (repeats.queries(), repeats.options(&options));
        let found = matching.search_again(&queries, &by_anchor, urgency, rooms, deadline);
        rights.repeat(answer, &repeats, &Box::pin(found).await?, options.limit);
    }
    // An answer that the quota refuses has neither verdict nor record.
    rights.spend(answer)?;
    let counting = if is_complete {
        Some(rights.decide(answer, matching, &options, urgency, rooms, deadline).await)
    } else {
        None
    };
    note(answer, rights, counting.as_ref());
    rights.trim(answer);
    Ok(())
}

/// Counts an answer, and records the decisions of a complete one.
fn note(answer: &mut Answer, rights: &Rights, complete: Option<&Counting>) {
    rights.count(answer);
    if let Some(counting) = complete {
        rights.record(answer, counting);
    }
}

/// Returns the message of an answer, in the form of its request. The packed form leaves out only results that
/// are equal as messages, so it shows no more of what a member may not see than the plain form.
pub(crate) fn response(answer: Answer, form: Form, directory: Option<Sequence>) -> pb::MatchResponse {
    use pb::match_result::Outcome;
    let result = |result: Result<vigie_model::Matched, Status>| {
        let outcome = match result {
            Ok(matched) => Outcome::Matched(pb::Matched::from(matched)),
            Err(status) => Outcome::Failure(pb::Failure::from(status)),
        };
        pb::MatchResult { outcome: Some(outcome) }
    };
    let is_cut = |result: &Result<vigie_model::Matched, Status>| {
        result.as_ref().is_ok_and(|matched| matched.found.is_cut())
    };
    let plain = pb::MatchResponse {
        truncated: answer.results.iter().any(is_cut),
        sequence: answer.coverage.sequence_min.0,
        coverage: Some(answer.coverage.into()),
        results: answer.results.into_iter().map(result).collect(),
        results_omitted: answer.results_omitted,
        directory_sequence: directory.map_or(0, |sequence| sequence.0),
        ..pb::MatchResponse::default()
    };
    plain.in_form(form)
}

#[cfg(test)]
mod tests;
