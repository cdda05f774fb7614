//! The result of an `index` run, as one JSON object or a table.

use std::io::Write;

use serde::Serialize;

use crate::index::check::Checked;
use crate::index::measure::{Condition, Latency, TailCost, Throughput, UpdateCost};
use crate::index::memory::Resident;
use crate::report::machine::Machine;

/// All measurements. A part that was not requested, or does not apply to the engine, is `None`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) engine: &'static str,
    pub(crate) exact: bool,
    pub(crate) data: String,
    pub(crate) hashes: usize,
    pub(crate) queries: usize,
    pub(crate) radius: u16,
    pub(crate) machine: Machine,
    pub(crate) build_seconds: f64,
    pub(crate) open: Option<Opened>,
    pub(crate) memory: Memory,
    /// The comparison for each radius of the answers file.
    pub(crate) answers: Vec<Checked>,
    pub(crate) latency: Option<Latency>,
    pub(crate) throughput: Option<Vec<Throughput>>,
    pub(crate) updates: Option<UpdateCost>,
    pub(crate) tail: Option<TailCost>,
    /// Whether the answers were checked again after all updates.
    pub(crate) checked_after_updates: bool,
}

/// Times of opening an index from disk, with its files in the page cache.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Opened {
    pub(crate) open_milliseconds: f64,
    pub(crate) first_search_milliseconds: f64,
}

/// The memory that the index uses.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    /// The size that the engine reports.
    pub(crate) account_bytes: Option<u64>,
    pub(crate) account_bytes_per_hash: Option<f64>,
    /// The increase of the process's memory from before the build until after all answers were checked.
    pub(crate) resident: Resident,
    pub(crate) resident_bytes_per_hash: f64,
}

impl Report {
    pub(crate) fn write_json(&self, out: &mut impl Write) -> anyhow::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        Ok(writeln!(out)?)
    }

    pub(crate) fn write_table(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let machine = &self.machine;
        writeln!(out, "{} on {}: {} hashes, radius {}", self.engine, self.data, self.hashes, self.radius)?;
        line(
            out,
            "machine",
            &format!(
                "{}, {} cores, Linux {}, {}; load {} before, {} after",
                machine.processor,
                machine.cores,
                machine.kernel,
                machine.features.join(" "),
                machine.load_before,
                machine.load_after
            ),
        )?;
        line(out, "build", &format!("{:.2} s", self.build_seconds))?;
        if let Some(opened) = self.open {
            line(
                out,
                "open",
                &format!(
                    "{:.1} ms, first search {:.1} ms",
                    opened.open_milliseconds, opened.first_search_milliseconds
                ),
            )?;
        }
        self.write_memory(out)?;
        for checked in &self.answers {
            line(
                out,
                "answers",
                &format!(
                    "within {:>2}: {} queries, {} rows, {}, recall {:.4}",
                    checked.radius,
                    checked.queries,
                    checked.rows,
                    if checked.equal { "all equal" } else { "NOT all equal" },
                    checked.recall
                ),
            )?;
        }
        if let Some(latency) = &self.latency {
            let times = &latency.times;
            line(
                out,
                "search",
                &format!(
                    "median {:.2} us, p90 {:.2}, p99 {:.2} ({:.2}x), max {:.0} ({} searches)",
                    times.median_us,
                    times.p90_us,
                    times.p99_us,
                    latency.p99_over_median,
                    times.max_us,
                    times.searches
                ),
            )?;
        }
        for one in self.throughput.iter().flatten() {
            line(
                out,
                "throughput",
                &format!(
                    "batches of {}, {} threads: {:.0} queries/s ({:.2}x)",
                    one.batch, one.threads, one.queries_per_second, one.over_first
                ),
            )?;
        }
        if let Some(updates) = &self.updates {
            write_updates(out, updates)?;
        }
        if let Some(tail) = &self.tail {
            line(
                out,
                "tail",
                &format!(
                    "{} hashes add {:.2} us to the median ({:.2} to {:.2})",
                    tail.tail_hashes, tail.median_added_us, tail.without.median_us, tail.with.median_us
                ),
            )?;
        }
        if self.checked_after_updates {
            line(out, "answers", "as before after all updates")?;
        }
        Ok(())
    }

    fn write_memory(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let Memory { account_bytes_per_hash, resident, resident_bytes_per_hash, .. } = self.memory;
        let account =
            account_bytes_per_hash.map_or("unknown".to_owned(), |bytes| format!("{bytes:.1} bytes a hash"));
        line(
            out,
            "memory",
            &format!(
                "{resident_bytes_per_hash:.1} bytes a hash by the process ({:.1} MB, of which {:.1} anonymous, {:.1} in huge pages); own account {account}",
                megabytes(resident.total),
                megabytes(resident.anonymous),
                megabytes(resident.huge)
            ),
        )
    }
}

fn write_updates(out: &mut impl Write, updates: &UpdateCost) -> anyhow::Result<()> {
    line(
        out,
        "updates",
        &format!(
            "{:.0} inserts and as many removals a second, each {:.2} us (p99 {:.2}); at most {:.0} updates a second",
            updates.rate_made,
            updates.update_median_us,
            updates.update_p99_us,
            updates.updates_per_second_max
        ),
    )?;
    line(
        out,
        "quiet",
        &format!("median {:.2} us, p99 {:.2}", updates.quiet.median_us, updates.quiet.p99_us),
    )?;
    write_condition(out, "updating", &updates.updating)?;
    if let Some(merging) = &updates.merging {
        write_condition(out, "merging", merging)?;
        line(
            out,
            "merges",
            &format!(
                "{} of {:.2} s; the process grew to {:.2}x at most",
                updates.merges,
                updates.merge_seconds_mean.unwrap_or_default(),
                updates.merging_peak_over_before.unwrap_or_default()
            ),
        )?;
    }
    Ok(())
}

fn write_condition(out: &mut impl Write, name: &str, condition: &Condition) -> anyhow::Result<()> {
    let Condition { times, median_over_quiet, p99_over_quiet } = condition;
    line(
        out,
        name,
        &format!(
            "median {:.2} us ({median_over_quiet:.2}x), p99 {:.2} ({p99_over_quiet:.2}x)",
            times.median_us, times.p99_us
        ),
    )
}

fn line(out: &mut impl Write, name: &str, text: &str) -> anyhow::Result<()> {
    Ok(writeln!(out, "  {name:<11} {text}")?)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
