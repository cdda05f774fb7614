//! Does to the cluster what the scenario says, when it says so.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures::{TryStreamExt as _, stream};
use tokio::sync::Mutex;
use vigie_clients::IdempotencyKey;

use crate::load::cluster::LocalCluster;
use crate::load::request::Bank;
use crate::load::result::Mark;
use crate::load::scenario::{Action, Fault};

/// Items of a batch of an import.
const BATCH: u64 = 1_000;
/// Batches of an import under way at once.
const AT_ONCE: usize = 4;

/// What faults act upon.
#[derive(Debug, Clone)]
pub(crate) struct Victims {
    pub(crate) cluster: Option<Arc<Mutex<LocalCluster>>>,
    pub(crate) bank: Option<Bank>,
    pub(crate) live_seed: u64,
}

/// Carries out the faults in the order of their times and tells what was done; each that could not be done says why.
/// An action that takes long does not hold up the next.
pub(crate) async fn inflict(mut faults: Vec<Fault>, victims: Victims, start: Instant) -> Vec<Mark> {
    faults.sort_by_key(|fault| fault.at);
    let all = faults.into_iter().map(|fault| {
        let victims = victims.clone();
        async move {
            tokio::time::sleep_until((start + fault.at.0).into()).await;
            let at_s = start.elapsed().as_secs_f64();
            let done = act(&fault.action, &victims).await;
            let mut marks = vec![Mark {
                at_s,
                what: describe(&fault.action),
                failed: done.err().map(|error| format!("{error:#}")),
            }];
            // What takes its time has an end to show.
            let done_s = start.elapsed().as_secs_f64();
            if done_s - at_s > 1.0 && marks.iter().all(|mark| mark.failed.is_none()) {
                let what = format!("{}: done", describe(&fault.action));
                marks.push(Mark { at_s: done_s, what, failed: None });
            }
            marks
        }
    });
    let mut marks: Vec<Mark> = futures::future::join_all(all).await.concat();
    marks.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    marks
}

async fn act(action: &Action, victims: &Victims) -> anyhow::Result<()> {
    match action {
        Action::Command(command) => run(command).await,
        Action::Import { items } => import(victims, *items).await,
        Action::Stop(_)
        | Action::Continue(_)
        | Action::Kill(_)
        | Action::Restart(_)
        | Action::Start(_)
        | Action::Slow { .. } => {
            let cluster = victims.cluster.as_ref().context("the cluster is not the harness's own")?;
            cluster.lock().await.inflict(action).await
        }
    }
}

async fn run(command: &str) -> anyhow::Result<()> {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null());
    let status = tokio::task::spawn_blocking(move || shell.status()).await??;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

/// Adds items whose hashes are near nothing that is asked for, in batches, as an import does.
async fn import(victims: &Victims, items: u64) -> anyhow::Result<()> {
    let bank = victims.bank.as_ref().context("there is no bank to import to")?;
    stream::iter((0..items).step_by(usize::try_from(BATCH)?).map(anyhow::Ok))
        .try_for_each_concurrent(AT_ONCE, |first| {
            let (bank, end) = (bank.clone(), (first + BATCH).min(items));
            let seed = victims.live_seed;
            async move {
                let batch = tokio::task::spawn_blocking(move || Bank::imported(seed, first..end)).await?;
                let key = IdempotencyKey::named(format_args!("{}-import-{first}", bank.live));
                let deadline = Instant::now() + std::time::Duration::from_secs(60);
                bank.client.add_items(&bank.live, batch, key, deadline.into()).await?;
                Ok(())
            }
        })
        .await
}

fn describe(action: &Action) -> String {
    match action {
        Action::Stop(process) => format!("stop {process}"),
        Action::Continue(process) => format!("continue {process}"),
        Action::Kill(process) => format!("kill {process}"),
        Action::Restart(process) => format!("restart {process}"),
        Action::Start(process) => format!("start {process}"),
        Action::Slow { process, by } if by.0.is_zero() => format!("{process} no longer slow"),
        Action::Slow { process, by } => format!("slow {process} by {by} each way"),
        Action::Command(command) => format!("run `{command}`"),
        Action::Import { items } => format!("import {items} items"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::span::Span;

    #[tokio::test]
    async fn faults_happen_in_their_order_and_say_what_could_not_be_done() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("said");
        let say = |word: &str| Action::Command(format!("echo {word} >> {}", file.display()));
        let at = |millis, action| Fault { at: Span::from_millis(millis), action };
        let faults = vec![
            at(300, say("later")),
            at(0, say("first")),
            at(50, Action::Command("exit 3".to_owned())),
            at(100, Action::Kill("bank".to_owned())),
        ];
        let victims = Victims { cluster: None, bank: None, live_seed: 0 };
        let marks = inflict(faults, victims, Instant::now()).await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "first\nlater\n");
        let failed: Vec<bool> = marks.iter().map(|mark| mark.failed.is_some()).collect();
        assert_eq!(failed, [false, true, true, false], "{marks:?}");
        assert!(marks.is_sorted_by(|one, next| one.at_s <= next.at_s));
        assert!(marks[3].at_s >= 0.3);
    }
}
