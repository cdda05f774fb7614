//! The statistics service: returns statistics, and records the counts that frontends report and the latencies
//! that matchers report.

use std::collections::BTreeMap;

use prost::Message as _;
use tonic::{Request, Response, Status};
use vigie_consortium::rights::Members;
use vigie_consortium::{DocumentKey, DocumentKind, MemberId, Role};
use vigie_model::BankId;
use vigie_proto::Invalid;
use vigie_proto::consortium::verdict;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_statistics::{
    CellKey, ClassText, Counts, Histogram, Input, LatencyKind, Measure, Period, Reader, Rule, Statistics,
    to_csv, to_json, to_markdown,
};

use super::classifiers::scores::counted_scores;
use super::page::PAGE_BYTES_MAX;
use super::{BankGrpc, Reading};
use crate::error::Error;
use crate::plan::answer::Answer;
use crate::plan::beside::counters::{CountedMatches, CountedTrial, Latencies, MatchCounts, read_latency};
use crate::plan::write::Action;
use crate::store::documents::DocumentRange;

/// The largest number of counts in one report.
const COUNTS_MAX: usize = vigie_proto::bank::WRITE_ITEMS_MAX;
/// The number of counters read from the store at once.
const PAGE: u16 = 1_000;

impl Reading {
    /// Reads all counters.
    async fn counts(&self) -> Result<Counts, Status> {
        let mut counts = Counts::default();
        let mut after = DocumentKey::default();
        loop {
            let (kind, limit) = (DocumentKind::Count, PAGE);
            let range = DocumentRange { kind, after, before: None, limit };
            let page = self.read(self.store.document_range(&range)).await?;
            let Some(last) = page.last() else { return Ok(counts) };
            after = last.key.clone();
            for document in &page {
                // A counter that a newer version wrote is left out.
                let Ok(key) = CellKey::decode(document.key.as_bytes()) else { continue };
                let count =
                    (*document.payload).try_into().map(u64::from_be_bytes).map_err(|_| Error::Broken)?;
                counts.add(key, count);
            }
        }
    }

    /// Reads the latencies of all months.
    async fn latencies(&self) -> Result<Latencies, Status> {
        let mut latencies = Latencies::new();
        let mut after = DocumentKey::default();
        loop {
            let (kind, limit) = (DocumentKind::Latency, PAGE);
            let range = DocumentRange { kind, after, before: None, limit };
            let page = self.read(self.store.document_range(&range)).await?;
            let Some(last) = page.last() else { return Ok(latencies) };
            after = last.key.clone();
            latencies.extend(page.iter().filter_map(read_latency));
        }
    }

    /// Returns whose statistics the caller may read: its own member's, or only the public ones.
    fn statistics_reader(&self, is_public: bool) -> Result<Reader, Status> {
        let admitted = self.admitted()?;
        let member = self.reader()?;
        let is_own = admitted.principal().is_none_or(|principal| {
            let own = [Role::Administrator, Role::Auditor];
            own.into_iter().any(|role| principal.roles.contains(role))
        });
        let may_read = matches!(admitted.members(), Ok(Members::Every | Members::Only(_)));
        Ok(if is_own && may_read && !is_public { Reader::Member(member) } else { Reader::Public })
    }
}

