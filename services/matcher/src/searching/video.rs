//! The search for videos: items of which so much matches that a rule holds ([`VideoRules`]).
//!
//! An item is found in two steps. **Candidates** are items of which a frame is near one of some frames of the query, which
//! the indexes say; `routes` chooses so few frames that no item for which a rule holds is missed. Each candidate is then **compared** with the
//! query, all frames with all, by its record.
//!
//! Frames that are near very many others (logos, title cards) would make candidates of all items that show them. Such a *common* frame is not
//! searched: others are searched in its place, and it is compared in candidates that these find. Where too few others are left, an item may be
//! missed, and the answer has the number of common frames.
//!
//! Always true: without common frames, the answer is that of comparing every item. What is found does not depend on the order of rows.
//!
//! Memory: for one list of frames at a time, a note for each candidate, of which there are as many as items at most, and the rows near 16 frames.
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

/// What is searched, and how.
pub(super) struct Videos<'a> {
    pub(super) shard: &'a Shard,
    pub(super) moment: &'a Moment,
    pub(super) options: &'a SearchOptions,
    pub(super) filter: &'a BankFilter,
    pub(super) cancel: &'a Cancellation,
}

impl Videos<'_> {
    /// Finds the items that match a video of the query.
    pub(super) fn search(&self, query: &Query, found: &mut Found) -> Result<(), Stopped> {
        let mut lists: SmallVec<[(&Hash, Variant); 8]> = SmallVec::new();
        for one in query.hashes.iter().filter(|one| one.hash.hash_type() == HashType::VPDQ) {
            // A video that is its own mirror image is looked for once.
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

/// The videos of an item. They are taken out of the record, which may not be held for the time of a comparison.
fn distinct_of(record: &Record<'_>) -> SmallVec<[DistinctFrames; 1]> {
    let videos = record.bytes_of_hashes().filter(|(hash_type, _)| *hash_type == HashType::VPDQ);
    videos.filter_map(|(_, bytes)| Frames::of_bytes(bytes)).map(Frames::distinct).collect()
}
