//! Client of the bank's statistics.

use tokio::time::Instant;
use vigie_model::{BankId, MemberId, Verdict};
use vigie_net::{CallError, Channel};
use vigie_proto::consortium::verdict_to_wire;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::statistics_service_client::StatisticsServiceClient;
use vigie_statistics::{Histogram, LatencyKind};

use crate::leading_bank::{IdempotencyKey, LeadingBank, among_banks, call};

/// The most bytes of an answer: the text, and the overhead of the message.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The output format of statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatisticsFormat {
    /// Markdown, for people to read.
    Markdown,
    /// CSV, with a row for each number.
    Csv,
    /// JSON with stable names.
    Json,
}

/// Matches or verdicts of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedMatches {
    /// The member.
    pub member: MemberId,
    /// The bank of the matches; `None` for a count of verdicts.
    pub bank: Option<BankId>,
    /// The class of the items; empty for none.
    pub class: Box<str>,
    /// The verdict; `None` if the member has no policy.
    pub verdict: Option<Verdict>,
    /// Matches at distance 0.
    pub exact: u64,
    /// Matches at a distance above 0.
    pub near: u64,
    /// Number of verdicts.
    pub decisions: u64,
}

/// Verdicts of one member that has a version of its policy on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedTrial {
    /// The member.
    pub member: MemberId,
    /// The version on trial.
    pub version: u32,
    /// The verdict that was answered.
    pub verdict: Verdict,
    /// The verdict of the version on trial.
    pub trial: Verdict,
    /// Number of decisions.
    pub decisions: u64,
}

/// Uses of one class of a model by one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedScores {
    /// The member.
    pub member: MemberId,
    /// The name of the model.
    pub model: Box<str>,
    /// The version of its card.
    pub version: u32,
    /// The class.
    pub class: Box<str>,
    /// Number of contents that were scored, in shadow mode or not.
    pub scored: u64,
    /// Number of these whose score was at least the card's threshold.
    pub above: u64,
    /// Number of these that were sent to review because of the score alone.
    pub reviews: u64,
    /// Number of contents for which the model gave no score.
    pub unavailable: u64,
}

/// Reads and records statistics, on the serving one of several banks on one database.
#[derive(Debug, Clone)]
pub struct StatisticsClient {
    bank: LeadingBank<StatisticsServiceClient<Channel>>,
}

impl StatisticsClient {
    among_banks!(StatisticsServiceClient, ANSWER_BYTES_MAX);

    /// Reads the statistics of a range of months, each written as in `2026-11`, in one format. With
    /// `is_public`, leaves out the numbers of the caller's own member.
    pub async fn get_statistics(
        &self,
        (from, to): (&str, &str),
        format: StatisticsFormat,
        is_public: bool,
        deadline: Instant,
    ) -> Result<String, CallError> {
        let format = match format {
            StatisticsFormat::Markdown => pb::StatisticsFormat::Markdown,
            StatisticsFormat::Csv => pb::StatisticsFormat::Csv,
            StatisticsFormat::Json => pb::StatisticsFormat::Json,
        };
        let request = pb::GetStatisticsRequest {
            from_month: from.to_owned(),
            to_month: to.to_owned(),
            format: format.into(),
            public: is_public,
        };
        let answer: pb::GetStatisticsResponse =
            call!(self, deadline, get_statistics, GetStatistics, request)?;
        Ok(answer.text)
    }

    /// Records counts of matches, verdicts and uses of classifiers, 1 to 1,000 in all, for a process of the
    /// deployment.
    pub async fn record_matches(
        &self,
        counts: &[CountedMatches],
        trials: &[CountedTrial],
        scores: &[CountedScores],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let counted = |counted: &CountedMatches| pb::CountedMatches {
            member_id: counted.member.0,
            bank_id: counted.bank.map_or(0, |bank| bank.0),
            class: counted.class.to_string(),
            verdict: verdict_to_wire(counted.verdict),
            exact: counted.exact,
            near: counted.near,
            decisions: counted.decisions,
        };
        let tried = |counted: &CountedTrial| pb::CountedTrial {
            member_id: counted.member.0,
            version: counted.version,
            verdict: verdict_to_wire(Some(counted.verdict)),
            trial_verdict: verdict_to_wire(Some(counted.trial)),
            decisions: counted.decisions,
        };
        let scored = |counted: &CountedScores| pb::CountedScores {
            member_id: counted.member.0,
            model: counted.model.to_string(),
            version: counted.version,
            class: counted.class.to_string(),
            scored: counted.scored,
            above: counted.above,
            reviews: counted.reviews,
            unavailable: counted.unavailable,
        };
        let request = pb::RecordMatchesRequest {
            counts: counts.iter().map(counted).collect(),
            trials: trials.iter().map(tried).collect(),
            idempotency_key: key.into_text(),
            scores: scores.iter().map(scored).collect(),
        };
        let _answer: pb::RecordMatchesResponse =
            call!(self, deadline, record_matches, RecordMatches, request)?;
        Ok(())
    }

    /// Records the latencies from a change until a matcher searches with it: at least one histogram, and at
    /// most one of each kind. Repeated calls with the same key count once.
    pub async fn record_latencies(
        &self,
        latencies: &[(LatencyKind, Histogram)],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let counted = |(kind, histogram): &(LatencyKind, Histogram)| {
            let kind = match kind {
                LatencyKind::AddToMatchable => pb::LatencyKind::AddToMatchable,
                LatencyKind::RemovalToGone => pb::LatencyKind::RemovalToGone,
            };
            pb::CountedLatencies { kind: kind.into(), histogram: histogram.encode() }
        };
        let request = pb::RecordLatenciesRequest {
            latencies: latencies.iter().map(counted).collect(),
            idempotency_key: key.into_text(),
        };
        let _answer: pb::RecordLatenciesResponse =
            call!(self, deadline, record_latencies, RecordLatencies, request)?;
        Ok(())
    }
}
