//! A graph over rows that no longer change.
//!
//! **How a graph is searched.** The library usually finds the k nodes nearest to a query. A search for rows
//! within a radius asks for half as many nodes as the search keeps candidates ([`HnswConfig::ef_search`]),
//! which costs no more than asking for fewer, and for four times as many as long as the farthest of them is
//! within the radius. It scans the segment instead, and then answers exactly:
//!
//! - if a scan is faster (see [`HnswConfig::scan_rows_per_ef`]). For a search of few of the banks, the scan
//!   reads only the rows of these banks;
//! - beyond [`GRAPH_NODES_MAX`] nodes;
//! - if the graph leads to fewer nodes than were asked for, so that parts of it cannot be reached.
//!
//! **What may be missed** is therefore a node to which no path of ever nearer nodes leads, however near it is
//! to the query.
//!
//! **Locks.** The library protects the links of each node by a lock for builders. Nobody builds a finished
//! graph, so a reader never waits at them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use hnsw_rs::hnsw::{FilterT, Hnsw};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use vigie_model::BankId;

use super::answer::{Answer, Found, RowLocation, Wanted};
use super::metric::{Metric, OfGraph};
use super::rows::{Rows, index};
use crate::config::HnswConfig;
use vigie_index::BankFilter;
use vigie_index::{Cancelled, Checkpoint};

/// The largest number of nodes for which a search asks a graph. Each costs about as much as scanning four
/// thousand rows.
const GRAPH_NODES_MAX: usize = 1_024;

/// The number of nodes that one thread links before others help. The library loses a node that is linked
/// while the graph has no other.
const NODES_ALONE: usize = 256;

/// The largest number of layers of the library. A graph of n nodes uses about log(n) / log(links) of them.
const LAYERS_MAX: usize = 16;

/// A graph, with its rows and the banks of its rows.
pub(crate) struct Segment<M: Metric> {
    pub(crate) rows: Rows<M::Element>,
    banks: BTreeMap<BankId, BankNodes>,
    graph: Hnsw<'static, M::Element, OfGraph<M>>,
}

/// The rows of one bank.
#[derive(Default)]
struct BankNodes {
    nodes: Vec<u32>,
    rows: usize,
}

/// The parts of a search that are the same for every segment.
pub(crate) struct Asked<'a, E> {
    pub(crate) query: &'a [E],
    pub(crate) filter: &'a BankFilter,
    pub(crate) removals: u64,
    pub(crate) ef_search: usize,
    pub(crate) scan_rows_per_ef: usize,
    /// The number of the rows' container that is searched.
    pub(crate) rows: u32,
}

impl<M: Metric> Segment<M> {
    /// Links the rows into a graph, with the configured number of threads; `None` if `stop` was raised
    /// meanwhile.
    pub(crate) fn build(
        rows: Rows<M::Element>,
        metric: &M,
        config: &HnswConfig,
        stop: &AtomicBool,
    ) -> Option<Self> {
        let graph = Hnsw::new(
            config.max_nb_connection,
            rows.node_count(),
            LAYERS_MAX,
            config.ef_construction,
            OfGraph(metric.clone()),
        );
        // In the order of their vectors, the first thousands would all be in one corner of the space.
        let mut order: Vec<usize> = (0..rows.node_count()).collect();
        order.shuffle(&mut SmallRng::seed_from_u64(0));
        let (alone, rest) = order.split_at(NODES_ALONE.min(order.len()));
        for &node in alone {
            graph.insert((rows.vector(node), node));
        }
        let next = AtomicUsize::new(0);
        let link = || {
            while !stop.load(Relaxed)
                && let Some(&node) = rest.get(next.fetch_add(1, Relaxed))
            {
                graph.insert((rows.vector(node), node));
            }
        };
        thread::scope(|scope| {
            for _ in 1..config.build_threads {
                scope.spawn(link);
            }
            link();
        });
        if stop.load(Relaxed) {
            return None;
        }
        let mut banks: BTreeMap<BankId, BankNodes> = BTreeMap::new();
        for node in 0..rows.node_count() {
            for row in rows.rows_of(node) {
                let bank = banks.entry(rows.entry(row).bank).or_default();
                bank.rows += 1;
                if bank.nodes.last() != Some(&index(node)) {
                    bank.nodes.push(index(node));
                }
            }
        }
        Some(Self { rows, banks, graph })
    }

