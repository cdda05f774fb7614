//! The banks that a caller may search, and the parts of an answer that it may see. Without members, neither
//! requests nor answers are changed.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::{Code, Status};
use vigie_access::{Called, denied};
use vigie_consortium::quotas::NearLimits;
use vigie_consortium::rights::SearchBanks;
use vigie_consortium::{Admitted, Quota, View};
use vigie_model::cost;
use vigie_model::{
    Content, HashType, ItemId, Limit, Match, MatchCall, MemberId, QueryMatches, SearchOptions, Sequence,
    UnixMillis,
};
use vigie_proto::Invalid;

use crate::matching::{Answer, Matching};
use crate::request::classifying::plan::Plan;
use crate::request::deciding::Deciding;
use crate::request::meters::Meters;
use crate::request::of_member::{OfMember, Protection};
use crate::request::policies::Policies;
use crate::request::protection::Repeats;
use crate::request::reports::{Counting, Recorded, Recording, Reports, Scores};
use crate::request::rooms::Rooms;
use crate::request::vectors::thresholds;
use crate::searcher::Urgency;

/// The rights of a caller for one request, as of one state of the directory.
#[derive(Debug)]
pub(crate) struct Rights {
    /// `None` if there are no members.
    of: Option<OfMember>,
    /// `None` if the caller's member has no policy.
    deciding: Option<Deciding>,
    /// The member whose matches are counted, and the counters.
    counting: Option<(MemberId, Recorded, Scores)>,
    /// The records that banks ask of the request's contents.
    recording: Option<Recording>,
    /// The classifiers that are asked about the images of the request.
    plan: Option<Arc<Plan>>,
}

impl Rights {
    /// Checks the caller again, sets the banks that its request is searched in, and counts its units. `asked`
    /// holds the bank names that the caller gave.
    pub(crate) fn of(
        called: &Called,
        meters: &Meters,
        policies: &Policies,
        reports: &Reports,
        asked: &mut MatchCall,
    ) -> Result<Self, Status> {
        let (view, now) = (called.view()?, called.now());
        asked.options.stills = view.stills().clone();
        if !view.directory().is_on() {
            // Without members every bank is the host's, and matches of a bank in shadow are never returned.
            if view.directory().banks().iter().any(|bank| bank.charter.is_shadow()) {
                let banks = called.admitted(&view)?.search(&asked.options.banks).map_err(denied)?;
                set_banks(asked, banks);
            }
            asked.options.thresholds = thresholds::of(&view, asked);
            let deciding = Deciding::of(&view, MemberId::HOST, now, policies, &reports.trials, asked);
            let counting = Some((MemberId::HOST, reports.counts.clone(), reports.scores.clone()));
            let recording = Some(reports.records.of(&view, MemberId::HOST, now, &asked.surface));
            let plan = plan(&view, Some(MemberId::HOST), asked)?;
            return Ok(Self { of: None, deciding, counting, recording, plan });
        }
        let rights = Self::of_member(&view, &called.admitted(&view)?, now, meters, asked)?;
        asked.options.thresholds = thresholds::of(&view, asked);
        let member = rights.of.as_ref().map(|of| of.member);
        let deciding =
            member.and_then(|member| Deciding::of(&view, member, now, policies, &reports.trials, asked));
        let counting = member.map(|member| (member, reports.counts.clone(), reports.scores.clone()));
        let recording = member.map(|member| reports.records.of(&view, member, now, &asked.surface));
        let plan = plan(&view, member, asked)?;
        Ok(Self { deciding, counting, recording, plan, ..rights })
    }

    /// Returns the rights of a member's caller that was admitted.
    pub(super) fn of_member(
        view: &Arc<View>,
        admitted: &Admitted<'_>,
        now: UnixMillis,
        meters: &Meters,
        asked: &mut MatchCall,
    ) -> Result<Self, Status> {
        let banks = admitted.search(&asked.options.banks).map_err(denied)?;
        set_banks(asked, banks);
        let member = admitted.member().ok_or_else(|| Status::internal("a search of no member"))?.id;
        asked.options.member = Some(member);
        let principal = admitted.principal().map(|principal| principal.id);
        let quota = view.directory().quota(member);
        if quota.images_only && asked.contents.iter().any(|content| matches!(content, Content::Hashed { .. }))
        {
            let text = "the member's quota lets in images and videos alone: send the file, not hashes of it";
            return Err(Status::new(Code::PermissionDenied, text));
        }
        check_weights(&asked.contents)?;
        let units = units(&asked.contents);
        let near = meters.spend(member, |meter, now| meter.spend_units(&quota, units, now))?;
        let limits = NearLimits::new(&quota, view.directory().members().len());
        let protection = Protection { near, limits, now: meters.now() };
        let (view, meters) = (Arc::clone(view), meters.clone());
        let of = OfMember { view, member, principal, now, quota, meters, protection };
        Ok(Self { of: Some(of), deciding: None, counting: None, recording: None, plan: None })
    }

