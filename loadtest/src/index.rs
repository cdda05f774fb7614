//! The `index` command: builds, checks, measures, checks again.

pub(crate) mod engine;
pub(crate) mod check;
pub(crate) mod measure;
pub(crate) mod memory;
mod report;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use vigie_index::Entry;
use vigie_model::Distance;

use crate::Hash;
use crate::cli::{IndexArguments, Measurement};
use crate::data::answers::Answers;
use crate::data::hash_file;
use crate::index::check::check;
use crate::index::engine::{Engine, entry};
use crate::index::measure::{Plan, latency, tail, throughput, updates};
use crate::index::memory::Resident;
use crate::index::report::{Memory, Opened, Report};
use crate::report::machine::Machine;

/// Rows that updates remove and insert again: enough to be spread over the whole index.
const HELD: usize = 4_096;

pub(crate) fn run(arguments: &IndexArguments, out: &mut impl Write) -> anyhow::Result<()> {
    let mut machine = Machine::now();
    let (queries, answers) = read_questions(arguments)?;
    let held = hash_file::read(&arguments.data, Some(HELD))?;
    let directory = arguments.directory.as_deref();
    if let Some(directory) = directory {
        prepare(directory)?;
    }

    let before = Resident::now()?;
    let rows = read_rows(&arguments.data, &answers)?;
    eprintln!("building {} of {} hashes", arguments.engine.as_str(), rows.len());
    let begin = Instant::now();
    let mut engine = engine::build(arguments.engine, rows, directory)?;
    let build_seconds = begin.elapsed().as_secs_f64();
    let radius = Distance(arguments.radius.into());
    let open = match directory {
        Some(directory) => {
            drop(engine);
            let begin = Instant::now();
            engine = engine::open(arguments.engine, directory)?;
            let open_milliseconds = milliseconds(begin);
            let begin = Instant::now();
            engine.search(&queries[..1], radius);
            Some(Opened { open_milliseconds, first_search_milliseconds: milliseconds(begin) })
        }
        None => None,
    };
    let engine = &*engine;
    ensure!(engine.len() as u64 == answers.rows, "the index holds {} hashes", engine.len());

    eprintln!("checking {} answers", answers.answers.len().min(queries.len()));
    let checked = check(engine, &queries, &answers)?;
    let memory = memory(engine, Resident::now()?.since(before));

    let plan = Plan {
        queries: &queries,
        radius,
        rounds: arguments.rounds,
        slice: Duration::from_millis(arguments.slice_milliseconds),
    };
    let wants = |measurement| arguments.measure.contains(&measurement);
    let latency = wants(Measurement::Latency).then(|| {
        eprintln!("measuring single searches");
        latency(engine, &plan)
    });
    let throughput = wants(Measurement::Throughput).then(|| {
        eprintln!("measuring throughput");
        let batches = if arguments.batch == 1 { vec![1] } else { vec![1, arguments.batch as usize] };
        let threads: Vec<usize> = arguments.threads.iter().map(|&threads| threads.into()).collect();
        throughput(engine, &plan, &batches, &threads)
    });
    let (mut update_cost, mut tail_cost) = (None, None);
    if let Some(writer) = engine.updates() {
        if wants(Measurement::Updates) {
            eprintln!("measuring searches beside updates");
            update_cost = Some(updates(engine, writer, &plan, &held, arguments.updates_per_second)?);
        }
        if wants(Measurement::Tail) {
            eprintln!("measuring the tail");
            tail_cost = Some(tail(writer, &plan)?);
        }
    }
    let checked_after_updates = update_cost.is_some() || tail_cost.is_some();
    if checked_after_updates {
        eprintln!("checking the answers again");
        let held = engine.len();
        ensure!(held as u64 == answers.rows, "the index holds {held} hashes after the updates");
        check(engine, &queries, &answers).context("after the updates")?;
    }

    machine.finish();
    let report = Report {
        engine: arguments.engine.as_str(),
        exact: engine.is_exact(),
        data: arguments.data.display().to_string(),
        hashes: engine.len(),
        queries: queries.len(),
        radius: arguments.radius,
        machine,
        build_seconds,
        open,
        memory,
        answers: checked,
        latency,
        throughput,
        updates: update_cost,
        tail: tail_cost,
        checked_after_updates,
    };
    if arguments.json { report.write_json(out) } else { report.write_table(out) }
}

/// Returns the queries to use and the answers, after checking that the answers belong to these files.
fn read_questions(arguments: &IndexArguments) -> anyhow::Result<(Vec<Hash>, Answers)> {
    let path = hash_file::queries_path(&arguments.data);
    let mut queries = hash_file::read(&path, None)?;
    let answers_path = hash_file::answers_path(&arguments.data);
    let answers = Answers::read(&answers_path)?;
    let is_of_these = queries
        .get(..answers.answers.len())
        .is_some_and(|answered| hash_file::digest(answered) == answers.queries_digest);
    ensure!(is_of_these, "{} does not hold the answers to {}", answers_path.display(), path.display());
    if let Some(at_most) = arguments.queries {
        queries.truncate(at_most as usize);
    }
    Ok((queries, answers))
}

fn read_rows(data: &Path, answers: &Answers) -> anyhow::Result<Vec<(Hash, Entry)>> {
    let rows = hash_file::read(data, None)?;
    let answers_path = hash_file::answers_path(data);
    ensure!(
        rows.len() as u64 == answers.rows && hash_file::digest(&rows) == answers.rows_digest,
        "{} does not hold the answers for {}: one of them is damaged or of another run",
        answers_path.display(),
        data.display()
    );
    Ok((0..).zip(rows).map(|(row, hash)| (hash, entry(row))).collect())
}

/// Creates the folder; fails if it is not empty.
fn prepare(directory: &Path) -> anyhow::Result<()> {
    let name = directory.display();
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {name}"))?;
    let mut held = std::fs::read_dir(directory).with_context(|| format!("cannot read {name}"))?;
    ensure!(held.next().is_none(), "{name} is not empty");
    Ok(())
}

fn memory(engine: &dyn Engine, resident: Resident) -> Memory {
    let each = |bytes: u64| bytes as f64 / engine.len().max(1) as f64;
    let account_bytes = engine.account();
    Memory {
        account_bytes,
        account_bytes_per_hash: account_bytes.map(each),
        resident,
        resident_bytes_per_hash: each(resident.total),
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}
