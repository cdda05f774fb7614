//! The cost that hashes in the mutable tail add to a search.
//!
//! Two snapshots of the same index, before and after 100,000 hashes are inserted, are searched in
//! alternation.

use serde::Serialize;
use vigie_index::Edit;

use super::times::{Asker, Plan, Times};
use crate::data::draw::{Draw, Stream};
use crate::index::engine::{Updates, entry};

/// The number of hashes that a tail is designed for.
const TAIL_HASHES: u64 = 100_000;

/// Numbers of hashes drawn for the tail begin here; the updates' traffic uses lower ones.
const FIRST: u64 = 3 << 30;

/// Search times with an empty tail and with many hashes in it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TailCost {
    pub(crate) tail_hashes: u64,
    pub(crate) without: Times,
    pub(crate) with: Times,
    pub(crate) median_added_us: f64,
}

/// Inserts hashes, measures, and removes them.
pub(crate) fn tail(updates: &dyn Updates, plan: &Plan<'_>) -> anyhow::Result<TailCost> {
    if updates.merges() {
        updates.merge()?;
    }
    let before = updates.snapshot();
    let inserts: Vec<Edit<32>> = (FIRST..FIRST + TAIL_HASHES)
        .map(|number| Edit::Insert(Draw::new(0, Stream::Update, number).hash(), entry(number)))
        .collect();
    updates.apply(&inserts);
    let after = updates.snapshot();
    let [mut without, mut with] = [(); 2].map(|()| Asker::new(plan));
    for _ in 0..plan.rounds {
        without.ask_for(&*before, plan.slice);
        with.ask_for(&*after, plan.slice);
    }
    let removals: Vec<Edit<32>> = inserts
        .iter()
        .filter_map(|edit| match edit {
            Edit::Insert(hash, entry) => Some(Edit::Remove(*hash, entry.item)),
            Edit::Remove(..) => None,
        })
        .collect();
    updates.apply(&removals);
    let (without, with) = (without.summary(), with.summary());
    let median_added_us = with.median_us - without.median_us;
    Ok(TailCost { tail_hashes: TAIL_HASHES, without, with, median_added_us })
}
