//! A request, from its random draw to its verdict.

use std::sync::Arc;
use std::time::Instant;

use tonic::Code;
use vigie_model::Sequence;
use vigie_net::retry::Backoff;
use vigie_rpc::code::retryable;

use crate::data::draw::Draw;
use crate::data::shape::pdq::alter;
use crate::judge::ledger::LiveItem;
use crate::judge::oracle::{self, Verdict};
use crate::judge::truth::Question;
use crate::judge::videos::{self, VideoQuestion};
use crate::run::lanes::kind::Kind;
use crate::run::lanes::schedule::Arrival;
use crate::run::lanes::shared::Shared;
use crate::run::record::note::{Outcome, Sample};
use crate::run::target::call::{Answer, Asked, Call, Refusal};
use crate::run::target::endpoint::Endpoint;

/// The subject of one question of a request.
enum Topic<'a> {
    Pool(&'a Question),
    Live { item: Arc<LiveItem>, distance: u16, asked: [u8; 32] },
    Video(&'a VideoQuestion),
}

/// Makes a request and returns its result.
pub(crate) async fn make(
    shared: &Shared,
    endpoint: &Endpoint,
    kind: Kind,
    arrival: Arrival,
    mut draw: Draw,
    start: Instant,
) -> Sample {
    let started = Instant::now();
    let deadline = start + arrival.at + shared.scenario.drive.deadline.0;
    let mut sample = Sample {
        kind,
        outcome: Outcome::Answered,
        intended: arrival.at,
        started: started - start,
        finished: started - start,
        retries: 0,
        questions: 1,
        verdict: Verdict::default(),
        coverage: None,
    };
    if kind.asks() {
        ask(shared, endpoint, kind, &mut draw, (started, deadline), &mut sample).await;
    } else {
        // Boxed, because state that lookups do not use should not make their tasks larger.
        sample.outcome = Box::pin(write(shared, kind, arrival.number, deadline)).await;
    }
    sample.finished = sample.started + started.elapsed();
    sample
}

async fn ask(
    shared: &Shared,
    endpoint: &Endpoint,
    kind: Kind,
    draw: &mut Draw,
    (started, deadline): (Instant, Instant),
    sample: &mut Sample,
) {
    let drive = &shared.scenario.drive;
    let count = if matches!(kind, Kind::Batch | Kind::Packed) { shared.scenario.mix.batch_size } else { 1 };
    sample.questions = count;
    let topics: Vec<Topic<'_>> = (0..count).map(|_| topic(shared, kind, draw)).collect();
    let asks: Vec<Asked<'_>> = topics
        .iter()
        .map(|topic| match topic {
            Topic::Pool(question) => Asked::Pool(&question.ask),
            Topic::Live { asked, .. } => Asked::Hash(*asked),
            Topic::Video(question) => Asked::Video(&question.hash),
        })
        .collect();
    // The sequence that an answer has to include: the requested one, or the newest that is old enough to be
    // expected.
    let min_sequence = if drive.read_your_writes { shared.ledger.newest() } else { Sequence(0) };
    let expected = shared.ledger.newest_before(started, drive.stale_after.0).max(min_sequence);
    let call = Call { asks: &asks, min_sequence, kind };

    let mut backoff = Backoff::default();
    let outcome = loop {
        let asked = tokio::time::timeout_at(deadline.into(), endpoint.ask(&call, deadline)).await;
        let refusal = match asked {
            Ok(Ok(answer)) => break Ok(answer),
            Ok(Err(refusal)) => refusal,
            Err(_) => Refusal::new(Code::DeadlineExceeded),
        };
        if sample.retries >= drive.retries || !retryable(refusal.code) {
            break Err(refusal);
        }
        let pause = backoff.next_pause().max(refusal.retry_after.unwrap_or_default());
        if Instant::now() + pause >= deadline {
            break Err(refusal);
        }
        tokio::time::sleep(pause).await;
        sample.retries += 1;
    };
    let answer = match outcome {
        Ok(answer) => answer,
        Err(refusal) => {
            sample.outcome = Outcome::Failed(refusal.code);
            let Some(partial) = refusal.partial else { return };
            partial
        }
    };
    sample.coverage = answer.coverage;
    judge(shared, &topics, &answer, expected, sample);
}

fn topic<'a>(shared: &'a Shared, kind: Kind, draw: &mut Draw) -> Topic<'a> {
    let questions = &shared.scenario.questions;
    let matching = draw.share() < questions.matching;
    let live = matching && draw.share() < questions.live;
    if kind == Kind::Image {
        return Topic::Pool(shared.truth.image(draw, matching));
    }
    if kind == Kind::Video {
        return Topic::Video(shared.truth.video(draw, matching));
    }
    if live && let Some(item) = shared.ledger.pick(draw) {
        let mut asked = item.hash(shared.live_seed);
        // Even, because hashes of pictures always differ in an even number of bits.
        let distance =
            2 * u16::try_from(draw.below(u64::from(questions.max_distance) / 2 + 1)).unwrap_or_default();
        alter(draw, &mut asked, distance);
        return Topic::Live { item, distance, asked };
    }
    Topic::Pool(shared.truth.lookup(draw, matching))
}

fn judge(shared: &Shared, topics: &[Topic<'_>], answer: &Answer, expected: Sequence, sample: &mut Sample) {
    let mut verdict = Verdict::default();
    if !answer.complete && answer.results.is_empty() {
        // A partial answer whose results were too large to be attached to the error.
        verdict.incomplete = 1;
    } else if answer.results.len() != topics.len() {
        sample.outcome = Outcome::Failed(Code::Internal);
        return;
    }
    let sequence = answer.sequence.unwrap_or(Sequence(u64::MAX));
    for (topic, result) in topics.iter().zip(&answer.results) {
        let hits = match result {
            Ok(hits) => hits,
            Err(code) => {
                sample.outcome = Outcome::Failed(*code);
                continue;
            }
        };
        verdict += match topic {
            Topic::Pool(question) => oracle::judge(
                &question.profile,
                shared.scenario.questions.limit,
                hits,
                answer.complete,
                |row| shared.truth.distance(question, row),
            ),
            Topic::Video(question) => {
                let complete = answer.complete && answer.common_frames == 0;
                videos::judge(question, shared.scenario.questions.limit, hits, complete)
            }
            Topic::Live { item, distance, .. } => {
                let presence = item.presence(sequence);
                oracle::judge_live(item.identity(), *distance, presence, hits, answer.complete)
            }
        };
    }
    // This is counted once per answer, not once per question.
    verdict.incomplete = verdict.incomplete.min(1);
    verdict.stale = u64::from(sample.outcome == Outcome::Answered && sequence < expected);
    (verdict.decided, verdict.misjudged) = (answer.decided, answer.misjudged);
    sample.verdict = verdict;
}

async fn write(shared: &Shared, kind: Kind, number: u64, deadline: Instant) -> Outcome {
    let Some(bank) = &shared.bank else { return Outcome::Failed(Code::FailedPrecondition) };
    let written = if kind == Kind::Add {
        bank.add(shared.live_seed, number, deadline).await.map(|(id, sequence)| {
            shared.ledger.added(number, id, sequence, Instant::now());
        })
    } else {
        // No item has been added yet, so there is nothing to remove.
        let Some(item) = shared.ledger.begin_removal() else { return Outcome::Answered };
        bank.remove(&item, deadline)
            .await
            .map(|sequence| shared.ledger.removed(item, sequence, Instant::now()))
    };
    match written {
        Ok(()) => Outcome::Answered,
        Err(error) => Outcome::Failed(error.code()),
    }
}
