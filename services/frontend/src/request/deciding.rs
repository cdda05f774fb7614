//! The verdict of a member's policy on each content of its request.
//!
//! A policy sees every match, including those that its member may not see, and changes none of them. Matches
//! in shadow (banks on trial, items that others have not confirmed yet) come from a separate search, so that
//! they displace no other matches. If that search is not answered there is no shadow verdict, and the verdict
//! is unchanged.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;
use vigie_consortium::{MemberPolicies, View};
use vigie_model::{
    BankSet, Content, Decided, Limit, Match, MatchCall, Matched, MemberId, Query, QueryMatches,
    SearchOptions, Source, UnixMillis, Verdict,
};
use vigie_policy::{Budget, Decision, MatchFacts, QueryFacts};

use crate::matching::{Answer, Matching};
use crate::prepared::Found;
use crate::request::classifying::rules;
use crate::request::policies::{Compiled, Policies};
use crate::request::reports::{Counting, Trials};
use crate::request::rooms::Rooms;
use crate::searcher::Urgency;

/// The time that the rules of one request may take in all. A person reviews the contents that are undecided
/// then.
const RULES_MAX: Duration = Duration::from_millis(50);
/// The most matches in shadow of one content that a policy sees.
const SHADOW_MAX: u16 = 16;

/// The policy of one request's member, and its facts about the contents.
#[derive(Debug)]
pub(super) struct Deciding {
    view: Arc<View>,
    member: MemberId,
    now: UnixMillis,
    of_member: Arc<MemberPolicies>,
    policies: Policies,
    trials: Trials,
    contents: Vec<Sent>,
    surface: Box<str>,
}

/// The kind and size of a content as it was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    kind: &'static str,
    bytes: u64,
}

impl Deciding {
    /// Prepares for a request of a member; `None` if the member has no policy.
    pub(super) fn of(
        view: &Arc<View>,
        member: MemberId,
        now: UnixMillis,
        policies: &Policies,
        trials: &Trials,
        asked: &MatchCall,
    ) -> Option<Self> {
        let of_member = view.directory().policies(member).filter(|policies| policies.current.is_some())?;
        let sent = |content: &Content| match content {
            Content::Image(bytes) => Sent { kind: "image", bytes: bytes.len() as u64 },
            Content::Video(bytes) => Sent { kind: "video", bytes: bytes.len() as u64 },
            Content::Hashed { .. } => Sent { kind: "hashes", bytes: 0 },
        };
        Some(Self {
            view: Arc::clone(view),
            member,
            now,
            of_member: Arc::clone(of_member),
            policies: policies.clone(),
            trials: trials.clone(),
            contents: asked.contents.iter().map(sent).collect(),
            surface: asked.surface.clone(),
        })
    }

    /// Sets the size in bytes of the request's one content, a video that has now arrived.
    pub(super) fn has_come(&mut self, bytes: usize) {
        for sent in &mut self.contents {
            sent.bytes = bytes as u64;
        }
    }

