//! Protection of the list from the members that may search it: canaries, and the budget of near queries
//! ([`vigie_consortium::quotas::near`]).
//!
//! Answers are processed here before they are trimmed. Beyond a spent budget, matches are replaced by a
//! repetition of the last answer. A search for the member's own anchor shows whether the item still exists.
//! That search is made whether or not the query matched, so that the time of an answer reveals nothing
//! either.

use vigie_consortium::Capability;
use vigie_consortium::quotas::{Asked, PdqBits, Repeat, Seen, Sign};
use vigie_model::answer::cut;
use vigie_model::{
    ANSWER_BYTES_MAX, BankId, Distance, Hash, HashType, ItemContent, ItemId, Limit, Match, Matched, Query,
    QueryHash, QueryMatches, Rendition, SearchOptions, Source, Variant,
};

use crate::matching::{Answer, SearchedQueries};
use crate::request::alarms::Alarm;
use crate::request::of_member::{OfMember, Protection};

/// The answers that are repetitions, and the searches that show whether their items still exist.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    repeats: Vec<OneRepeat>,
    anchors: Vec<PdqBits>,
    /// The largest distance of an item from its anchor.
    distance: u16,
}

#[derive(Debug)]
struct OneRepeat {
    /// The index of the content among those that could be searched.
    at: usize,
    item: ItemId,
    distance: Distance,
    rendition: Rendition,
    variant: Variant,
    /// The index of the item's anchor.
    anchor: usize,
}

impl Repeats {
    pub(crate) const fn is_empty(&self) -> bool {
        self.repeats.is_empty()
    }

    /// Returns the searches for the anchors.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let query = |anchor: &PdqBits| {
            let hash = Hash::pdq(anchor.to_bytes());
            Query { hashes: vec![QueryHash { hash, variant: Variant::Original }] }
        };
        self.anchors.iter().map(query).collect()
    }

    /// Returns the options of the search for the anchors, for a call that was searched with `options`.
    pub(crate) fn options(&self, options: &SearchOptions) -> SearchOptions {
        let distances = options.max_distances.clone().with(HashType::PDQ, self.distance.into());
        // An anchor is searched at a distance at which its item was found before.
        SearchOptions { max_distances: distances.unwrap_or_default(), ..options.clone() }
    }

    fn add(&mut self, at: usize, repeat: &Repeat, (rendition, variant): (Rendition, Variant)) {
        let known = self.anchors.iter().position(|anchor| *anchor == repeat.anchor);
        let anchor = known.unwrap_or_else(|| {
            self.anchors.push(repeat.anchor);
            self.anchors.len() - 1
        });
        self.distance = self.distance.max(repeat.anchor_distance);
        let (item, distance) = (repeat.item, Distance(repeat.distance.into()));
        self.repeats.push(OneRepeat { at, item, distance, rendition, variant, anchor });
    }
}

impl OfMember {
    /// Removes matches that only the owner may see, counts near queries, and returns the answers that have to
    /// be repetitions.
    pub(super) fn protect(&self, answer: &mut Answer, options: &SearchOptions) -> Repeats {
        let radius = options.max_distances.get(HashType::PDQ).bits();
        let mut repeats = Repeats::default();
        let Answer { results, queries, .. } = answer;
        for (at, one) in results.iter_mut().flatten().enumerate() {
            one.found.matches.retain(|found| !self.is_hidden_canary(found));
            let is_near = |found: &&Match| found.hash_type == HashType::PDQ && self.is_protected(found.bank);
            let is_found = one.found.matches.iter().any(|found| is_near(&found));
            if !is_found && self.protection.near.watches_nothing() {
                continue;
            }
            let hashes = PdqHashes::of(queries, at);
            let found = one.found.matches.iter().filter(is_near);
            let seen: Vec<Seen> = found.filter_map(|found| hashes.seen(found)).collect();
            let is_chosen = matches!(one.source, Source::Hashed);
            let asked = Asked { hashes: &hashes.bits, is_chosen, radius };
            let Protection { near, limits, now } = &self.protection;
            let judged = near.judge(limits, &asked, &seen, *now);
            for (item, sign) in judged.signs {
                let bank = one.found.matches.iter().find(|found| found.item == item).map(|found| found.bank);
                self.raise(item, bank, sign);
            }
            for repeat in &judged.repeats {
                if let Some(of) = hashes.of.get(repeat.hash) {
                    repeats.add(at, repeat, *of);
                }
            }
        }
        repeats
    }

