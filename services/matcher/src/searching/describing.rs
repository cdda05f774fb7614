//! Converts found items to the matches of an answer, up to the size limit of the answer.

use vigie_index::{Cancellation, Cancelled};
use vigie_model::{
    BankId, Distance, Filling, Frames, Hash, HashType, ItemId, Match, MemberId, Query, QueryMatches,
    Rendition, SearchOptions,
};

use crate::error::SearchError;
use crate::searching::found::{Best, Nearest};
use crate::shard::records::{Notes, Record};
use crate::shard::state::{Moment, Shard};

/// Reasons why a search of one moment has no answer.
pub(super) enum Stopped {
    /// An item that the search found has been removed meanwhile.
    Overtaken(ItemId),
    Failed(SearchError),
}

impl From<SearchError> for Stopped {
    fn from(error: SearchError) -> Self {
        Self::Failed(error)
    }
}

impl From<Cancelled> for Stopped {
    fn from(_: Cancelled) -> Self {
        Self::Failed(SearchError::OutOfTime)
    }
}

/// A search that has found its items.
pub(super) struct Describing<'a> {
    pub(super) shard: &'a Shard,
    pub(super) moment: &'a Moment,
    pub(super) options: &'a SearchOptions,
    /// The member that gets the answer; `None` if it is unknown.
    pub(super) member: Option<MemberId>,
    pub(super) cancel: &'a Cancellation,
}

impl Describing<'_> {
    /// Returns the answers to these queries, with at most `bytes_max` bytes of matches; the best match of
    /// each query is always included. A match that does not fit is dropped at once, so the answer never takes
    /// more memory than that.
    pub(super) fn answers(
        &self,
        queries: &[Query],
        nearest: Vec<Nearest>,
        bytes_max: usize,
    ) -> Result<Vec<QueryMatches>, Stopped> {
        // The distinct hashes of each query that has found something, computed when its first match is
        // described.
        let mut asked: Vec<Option<Vec<Hash>>> = vec![None; queries.len()];
        let begun = |found: &Nearest| QueryMatches {
            limit_reached: found.has_more,
            set_aside: found.has_aside,
            common_frames: found.common_frames,
            ..QueryMatches::default()
        };
        let mut results: Vec<QueryMatches> = nearest.iter().map(begun).collect();
        let mut filling = Filling::new(results.len(), bytes_max);
        while let Some(query) = filling.next() {
            let (found, matches) = (&nearest[query].items, &mut results[query].matches);
            let Some((item, best)) = found.get(matches.len()) else { continue };
            // An item may have many hashes, so each step checks for cancellation.
            if self.cancel.is_cancelled() {
                return Err(Cancelled.into());
            }
            let asked = asked[query].get_or_insert_with(|| distinct(&queries[query]));
            let next = self.describe(*item, best, asked).ok_or(Stopped::Overtaken(*item))?;
            if filling.add(query, next.bytes()) {
                matches.push(next);
            }
        }
        for (result, found) in results.iter_mut().zip(&nearest) {
            result.leave_out(found.items.len() - result.matches.len());
        }
        Ok(results)
    }

    /// Returns the complete match, or `None` if the item was removed during the search.
    fn describe(&self, item: ItemId, best: &Best, asked: &[Hash]) -> Option<Match> {
        let bank_name = self.moment.banks.get(&best.bank)?.name.clone().into();
        let (distance, hash_type, variant) = best.nearest(item);
        let read = |record: &Record<'_>| {
            let time_ms = self.frame_time(record, asked, best.bank, (distance, hash_type));
            (self.matching(record, asked), record.notes(), record.added_at(), time_ms)
        };
        let (hashes, notes, added_at, item_time_ms) = self.shard.item(item, read)?;
        let matching = hashes + usize::from(best.video.is_some());
        let Notes { labels, external_reference } = notes;
        let standing = self.moment.marks.standings().get(item);
        let changed = standing.and_then(|standing| standing.labels.as_deref());
        let labels = changed.map_or(labels, Into::into);
        Some(Match {
            video: best.video.as_ref().map(|video| Box::new(video.evidence)),
            item_time_ms,
            item,
            bank: best.bank,
            bank_name,
            external_reference,
            labels,
            hash_type,
            distance,
            variant,
            exact: self.options.exact || self.shard.plan().is_exact(hash_type),
            other_matches: u32::try_from(matching.saturating_sub(1)).unwrap_or(u32::MAX),
            rendition: Rendition::default(),
            added_at,
            facts: standing.map(|standing| Box::new(standing.facts(self.member))),
        })
    }

    /// Returns the number of pairs of a query hash and an item hash that have one type and are near. Videos
    /// are not counted.
    fn matching(&self, record: &Record<'_>, asked: &[Hash]) -> usize {
        if asked.is_empty() {
            return 0;
        }
        let held = record.bytes_of_hashes().filter(|(hash_type, _)| *hash_type != HashType::VPDQ);
        // The hash was checked when it was written.
        let held = held.filter_map(|(hash_type, bytes)| Hash::from_peer(hash_type, bytes).ok());
        held.map(|held| asked.iter().filter(|asked| self.is_match(asked, &held, record.bank())).count()).sum()
    }

    /// Returns the time of the first frame of an item that has this distance to the image; `None` if an image
    /// of the item has it.
    fn frame_time(
        &self,
        record: &Record<'_>,
        asked: &[Hash],
        bank: BankId,
        (distance, hash_type): (Distance, HashType),
    ) -> Option<u32> {
        let answers = self.options.stills.frames_of.as_ref().is_some_and(|banks| banks.contains(bank));
        if hash_type != HashType::PDQ || !answers {
            return None;
        }
        let is_it = |held: &Hash| asked.iter().any(|asked| asked.distance(held) == Some(distance));
        let mut images = record.bytes_of_hashes().filter(|(hash_type, _)| *hash_type == HashType::PDQ);
        if images.any(|(_, bytes)| Hash::from_peer(HashType::PDQ, bytes).is_ok_and(|held| is_it(&held))) {
            return None;
        }
        let videos = record.bytes_of_hashes().filter(|(hash_type, _)| *hash_type == HashType::VPDQ);
        let mut frames = videos.filter_map(|(_, bytes)| Frames::of_bytes(bytes)).flat_map(Frames::iter);
        let first = frames.find(|frame| frame.is_usable() && is_it(&Hash::pdq(frame.pdq)));
        first.map(|frame| frame.time_ms)
    }

    /// Returns whether two hashes have one type and are near. `held` is in `bank`.
    fn is_match(&self, asked: &Hash, held: &Hash, bank: BankId) -> bool {
        let max = self.options.max_distance_in(asked.hash_type(), bank);
        asked.distance(held).is_some_and(|distance| distance <= max)
    }
}

/// Returns the distinct hashes of a query, without its videos.
fn distinct(query: &Query) -> Vec<Hash> {
    let is_compared = |hash: &&Hash| hash.hash_type() != HashType::VPDQ;
    let mut asked: Vec<Hash> =
        query.hashes.iter().map(|one| &one.hash).filter(is_compared).cloned().collect();
    asked.sort_unstable();
    asked.dedup();
    asked
}
