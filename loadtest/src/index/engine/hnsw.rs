//! Vigie's approximate index with its default parameters. All calls to it are in this file.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use vigie_index::{BankFilter, Cancellation, Edit, Entry, Hit};
use vigie_model::Distance;
use vigie_vectors::{HnswConfig, HnswIndex};

use super::{Engine, Search, Updates};
use crate::Hash;

/// Edits applied in one call while the index is built.
const EDITS: usize = 10_000;

/// The pause between two checks of whether the graph is built.
const PACE: Duration = Duration::from_millis(50);

pub(super) fn build(rows: &[(Hash, Entry)], directory: Option<&Path>) -> anyhow::Result<HnswIndex<32>> {
    if directory.is_some() {
        return refuse_directory();
    }
    // All rows go into one graph, because the build is what is measured.
    let rows_all = rows.len().max(1);
    let config = HnswConfig { list_rows_build: rows_all, list_rows_max: rows_all, ..HnswConfig::default() };
    let index = HnswIndex::new(config);
    for rows in rows.chunks(EDITS) {
        let edits: Vec<Edit<32>> = rows.iter().map(|&(hash, entry)| Edit::Insert(hash, entry)).collect();
        index.apply(&edits);
    }
    // Wait for the build: the index measures its recall when it is complete. An empty index has none.
    while !rows.is_empty() && index.recall().is_none() {
        thread::sleep(PACE);
    }
    Ok(index)
}

pub(super) fn refuse_directory<T>() -> anyhow::Result<T> {
    bail!("the hnsw engine keeps nothing on disk: leave out --directory")
}

impl Search for HnswIndex<32> {
    fn search(&self, queries: &[Hash], radius: Distance) -> Vec<Vec<Hit>> {
        Self::search(self, queries, radius, &BankFilter::all(), &Cancellation::never())
            .expect("nothing cancels it")
    }
}

impl Engine for HnswIndex<32> {
    fn is_exact(&self) -> bool {
        false
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn account(&self) -> Option<u64> {
        None
    }

    fn updates(&self) -> Option<&dyn Updates> {
        None
    }
}
