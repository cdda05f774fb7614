//! Applies the scenario's faults at their times.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::{TryStreamExt as _, stream};
use tokio::sync::Mutex;
use vigie_clients::IdempotencyKey;
use vigie_harness::cluster::Cluster;

use crate::cluster;
use crate::report::result::Mark;
use crate::run::scenario::{Action, Fault};
use crate::run::target::live_bank::LiveBank;

/// Items in a batch of an import.
const BATCH: u64 = 1_000;
/// Batches of an import that are sent at the same time.
const AT_ONCE: usize = 4;

/// The time limit of an action, so that no action can block a run forever.
const ACT_WITHIN: Duration = Duration::from_secs(300);

/// The targets of faults.
#[derive(Debug, Clone)]
pub(crate) struct Victims {
    pub(crate) cluster: Option<Arc<Mutex<Cluster>>>,
    pub(crate) bank: Option<LiveBank>,
    pub(crate) live_seed: u64,
}

/// Applies the faults in the order of their times and returns a mark for each; the mark of a fault that
/// failed has the reason. An action that takes long delays only other actions on the cluster.
pub(crate) async fn inflict(mut faults: Vec<Fault>, victims: Victims, start: Instant) -> Vec<Mark> {
    faults.sort_by_key(|fault| fault.at);
    let all = faults.into_iter().map(|fault| {
        let victims = victims.clone();
        async move {
            tokio::time::sleep_until((start + fault.at.0).into()).await;
            let at_s = start.elapsed().as_secs_f64();
            let acting = tokio::time::timeout(ACT_WITHIN, act(&fault.action, &victims));
            let done = acting.await.unwrap_or_else(|_| bail!("the action did not end within {ACT_WITHIN:?}"));
            let mut marks = vec![Mark {
                at_s,
                what: fault.action.to_string(),
                failed: done.err().map(|error| format!("{error:#}")),
            }];
            // An action that takes more than a second gets a second mark, at its end.
            let done_s = start.elapsed().as_secs_f64();
            if done_s - at_s > 1.0 && marks.iter().all(|mark| mark.failed.is_none()) {
                let what = format!("{}: done", fault.action);
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
            let cluster = victims
                .cluster
                .as_ref()
                .context("this fault is possible only in the run's own cluster, without --target")?;
            cluster::inflict(&mut *cluster.lock().await, action).await
        }
    }
}

async fn run(command: &str) -> anyhow::Result<()> {
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let status = shell.status().await?;
    ensure!(status.success(), "the command ended with {status}");
    Ok(())
}

/// Adds items in batches, as an import does. No lookup of the run asks for hashes near theirs.
async fn import(victims: &Victims, items: u64) -> anyhow::Result<()> {
    let bank = victims.bank.as_ref().context("an import needs a bank: name it with --bank-url")?;
    stream::iter((0..items).step_by(usize::try_from(BATCH)?).map(anyhow::Ok))
        .try_for_each_concurrent(AT_ONCE, |first| {
            let (bank, end) = (bank.clone(), (first + BATCH).min(items));
            let seed = victims.live_seed;
            async move {
                let batch = tokio::task::spawn_blocking(move || LiveBank::imported(seed, first..end)).await?;
                let key = IdempotencyKey::named(format_args!("{}-import-{first}", bank.live));
                let deadline = Instant::now() + Duration::from_secs(60);
                bank.client.add_items(&bank.live, batch, key, deadline.into()).await?;
                Ok(())
            }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::scenario::span::Span;

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
