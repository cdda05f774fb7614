//! `vigie status`: the topology, how far each part has come, and what is banked.

use vigie_clients::CoordinatorClient;
use vigie_model::ReplicaState;

use super::bank::connect;
use super::deadline;
use crate::cli::StatusArgs;
use crate::output::{Exit, Output};

pub(super) async fn run(args: StatusArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (bank, bank_deadline) = connect(&args.address)?;
    let coordinator = CoordinatorClient::new(&args.coordinator)?;
    let head = bank.log_head(bank_deadline).await?;
    let topology = coordinator.describe_topology(deadline(args.address.timeout_ms)).await?;

    output.say(format!(
        "bank         {}  sequence {}  {} banks, {} items, {} hashes",
        args.address.bank_url, head.sequence, head.banks, head.items, head.hashes
    ))?;
    let shards = topology.shard_count.map_or(0, vigie_model::ShardCount::get);
    output.say(format!("coordinator  {}  {shards} shards", args.coordinator))?;
    output.say("")?;
    let lag = |sequence: vigie_model::Sequence| head.sequence.0.saturating_sub(sequence.0);
    let rows: Vec<Vec<String>> = topology
        .replicas
        .iter()
        .map(|replica| {
            vec![
                replica.identity.map_or("?".to_owned(), |identity| identity.to_string()),
                replica.endpoint.clone(),
                replica.state.name().to_owned(),
                replica.sequence.to_string(),
                lag(replica.sequence).to_string(),
                replica.items.to_string(),
                replica.hashes.to_string(),
                replica.reason.clone(),
            ]
        })
        .collect();
    output.table(&["shard", "matcher", "state", "sequence", "lag", "items", "hashes", ""], &rows)?;

    let replicas: Vec<_> = topology
        .replicas
        .iter()
        .map(|replica| {
            serde_json::json!({
                "endpoint": replica.endpoint, "state": replica.state.name(),
                "shard": replica.identity.map(|identity| identity.shard().0),
                "shard_count": replica.identity.map(|identity| identity.shard_count().get()),
                "sequence": replica.sequence.0, "lag": lag(replica.sequence),
                "items": replica.items, "hashes": replica.hashes, "reason": replica.reason,
            })
        })
        .collect();
    let covered = |shard: u16| {
        topology.replicas.iter().any(|replica| {
            let serves = replica.identity.is_some_and(|identity| identity.shard().0 == shard);
            serves && replica.state == ReplicaState::Ready
        })
    };
    let complete = shards > 0 && (0..shards).all(covered);
    output.object(&serde_json::json!({
        "sequence": head.sequence.0, "banks": head.banks, "items": head.items, "hashes": head.hashes,
        "shard_count": shards, "complete": complete, "replicas": replicas,
    }))?;
    if !complete {
        output.note(
            "not every shard has a ready matcher: searches are incomplete and fail unless they ask for less",
        );
        return Ok(Exit::Unavailable);
    }
    Ok(Exit::Done)
}
