//! Calls that one search may answer.

use vigie_model::{Content, Cost, HashTypeSet, MatchCall, Quality, Sequence, cost};

use super::queries_per_call;

/// The properties that decide which calls one search may answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shareable {
    hash_types: HashTypeSet,
    contents: usize,
    cost: Cost,
}

impl Shareable {
    /// Returns the properties of a call; `None` if it needs its own search: it has an image, which takes
    /// its own time, or hashes of too low quality, or it waits for a sequence, or names classifiers.
    pub(crate) fn of(call: &MatchCall, quality_floor: Quality) -> Option<Self> {
        if call.options.min_sequence > Sequence::ZERO || call.contents.is_empty() {
            return None;
        }
        if !call.classifiers.is_empty() {
            return None;
        }
        let floor = call.quality_floor.unwrap_or(quality_floor);
        let mut all = Vec::new();
        for content in &call.contents {
            let Content::Hashed { hashes, pdq_quality } = content else { return None };
            if hashes.is_empty() || pdq_quality.is_some_and(|quality| quality < floor) {
                return None;
            }
            // A video counts as many hashes.
            if hashes.iter().any(|one| cost::units(&one.hash) > 1) {
                return None;
            }
            all.extend(hashes.iter().map(|one| one.hash.hash_type()));
        }
        let contents = call.contents.len();
        let cost = all.iter().map(|hash_type| Cost::of_hash(*hash_type, &call.options)).sum();
        Some(Self { hash_types: all.into_iter().collect(), contents, cost })
    }

    /// Returns whether another call may join the calls, which all resemble `call`; if so, counts it.
    pub(crate) fn join(&mut self, call: &MatchCall, joining: &MatchCall, other: &Self) -> bool {
        let contents = self.contents + other.contents;
        let cost = [self.cost, other.cost].into_iter().sum::<Cost>();
        let is_alike = self.hash_types == other.hash_types
            && call.quality_floor == joining.quality_floor
            && call.options == joining.options;
        let fits = contents <= queries_per_call(&call.options, &self.hash_types) && cost.slots() == 1;
        if is_alike && fits {
            (self.contents, self.cost) = (contents, cost);
        }
        is_alike && fits
    }
}
