//! `vigie status`: shows which parts answer, the topology, the sequences of all parts, and the banked hashes.
//!
//! Each part is called once, and all at the same time. A part that does not answer affects only its own line.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use vigie_clients::{CallError, CoordinatorClient, Decoding, MatchClient, Patience};
use vigie_model::{
    HashCount, HashType, HashTypeSet, Recall, ReplicaState, ReplicaView, Sequence, ShardCount, Topology,
};

use crate::cli::StatusArgs;
use crate::commands::bank_address::connect;
use crate::commands::deadline::deadline;
use crate::output::{
    ErrorLine, Exit, Output, PrintError, code_name, counted, counted_as, exit_of_call, hint, sentence, style,
};

/// Maximum time to wait for one part, in milliseconds; a part that takes longer is not healthy.
const PART_WITHIN_MS: u64 = 5_000;

pub(crate) async fn run(args: StatusArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let StatusArgs { coordinator: coordinator_url, frontend: frontend_url, address } = &args;
    let (bank, _) = connect(address, output)?;
    let bank = bank.with_patience(Patience::Once);
    let network = address.tls.network(&[coordinator_url, frontend_url])?.noticing(output.notice());
    let coordinator = CoordinatorClient::new_on(&[coordinator_url], &network)?;
    let frontend = MatchClient::new_on(&[frontend_url], &network)?;
    let within = deadline(address.timeout_ms.min(PART_WITHIN_MS));
    let (head, topology, decoding) =
        tokio::join!(bank.log_head(within), coordinator.describe_topology(within), frontend.decoding(within));

    match &head {
        Ok(head) => output.say(format!(
            "bank         {}  sequence {}  {}, {}, {}",
            bank.endpoint(),
            head.sequence,
            counted(head.banks, "bank"),
            counted(head.items, "item"),
            counted_as(head.hashes, "hash", "hashes")
        ))?,
        Err(error) => output.say(format!("bank         NO ANSWER  {}", sentence(&error.clone().into())))?,
    }
    let shards = topology.as_ref().ok().map(|topology| topology.shard_count.map_or(0, ShardCount::get));
    match &topology {
        Ok(_) => {
            let shards = counted(u64::from(shards.unwrap_or_default()), "shard");
            output.say(format!("coordinator  {coordinator_url}  {shards}"))?;
        }
        Err(error) => output.say(format!("coordinator  NO ANSWER  {}", sentence(&error.clone().into())))?,
    }
    match &decoding {
        Ok(decoding) => output.say(format!("frontend     {frontend_url}  {}", decoding_words(decoding)))?,
        // The searches of others may work all the same, so this is not a failure.
        Err(error) => output.say(format!("frontend     NO ANSWER  {}", sentence(&error.clone().into())))?,
    }
    let replicas = topology.as_ref().map_or(&[][..], |topology| &topology.replicas);
    // If the bank does not answer, the newest sequence that a matcher knows is used.
    let newest = head.as_ref().map_or_else(
        |_| replicas.iter().map(|replica| replica.head).max().unwrap_or_default(),
        |head| head.sequence,
    );
    let lag = |sequence: Sequence| newest.0.saturating_sub(sequence.0);
    let memory = Memory::of(replicas);
    let held = match &topology {
        Ok(topology) => show_replicas(topology, &memory, lag, output)?,
        Err(_) => Vec::new(),
    };

    let complete = topology.as_ref().is_ok_and(Topology::is_whole);
    let known = head.as_ref().ok();
    let unanswered: Vec<Unanswered<'_>> = [
        ("bank", head.as_ref().err()),
        ("coordinator", topology.as_ref().err()),
        ("frontend", decoding.as_ref().err()),
    ]
    .into_iter()
    .filter_map(|(part, error)| Some(Unanswered::new(part, error?)))
    .collect();
    output.object(&serde_json::json!({
        "sequence": known.map(|head| head.sequence.0), "banks": known.map(|head| head.banks),
        "items": known.map(|head| head.items), "hashes": known.map(|head| head.hashes),
        "shard_count": shards, "complete": complete,
        "decoding": decoding.as_ref().ok().map(decoding_object),
        "memory_bytes": memory.bytes, "processes": memory.processes,
        "replicas": replicas.iter().map(|replica| replica_object(replica, lag(replica.sequence))).collect::<Vec<_>>(),
        "hash_types": held.iter().map(|one| object(&one.0)).collect::<Vec<_>>(),
        "unanswered": unanswered,
    }))?;
    let errors = [head.err(), topology.err()];
    if let Some(error) = errors.iter().flatten().next() {
        if let Some(hint) = hint(error) {
            output.note(hint);
        }
        return Ok(exit_of_call(error));
    }
    if !complete {
        output.note(
            "not every shard has a ready matcher: searches are incomplete and fail unless they ask for less",
        );
        return Ok(Exit::Unavailable);
    }
    Ok(Exit::Done)
}

