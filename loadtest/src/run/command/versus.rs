//! `vigie-loadtest versus`: the same lookups to two services that speak HMA's protocol, in alternation.
//!
//! Measurements are short and alternate, so other load on the machine affects both targets equally. If a
//! target runs on the generator's machine, they share it, so a fast target is measured at less than its rate.

mod turn;
mod table;

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::Exit;
use crate::cli::{HmaArguments, Protocol, TargetArguments, VersusArguments};
use crate::run::command::block_on;
use crate::run::command::versus::turn::{Loop, Row, Turn};
use crate::run::establish::establish;
use crate::run::interrupt::Interrupt;
use crate::run::prepare::{Others, Prepared};
use crate::run::say::say;
use crate::run::scenario::Scenario;
use crate::run::scenario::setting;

pub(crate) fn run(arguments: &VersusArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let [a, b] = arguments.target.as_slice() else {
        say("vigie-loadtest: name two targets: --target A --target B");
        return Ok(Exit::WrongCommandLine);
    };
    if arguments.ids.len() > 2 || arguments.connections.is_empty() {
        say(
            "vigie-loadtest: give --ids at most once for each target, and at least one number of --connections",
        );
        return Ok(Exit::WrongCommandLine);
    }
    let scenario = scenario(arguments)?;
    let targets = [a, b];
    let Some(rows) = block_on(|interrupt| measure(arguments, &scenario, targets, interrupt))? else {
        return Ok(Exit::Interrupted);
    };
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&rows)?)?;
    } else {
        write!(out, "{}", table::text(&rows, arguments))?;
    }
    let wrong: u64 = rows.iter().map(|row| row.sum(|turn| turn.wrong + turn.missed)).sum();
    Ok(if wrong > 0 { Exit::ThresholdMissed } else { Exit::Done })
}

fn scenario(arguments: &VersusArguments) -> anyhow::Result<Scenario> {
    let VersusArguments { shape, hashes, seed, duration, .. } = arguments;
    let text = format!(
        "name = 'versus'
        seed = {seed}
        data = {{ shape = '{shape}', hashes = {hashes} }}
        arrivals = {{ closed = 1 }}
        drive = {{ warm_up = '1s', duration = '{duration}', deadline = '60s' }}"
    );
    let mut table: toml::Table = text.parse()?;
    for set in &arguments.set {
        setting::apply(&mut table, set)?;
    }
    Scenario::parse(&toml::to_string(&table)?).context("the arguments do not make a valid scenario")
}

fn loops(arguments: &VersusArguments) -> Vec<Loop> {
    let closed = arguments.connections.iter().map(|&connections| Loop::Closed { connections });
    let most = arguments.connections.iter().copied().max().unwrap_or(1);
    closed.chain(arguments.rate.map(|rate| Loop::Open { rate, connections: most })).collect()
}