    /// Adds the size of a video that arrived after its rights were checked.
    pub(crate) fn with_file(mut self, bytes: usize) -> Self {
        if let Some(deciding) = &mut self.deciding {
            deciding.has_come(bytes);
        }
        self
    }

    /// Returns the classifiers that are asked about the images of the request.
    pub(crate) const fn plan(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref()
    }

    /// Returns the sequence of the directory state that decided; `None` without members.
    pub(crate) fn sequence(&self) -> Option<Sequence> {
        self.of.as_ref().map(|of| of.view.directory().sequence())
    }

    /// Returns whether an answer is changed before it is sent: there are members, from whom the list is
    /// protected, or there is a policy.
    pub(crate) const fn change_answers(&self) -> bool {
        self.of.is_some() || self.deciding.is_some()
    }

    /// Counts the matches and verdicts of an answer, before it is reduced to what the caller may see.
    pub(crate) fn count(&self, answer: &Answer) {
        if let Some((member, recorded, scores)) = &self.counting {
            answer.results.iter().flatten().for_each(|matched| recorded.count(*member, matched));
            answer.said.iter().flatten().for_each(|said| scores.count(*member, said));
        }
        if let Some(of) = &self.of {
            of.meters.floods.count(of.member, answer);
        }
    }

    /// Records the decisions of an answer for the banks that ask for records, before it is reduced to what
    /// the caller may see.
    pub(crate) fn record(&self, answer: &mut Answer, counting: &Counting) {
        let Some(recording) = &self.recording else { return };
        let Answer { results, queries, .. } = answer;
        for (number, matched) in results.iter_mut().flatten().enumerate() {
            if !matched.found.matches.is_empty() {
                let first = queries.of_content(number).next().map(|(_, query)| query);
                recording.record(matched, number, counting, first);
            }
        }
    }

    /// Adds the verdicts of the caller's policy to an answer to a search with `options`. The answer still
    /// holds what the caller may not see. Returns the matches on which the verdicts rest.
    pub(crate) async fn decide(
        &self,
        answer: &mut Answer,
        matching: &Matching,
        options: &SearchOptions,
        urgency: Urgency,
        rooms: &mut Rooms,
        deadline: Instant,
    ) -> Counting {
        match &self.deciding {
            Some(deciding) => deciding.decide(answer, matching, options, urgency, rooms, deadline).await,
            None => Counting::Every,
        }
    }

    /// Removes what is shown to the owner alone from an answer, and counts near queries. Returns which
    /// answers have to repeat earlier ones.
    pub(crate) fn protect(&self, answer: &mut Answer, options: &SearchOptions) -> Repeats {
        self.of.as_ref().map_or_else(Repeats::default, |of| of.protect(answer, options))
    }

    /// Puts repetitions into an answer. `found` are the matches of [`Repeats::queries`].
    pub(crate) fn repeat(
        &self,
        answer: &mut Answer,
        repeats: &Repeats,
        found: &[QueryMatches],
        limit: Limit,
    ) {
        if let Some(of) = &self.of {
            of.repeat(answer, repeats, found, limit);
        }
    }

    /// Counts the items of an answer against the quota.
    pub(crate) fn spend(&self, answer: &Answer) -> Result<(), Status> {
        let Some(of) = &self.of else { return Ok(()) };
        // Without a limit the meters are not touched, because all members share their lock.
        if of.quota.items_matched_per_day.get().is_none() {
            return Ok(());
        }
        let found = answer.results.iter().flatten().flat_map(|one| &one.found.matches);
        found.into_iter().try_for_each(|found| {
            let spend =
                of.meters.spend(of.member, |meter, now| meter.spend_match(&of.quota, found.item, now));
            spend.map(drop)
        })
    }

    /// Reduces an answer to what the caller may see: banks under the caller's own names for them, and details
    /// of an item only where the bank is its own or its details are shared with the caller.
    pub(crate) fn trim(&self, answer: &mut Answer) {
        let Some(of) = &self.of else { return };
        let matched = answer.results.iter_mut().flatten();
        matched.flat_map(|one| one.found.matches.iter_mut()).for_each(|found| of.trim(found));
    }
}

impl OfMember {
    fn trim(&self, found: &mut Match) {
        let directory = self.view.directory();
        // The bank may have been renamed or deleted since; if it was deleted, the answer keeps the name of
        // the search.
        let Some(bank) = directory.bank(found.bank) else { return };
        if bank.owner == self.member {
            found.bank_name.owner = None;
            // A different name means that the bank has been renamed since.
            if found.bank_name.name != bank.name {
                found.bank_name.name = bank.name.clone();
            }
            return;
        }
        if let Some(name) = self.view.name_for(self.member, bank, self.now) {
            found.bank_name = name;
        }
        if !self.view.sees_details(self.member, bank, self.now) {
            found.item = ItemId(0);
            found.external_reference = None;
            found.labels = Box::default();
            found.other_matches = 0;
            found.facts = None;
            found.added_at = None;
        }
    }
}