    /// Offers the matching rows of the segment to the answer.
    pub(crate) fn search(
        &self,
        asked: &Asked<'_, M::Element>,
        metric: &M,
        answer: &mut Answer,
        checkpoint: &mut Checkpoint<'_>,
    ) -> Result<(), Cancelled> {
        let banks = self.banks.iter().filter(|(bank, _)| asked.filter.contains(**bank));
        let passing: usize = banks.map(|(_, bank)| bank.rows).sum();
        if passing == 0 {
            return Ok(());
        }
        let everything = passing == self.rows.row_count();
        // A graph with a filter leads to fewer nodes than candidates.
        let at_first = (asked.ef_search / 2).max(1);
        let mut nodes = match answer.wanted() {
            Wanted::Within(_) => at_first,
            Wanted::Nearest(k) => k,
            Wanted::Near { most, .. } => most.clamp(1, at_first),
        };
        loop {
            let ef = nodes.max(asked.ef_search);
            // A filter that lets one of n rows pass widens the search n times.
            let widened = ef as f64 * self.rows.row_count() as f64 / passing as f64;
            if nodes > GRAPH_NODES_MAX || passing as f64 <= widened * asked.scan_rows_per_ef as f64 {
                return self.scan(asked, everything, metric, answer, checkpoint);
            }
            // Counted like a scan of as many rows, because the library itself cannot be interrupted.
            checkpoint.spend(ef * 4_096)?;
            let found = self.nearest_nodes(asked, everything, nodes, ef);
            if found.len() < nodes {
                return self.scan(asked, everything, metric, answer, checkpoint);
            }
            let farthest = found.last().map_or(f32::INFINITY, |&(_, distance)| distance);
            let grown = match answer.wanted() {
                Wanted::Within(radius) if farthest <= radius => nodes.saturating_mul(4),
                // This many nodes have at least as many rows.
                Wanted::Near { most, .. } if farthest <= answer.reach() => nodes.saturating_mul(4).min(most),
                Wanted::Within(_) | Wanted::Near { .. } | Wanted::Nearest(_) => nodes,
            };
            if grown > nodes {
                nodes = grown;
                continue;
            }
            for (node, distance) in found {
                offer_node(&self.rows, node, distance, asked, answer, |bank| asked.filter.contains(bank));
            }
            return Ok(());
        }
    }

    /// Returns this many of the nodes with a matching row, the nearest first.
    fn nearest_nodes(
        &self,
        asked: &Asked<'_, M::Element>,
        everything: bool,
        count: usize,
        ef: usize,
    ) -> Vec<(usize, f32)> {
        let passes = |node: &usize| {
            self.rows.rows_of(*node).any(|row| {
                asked.filter.contains(self.rows.entry(row).bank) && self.rows.lives_at(row, asked.removals)
            })
        };
        // Without a filter the library searches three times as fast.
        let filter: Option<&dyn FilterT> =
            if everything && self.rows.all_live_at(asked.removals) { None } else { Some(&passes) };
        // With a filter the library counts its start node and omits it at the end, so it is asked for one
        // more.
        let found = self.graph.search_filter(asked.query, count + 1, ef + 1, filter);
        found.into_iter().take(count).map(|found| (found.d_id, found.distance)).collect()
    }

    fn scan(
        &self,
        asked: &Asked<'_, M::Element>,
        everything: bool,
        metric: &M,
        answer: &mut Answer,
        checkpoint: &mut Checkpoint<'_>,
    ) -> Result<(), Cancelled> {
        if everything {
            return scan(&self.rows, asked, metric, answer, checkpoint);
        }
        for (bank, of_bank) in self.banks.iter().filter(|(bank, _)| asked.filter.contains(**bank)) {
            for &node in &of_bank.nodes {
                checkpoint.spend(1 + asked.query.len() / 8)?;
                let node = node as usize;
                let distance = metric.distance(asked.query, self.rows.vector(node));
                if distance <= answer.reach() {
                    offer_node(&self.rows, node, distance, asked, answer, |row_bank| row_bank == *bank);
                }
            }
        }
        Ok(())
    }
}

/// Offers all rows to the answer, exactly.
pub(crate) fn scan<M: Metric>(
    rows: &Rows<M::Element>,
    asked: &Asked<'_, M::Element>,
    metric: &M,
    answer: &mut Answer,
    checkpoint: &mut Checkpoint<'_>,
) -> Result<(), Cancelled> {
    for node in 0..rows.node_count() {
        checkpoint.spend(1 + asked.query.len() / 8)?;
        let distance = metric.distance(asked.query, rows.vector(node));
        if distance <= answer.reach() {
            offer_node(rows, node, distance, asked, answer, |bank| asked.filter.contains(bank));
        }
    }
    Ok(())
}

fn offer_node<E: super::metric::Element>(
    rows: &Rows<E>,
    node: usize,
    distance: f32,
    asked: &Asked<'_, E>,
    answer: &mut Answer,
    passes: impl Fn(BankId) -> bool,
) {
    for row in rows.rows_of(node) {
        let entry = rows.entry(row);
        if passes(entry.bank) && rows.lives_at(row, asked.removals) {
            let place = RowLocation { rows: asked.rows, node: index(node) };
            answer.offer(Found { distance, entry, place });
        }
    }
}
