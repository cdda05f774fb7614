//! The shards and their replicas, as the coordinator reports them: for operators.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use vigie_clients::CallError;
use vigie_consortium::rights::Method;
use vigie_model::{HashCount, HashType, ReplicaState, ReplicaView, ShardGroup, Topology};

use crate::console::pages::health::away::away;
use crate::console::pages::health::sentence::until;
use crate::console::parts::{self, Column, Tone};
use crate::console::state::Console;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The most replicas that are shown.
const REPLICAS_SHOWN: usize = 100;

/// Returns whether the person may see addresses and machines: the person's roles may describe the topology,
/// or the deployment has no members. The call uses the gateway's own credential, so no service checks the
/// person's rights. False while the bank cannot identify the person.
pub(super) fn is_shown_to(visit: &Visit) -> bool {
    visit.who.is_some() && visit.may(Method::DescribeTopology)
}

/// Returns the topology; `None` if the gateway has no coordinator.
pub(super) async fn topology(console: &Console) -> Option<Result<Topology, CallError>> {
    let coordinator = console.coordinator.as_ref()?;
    Some(coordinator.describe_topology(until()).await)
}

/// Renders the shards with their replicas, and the number of hashes of each type.
pub(super) fn details(visit: &Visit, topology: Result<Topology, Problem>) -> Markup {
    let topology = match topology {
        Ok(topology) => topology,
        Err(problem) => {
            return parts::section(visit.t("health.parts.title"), away(visit, "health.parts.away", &problem));
        }
    };
    let columns = [
        Column::number(visit.t("health.parts.part")),
        Column::words(visit.t("health.parts.replica")),
        Column::words(visit.t("health.parts.state")),
        Column::number(visit.t("health.parts.behind")),
        Column::number(visit.t("health.parts.items")),
        Column::number(visit.t("health.parts.hashes")),
        Column::number(visit.t("health.parts.memory")),
        Column::number(visit.t("health.parts.answers_in")),
    ];
    let rows = topology.replicas.iter().take(REPLICAS_SHOWN).map(|replica| row(visit, replica));
    let count = visit.count("health.parts.count", topology.shard_count.map_or(0, |count| count.get().into()));
    let ready = visit.count("health.parts.ready", topology.ready_count() as u64);
    let left = topology.replicas.len().saturating_sub(REPLICAS_SHOWN);
    let replicas = html! {
        p { (count) " " (ready) }
        (parts::table(visit.t("health.parts.title"), &columns, rows))
        @if left > 0 { p { (visit.count("health.parts.more", left as u64)) } }
    };
    html! {
        (parts::section(visit.t("health.parts.title"), replicas))
        (parts::section(visit.t("health.types.title"), types(visit, &topology)))
    }
}

fn row(visit: &Visit, replica: &ReplicaView) -> Vec<Markup> {
    let number = |number: u64| html! { (visit.language.number(number)) };
    let (tone, word) = match replica.state {
        ReplicaState::Ready => (Tone::Good, "health.parts.is_ready"),
        ReplicaState::NotReady => (Tone::Warn, "health.parts.not_ready"),
        ReplicaState::Unreachable => (Tone::Bad, "health.parts.unreachable"),
        ReplicaState::Refused => (Tone::Bad, "health.parts.refused"),
    };
    let unknown = || html! { "–" };
    vec![
        replica.shards.map_or_else(unknown, |shards| numbers(visit, shards)),
        parts::digits(&replica.endpoint),
        html! {
            (parts::badge(tone, visit.t(word)))
            @if replica.ejected { " " (parts::badge(Tone::Warn, visit.t("health.parts.ejected"))) }
            @if !replica.reason.is_empty() { br; span.detail { (replica.reason) } }
        },
        number(replica.head.0.saturating_sub(replica.sequence.0)),
        number(replica.items),
        number(replica.hashes),
        match replica.memory_bytes {
            0 => unknown(),
            bytes => html! { (visit.language.number(bytes.div_ceil(1 << 20))) " MiB" },
        },
        match replica.latency_us {
            0 => unknown(),
            us => html! { (visit.language.number(us)) " µs" },
        },
    ]
}

