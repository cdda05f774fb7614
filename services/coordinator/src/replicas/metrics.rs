//! The gauges of the matchers: their states, and the searches that wait for them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use vigie_model::ReplicaState;
use vigie_net::lane::LaneTraffic;
use vigie_telemetry::{register_gauge, register_gauges};

use crate::replicas::view::{Group, View};

/// Registers gauges that read the current view.
pub(crate) fn register_view(registry: &mut Registry, view: &Arc<ArcSwap<View>>) {
    let gauge = |registry: &mut Registry, name, help, read: fn(&View) -> usize| {
        let view = Arc::clone(view);
        register_gauge(registry, name, help, move || figure(read(&view.load())));
    };
    gauge(registry, "vigie_coordinator_shards", "Shards of the set in use", |view| {
        view.groups.iter().map(shards_of).sum()
    });
    gauge(registry, "vigie_coordinator_shards_ready", "Shards with a ready replica", |view| {
        view.groups.iter().filter(|group| !group.ready.is_empty()).map(shards_of).sum()
    });
    gauge(
        registry,
        "vigie_coordinator_queued_searches",
        "Searches that wait for a call to a matcher",
        |view| traffic(view).map(|traffic| traffic.queued).sum(),
    );
    gauge(
        registry,
        "vigie_coordinator_queued_searches_longest",
        "Searches that wait for a call to the matcher with the most of them",
        |view| traffic(view).map(|traffic| traffic.queued).max().unwrap_or(0),
    );
    gauge(registry, "vigie_coordinator_calls", "Calls to matchers in progress", |view| {
        traffic(view).map(|traffic| traffic.calls).sum()
    });
    let view = Arc::clone(view);
    let name = "vigie_coordinator_replicas";
    register_gauges(registry, name, "Matchers, by state", "state", move || {
        let topology = view.load().table.topology(|_| None);
        let count = |state| topology.replicas.iter().filter(|replica| replica.state == state).count();
        STATES.map(|state| (state.name(), figure(count(state)))).into()
    });
}

const STATES: [ReplicaState; 4] =
    [ReplicaState::Ready, ReplicaState::NotReady, ReplicaState::Unreachable, ReplicaState::Refused];

fn shards_of(group: &Group) -> usize {
    group.shards.size().into()
}

fn traffic(view: &View) -> impl Iterator<Item = LaneTraffic> {
    view.replicas.values().map(|replica| replica.traffic())
}

#[expect(clippy::cast_precision_loss, reason = "2^53 of anything is out of reach")]
fn figure(count: usize) -> f64 {
    count as f64
}
