//! `vigie-loadtest cost`: processor time and latency of a lookup in a cluster with one process per role.
//!
//! The same lookups are sent at one rate on open streams and in batches, and at a lower rate as single calls.
//! Where several builds of `vigie` are named, each has a cluster, and they are measured in alternation, so
//! that other load on the machine affects all of them equally.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use crate::Exit;
use crate::cli::{CostArguments, TargetArguments, Way};
use crate::report::result::RunResult;
use crate::report::text::wrapped;
use crate::run::command::block_on;
use crate::run::interrupt::Interrupt;
use crate::run::prepare::{Others, Prepared};
use crate::run::say::say;
use crate::run::scenario::Scenario;
use crate::run::scenario::setting;

/// Hashes in a batch.
const BATCH: u32 = 64;

impl Way {
    /// Sets kind and rate of the requests.
    fn apply(self, scenario: &mut Scenario, arguments: &CostArguments) {
        let mix = &mut scenario.mix;
        (mix.lookup, mix.batch, mix.packed, mix.stream, mix.batch_size) = (0, 0, 0, 0, BATCH);
        let (weight, rate) = match self {
            Self::Stream => (&mut mix.stream, f64::from(arguments.rate)),
            Self::Batch => (&mut mix.batch, f64::from(arguments.rate) / f64::from(BATCH)),
            Self::Packed => (&mut mix.packed, f64::from(arguments.rate) / f64::from(BATCH)),
            Self::Single => (&mut mix.lookup, f64::from(arguments.single_rate)),
        };
        *weight = 1;
        scenario.arrivals.rate = Some(rate);
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stream => "stream",
            Self::Batch => "batch",
            Self::Packed => "packed",
            Self::Single => "single",
        })
    }
}

/// The figures of one measurement of one build.
#[derive(Debug, Clone, Serialize)]
struct Turn {
    /// Processor time per lookup, in microseconds.
    cpu_us: Option<f64>,
    /// Processor time per lookup by role, in microseconds.
    cpu_us_by_role: BTreeMap<String, f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    sent: u64,
    failed: u64,
    /// Answers that the oracle found wrong.
    wrong: u64,
    /// The generator sent too late, so the times are not reliable.
    ran_late: bool,
}

impl Turn {
    fn of(result: &RunResult) -> Self {
        let verdict = &result.record.totals.verdict;
        let by_role = result.cluster_cpu_s.keys();
        let by_role =
            by_role.filter_map(|role| Some((role.clone(), result.cpu_us_a_question(Some(role.as_str()))?)));
        Self {
            cpu_us: result.cpu_us_a_question(None),
            cpu_us_by_role: by_role.collect(),
            p50_ms: result.summary.latency.p50_ms,
            p99_ms: result.summary.latency.p99_ms,
            sent: result.summary.sent,
            failed: result.summary.failed,
            wrong: verdict.wrong() + verdict.incomplete,
            ran_late: result.generator.ran_late,
        }
    }
}

/// A program from which a cluster is started, and the number of shards that each matcher of it serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Build {
    vigie: PathBuf,
    shards_served: u16,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.vigie.display())?;
        if self.shards_served > 1 {
            write!(f, ", {} shards in each matcher", self.shards_served)?;
        }
        Ok(())
    }
}

/// All measurements of one build with one kind of request.
#[derive(Debug, Clone, Serialize)]
struct Row {
    way: Way,
    #[serde(flatten)]
    build: Build,
    turns: Vec<Turn>,
}

impl Row {
    fn median(&self, figure: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
        let mut figures: Vec<f64> = self.turns.iter().filter_map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    fn sum(&self, count: impl Fn(&Turn) -> u64) -> u64 {
        self.turns.iter().map(count).sum()
    }
}

pub(crate) fn run(arguments: &CostArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let scenario = scenario(arguments)?;
    let builds = builds(arguments)?;
    let Some(rows) = block_on(|interrupt| measure(arguments, &scenario, &builds, interrupt))? else {
        return Ok(Exit::Interrupted);
    };
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&rows)?)?;
    } else {
        write!(out, "{}", text(&rows, arguments)?)?;
    }
    let wrong: u64 = rows.iter().map(|row| row.sum(|turn| turn.wrong)).sum();
    Ok(if wrong > 0 { Exit::ThresholdMissed } else { Exit::Done })
}