/// Describes which content a frontend decodes.
fn decoding_words(decoding: &Decoding) -> String {
    let Decoding { no_videos, ffmpeg, protection } = decoding;
    let by = ffmpeg.as_ref().map_or_else(String::new, |version| format!(" by ffmpeg {version}"));
    let videos = match no_videos {
        None => format!("videos decoded{by}"),
        Some(reason) => format!("videos searched by their digests alone ({reason})"),
    };
    format!("{videos}; protection of decoders: {protection}")
}

fn decoding_object(decoding: &Decoding) -> serde_json::Value {
    serde_json::json!({
        "videos": decoding.no_videos.is_none(), "reason": decoding.no_videos, "ffmpeg": decoding.ffmpeg,
        "protection": decoding.protection,
    })
}

/// A part of the cluster that did not answer, with its error.
#[derive(Debug, Serialize)]
struct Unanswered<'a> {
    part: &'a str,
    error: ErrorLine,
}

impl<'a> Unanswered<'a> {
    fn new(part: &'a str, error: &CallError) -> Self {
        let (code, message) = (code_name(error.code()), sentence(&error.clone().into()));
        Self { part, error: ErrorLine { code, message } }
    }
}

/// Prints the replicas and the hashes that they hold, and returns the hashes.
fn show_replicas(
    topology: &Topology,
    memory: &Memory,
    lag: impl Fn(Sequence) -> u64,
    output: &mut Output,
) -> Result<Vec<Held>, PrintError> {
    output.say("")?;
    let replicas = &topology.replicas;
    let rows: Vec<Vec<String>> = replicas
        .iter()
        .enumerate()
        .map(|(index, replica)| {
            vec![
                replica.shards.map_or("?".to_owned(), |shards| shards.to_string()),
                replica.endpoint.trim_start_matches("http://").to_owned(),
                replica.state.name().to_owned(),
                lag(replica.sequence).to_string(),
                replica.items.to_string(),
                replica.hashes.to_string(),
                memory.cell(index, replica),
                format!("{:.1} ms", std::time::Duration::from_micros(replica.latency_us).as_secs_f64() * 1e3),
                replica.in_flight.to_string(),
            ]
        })
        .collect();
    // A replica's sequence is not shown: it is the bank's sequence minus the lag.
    let head_row = ["shard", "matcher", "state", "lag", "items", "hashes", "memory", "latency", "calls"];
    output.styled_table(&head_row, &rows, |column, cell| match (column, cell) {
        (2, cell) if cell == ReplicaState::Ready.name() => style::GOOD,
        (2, cell) if cell == ReplicaState::Unreachable.name() => style::BAD,
        (2, _) => style::DOUBTFUL,
        _ => style::PLAIN,
    })?;
    for replica in replicas {
        let remark = remark(replica);
        if !remark.is_empty() {
            output.say(format!("{}: {remark}", replica.endpoint))?;
        }
    }
    output.say(memory.to_string())?;

    let counts = replicas.iter().flat_map(|replica| &replica.hash_counts);
    let types: HashTypeSet = HashType::known().chain(counts.map(|count| count.hash_type)).collect();
    let held: Vec<Held> = types.iter().map(|hash_type| Held::by(topology, hash_type)).collect();
    output.say("")?;
    for one in &held {
        output.say(one.to_string())?;
    }
    Ok(held)
}

fn replica_object(replica: &ReplicaView, lag: u64) -> serde_json::Value {
    serde_json::json!({
        "endpoint": replica.endpoint, "state": replica.state.name(),
        "shard": replica.shards.map(|shards| shards.first().0),
        "shards": replica.shards.map(|shards| shards.shards().map(|shard| shard.0).collect::<Vec<_>>()),
        "shard_count": replica.shards.map(|shards| shards.shard_count().get()),
        "sequence": replica.sequence.0, "lag": lag,
        "items": replica.items, "hashes": replica.hashes, "reason": replica.reason,
        "memory_bytes": replica.memory_bytes,
        "process": (replica.process_id != 0).then(|| format!("{:016x}", replica.process_id)),
        "latency_us": replica.latency_us,
        "in_flight": replica.in_flight, "ejected": replica.ejected,
        "hash_types": replica.hash_counts.iter().map(object).collect::<Vec<_>>(),
    })
}

/// The memory of the matchers. Each process is counted once: `vigie up` runs all matchers in one process.
struct Memory {
    /// For each replica, whether it is the first one of its process.
    is_first: Vec<bool>,
    processes: usize,
    bytes: u64,
}

impl Memory {
    fn of(replicas: &[ReplicaView]) -> Self {
        let mut known = BTreeSet::new();
        // Older versions do not report their process, so each such replica counts as a process of its own.
        let is_first = replicas.iter().map(|one| one.process_id == 0 || known.insert(one.process_id));
        let is_first: Vec<bool> = is_first.collect();
        let counted =
            || replicas.iter().zip(&is_first).filter(|(one, is_first)| **is_first && one.memory_bytes > 0);
        Self {
            processes: counted().count(),
            bytes: counted().map(|(one, _)| one.memory_bytes).sum(),
            is_first,
        }
    }

    fn cell(&self, index: usize, replica: &ReplicaView) -> String {
        if self.is_first[index] { format!("{} MiB", replica.memory_bytes >> 20) } else { "shared".to_owned() }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processes = counted_as(self.processes as u64, "process", "processes");
        write!(f, "memory: {} MiB in {processes}", self.bytes >> 20)
    }
}

