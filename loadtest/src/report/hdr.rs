//! Interval logs of HdrHistogram, the format that `HistogramLogProcessor` and the plotters of other tools
//! read.

use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use crate::report::result::RunResult;
use crate::run::record::hist::Hist;

/// Values are microseconds. The log names the divisor of its column of maxima, which is in milliseconds.
const MICROS_IN_MILLI: f64 = 1_000.0;

/// Returns the name and the log of each file: the latency of each second, and the whole run's times as one
/// interval each.
pub(super) fn logs(result: &RunResult) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let warm_up = result.scenario.drive.warm_up.0;
    let whole = Duration::from_secs_f64(result.measured_s);
    let all = result.record.totals.all_kinds();
    let seconds: Vec<(Duration, Duration, &Hist)> = result
        .record
        .seconds
        .iter()
        .filter(|(_, second)| second.latency.count() > 0)
        .map(|(at, second)| (Duration::from_secs(*at), Duration::from_secs(1), &second.latency))
        .collect();
    let totals = &result.record.totals;
    let mut logs = vec![
        ("latency-by-second.hdr".to_owned(), log(result, &seconds)?),
        ("latency.hdr".to_owned(), log(result, &[(warm_up, whole, &all.latency)])?),
        ("latency-from-send.hdr".to_owned(), log(result, &[(warm_up, whole, &all.latency_from_send)])?),
    ];
    for (name, hist) in [("add-to-match", &totals.add_to_match), ("remove-to-gone", &totals.remove_to_gone)] {
        if hist.count() > 0 {
            logs.push((format!("{name}.hdr"), log(result, &[(warm_up, whole, hist)])?));
        }
    }
    Ok(logs)
}

fn log(result: &RunResult, intervals: &[(Duration, Duration, &Hist)]) -> anyhow::Result<Vec<u8>> {
    let began = SystemTime::UNIX_EPOCH + Duration::from_millis(result.began_unix_ms);
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut writer = IntervalLogWriterBuilder::new()
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(MICROS_IN_MILLI)
        .begin_log_with(&mut bytes, &mut serializer)?;
    for (at, length, hist) in intervals {
        let written = writer.write_histogram(hist.inner(), *at, *length, None);
        written.map_err(|error| anyhow::anyhow!("cannot write a histogram: {error:?}"))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::report::result::tests::result;

    #[test]
    fn the_logs_are_read_by_the_reader_of_the_library() {
        let result = result(&[5; 350], 0, &[]);
        let logs = logs(&result).unwrap();
        let intervals = |name: &str| {
            let (_, log) = logs.iter().find(|(known, _)| known == name).unwrap();
            let entries = IntervalLogIterator::new(log).map(Result::unwrap);
            entries.filter(|entry| matches!(entry, LogEntry::Interval(_))).count()
        };
        assert_eq!(intervals("latency.hdr"), 1);
        assert_eq!(intervals("latency-by-second.hdr"), 4);
    }
}
