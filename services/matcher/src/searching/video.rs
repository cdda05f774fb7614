//! The search for videos: finds the items that match a query's video by one of the rules of the search
//! ([`VideoRules`]).
//!
//! An item is found in two steps. **Candidates** are items with a frame that is near one of some frames of
//! the query, by the indexes. `routes` chooses these frames: as few as possible, but so that no item for
//! which a rule holds is missed. Then each candidate is **compared** with the query, all frames with all,
//! from its record.
//!
//! A frame that is near very many others (a logo, a title card) would make all items that show it candidates.
//! Such a *common* frame is not used to find candidates. Other frames are searched instead, and the common
//! frame is only compared in the candidates that these find. If too few other frames are left, an item may be
//! missed, and the answer has the number of common frames.
//!
//! Always true: without common frames, the answer equals that of comparing every item. The result does not
//! depend on the order of rows.
//!
//! Memory, for one list of frames at a time: a small entry for each candidate, of which there are at most as
//! many as items, and the rows near 16 frames.
//!
//! [`VideoRules`]: vigie_model::VideoRules

mod candidates;
mod compare;
mod routes;

use smallvec::SmallVec;
use vigie_index::{BankFilter, Cancellation, Checkpoint, Entry};
use vigie_model::{DistinctFrames, Frames, Hash, HashType, Query, SearchOptions, Variant};

use crate::searching::describing::Stopped;
use crate::searching::found::{Found, NearVideo};
use crate::shard::records::Record;
use crate::shard::state::{Moment, Shard};
use candidates::{Candidates, Searched};
use compare::compare;
use routes::Routes;

/// The parameters of a search for videos.
pub(super) struct Videos<'a> {
    pub(super) shard: &'a Shard,
    pub(super) moment: &'a Moment,
    pub(super) options: &'a SearchOptions,
    pub(super) filter: &'a BankFilter,
    pub(super) cancel: &'a Cancellation,
}

impl Videos<'_> {
    /// Finds the items that match a video of the query, and adds them to `found`.
    pub(super) fn search(&self, query: &Query, found: &mut Found) -> Result<(), Stopped> {
        let mut lists: SmallVec<[(&Hash, Variant); 8]> = SmallVec::new();
        for one in query.hashes.iter().filter(|one| one.hash.hash_type() == HashType::VPDQ) {
            // A video that is its own mirror image is searched once.
            if !lists.iter().any(|(hash, _)| **hash == one.hash) {
                lists.push((&one.hash, one.variant));
            }
        }
        if self.filter.is_none() {
            return Ok(());
        }
        for (hash, variant) in lists {
            if let Some(asked) = hash.frames().map(Frames::distinct).filter(|asked| !asked.is_empty()) {
                self.search_list(&asked, variant, found)?;
            }
        }
        Ok(())
    }

    fn search_list(
        &self,
        asked: &DistinctFrames,
        variant: Variant,
        found: &mut Found,
    ) -> Result<(), Stopped> {
        let Self { shard, moment, options, .. } = self;
        let radius = options.max_distances.get(HashType::VPDQ);
        let routes = Routes::of(&options.video_rules, asked);
        let searched =
            Searched { indexes: &moment.indexes, filter: self.filter, radius, cancel: self.cancel };
        let candidates = Candidates::find(searched, asked, &routes)?;
        found.set_common_frames(candidates.common_frames(&routes));
        let member = moment.member(options.member);
        let mut checkpoint = Checkpoint::begin(self.cancel)?;
        for entry in candidates.that_may_match(&routes) {
            let Entry { item, .. } = entry;
            let is_aside = !options.with_aside && moment.marks.is_aside(item, member);
            if moment.marks.is_held(item) {
                continue;
            }
            let videos = shard.item(item, distinct_of).ok_or(Stopped::Overtaken(item))?;
            for held in videos {
                let compared = compare(asked, &held, &options.video_rules, radius, &mut checkpoint)?;
                let Some((distance, evidence)) = compared else { continue };
                if is_aside {
                    found.set_aside();
                    break;
                }
                found.note_video(entry, NearVideo { distance, variant, evidence });
            }
        }
        Ok(())
    }
}

/// Returns the videos of an item. They are copied from the record, which may not be held for the time of a
/// comparison.
fn distinct_of(record: &Record<'_>) -> SmallVec<[DistinctFrames; 1]> {
    let videos = record.bytes_of_hashes().filter(|(hash_type, _)| *hash_type == HashType::VPDQ);
    videos.filter_map(|(_, bytes)| Frames::of_bytes(bytes)).map(Frames::distinct).collect()
}