    /// Decides on each content that was searched for, in an answer to a search with `options`. Returns for
    /// each content the indices of the matches on which its decision rests.
    pub(super) async fn decide(
        &self,
        answer: &mut Answer,
        matching: &Matching,
        options: &SearchOptions,
        urgency: Urgency,
        rooms: &mut Rooms,
        deadline: Instant,
    ) -> Counting {
        let Some(compiled) = self.policies.current(self.member, &self.of_member).await else {
            return Counting::Every;
        };
        let in_shadow = self.search_shadow(answer, matching, options, urgency, rooms, deadline).await;
        let in_shadow = in_shadow.unwrap_or_default();
        let is_partial = !answer.coverage.is_full() || answer.results_omitted;
        let trial = self.policies.trial(self.member, &self.of_member).await;
        let until = deadline.min(Instant::now() + RULES_MAX);
        // Trial verdicts, which are only counted, wait until every content is decided.
        let mut tried = Vec::new();
        let mut counting = Vec::new();
        let Answer { results, queries, said, .. } = answer;
        let searched =
            results.iter_mut().enumerate().filter_map(|(at, result)| Some((at, result.as_mut().ok()?)));
        for (number, (at, matched)) in searched.enumerate() {
            let mut matches: Vec<MatchFacts> =
                matched.found.matches.iter().map(|found| self.facts(found)).collect();
            let shadow = in_shadow.get(number).map_or(&[][..], |found| &found.matches);
            // Matches that are not in shadow were found by the search itself.
            let shadow = shadow.iter().map(|found| self.facts(found)).filter(|facts| facts.shadow);
            matches.extend(shadow.take(SHADOW_MAX.into()));
            let first = queries.of_content(number).next().map(|(_, query)| query);
            let facts = self.query(at, matched, first, is_partial);
            let (mut decided, counted) = decided(&compiled, &matches, &facts, until);
            counting.push(counted);
            // Score rules apply after the rules for matches: they can raise a verdict below REVIEW to REVIEW,
            // and no further.
            let said = said.get_mut(at).and_then(Option::as_mut);
            if let Some(said) = said {
                rules::apply(&mut decided, compiled.source.scores(), said, &self.policies.thresholds);
            }
            self.policies.count(&decided);
            if trial.is_some() {
                tried.push((at, matches, facts, decided.clone()));
            }
            matched.decision = Some(decided);
            tokio::task::consume_budget().await;
        }
        let counting = Counting::Of(counting);
        let Some(trial) = trial else { return counting };
        for (at, matches, facts, decided_so) in tried {
            // A trial version has no verdict on contents that are left when the time is up.
            if Instant::now() > until {
                return counting;
            }
            let (mut tried, _) = decided(&trial, &matches, &facts, until);
            if let Some(Some(said)) = said.get(at) {
                rules::try_out(&mut tried, trial.source.scores(), said, &self.policies.thresholds);
            }
            self.policies.count_trial(&decided_so, &tried);
            self.trials.count(self.member, &decided_so, &tried);
            tokio::task::consume_budget().await;
        }
        counting
    }

    fn facts(&self, found: &Match) -> MatchFacts {
        MatchFacts::of_match(&self.view, self.member, found, self.now)
    }

    fn query(&self, at: usize, matched: &Matched, first: Option<&Query>, is_partial: bool) -> QueryFacts {
        let sent = self.contents.get(at).copied().unwrap_or(Sent { kind: "hashes", bytes: 0 });
        let is_undecoded = matches!(matched.source, Source::Undecoded(_));
        let is_cut = match &matched.source {
            Source::Hashed => false,
            Source::Decoded(decoded) => decoded.frames_left_out > 0 || decoded.ways_left_out > 0,
            Source::Video(video) => video.partial.is_some() || matched.found.common_frames > 0,
            Source::Undecoded(_) => true,
        };
        QueryFacts {
            quality: matched.pdq_quality.map(|quality| quality.get().into()),
            kind: if is_undecoded { "undecoded" } else { sent.kind },
            surface: self.surface.clone(),
            size: sent.bytes,
            digest: first.map_or(0, digest),
            is_cut: is_partial || is_cut || matched.found.limit_reached,
        }
    }