/// Renders the numbers of the shards of a replica; of many, the first ones and the last one.
fn numbers(visit: &Visit, shards: ShardGroup) -> Markup {
    let is_shown = |index: usize| index < 2 || shards.size() <= 4 || index + 1 == usize::from(shards.size());
    let shown = shards.shards().enumerate().filter(|(index, _)| is_shown(*index));
    html! {
        @for (index, shard) in shown {
            @if index > 0 { ", " }
            @if index > 2 && shards.size() > 4 { "… " }
            (visit.language.number(shard.0.into()))
        }
    }
}

/// Renders the number of hashes of each type. Each shard counts once, with its fullest replica, since the
/// replicas of a shard hold the same hashes.
fn types(visit: &Visit, topology: &Topology) -> Markup {
    let totals = totals(topology);
    if totals.is_empty() {
        return parts::empty(visit.t("health.types.none"));
    }
    let columns = [
        Column::words(visit.t("health.types.type")),
        Column::number(visit.t("health.types.hashes")),
        Column::words(visit.t("health.types.search")),
    ];
    let rows = totals.iter().map(|(hash_type, total)| {
        let search = match (total.is_searched, total.exact, total.recall) {
            (false, _, _) => visit.t("health.types.not_searched").to_owned(),
            (true, true, _) => visit.t("health.types.exact").to_owned(),
            (true, false, None) => visit.t("health.types.approximate").to_owned(),
            (true, false, Some(recall)) => {
                let percent = parts::percent(visit.language, recall);
                visit.fill(
                    "health.types.approximate_measured",
                    &[("percent", &percent), ("sample", &recall.sample)],
                )
            }
        };
        let hashes = visit.language.number(total.hashes);
        vec![html! { (hash_type) }, html! { (hashes) }, html! { (search) }]
    });
    parts::table(visit.t("health.types.title"), &columns, rows)
}

/// Returns the total of each hash type over all shards, for the types that have a hash.
fn totals(topology: &Topology) -> BTreeMap<HashType, HashCount> {
    let counts = topology.replicas.iter().flat_map(|replica| &replica.hash_counts);
    let types: BTreeSet<HashType> = counts.map(|count| count.hash_type).collect();
    let totals = types.into_iter().map(|hash_type| (hash_type, topology.count_of(hash_type, |_| true)));
    totals.filter(|(_, total)| total.hashes > 0).collect()
}

#[cfg(test)]
mod tests {
    use vigie_model::{Recall, Sequence, ShardCount};

    use super::*;

    fn of(replicas: &[ReplicaView]) -> Topology {
        Topology { shard_count: ShardCount::new(2).ok(), replicas: replicas.to_vec() }
    }

    fn replica(shard: u16, hashes: u64, is_searched: bool) -> ReplicaView {
        let count = HashCount { hash_type: HashType::PDQ, hashes, is_searched, exact: true, recall: None };
        ReplicaView {
            endpoint: "http://a".to_owned(),
            state: ReplicaState::Ready,
            shards: ShardGroup::new(shard.into(), 2, 1).ok(),
            sequence: Sequence(1),
            head: Sequence(1),
            items: hashes,
            hashes,
            hash_counts: vec![count],
            reason: String::new(),
            memory_bytes: 0,
            process_id: 0,
            latency_us: 0,
            in_flight: 0,
            ejected: false,
        }
    }

    #[test]
    fn replicas_of_a_part_are_counted_once_and_parts_together() {
        let totals = totals(&of(&[replica(0, 5, true), replica(0, 4, true), replica(1, 7, false)]));
        let hash_type = HashType::PDQ;
        let pdq = HashCount { hash_type, hashes: 12, is_searched: false, exact: true, recall: None };
        assert_eq!(totals, BTreeMap::from([(HashType::PDQ, pdq)]));
    }

    #[test]
    fn the_lowest_recall_of_any_replica_is_shown() {
        let measured = |shard, value| {
            let mut replica = replica(shard, 5, true);
            replica.hash_counts[0].exact = false;
            replica.hash_counts[0].recall = Some(Recall { value, sample: 200, k: 10 });
            replica
        };
        let replicas = [measured(0, 0.999), measured(0, 0.996), replica(1, 7, true), measured(1, 1.0)];
        let totals = totals(&of(&replicas));
        let pdq = totals[&HashType::PDQ];
        assert_eq!((pdq.hashes, pdq.exact, pdq.recall.map(|recall| recall.value)), (12, false, Some(0.996)));
    }
}
