//! Vigie's exact radius index. All calls to it are in this file.

use std::path::Path;

use vigie_index::{BankFilter, Cancellation, Edit, Entry, Hit, IndexOptions, RadiusIndex, RadiusSnapshot};
use vigie_model::Distance;

use super::{Engine, Search, Updates};
use crate::Hash;

pub(super) fn build(rows: Vec<(Hash, Entry)>, directory: Option<&Path>) -> anyhow::Result<RadiusIndex<32>> {
    let index = match directory {
        Some(directory) => RadiusIndex::begin(directory, IndexOptions::default())?,
        None => RadiusIndex::new(),
    };
    index.load(rows)?;
    index.save(&[])?;
    Ok(index)
}

pub(super) fn open(directory: &Path) -> anyhow::Result<RadiusIndex<32>> {
    Ok(RadiusIndex::open(directory, IndexOptions::default())?.0)
}

impl Search for RadiusIndex<32> {
    fn search(&self, queries: &[Hash], radius: Distance) -> Vec<Vec<Hit>> {
        Self::search(self, queries, radius, &BankFilter::all(), &Cancellation::never())
            .expect("nothing cancels it")
    }
}

impl Search for RadiusSnapshot<32> {
    fn search(&self, queries: &[Hash], radius: Distance) -> Vec<Vec<Hit>> {
        Self::search(self, queries, radius, &BankFilter::all(), &Cancellation::never())
            .expect("nothing cancels it")
    }
}

impl Engine for RadiusIndex<32> {
    fn is_exact(&self) -> bool {
        Self::is_exact(self)
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn account(&self) -> Option<u64> {
        Some(self.footprint().total_bytes() as u64)
    }

    fn updates(&self) -> Option<&dyn Updates> {
        Some(self)
    }
}

impl Updates for RadiusIndex<32> {
    fn apply(&self, edits: &[Edit<32>]) {
        Self::apply(self, edits);
    }

    fn snapshot(&self) -> Box<dyn Search> {
        Box::new(Self::snapshot(self))
    }

    fn merges(&self) -> bool {
        true
    }

    fn merge(&self) -> anyhow::Result<()> {
        Ok(Self::merge(self)?)
    }
}
