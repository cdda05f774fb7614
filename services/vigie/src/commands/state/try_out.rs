//! `vigie try`: tests a running cluster end to end, as its users see it.
//!
//! A new, unique picture is banked by its fingerprint. An altered copy of it must be recognised by an answer
//! that includes the addition, and must not be recognised by an answer that includes the removal.
//!
//! Nothing is left behind: no file is written, no process is started, and the bank that a trial creates is
//! deleted however the trial ends, also after SIGINT and SIGTERM. Only a trial that is killed leaves its
//! bank. The name of the bank shows when it is abandoned, and the next trial then deletes it.

mod trial_bank;
mod traces;

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use tokio::sync::watch;
use vigie_clients::{BankClient, Code, Deadline, MatchClient};
use vigie_media::Limits;
use vigie_model::{
    BankRef, Content, ItemContent, ItemDraft, ItemId, MatchCall, SearchOptions, Sequence, UnixMillis,
};
use vigie_pictures::{draw, encode_jpeg, scene_name};

use crate::cli::TryArgs;
use crate::commands::bank_address::connect;
use crate::commands::deadline::deadline;
use crate::commands::state::try_out::traces::Traces;
use crate::commands::state::try_out::trial_bank::TrialBank;
use crate::commands::stop::StopRequests;
use crate::output::{Exit, Output, counted};

/// The size of the drawn picture in pixels.
const SIZE: (u32, u32) = (640, 480);
/// The message at the first request to stop.
const STOPPING: &str = "stopping when what this trial has added is removed; Ctrl-C again stops at once";

pub(crate) async fn run(args: TryArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let mut requests = StopRequests::listen();
    let (bank, _) = connect(&args.address, output)?;
    let frontend = [args.frontend.as_str()];
    let network = args.address.tls.network(&frontend)?.noticing(output.notice());
    let frontend = MatchClient::new_on(&frontend, &network)?;
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // The lower bits of the time differ in each run, and the drawing depends on them.
    let seed = u64::try_from(seed.as_nanos() & u128::from(u64::MAX))?;
    let drawn = tokio::task::spawn_blocking(move || draw_one(seed));
    let (content, copy) = tokio::select! {
        drawn = drawn => drawn??,
        () = requests.next() => return Ok(Exit::Interrupted),
    };
    let own = args.bank.is_none();
    let name = match args.bank {
        Some(name) => name,
        None => TrialBank::new(args.address.timeout_ms).to_string().parse()?,
    };
    let (stop, stopped) = watch::channel(false);
    let deadline = deadline(args.address.timeout_ms);
    let trial = Trial { bank, frontend, own, deadline, stopped };
    let mut traces = Traces::new(name, content);

    let proven = {
        let mut proving = std::pin::pin!(trial.prove(&mut traces, &copy));
        tokio::select! {
            proven = &mut proving => Some(proven),
            () = requests.next() => {
                output.note(STOPPING);
                // A write in flight is awaited: if it were dropped, it might be applied after the removal.
                stop.send_replace(true);
                tokio::select! { proven = proving => Some(proven), () = requests.next() => None }
            }
        }
    };
    let Some(proven) = proven else {
        return give_up(&traces, output);
    };
    let removed = tokio::select! {
        removed = traces.remove(&trial.bank) => removed,
        () = requests.next() => return give_up(&traces, output),
    };
    if let Err(error) = removed {
        // The error of the trial is why the command fails; this note comes in addition.
        output.note(format!("{} may still be there: {}", traces, crate::output::sentence(&error)));
        proven?;
        bail!("{traces} could not be removed");
    }
    let Some(proof) = proven? else { return Ok(Exit::Interrupted) };
    report(&proof, output)
}

/// Ends without removing anything, and names what may be left.
fn give_up(traces: &Traces, output: &Output) -> anyhow::Result<Exit> {
    if traces.are_possible() {
        output.note(format!(
            "{traces} may still be there; a later `vigie try` deletes banks of abandoned trials"
        ));
    }
    Ok(Exit::Interrupted)
}

fn report(proof: &Proof, output: &mut Output) -> anyhow::Result<Exit> {
    let Proof { abandoned, added, removed, found, found_after, removal, .. } = proof;
    output.object(&serde_json::json!({
        "recognised": found, "recognised_after_removal": proof.found_still,
        "match_ms": millis(*found_after), "remove_ms": millis(*removal),
        "match_after_removal_ms": millis(proof.gone_after), "abandoned_banks_deleted": abandoned,
    }))?;
    if *abandoned > 0 {
        output.note(format!("deleted {} of earlier trials that were killed", counted(*abandoned, "bank")));
    }
    if !found {
        bail!("an altered copy of a picture that was added at sequence {added} was not recognised");
    }
    if proof.found_still {
        bail!("a picture that was removed at sequence {removed} is still recognised");
    }
    output.say(format!("added at sequence {added}, recognised after {:.1} ms", millis(*found_after)))?;
    output.say(format!(
        "removed at sequence {removed}, not recognised any more after {:.1} ms",
        millis(proof.gone_after)
    ))?;
    Ok(Exit::Done)
}