    /// Puts the repetitions into the answer. `found` are the matches of the searches for the anchors.
    pub(super) fn repeat(
        &self,
        answer: &mut Answer,
        repeats: &Repeats,
        found: &[QueryMatches],
        limit: Limit,
    ) {
        let mut contents: Vec<&mut Matched> = answer.results.iter_mut().flatten().collect();
        for repeat in &repeats.repeats {
            let Some(content) = contents.get_mut(repeat.at) else { continue };
            let by_anchor = found.get(repeat.anchor);
            let is_it = |found: &&Match| found.item == repeat.item;
            let there = by_anchor.and_then(|found| found.matches.iter().find(is_it));
            self.repeat_one(content, repeat, there, limit);
        }
        // The added repetitions may exceed the size of an answer.
        let mut found: Vec<QueryMatches> =
            contents.iter_mut().map(|content| std::mem::take(&mut content.found)).collect();
        cut(&mut found, ANSWER_BYTES_MAX);
        for (content, found) in contents.into_iter().zip(found) {
            content.found = found;
        }
    }

    fn repeat_one(&self, content: &mut Matched, repeat: &OneRepeat, there: Option<&Match>, limit: Limit) {
        let matches = &mut content.found.matches;
        let own = matches.iter().position(|found| found.item == repeat.item);
        if let Some(own) = own.and_then(|at| matches.get_mut(at)).filter(|own| own.hash_type != HashType::PDQ)
        {
            // The file itself is known, whatever its picture is near to.
            own.other_matches = 0;
            return;
        }
        let template = there.or_else(|| own.and_then(|at| matches.get(at)));
        let Some(template) = template.filter(|found| self.is_protected(found.bank)).cloned() else { return };
        if self.is_hidden_canary(&template) {
            return;
        }
        let OneRepeat { distance, rendition, variant, .. } = *repeat;
        let one =
            Match { hash_type: HashType::PDQ, distance, rendition, variant, other_matches: 0, ..template };
        match own.and_then(|at| matches.get_mut(at)) {
            Some(own) => *own = one,
            None => matches.push(one),
        }
        matches.sort_by(Match::answer_order);
        content.found.limit_reached |= matches.len() > limit.get();
        matches.truncate(limit.get());
        content.near_budget_spent = true;
    }

    /// Returns whether a match is hidden from the caller because it is another member's canary. Raises the
    /// alarm.
    fn is_hidden_canary(&self, found: &Match) -> bool {
        if !found.labels.iter().any(|label| **label == *ItemContent::CANARY_LABEL) || self.owns(found.bank) {
            return false;
        }
        if self.protection.near.canary(found.item, self.protection.now) {
            self.raise(found.item, Some(found.bank), Sign::Canary);
        }
        true
    }

    /// Returns whether the hashes of the bank are hidden from the member.
    fn is_protected(&self, bank: BankId) -> bool {
        let sees_hashes = || {
            let grant = self.view.directory().grant(bank, self.member);
            grant.is_some_and(|grant| grant.capabilities.contains(Capability::SeeHashes))
        };
        !self.owns(bank) && !sees_hashes()
    }

    fn owns(&self, bank: BankId) -> bool {
        self.view.directory().bank(bank).is_some_and(|bank| bank.owner == self.member)
    }

    fn raise(&self, item: ItemId, bank: Option<BankId>, sign: Sign) {
        let name = self.view.directory().member(self.member).map(|member| &member.name);
        let (member, principal) = (self.member, self.principal);
        self.meters.alarms.raise(&Alarm { member, name, principal, item, bank, sign });
    }
}

/// The PDQ hashes of a content's queries, each with its rendition and variant.
struct PdqHashes {
    bits: Vec<PdqBits>,
    of: Vec<(Rendition, Variant)>,
}

impl PdqHashes {
    fn of(queries: &SearchedQueries, at: usize) -> Self {
        let hashes = queries.of_content(at).flat_map(|(rendition, query)| {
            let pdq = query.hashes.iter().filter(|one| one.hash.hash_type() == HashType::PDQ);
            pdq.filter_map(move |one| {
                Some((PdqBits::from_bytes(one.hash.as_bytes())?, (rendition, one.variant)))
            })
        });
        let (bits, of) = hashes.unzip();
        Self { bits, of }
    }

    /// Returns a match with the query hashes that may have produced it.
    fn seen(&self, found: &Match) -> Option<Seen> {
        let is_it = |at: &usize| self.of.get(*at) == Some(&(found.rendition, found.variant));
        let candidates: Vec<usize> = (0..self.bits.len()).filter(is_it).collect();
        (!candidates.is_empty()).then_some(Seen {
            item: found.item,
            distance: found.distance.bits(),
            candidates,
        })
    }
}