/// Returns the clusters that are started: at least one for each program, and for each number of shards.
fn builds(arguments: &CostArguments) -> anyhow::Result<Vec<Build>> {
    let CostArguments { vigie, shards_served, .. } = arguments;
    let beside = if vigie.is_empty() { Some(vigie_harness::binary::find_vigie()?) } else { None };
    let programs: Vec<&PathBuf> = beside.iter().chain(vigie).collect();
    let last = |of: usize| of.saturating_sub(1);
    let build = |at: usize| {
        let vigie = programs.get(at.min(last(programs.len())))?;
        let shards_served = *shards_served.get(at.min(last(shards_served.len())))?;
        Some(Build { vigie: (*vigie).clone(), shards_served })
    };
    Ok((0..programs.len().max(shards_served.len())).filter_map(build).collect())
}

fn scenario(arguments: &CostArguments) -> anyhow::Result<Scenario> {
    let CostArguments { hashes, shards, duration, .. } = arguments;
    let text = format!(
        "name = 'cost'
        data = {{ shape = 'pdq', hashes = {hashes} }}
        arrivals = {{ spacing = 'poisson', rate = 1000 }}
        cluster = {{ shards = {shards} }}
        drive = {{ warm_up = '1s', duration = '{duration}', connections = 4 }}"
    );
    let mut table: toml::Table = text.parse()?;
    for set in &arguments.set {
        setting::apply(&mut table, set)?;
    }
    Scenario::parse(&toml::to_string(&table)?).context("the arguments do not make a valid scenario")
}

