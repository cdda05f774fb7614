//! The commands, each in a file of its own.

mod bank_address;
mod deadline;
/// Hash types of vectors, which a deployment declares.
mod vectors {
    pub(crate) mod declared_types;
    pub(crate) mod hash_types;
}
/// Model cards of classifiers, and their calibration.
mod classifiers {
    pub(crate) mod conversation;
    pub(crate) mod classifier;
    mod page;
    mod putting;
    mod calibrate;
    mod labelled;
}
mod date;
mod stop;
mod new_file;
mod cluster;
mod banks;
mod members;
/// Opinions of members about items, and disputes.
mod opinions {
    pub(crate) mod opinion;
    pub(crate) mod dispute;
    pub(crate) mod here;
    mod connect;
}
mod exchange;
/// Reports, referrals, incidents, and records of decisions.
mod cases {
    pub(crate) mod report;
    pub(crate) mod referral;
    pub(crate) mod incident;
    pub(crate) mod explain;
    pub(crate) mod decisions;
    mod decision;
    mod decision_record;
    mod accuracy;
    mod fragment;
}
mod audit;
mod content;
mod state;
mod shell;
pub(crate) mod lines;

use std::pin::Pin;

use futures::future::LocalBoxFuture;
use vigie_telemetry::trace::{self, Scoped};

use crate::cli::{ClassifierArgs, Cli, Command, TlsCommand};
use crate::commands::banks::{bank, item};
use crate::commands::cases::{decisions, explain, incident, referral, report};
use crate::commands::cluster::{config, demo, descriptors, dev_ca, role, up};
use crate::commands::content::{hash, match_files};
use crate::commands::members::{grant, member, policy, principal, quota, whoami};
use crate::commands::opinions::{dispute, opinion};
use crate::commands::state::{health, statistics, status, try_out};
use crate::output::{Exit, Output};

/// Runs the command that was typed. The future is boxed, so that the commands are compiled in this crate and
/// not in each program that calls it.
pub fn run(cli: Cli, output: &mut Output) -> LocalBoxFuture<'_, anyhow::Result<Exit>> {
    Box::pin(run_command(cli, output))
}

async fn run_command(cli: Cli, output: &mut Output) -> anyhow::Result<Exit> {
    let json = cli.json;
    match cli.command {
        Command::Demo(args) => Box::pin(demo::run(args, output)).await,
        Command::Up(args) => Box::pin(up::run(args, output)).await,
        Command::Match(args) => traced(match_files::run(args, output)).await,
        Command::Hash(args) => traced(hash::run(args, output)).await,
        Command::Bank(args) => traced(bank::run(args, output)).await,
        Command::Item(command) => traced(item::run(command, output)).await,
        Command::Opinion(command) => traced(opinion::run(command, output)).await,
        Command::Dispute(command) => traced(dispute::run(command, output)).await,
        Command::Whoami(address) => traced(whoami::run(address, output)).await,
        Command::Member(command) => traced(member::run(command, output)).await,
        Command::Principal(command) => traced(principal::run(command, output)).await,
        Command::Grant(command) => traced(grant::run(command, output)).await,
        Command::Quota(command) => traced(quota::run(command, output)).await,
        Command::HashType(command) => traced(vectors::hash_types::run(command, output)).await,
        Command::Classifier(ClassifierArgs { command: Some(command), .. }) => {
            traced(classifiers::classifier::run(command, output)).await
        }
        Command::Classifier(ClassifierArgs { role, command: None }) => {
            Box::pin(role::classifier(&role)).await
        }
        Command::Conversation(command) => traced(classifiers::conversation::run(command, output)).await,
        Command::Policy(command) => traced(policy::run(command, output)).await,
        Command::Exchange(command) => traced(exchange::run(command, output)).await,
        Command::Report(command) => traced(report::run(command, output)).await,
        Command::Explain(args) => traced(explain::run(args, output)).await,
        Command::Decision(command) => traced(decisions::run(command, output)).await,
        Command::Referral(command) => traced(referral::run(command, output)).await,
        Command::Incident(command) => traced(incident::run(command, output)).await,
        Command::Audit(command) => traced(audit::run(command, output)).await,
        Command::Statistics(args) => traced(statistics::run(args, output, json)).await,
        Command::Status(args) => traced(status::run(args, output)).await,
        Command::Try(args) => traced(try_out::run(args, output)).await,
        Command::Health(args) => health::run(&args, output).await,
        Command::Matcher(args) => Box::pin(role::matcher(&args)).await,
        Command::Coordinator(args) => Box::pin(role::coordinator(&args)).await,
        Command::Frontend(args) => Box::pin(role::frontend(&args)).await,
        Command::Gateway(args) => Box::pin(role::gateway(&args)).await,
        Command::Config(command) => config::run(command, output),
        Command::Tls(TlsCommand::DevCa(args)) => dev_ca::run(&args, output),
        Command::Completions(args) => shell::completions(&args, output),
        Command::Man(args) => shell::man(&args, output),
        Command::Descriptors(args) => descriptors::run(&args, output),
    }
}

/// Runs a command within the caller's trace, if the environment names one.
fn traced<F: Future>(command: F) -> Pin<Box<Scoped<F>>> {
    Box::pin(trace::scope(trace::from_environment(), command))
}