/// The connections and limits of one trial.
struct Trial {
    bank: BankClient,
    frontend: MatchClient,
    /// Whether the bank has a generated name, and not one from the arguments.
    own: bool,
    deadline: Deadline,
    stopped: watch::Receiver<bool>,
}

/// The results of a trial.
struct Proof {
    /// Number of banks of earlier trials that were deleted.
    abandoned: u64,
    added: Sequence,
    removed: Sequence,
    found: bool,
    found_after: Duration,
    removal: Duration,
    found_still: bool,
    gone_after: Duration,
}

impl Trial {
    /// Runs the trial; `None` if it was stopped. At any time, `traces` records what may have to be removed.
    async fn prove(&self, traces: &mut Traces, copy: &Bytes) -> anyhow::Result<Option<Proof>> {
        let created_at = traces.create_bank(&self.bank, self.deadline).await?;
        let mut abandoned = 0;
        if let (true, Some(now)) = (self.own, created_at) {
            abandoned = self.delete_abandoned(now).await?;
        }
        if *self.stopped.borrow() {
            return Ok(None);
        }
        let (item, added) = traces.add_item(&self.bank, self.deadline).await?;
        let Some((found, found_after)) = self.knows(traces.bank(), copy, item, added).await? else {
            return Ok(None);
        };
        let removing = Instant::now();
        let removed = traces.remove_item(&self.bank, self.deadline).await?;
        let removal = removing.elapsed();
        let gone = self.knows(traces.bank(), copy, item, removed).await?;
        Ok(gone.map(|(found_still, gone_after)| Proof {
            abandoned,
            added,
            removed,
            found,
            found_after,
            removal,
            found_still,
            gone_after,
        }))
    }

    /// Returns whether the image is recognised as this item by an answer that includes `sequence`, and how
    /// long the call took; `None` if the trial was stopped meanwhile.
    async fn knows(
        &self,
        bank: &BankRef,
        image: &Bytes,
        item: ItemId,
        sequence: Sequence,
    ) -> anyhow::Result<Option<(bool, Duration)>> {
        let options =
            SearchOptions { banks: vec![bank.into()], min_sequence: sequence, ..SearchOptions::default() };
        let call = MatchCall {
            contents: vec![Content::Image(image.clone())],
            options,
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let begun = Instant::now();
        let mut stopped = self.stopped.clone();
        let answer = tokio::select! {
            answer = self.frontend.match_content(call, self.deadline) => answer?,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(None),
        };
        let result = answer.results.into_iter().next().context("the answer is empty")?;
        let matched =
            result.map_err(|failure| anyhow::anyhow!("the picture was refused: {}", failure.message))?;
        let is_known = matched.found.matches.iter().any(|one| one.item == item);
        Ok(Some((is_known, begun.elapsed())))
    }

    /// Deletes the banks of trials that were killed: by the bank's clock, such a trial must have ended.
    async fn delete_abandoned(&self, now: UnixMillis) -> anyhow::Result<u64> {
        let (mut after, mut deleted) = (None, 0);
        loop {
            let page = self.bank.list_banks(after, trial_bank::PAGE, self.deadline).await?.value;
            for bank in page.iter().filter(|bank| trial_bank::is_abandoned(bank, now)) {
                let key = vigie_clients::IdempotencyKey::random();
                match self.bank.delete_bank(&bank.name, key, self.deadline).await {
                    Ok(_) => deleted += 1,
                    // Another trial has already deleted it.
                    Err(error) if error.code() == Code::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
            after = page.last().map(|bank| bank.id);
            if page.len() < usize::from(trial_bank::PAGE) {
                return Ok(deleted);
            }
        }
    }
}

/// Draws a picture, and returns its item and its altered copy as an encoded image.
fn draw_one(seed: u64) -> anyhow::Result<(ItemContent, Bytes)> {
    let picture = draw(seed, SIZE.0, SIZE.1);
    let fingerprint = vigie_media::fingerprint(&encode_jpeg(&picture, 95), &Limits::default())?;
    let content = ItemContent::try_from(ItemDraft {
        hashes: fingerprint.banked_hashes(),
        labels: vec!["drawn".to_owned()],
        external_reference: scene_name(seed),
    })?;
    Ok((content, encode_jpeg(&picture, 60).into()))
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}