/// Describes the condition of a replica; empty if there is nothing to report.
fn remark(replica: &ReplicaView) -> String {
    match (replica.ejected, replica.reason.is_empty()) {
        (false, _) => replica.reason.clone(),
        (true, true) => "left out for a while: it failed".to_owned(),
        (true, false) => format!("{}; left out for a while: it failed", replica.reason),
    }
}

/// The hashes of one type in the whole cluster. They are exact only if every replica's are; the recall is the
/// lowest of all replicas.
struct Held(HashCount);

impl Held {
    fn by(topology: &Topology, hash_type: HashType) -> Self {
        Self(topology.count_of(hash_type, |replica| replica.state != ReplicaState::Refused))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HashCount { hash_type, hashes, is_searched, exact, recall } = self.0;
        write!(f, "{hash_type}: {hashes} hashes, ")?;
        match recall {
            _ if !is_searched => {
                f.write_str("not searched by every replica: some run a version that does not know the type")
            }
            _ if exact => f.write_str("exact"),
            Some(Recall { value, sample, .. }) => {
                write!(f, "approximate (hnsw), recall {value:.3} over {sample} samples")
            }
            None => f.write_str("approximate (hnsw), all of it scanned so far"),
        }
    }
}

fn object(count: &HashCount) -> serde_json::Value {
    let recall = count
        .recall
        .map(|recall| serde_json::json!({ "value": recall.value, "sample": recall.sample, "k": recall.k }));
    serde_json::json!({
        "hash_type": count.hash_type.to_string(), "hashes": count.hashes, "searched": count.is_searched, "exact": count.exact,
        "recall": recall,
    })
}

#[cfg(test)]
mod tests {
    use vigie_model::ShardGroup;

    use super::*;

    fn replica(shard: u32, hashes: u64, recall: Option<f64>) -> ReplicaView {
        let recall = recall.map(|value| Recall { value, sample: 200, k: 10 });
        ReplicaView {
            endpoint: String::new(),
            state: ReplicaState::Ready,
            shards: Some(ShardGroup::new(shard, 2, 1).unwrap()),
            sequence: Sequence(1),
            head: Sequence(1),
            items: 0,
            hashes: 0,
            hash_counts: vec![HashCount {
                hash_type: HashType::PDQ,
                hashes,
                is_searched: true,
                exact: false,
                recall,
            }],
            reason: String::new(),
            memory_bytes: 0,
            process_id: 0,
            latency_us: 0,
            in_flight: 0,
            ejected: false,
        }
    }

    fn held(replicas: &[ReplicaView], hash_type: HashType) -> String {
        let topology = Topology { shard_count: ShardCount::new(2).ok(), replicas: replicas.to_vec() };
        Held::by(&topology, hash_type).to_string()
    }

    #[test]
    fn each_shard_counts_once_and_the_least_recall_is_shown() {
        let replicas = [replica(0, 10, Some(0.9871)), replica(0, 9, Some(0.9812)), replica(1, 5, None)];
        let pdq = held(&replicas, HashType::PDQ);
        assert_eq!(pdq, "pdq: 15 hashes, approximate (hnsw), recall 0.981 over 200 samples");
        assert_eq!(held(&replicas, HashType::MD5), "md5: 0 hashes, exact");
        let unmeasured = held(&replicas[2..], HashType::PDQ);
        assert_eq!(unmeasured, "pdq: 5 hashes, approximate (hnsw), all of it scanned so far");
        let mut older = replica(1, 5, None);
        older.hash_counts[0].is_searched = false;
        let pdq = held(&[replica(0, 10, None), older], HashType::PDQ);
        assert!(pdq.starts_with("pdq: 15 hashes, not searched by every replica"), "{pdq}");
    }

    #[test]
    fn a_replica_of_several_shards_names_them() {
        let pair = ReplicaView { shards: ShardGroup::new(0, 4, 2).ok(), ..replica(0, 10, None) };
        let object = replica_object(&pair, 0);
        assert_eq!(object["shard"], 0);
        assert_eq!(object["shards"], serde_json::json!([0, 2]));
        assert_eq!(object["shard_count"], 4);
    }

    #[test]
    fn the_memory_of_a_process_is_counted_once() {
        let in_process =
            |process_id, memory_bytes| ReplicaView { process_id, memory_bytes, ..replica(0, 1, None) };
        let replicas =
            [in_process(7, 5 << 20), in_process(7, 5 << 20), in_process(8, 1 << 20), in_process(0, 2 << 20)];
        let memory = Memory::of(&replicas);
        assert_eq!(memory.to_string(), "memory: 8 MiB in 3 processes");
        let cells: Vec<String> = replicas.iter().enumerate().map(|(at, one)| memory.cell(at, one)).collect();
        assert_eq!(cells, ["5 MiB", "shared", "1 MiB", "2 MiB"]);
        assert_eq!(Memory::of(&[in_process(9, 0)]).to_string(), "memory: 0 MiB in 0 processes");
    }
}