    /// Searches for matches in shadow; `None` if none are possible, or no answer was received.
    async fn search_shadow(
        &self,
        answer: &Answer,
        matching: &Matching,
        options: &SearchOptions,
        urgency: Urgency,
        rooms: &mut Rooms,
        deadline: Instant,
    ) -> Option<Vec<QueryMatches>> {
        let aside: Arc<BankSet> = Arc::clone(&self.view.banks(self.member, self.now).aside);
        if aside.is_empty() {
            return None;
        }
        // The search itself reports whether it set matches aside in the banks that it searched, unless it
        // found more than its limit.
        let is_covered = options.bank_set.as_ref().is_some_and(|searched| aside.is_within(searched));
        let may_be_aside =
            |matched: &Matched| !is_covered || matched.found.set_aside || matched.found.limit_reached;
        let searched = || answer.results.iter().flatten();
        let numbers: Vec<usize> = searched()
            .enumerate()
            .filter(|(_, matched)| may_be_aside(matched))
            .map(|(number, _)| number)
            .collect();
        // Every frame and way is searched, because the search reports set-aside matches for a content as a
        // whole.
        let (mut of, mut queries) = (Vec::new(), Vec::new());
        for number in numbers {
            for (rendition, query) in answer.queries.of_content(number) {
                of.push((number, rendition));
                queries.push(query.clone());
            }
        }
        if queries.is_empty() {
            return None;
        }
        // Matches that are not in shadow are found again; the limit leaves enough capacity for those in
        // shadow.
        let found = searched().map(|matched| matched.found.matches.len()).max().unwrap_or_default();
        let options = SearchOptions {
            banks: Vec::new(),
            bank_set: Some(aside),
            member: Some(self.member),
            with_aside: true,
            limit: shadow_limit(found),
            ..options.clone()
        };
        let found = matching.search_again(&queries, &options, urgency, rooms, deadline);
        let found: Result<Vec<QueryMatches>, Status> = Box::pin(found).await;
        let mut all: Vec<Found> = searched().map(|_| Found::new(options.limit)).collect();
        for ((number, rendition), found) in of.into_iter().zip(found.ok()?) {
            if let Some(content) = all.get_mut(number) {
                content.add(rendition, found);
            }
        }
        Some(all.into_iter().map(Found::finish).collect())
    }
}

/// Returns the limit of a search in shadow, for contents with up to `found` other matches.
fn shadow_limit(found: usize) -> Limit {
    let limit = found.saturating_add(SHADOW_MAX.into()).min(Limit::MAX.into());
    i64::try_from(limit).ok().and_then(|limit| Limit::new(limit).ok()).unwrap_or_default()
}

/// Returns the decision of the compiled rules, or REVIEW if there are none; and the indices of the matches on
/// which it rests.
fn decided(
    compiled: &Compiled,
    matches: &[MatchFacts],
    query: &QueryFacts,
    until: Instant,
) -> (Decided, Vec<usize>) {
    let Some(policy) = &compiled.policy else {
        let failure = Some("the policy does not compile in this frontend".into());
        let mut decision =
            Decision { failure, verdict: Verdict::Review, ..Decision::default_of(matches, true) };
        let counted = std::mem::take(&mut decision.counted);
        return (decision.decided(compiled.version), counted);
    };
    let is_spent = || Instant::now() > until;
    let mut decision = policy.decide(matches, query, Budget::until(&is_spent));
    if let (Some(version), None) = (compiled.not_compiled, &decision.failure) {
        let note = format!(
            "version {version} of the policy does not compile in this frontend, so version {} decides",
            compiled.version
        );
        decision.failure = Some(note.into());
        decision.verdict = decision.verdict.max(Verdict::Review);
    }
    let counted = std::mem::take(&mut decision.counted);
    (decision.decided(compiled.version), counted)
}

/// Returns a number that is equal for equal hashes in every frontend of every version, for drawing shares of
/// queries: the first 8 bytes, little-endian, of the BLAKE3 digest of each hash's type, length and bytes.
fn digest(query: &Query) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for one in &query.hashes {
        let bytes = one.hash.as_bytes();
        hasher.update(&one.hash.hash_type().number().to_le_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use vigie_model::{Hash, QueryHash, Variant};

    use super::*;

    fn of(hashes: impl IntoIterator<Item = Hash>) -> u64 {
        let hashes = hashes.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original });
        digest(&Query { hashes: hashes.collect() })
    }

    #[test]
    fn other_matches_take_no_place_of_those_in_shadow() {
        for (found, limit) in [(0, 16), (16, 32), (100, 116), (984, 1_000), (1_000, 1_000)] {
            assert_eq!(shadow_limit(found).get(), limit);
        }
    }

    #[test]
    fn digests_are_those_of_all_versions() {
        let pdq = || Hash::pdq(std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let md5 = || Hash::md5([0xab; 16]);
        assert_eq!(of([]), 0xa6a1_f9f5_b949_13af);
        assert_eq!(of([pdq()]), 0x14ea_ae56_435d_5513);
        assert_eq!(of([pdq(), md5()]), 0x56d1_0ee6_6d22_c03b);
        assert_eq!(of([md5(), pdq()]), 0xd97e_7234_58c1_f6d5);
    }
}