#[tonic::async_trait]
impl pb::statistics_service_server::StatisticsService for BankGrpc {
    async fn get_statistics(
        &self,
        request: Request<pb::GetStatisticsRequest>,
    ) -> Result<Response<pb::GetStatisticsResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let month = |field: &str, text: &str| text.parse().map_err(|error| Invalid::new(field, error));
        let (from, to) = (month("from_month", &message.from_month)?, month("to_month", &message.to_month)?);
        let period = Period::new(from, to).map_err(|error| Invalid::new("to_month", error))?;
        let format = pb::StatisticsFormat::try_from(message.format)
            .map_err(|_| Invalid::new("format", format!("{} is no format", message.format)))?;
        let reader = reading.statistics_reader(message.public)?;
        let (counts, latencies) = (reading.counts().await?, reading.latencies().await?);
        let directory = reading.view.directory();
        let members: BTreeMap<MemberId, String> =
            directory.members().iter().map(|member| (member.id, member.name.to_string())).collect();
        let own = match reader {
            Reader::Member(member) => directory.banks_of(member),
            Reader::Public => &[],
        };
        let own_banks: BTreeMap<BankId, String> =
            own.iter().map(|bank| (bank.id, bank.name.to_string())).collect();
        let sequence = directory.sequence().0;
        // Suppression takes time that grows with members and months.
        let text = tokio::task::spawn_blocking(move || {
            let banks = BTreeMap::new();
            let statistics = Statistics::new(&Input {
                period,
                reader,
                counts: &counts,
                latencies: &latencies,
                members: &members,
                banks: &banks,
                own_banks: &own_banks,
                rule: Rule::default(),
            });
            match format {
                pb::StatisticsFormat::Csv => Ok(to_csv(&statistics)),
                pb::StatisticsFormat::Json => to_json(&statistics).map(|json| json.to_string()),
                pb::StatisticsFormat::Markdown | pb::StatisticsFormat::Unspecified => {
                    Ok(to_markdown(&statistics))
                }
            }
        });
        let text = tokio::time::timeout_at(reading.deadline, text).await.map_err(|_| Error::TimeSpent)?;
        let text = text.map_err(|_| Error::Broken)?.map_err(|_| Error::Broken)?;
        if text.len() > PAGE_BYTES_MAX {
            let reason = format!("makes statistics of {} bytes; ask for fewer months", text.len());
            return Err(Invalid::new("to_month", reason).into());
        }
        Ok(Response::new(pb::GetStatisticsResponse { text, sequence }))
    }

    async fn record_matches(
        &self,
        request: Request<pb::RecordMatchesRequest>,
    ) -> Result<Response<pb::RecordMatchesResponse>, Status> {
        let action = |message: &pb::RecordMatchesRequest| {
            let (counts, trials, scores) = (&message.counts, &message.trials, &message.scores);
            let all = counts.len() + trials.len() + scores.len();
            if !(1..=COUNTS_MAX).contains(&all) {
                let reason =
                    format!("has with trials and scores {all} entries; it must have 1 to {COUNTS_MAX}");
                return Err(Invalid::new("counts", reason).into());
            }
            let counted = counts.iter().enumerate().map(|(at, counted)| {
                counted_matches(counted).map_err(|invalid| invalid.within(format!("counts[{at}]")))
            });
            let trials = trials.iter().enumerate().map(|(at, counted)| {
                counted_trial(counted).map_err(|invalid| invalid.within(format!("trials[{at}]")))
            });
            let scores = scores.iter().enumerate().map(|(at, counted)| {
                counted_scores(counted).map_err(|invalid| invalid.within(format!("scores[{at}]")))
            });
            Ok(Action::CountMatches(MatchCounts {
                matches: counted.collect::<Result<_, _>>()?,
                trials: trials.collect::<Result<_, _>>()?,
                scores: scores.collect::<Result<_, _>>()?,
                request_digest: blake3::hash(&message.encode_to_vec()).into(),
            }))
        };
        let (_, answer) = self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::Noted { sequence, .. } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::RecordMatchesResponse { sequence: sequence.0 }))
    }

    async fn record_latencies(
        &self,
        request: Request<pb::RecordLatenciesRequest>,
    ) -> Result<Response<pb::RecordLatenciesResponse>, Status> {
        let action = |message: &pb::RecordLatenciesRequest| {
            let given = &message.latencies;
            let kinds_max = LatencyKind::ALL.len();
            if !(1..=kinds_max).contains(&given.len()) {
                let reason = format!("has {} entries; it must have 1 to {kinds_max}", given.len());
                return Err(Invalid::new("latencies", reason).into());
            }
            let mut counted = BTreeMap::new();
            for (at, one) in given.iter().enumerate() {
                let read = counted_latencies(one);
                let (kind, histogram) = read.map_err(|invalid| invalid.within(format!("latencies[{at}]")))?;
                if counted.insert(kind, histogram).is_some() {
                    let reason = "is there already; each kind is there once";
                    return Err(Invalid::new(format!("latencies[{at}].kind"), reason).into());
                }
            }
            let digest = blake3::hash(&message.encode_to_vec()).into();
            Ok(Action::CountLatencies(counted.into_iter().collect(), digest))
        };
        let (_, answer) = self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::Noted { sequence, .. } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::RecordLatenciesResponse { sequence: sequence.0 }))
    }
}

fn counted_latencies(message: &pb::CountedLatencies) -> Result<(LatencyKind, Histogram), Invalid> {
    let kind = match pb::LatencyKind::try_from(message.kind) {
        Ok(pb::LatencyKind::AddToMatchable) => LatencyKind::AddToMatchable,
        Ok(pb::LatencyKind::RemovalToGone) => LatencyKind::RemovalToGone,
        Ok(pb::LatencyKind::Unspecified) | Err(_) => {
            return Err(Invalid::new("kind", format!("{} is no kind", message.kind)));
        }
    };
    let bytes = &message.histogram;
    if bytes.len() > Histogram::ENCODED_LEN_MAX {
        let reason = format!("has {} bytes; it has at most {}", bytes.len(), Histogram::ENCODED_LEN_MAX);
        return Err(Invalid::new("histogram", reason));
    }
    Ok((kind, Histogram::decode(bytes).map_err(|error| Invalid::new("histogram", error))?))
}

fn counted_trial(message: &pb::CountedTrial) -> Result<CountedTrial, Invalid> {
    let read = |field: &str, number| verdict(field, number)?.ok_or_else(|| Invalid::missing(field));
    Ok(CountedTrial {
        member: MemberId(message.member_id),
        version: message.version,
        verdicts: (read("verdict", message.verdict)?, read("trial_verdict", message.trial_verdict)?),
        decisions: message.decisions,
    })
}

fn counted_matches(message: &pb::CountedMatches) -> Result<CountedMatches, Invalid> {
    Ok(CountedMatches {
        member: MemberId(message.member_id),
        bank: (message.bank_id != 0).then_some(BankId(message.bank_id)),
        class: ClassText::new(&message.class).map_err(|error| Invalid::new("class", error))?,
        verdict: verdict("verdict", message.verdict)?,
        counts: [
            (Measure::MatchesExact, message.exact),
            (Measure::MatchesNear, message.near),
            (Measure::Decisions, message.decisions),
        ],
    })
}