/// Measures both targets with every loop, in alternation.
async fn measure(
    arguments: &VersusArguments,
    scenario: &Scenario,
    targets: [&String; 2],
    interrupt: Interrupt,
) -> anyhow::Result<Vec<Row>> {
    let truth = establish(scenario).await?;
    let mut prepared = Vec::new();
    for (number, target) in targets.into_iter().enumerate() {
        let arguments = TargetArguments {
            target: vec![target.clone()],
            protocol: Protocol::Hma,
            hma: HmaArguments {
                call: arguments.call,
                first_content: 1,
                ids: arguments.ids.get(number).cloned(),
                fill: arguments.fill.clone(),
            },
            tls: arguments.tls.clone(),
            ..TargetArguments::default()
        };
        let one = Prepared::of_hma(scenario, &arguments, Arc::clone(&truth)).await;
        prepared.push(one.with_context(|| format!("cannot prepare {target}"))?);
    }
    let rows = loops(arguments).into_iter().flat_map(|of| {
        targets.map(|target| Row { of, target: target.clone(), turns: Vec::new() }).into_iter()
    });
    let mut rows: Vec<Row> = rows.collect();
    for round in 0..arguments.rounds {
        for (number, row) in rows.iter_mut().enumerate() {
            let mut scenario = scenario.clone();
            row.of.apply(&mut scenario);
            let others = Others { followers: None, interrupt: interrupt.clone() };
            let result = prepared[number % prepared.len()].run(&scenario, others, |_, _| {}).await?;
            if result.interrupted {
                bail!("the measurement was stopped before its end");
            }
            let turn = Turn::of(&result);
            say(&format!(
                "round {} of {}, {}, {}: {:.0}/s",
                round + 1,
                arguments.rounds,
                row.of,
                row.target,
                turn.answered_per_s
            ));
            row.turns.push(turn);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::report::result::tests::result;

    fn arguments(words: &[&str]) -> VersusArguments {
        let words = ["vigie-loadtest", "versus"].into_iter().chain(words.iter().copied());
        let Command::Versus(arguments) = Cli::parse_from(words).command else { panic!("another command") };
        arguments
    }

    #[test]
    fn every_number_of_connections_and_the_rate_are_loops_of_their_own() {
        let words =
            ["--target", "http://a", "--connections", "2,5", "--rate", "70", "--set", "questions.pool=9"];
        let arguments = arguments(&words);
        let scenario = scenario(&arguments).unwrap();
        assert_eq!(scenario.questions.pool, 9);
        let set = loops(&arguments).into_iter().map(|of| {
            let mut scenario = scenario.clone();
            of.apply(&mut scenario);
            scenario.check().unwrap();
            (scenario.arrivals.closed, scenario.arrivals.rate, scenario.drive.connections)
        });
        let expected = [(Some(2), None, 2), (Some(5), None, 5), (None, Some(70.0), 5)];
        assert_eq!(set.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn one_target_or_three_are_a_wrong_command_line() {
        for words in [&["--target", "http://a"][..], &["--target", "a", "--target", "b", "--target", "c"]] {
            let exit = run(&arguments(words), &mut Vec::new()).unwrap();
            assert_eq!(exit, Exit::WrongCommandLine);
        }
    }

    #[test]
    fn a_table_has_medians_sums_and_ratios_and_fits_a_terminal() {
        let turn = |answered_per_s: f64, p99_ms: f64, missed: u64| Turn {
            answered_per_s,
            p99_ms: Some(p99_ms),
            missed,
            refused: 2,
            ran_late: missed > 0,
            ..Turn::of(&result(&[5; 200], 0, &[]))
        };
        let of = Loop::Closed { connections: 32 };
        let row = |target: &str, turns: Vec<Turn>| Row { of, target: target.to_owned(), turns };
        let slow = vec![turn(90.0, 30.0, 0), turn(100.0, 40.0, 0), turn(5_000.0, 35.0, 0)];
        let fast = vec![turn(4_500.0, 4.0, 1), turn(9_000.0, 3.0, 0), turn(1.0, 3.5, 0)];
        let rows = [row("http://one.example:5100", slow), row("http://other.example:7780", fast)];
        let text = table::text(&rows, &arguments(&["--target", "http://one.example:5100"]));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let fields = |begin: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.starts_with(begin)).unwrap();
            line.split_whitespace().map(str::to_owned).collect()
        };
        let a = fields("32 connections    A");
        assert_eq!(a[3..], ["100.0", "5.00", "35.00", "6", "0", "0", "0"], "{text}");
        let b = fields("                  B");
        assert_eq!(b[1..], ["4500.0", "5.00", "3.50", "6", "0", "0", "1"], "{text}");
        let ratio = fields("                  B/A");
        assert_eq!(ratio[1..], ["45.0x", "1.000x", "0.100x"], "{text}");
        assert!(text.contains("IN 1 TURN ") && text.contains("B: http://other.example:7780"), "{text}");
    }
}