async fn measure(
    arguments: &CostArguments,
    scenario: &Scenario,
    builds: &[Build],
    interrupt: Interrupt,
) -> anyhow::Result<Vec<Row>> {
    let mut clusters = Vec::new();
    for build in builds {
        let target = TargetArguments { vigie: Some(build.vigie.clone()), ..TargetArguments::default() };
        let mut scenario = scenario.clone();
        scenario.cluster.shards_served = build.shards_served;
        clusters.push(Prepared::new(&scenario, &target, interrupt.leftovers()).await?);
    }
    let rows = arguments.way.iter().flat_map(|&way| {
        builds.iter().map(move |build| Row { way, build: build.clone(), turns: Vec::new() })
    });
    let mut rows: Vec<Row> = rows.collect();
    for round in 0..arguments.rounds {
        for (number, row) in rows.iter_mut().enumerate() {
            let mut scenario = scenario.clone();
            row.way.apply(&mut scenario, arguments);
            // Each round has other questions and arrivals, the same for every build.
            scenario.seed += u64::from(round);
            let others = Others { followers: None, interrupt: interrupt.clone() };
            let result = clusters[number % clusters.len()].run(&scenario, others, |_, _| {}).await?;
            if result.interrupted {
                anyhow::bail!("the measurement was stopped before its end");
            }
            let turn = Turn::of(&result);
            say(&format!(
                "round {} of {}, {} by {}: {} us",
                round + 1,
                arguments.rounds,
                row.way,
                row.build,
                shown(turn.cpu_us, 1)
            ));
            row.turns.push(turn);
        }
    }
    for cluster in clusters {
        cluster.finish(false).await?;
    }
    Ok(rows)
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// The roles, in the order in which a lookup passes through them.
const ROLES: [&str; 3] = ["frontend", "coordinator", "matcher"];

fn text(rows: &[Row], arguments: &CostArguments) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let CostArguments { rate, single_rate, shards, hashes, rounds, .. } = arguments;
    text.push_str(&wrapped(
        "",
        &format!(
            "{hashes} hashes on {shards} shards; {rate} lookups/s by streams and in batches of {BATCH}, {single_rate}/s in calls of \
             one; medians of {rounds} rounds; microseconds of processor time a lookup"
        ),
    ));
    let mut builds: Vec<&Build> = Vec::new();
    for row in rows {
        if !builds.contains(&&row.build) {
            builds.push(&row.build);
        }
    }
    let mut letters = BTreeMap::new();
    for (build, letter) in builds.into_iter().zip('A'..='Z') {
        writeln!(text, "  {letter}: {build}")?;
        letters.insert(build, letter);
    }
    writeln!(
        text,
        "{:<9}{:>8}{:>10}{:>13}{:>9}{:>8}{:>8}{:>8}{:>7}",
        "", "all", "frontend", "coordinator", "matcher", "p50 ms", "p99 ms", "failed", "wrong"
    )?;
    for row in rows {
        let role = |role: &str| shown(row.median(|turn| turn.cpu_us_by_role.get(role).copied()), 1);
        let [frontend, coordinator, matcher] = ROLES.map(role);
        writeln!(
            text,
            "{:<7}{:<2}{:>8}{frontend:>10}{coordinator:>13}{matcher:>9}{:>8}{:>8}{:>8}{:>7}",
            row.way,
            letters.get(&row.build).copied().unwrap_or(' '),
            shown(row.median(|turn| turn.cpu_us), 1),
            shown(row.median(|turn| turn.p50_ms), 2),
            shown(row.median(|turn| turn.p99_ms), 2),
            row.sum(|turn| turn.failed),
            row.sum(|turn| turn.wrong),
        )?;
    }
    let late = rows.iter().flat_map(|row| &row.turns).filter(|turn| turn.ran_late).count();
    if late > 0 {
        let alarm = format!("IN {late} TURNS THE GENERATOR RAN LATE: their times cannot be believed");
        text.push_str(&wrapped("", &alarm));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::report::result::tests::result;

    fn arguments(words: &[&str]) -> CostArguments {
        let words = ["vigie-loadtest", "cost"].into_iter().chain(words.iter().copied());
        let Command::Cost(arguments) = Cli::parse_from(words).command else { panic!("another command") };
        arguments
    }

    #[test]
    fn each_way_sends_as_many_hashes_as_the_arguments_name() {
        let arguments = arguments(&["--rate", "6400", "--single-rate", "70", "--set", "questions.limit=5"]);
        let scenario = scenario(&arguments).unwrap();
        assert_eq!(scenario.questions.limit, 5);
        let rates = [Way::Stream, Way::Batch, Way::Packed, Way::Single].map(|way| {
            let mut scenario = scenario.clone();
            way.apply(&mut scenario, &arguments);
            let mix = &scenario.mix;
            ((mix.stream, mix.batch, mix.packed, mix.lookup), scenario.arrivals.rate.unwrap())
        });
        let expected =
            [((1, 0, 0, 0), 6_400.0), ((0, 1, 0, 0), 100.0), ((0, 0, 1, 0), 100.0), ((0, 0, 0, 1), 70.0)];
        assert_eq!(rates, expected);
    }

    #[test]
    fn a_table_has_medians_sums_and_an_alarm_and_fits_a_terminal() {
        let turn = |cpu_us: f64, failed: u64, ran_late: bool| {
            let turn = Turn::of(&result(&[5; 200], 0, &[]));
            assert_eq!((turn.cpu_us, turn.sent, turn.wrong), (None, 200, 0));
            let cpu_us_by_role = [("frontend".to_owned(), cpu_us / 2.0)].into();
            Turn { cpu_us: Some(cpu_us), cpu_us_by_role, failed, ran_late, ..turn }
        };
        let turns = vec![turn(30.0, 1, false), turn(10.0, 0, false), turn(20.0, 2, true)];
        let arguments =
            arguments(&["--vigie", "one/vigie", "--vigie", "other/vigie", "--shards-served", "1,1,4"]);
        let row = |build| Row { way: Way::Stream, build, turns: turns.clone() };
        let rows: Vec<Row> = builds(&arguments).unwrap().into_iter().map(row).collect();
        let text = text(&rows, &arguments).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let line = text.lines().find(|line| line.starts_with("stream A")).unwrap();
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields[2..], ["20.0", "10.0", "-", "-", "5.00", "5.00", "3", "0"], "{text}");
        assert!(text.contains("B: other/vigie\n") && text.contains("IN 3 TURNS"), "{text}");
        assert!(text.contains("C: other/vigie, 4 shards in each matcher\n"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("stream C")), "{text}");
    }
}