/// Returns the classifiers that are asked about the images of a member's request.
fn plan(view: &View, member: Option<MemberId>, asked: &MatchCall) -> Result<Option<Arc<Plan>>, Status> {
    let directory = view.directory();
    let policies = member.and_then(|member| directory.policies(member));
    let contents = asked.contents.len();
    let has_image = asked.contents.iter().any(|content| matches!(content, Content::Image(_)));
    // A policy asks classifiers about images only.
    let policies = policies.filter(|_| has_image).map(|policies| &**policies);
    Ok(Plan::of_images(directory, &asked.classifiers, policies, contents)?)
}

/// Replaces the bank names of a search by the banks.
fn set_banks(asked: &mut MatchCall, banks: SearchBanks) {
    asked.options.bank_set = Some(match banks {
        // Every request of the member shares this set, so a comparison of sets ends at once.
        SearchBanks::All(banks) => banks.searched.clone(),
        SearchBanks::Named(banks) => Arc::new(banks),
    });
    asked.options.banks.clear();
}

/// Returns the units of a request, as counted by the quota of units.
fn units(contents: &[Content]) -> u64 {
    let of_content = |content: &Content| match content {
        // An image is searched by its perceptual hash and its digests, which are one request for the caller.
        Content::Image(_) => Quota::IMAGE_UNITS,
        Content::Video(_) => Quota::VIDEO_UNITS,
        Content::Hashed { hashes, .. } => {
            Quota::HASH_UNITS * hashes.iter().map(|one| cost::units(&one.hash)).sum::<u64>()
        }
    };
    contents.iter().map(of_content).sum()
}

/// The number of set bits of a PDQ hash: half of all bits, because each bit is set where a value exceeds the
/// median of all. Only the hash of a picture without any detail differs, and its quality is 0.
const PDQ_WEIGHT: u32 = 128;

/// Refuses PDQ hashes that no picture has, such as those sent by a caller that probes a list bit by bit.
/// Frames of videos are not checked.
fn check_weights(contents: &[Content]) -> Result<(), Status> {
    for (at, content) in contents.iter().enumerate() {
        let Content::Hashed { hashes, .. } = content else { continue };
        for (number, one) in hashes.iter().enumerate() {
            let weight: u32 = one.hash.as_bytes().iter().map(|byte| byte.count_ones()).sum();
            if one.hash.hash_type() == HashType::PDQ && weight != PDQ_WEIGHT {
                let field = format!("queries[{at}].hashed.hashes[{number}].hash.value");
                let reason =
                    format!("is the PDQ hash of no picture: {weight} of its bits are set, not {PDQ_WEIGHT}");
                return Err(Invalid::new(field, reason).into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use vigie_model::{Hash, QueryHash, Variant};
    use vigie_rpc::details;

    use super::*;
    use crate::request::alarms::CountedAlarms;
    use crate::request::floods::Floods;

    fn hashed(hashes: Vec<Hash>) -> Content {
        let hashes = hashes.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original });
        Content::Hashed { hashes: hashes.collect(), pdq_quality: None }
    }

    fn of_weight(bits: usize) -> Hash {
        let mut bytes = [0; 32];
        (0..bits).for_each(|bit| bytes[bit / 8] |= 1 << (bit % 8));
        Hash::pdq(bytes)
    }

    #[test]
    fn only_hashes_that_pictures_have_are_searched() {
        let good = || of_weight(128);
        assert!(
            check_weights(&[hashed(vec![good(), Hash::md5([0; 16])]), Content::Image(vec![].into())]).is_ok()
        );
        for bits in [0, 127, 129, 256] {
            let refused =
                check_weights(&[hashed(vec![good()]), hashed(vec![good(), of_weight(bits)])]).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            let expected = format!(
                "queries[1].hashed.hashes[1].hash.value: is the PDQ hash of no picture: {bits} of its bits are set, not 128"
            );
            assert_eq!(refused.message(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_spent_quota_says_when_to_come_back() {
        let meters = Meters::new(Arc::new(CountedAlarms::default()), Floods::default());
        let amount = |units| vigie_consortium::Amount::new(units).unwrap();
        let quota = Quota { units_per_second: amount(40), ..Quota::default() };
        let contents = [Content::Image(vec![].into()), hashed(vec![of_weight(128); 20])];
        assert_eq!(units(&contents), 40);
        let spend = |member| {
            meters.spend(MemberId(member), |meter, now| meter.spend_units(&quota, units(&contents), now))
        };
        spend(2).unwrap();
        let refused = spend(2).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(details::retry_after(&refused), Some(std::time::Duration::from_secs(1)));
        assert!(refused.message().contains("units_per_second"), "{}", refused.message());
        // Other members have meters of their own.
        spend(3).unwrap();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        spend(2).unwrap();
        let large = Content::Image(vec![].into());
        let too_much = meters.spend(MemberId(4), |meter, now| {
            meter.spend_units(&quota, units(&[large.clone(), large.clone(), large]), now)
        });
        assert_eq!(too_much.unwrap_err().code(), Code::InvalidArgument);
    }
}
