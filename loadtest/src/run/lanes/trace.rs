//! A recorded sequence of arrivals, which is replayed.
//!
//! Each line is one arrival: seconds from the start, then optionally a comma and the kind of request. Lines
//! are sorted by time; empty lines and those that begin with `#` are ignored. The warm-up is the first part
//! of the trace.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::run::lanes::kind::Kind;
use crate::run::lanes::schedule::Arrival;

/// Reads the arrivals of a file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<(Arrival, Option<Kind>)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no trace", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<(Arrival, Option<Kind>)>> {
    let mut arrivals: Vec<(Arrival, Option<Kind>)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (seconds, kind) = line.split_once(',').map_or((line, None), |(at, kind)| (at, Some(kind.trim())));
        let seconds: f64 = seconds.trim().parse().with_context(|| format!("line {number}"))?;
        let at = Duration::try_from_secs_f64(seconds).with_context(|| format!("line {number}"))?;
        let kind = match kind {
            None => None,
            Some(name) => Some(
                Kind::named(name)
                    .with_context(|| format!("line {number}: `{name}` is no kind of request"))?,
            ),
        };
        if arrivals.last().is_some_and(|(before, _)| before.at > at) {
            bail!("line {number} is earlier than the one before");
        }
        arrivals.push((Arrival { number: arrivals.len() as u64, at }, kind));
    }
    if arrivals.is_empty() {
        bail!("it holds no arrival");
    }
    Ok(arrivals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_read_with_their_kinds() {
        let read = parse("# recorded\n0.5\n0.5, image\n\n2, batch\n").unwrap();
        let arrivals: Vec<_> =
            read.iter().map(|(one, kind)| (one.number, one.at.as_millis(), *kind)).collect();
        assert_eq!(arrivals, [(0, 500, None), (1, 500, Some(Kind::Image)), (2, 2_000, Some(Kind::Batch))]);
    }

    #[test]
    fn what_is_no_trace_is_refused_by_its_line() {
        for (text, part) in [
            ("", "no arrival"),
            ("1\n0.5", "line 2"),
            ("1, dance", "dance"),
            ("-1", "line 1"),
            ("x", "line 1"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
