//! Derives the unit of a number from its name.

/// Parts of names and their units. The first part that a name contains determines the unit.
const UNITS: [(&str, &str); 50] = [
    ("bytes_per_second", "bytes/s"),
    ("bytes", "bytes"),
    ("attempts_hosts", "hosts"),
    ("attempts", "calls"),
    ("ms", "ms"),
    ("us", "µs"),
    ("seconds", "s"),
    ("minutes", "min"),
    ("hours", "h"),
    ("pixels", "pixels"),
    ("px", "pixels"),
    ("share", "share"),
    ("ratio", "share"),
    ("quality", "quality"),
    ("nb_connection", "links"),
    ("ef", "candidates"),
    ("shard_count", "shards"),
    ("shards_served", "shards"),
    ("shard", "number"),
    ("replica", "number"),
    ("concurrency", "calls"),
    ("streams", "streams"),
    ("connections", "connections"),
    ("changes", "changes"),
    ("write_queue", "writes"),
    ("hashing_queue", "images"),
    ("video_queue", "videos"),
    ("banks", "banks"),
    ("rows", "rows"),
    ("followers", "followers"),
    ("queries", "queries"),
    ("calls", "calls"),
    ("threads", "threads"),
    ("requests", "requests"),
    ("frames", "frames"),
    ("fetches", "fetches"),
    ("handshakes", "handshakes"),
    ("searches", "searches"),
    ("waits", "calls"),
    ("watchers", "watchers"),
    ("rounds", "rounds"),
    ("redirects", "redirects"),
    ("retries", "calls"),
    ("percent", "%"),
    ("matches", "matches"),
    ("factor", "times"),
    ("pairs", "pairs"),
    ("workers", "processes"),
    ("waiting", "runs"),
    ("items", "items"),
];

/// Returns the unit of the number of this name.
pub(super) fn of(name: &str) -> Option<&'static str> {
    let name = format!("_{name}_");
    let found = UNITS.iter().find(|(words, _)| name.contains(&format!("_{words}_")));
    found.map(|(_, unit)| *unit)
}
