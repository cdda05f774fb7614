//! Records of decisions, collected for the bank.
//!
//! A charter may ask for records of its bank's matches. Each content with such a match is recorded: the
//! decision, the matches, and digests of the query's hashes; never the content or its hashes. The answer
//! holds an id of the decision, by which the member can retrieve it later.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use rand::RngExt as _;
use tokio::time::Instant;
use vigie_clients::{CallError, DecisionClient, IdempotencyKey, NewDecision};
use vigie_consortium::View;
use vigie_consortium::cases::{QueryDigest, RecordedDecision, RecordedMatch};
use vigie_model::{Facts, Match, Matched, MemberId, Query, Source as Of, UnixMillis};

use super::reporter::Source;

/// The most decisions that wait to be reported. A decision beyond it has no id and is not recorded.
const WAITING_MAX: usize = 20_000;
/// The most waiting decisions of one member, so that no member uses the capacity of others.
const OF_MEMBER_MAX: usize = 5_000;

/// The matches on which the decisions of an answer rest, for each content that was searched for.
#[derive(Debug, Default)]
pub(crate) enum Counting {
    /// All matches: no policy restricts them.
    #[default]
    Every,
    /// The matches at these indices, for each content.
    Of(Vec<Vec<usize>>),
}

impl Counting {
    fn counts(&self, content: usize, at: usize) -> bool {
        match self {
            Self::Every => true,
            Self::Of(places) => places.get(content).is_some_and(|places| places.contains(&at)),
        }
    }
}

/// The decisions that have not been taken yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// The number of decisions that were dropped because too many waited.
    lost: Counter,
}

#[derive(Debug, Default)]
struct Waiting {
    decisions: VecDeque<NewDecision>,
    by_member: HashMap<MemberId, usize>,
}

/// The data for the records of one request's contents.
#[derive(Debug)]
pub(crate) struct Recording {
    records: Records,
    view: Arc<View>,
    member: MemberId,
    now: UnixMillis,
    surface: Box<str>,
}

impl Records {
    /// Prepares the records of a member's request.
    pub(crate) fn of(&self, view: &Arc<View>, member: MemberId, now: UnixMillis, surface: &str) -> Recording {
        let (records, view) = (self.clone(), Arc::clone(view));
        Recording { records, view, member, now, surface: surface.into() }
    }

    /// Returns the counter of decisions that were not recorded, because too many waited.
    pub(super) fn lost(&self) -> Counter {
        self.0.lost.clone()
    }

    /// Adds a decision. Returns whether there was capacity.
    fn add(&self, decision: NewDecision) -> bool {
        // No code that holds this lock can panic between two changes.
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { decisions, by_member } = &mut *waiting;
        let of_member = by_member.entry(decision.member).or_default();
        let has_room = decisions.len() < WAITING_MAX && *of_member < OF_MEMBER_MAX;
        if has_room {
            *of_member += 1;
            decisions.push_back(decision);
        } else {
            self.0.lost.inc();
        }
        has_room
    }
}

impl Source for Records {
    type Report = NewDecision;
    type Client = DecisionClient;

    const EVERY: Duration = Duration::from_secs(1);
    const REPORTS_MAX: usize = 50;
    const WHAT: &'static str = "records of decisions";

    fn take(&self) -> Vec<NewDecision> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).decisions.into()
    }

    fn dropped(&self, reports: usize) {
        self.0.lost.inc_by(u64::try_from(reports).unwrap_or(u64::MAX));
    }

    async fn send(
        client: &DecisionClient,
        decisions: &[NewDecision],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError> {
        client.record(decisions, key, deadline).await
    }
}

impl Recording {
    /// Records the decision on content number `content`, before any of its matches is hidden from its member,
    /// and gives the decision its id.
    pub(crate) fn record(
        &self,
        matched: &mut Matched,
        content: usize,
        counting: &Counting,
        first: Option<&Query>,
    ) {
        let directory = self.view.directory();
        let is_kept = |found: &Match| {
            let bank = directory.bank(found.bank);
            bank.is_some_and(|bank| bank.charter.match_record_days().is_some())
        };
        let all = || matched.found.matches.iter().enumerate();
        let kept = all().filter(|(_, found)| is_kept(found));
        let mut matches: Vec<RecordedMatch> =
            kept.map(|(at, found)| recorded_match(found, counting.counts(content, at))).collect();
        if matches.is_empty() {
            return;
        }
        // Matches that count come first, and then the others, each by ascending distance.
        matches.sort_by_key(|found| !found.counts);
        let omitted = matches.len().saturating_sub(RecordedMatch::MATCHES_MAX);
        matches.truncate(RecordedMatch::MATCHES_MAX);
        let counting = all().filter(|(at, _)| counting.counts(content, *at)).count();
        let id = rand::rng().random();
        let record = RecordedDecision {
            id,
            decided_at: self.now,
            decided: matched.decision.clone(),
            kind: match matched.source {
                Of::Hashed => "hashes",
                Of::Decoded(_) => "image",
                Of::Video(_) => "video",
                Of::Undecoded(_) => "undecoded",
            }
            .into(),
            surface: self.surface.clone(),
            matches,
            matches_omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
            counting: u32::try_from(counting).unwrap_or(u32::MAX),
        };
        let hashes = first.into_iter().flat_map(|query| &query.hashes);
        let digests = hashes.take(RecordedDecision::DIGESTS_MAX).map(|one| QueryDigest::of(&one.hash));
        let new = NewDecision { member: self.member, record, digests: digests.collect() };
        if self.records.add(new)
            && let Some(decided) = &mut matched.decision
        {
            decided.id = Some(id);
        }
    }
}

fn recorded_match(found: &Match, counts: bool) -> RecordedMatch {
    let facts = found.facts.as_ref().map(|facts| {
        let classes = facts.classes.iter().take(RecordedMatch::CLASSES_MAX).cloned().collect();
        Box::new(Facts { classes, ..(**facts).clone() })
    });
    RecordedMatch {
        item: Some(found.item),
        bank: found.bank,
        bank_name: None,
        hash_type: found.hash_type,
        distance: found.distance,
        variant: found.variant,
        counts,
        facts,
    }
}
