//! Lookups while replicas and whole shards are away: each answer is checked against its own coverage.
//!
//! An answer with full coverage has to include everything up to its sequence. An answer with less has to say
//! so, name the missing shards, and be right about all others. If a call fails, only the partial answer in
//! its details, if there is one, is checked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use vigie_clients::{CoordinatorClient, Deadline, Priority, partial_search};
use vigie_model::shard::Partition;
use vigie_model::{
    Coverage, Hash, MinCoverage, Query, QueryMatches, SearchAnswer, SearchOptions, Sequence, ShardCount,
};

use crate::material::random_pdq;
use crate::workload::ledger::Entry;
use crate::workload::writers::{Workload, agrees, may_be_an_outage, query, question};

/// The deadline of a lookup: short, like that of a caller who waits.
const LOOKUP_WITHIN: Duration = Duration::from_secs(1);
/// The most entries in one call.
const ENTRIES_MAX: usize = 8;

/// Counters of the lookups' answers.
#[derive(Debug, Default)]
pub struct Lookups {
    full: AtomicU64,
    partial: AtomicU64,
    missing_shards: AtomicU64,
    refused: AtomicU64,
}

/// The values of [`Lookups`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookupTally {
    /// Answers with full coverage that agree with the ledger.
    pub full: u64,
    /// Answers with less coverage that agree with the ledger on what they cover.
    pub partial: u64,
    /// The sum of the missing shards in the partial answers.
    pub missing_shards: u64,
    /// Calls without any answer.
    pub refused: u64,
}

impl LookupTally {
    /// Returns the number of answers that were checked against the ledger.
    #[must_use]
    pub const fn answers(&self) -> u64 {
        self.full + self.partial
    }
}

impl Lookups {
    /// Returns the present counts.
    pub fn tally(&self) -> LookupTally {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LookupTally {
            full: get(&self.full),
            partial: get(&self.partial),
            missing_shards: get(&self.missing_shards),
            refused: get(&self.refused),
        }
    }
}

impl Workload {
    /// Looks up entries of the ledger, and a hash that is not in it, until it is stopped; fails at the first
    /// answer that is wrong or claims more coverage than it has.
    pub async fn look_up(
        &self,
        coordinator: &CoordinatorClient,
        shard_count: ShardCount,
        lookups: &Lookups,
        mut rng: SmallRng,
    ) -> anyhow::Result<()> {
        while !*self.stop.borrow() {
            tokio::time::sleep(self.rest).await;
            let places: BTreeSet<usize> =
                (0..rng.random_range(1..=ENTRIES_MAX)).filter_map(|_| self.ledger.draw(&mut rng)).collect();
            let entries: Vec<Entry> = places.iter().map(|place| self.ledger.entry(*place)).collect();
            let mut queries: Vec<Query> = entries.iter().map(query).collect();
            // This hash was never banked.
            queries.push(question(Hash::pdq(random_pdq(&mut rng))));
            let newest = entries.iter().map(Entry::as_of).max().unwrap_or(Sequence::ZERO);
            let takes_less = rng.random();
            let options = SearchOptions {
                min_sequence: if rng.random() { newest } else { Sequence::ZERO },
                min_coverage: MinCoverage::new(if takes_less { 0.0 } else { 1.0 })?,
                ..SearchOptions::default()
            };
            let deadline = Deadline::now() + LOOKUP_WITHIN;
            let asked = coordinator.search(&queries, &options, Priority::Interactive, deadline).await;
            let answer = match asked {
                Ok(answer) => {
                    let enough = takes_less || answer.coverage.is_full();
                    ensure!(enough, "INCOMPLETE: {:?} was not asked for", answer.coverage);
                    answer
                }
                Err(error) => {
                    ensure!(may_be_an_outage(error.code()), "a search was refused: {error}");
                    match partial_search(&error) {
                        Some(partial) => {
                            ensure!(!partial.coverage.is_full(), "it failed and is complete: {error}");
                            partial
                        }
                        None => {
                            lookups.refused.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                    }
                }
            };
            let after: Vec<Entry> = places.iter().map(|place| self.ledger.entry(*place)).collect();
            let is_settled = |at: usize| entries[at].fate == after[at].fate;
            Held { answer: &answer, options: &options, shard_count }
                .check(&entries, is_settled)
                .with_context(|| format!("an answer that covers {:?}", answer.coverage))?;
            if answer.coverage.is_full() {
                lookups.full.fetch_add(1, Ordering::Relaxed);
            } else {
                lookups.partial.fetch_add(1, Ordering::Relaxed);
                let missing = answer.coverage.failures.len() as u64;
                lookups.missing_shards.fetch_add(missing, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// An answer that is checked against its own coverage.
struct Held<'a> {
    answer: &'a SearchAnswer,
    options: &'a SearchOptions,
    shard_count: ShardCount,
}

impl Held<'_> {
    fn check(&self, entries: &[Entry], is_settled: impl Fn(usize) -> bool) -> anyhow::Result<()> {
        let SearchAnswer { results, coverage, .. } = self.answer;
        self.check_coverage(coverage)?;
        if results.is_empty() && !coverage.is_full() {
            // The results were too large for the details of a failure.
            return Ok(());
        }
        ensure!(
            results.len() == entries.len() + 1,
            "{} results for {} queries",
            results.len(),
            entries.len() + 1
        );
        for (at, (entry, found)) in entries.iter().zip(results).enumerate() {
            let shard = self.shard_count.shard_of(Partition::of(entry.item));
            let is_missing = coverage.failures.iter().any(|failure| failure.shard == shard);
            let only_itself = found.matches.iter().all(|found| found.item == entry.item);
            ensure!(only_itself, "FALSE: something else than item {} matches", entry.item);
            if is_missing {
                ensure!(
                    found.matches.is_empty(),
                    "item {} comes from a shard that did not answer",
                    entry.item
                );
            } else if is_settled(at) && entry.as_of() <= coverage.sequence_min {
                agrees(entry, found)?;
            }
        }
        let stranger: Option<&QueryMatches> = results.last();
        ensure!(stranger.is_some_and(|found| found.matches.is_empty()), "FALSE: a stranger matches");
        Ok(())
    }

    fn check_coverage(&self, coverage: &Coverage) -> anyhow::Result<()> {
        let Coverage { shards_total, shards_answered, sequence_min, .. } = *coverage;
        if shards_total == 0 {
            ensure!(shards_answered == 0, "shards that are not there have answered");
            return Ok(());
        }
        ensure!(
            shards_total == self.shard_count.get(),
            "the answer is of a cluster with {shards_total} shards"
        );
        let mut missing: Vec<_> = coverage.failures.iter().map(|failure| failure.shard).collect();
        missing.sort_unstable();
        missing.dedup();
        let missing_count = usize::from(shards_total - shards_answered);
        ensure!(
            missing.len() == missing_count,
            "{missing_count} shards are missing, and {missing:?} are named"
        );
        let is_fresh = shards_answered == 0 || sequence_min >= self.options.min_sequence;
        ensure!(is_fresh, "STALE: {} was asked for", self.options.min_sequence);
        Ok(())
    }
}
