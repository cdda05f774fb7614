//! `vigie try`: proves a running cluster from end to end, as its users see it.
//!
//! A picture that nobody else has is banked by its fingerprint, in a bank of its own. An altered copy of it must be
//! recognised by an answer that holds the addition, and not recognised by one that holds the removal. Whatever was added
//! is removed, also where the first part failed.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use vigie_clients::{BankClient, Code, Deadline, IdempotencyKey, MatchClient};
use vigie_media::Limits;
use vigie_model::{BankName, Content, ItemContent, ItemDraft, ItemId, MatchCall, SearchOptions, Sequence};
use vigie_pictures::{draw, encode_jpeg, scene_name};

use crate::cli::TryArgs;
use crate::commands::banks::bank::connect;
use crate::output::{Exit, Output};

/// The size of the drawn picture, in pixels.
const SIZE: (u32, u32) = (640, 480);

pub(crate) async fn run(args: TryArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (bank, deadline) = connect(&args.address, output)?;
    let frontend = [args.frontend.as_str()];
    let network = args.address.tls.network(&frontend)?.noticing(output.notice());
    let frontend = MatchClient::new_on(&frontend, &network)?;
    let trial = Trial { bank, frontend, name: args.bank, deadline };
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Its lower bits change from one run to the next, and those are what the drawing goes by.
    let seed = u64::try_from(seed.as_nanos() & u128::from(u64::MAX))?;
    let (content, copy) = tokio::task::spawn_blocking(move || draw_one(seed)).await??;

    let (item, added) = trial.add(content).await?;
    let known = trial.knows(&copy, item, added).await;
    let removing = Instant::now();
    let removed = trial.bank.remove_items(&[item], IdempotencyKey::random(), trial.deadline).await;
    let removed = removed.with_context(|| format!("item {item} may still be in the bank {}", trial.name))?;
    let removal = removing.elapsed();
    let (is_known, found_after) = known?;
    let (is_still_known, gone_after) = trial.knows(&copy, item, removed.sequence).await?;

    output.object(&serde_json::json!({
        "recognised": is_known, "recognised_after_removal": is_still_known,
        "match_ms": millis(found_after), "remove_ms": millis(removal), "match_after_removal_ms": millis(gone_after),
    }))?;
    if !is_known {
        bail!("an altered copy of a picture that was added at sequence {added} was not recognised");
    }
    if is_still_known {
        bail!("a picture that was removed at sequence {} is still recognised", removed.sequence);
    }
    output.say(format!(
        "added at sequence {added}, recognised after {:.1} ms; removed at sequence {}, not recognised any more after {:.1} ms",
        millis(found_after),
        removed.sequence,
        millis(gone_after)
    ))?;
    Ok(Exit::Done)
}

/// What one trial speaks to, and until when.
struct Trial {
    bank: BankClient,
    frontend: MatchClient,
    name: BankName,
    deadline: Deadline,
}

impl Trial {
    /// Banks the picture; the bank is made by the first trial, and stays.
    async fn add(&self, content: ItemContent) -> anyhow::Result<(ItemId, Sequence)> {
        let made = self.bank.create_bank(&self.name, IdempotencyKey::random(), self.deadline).await;
        match made {
            Ok(_) => {}
            Err(error) if error.code() == Code::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        let key = IdempotencyKey::random();
        let added = self.bank.add_items(&self.name, vec![content], key, self.deadline).await?;
        let item = added.value.first().copied().context("the bank named no item")?;
        Ok((item, added.sequence))
    }

    /// Whether the image is recognised as this item, by an answer as of this sequence; and how long that took.
    async fn knows(
        &self,
        image: &Bytes,
        item: ItemId,
        sequence: Sequence,
    ) -> anyhow::Result<(bool, Duration)> {
        let options = SearchOptions {
            banks: vec![self.name.clone()],
            min_sequence: sequence,
            ..SearchOptions::default()
        };
        let call = MatchCall { contents: vec![Content::Image(image.clone())], options, quality_floor: None };
        let begun = Instant::now();
        let answer = self.frontend.match_content(call, self.deadline).await?;
        let result = answer.results.into_iter().next().context("the answer is empty")?;
        let matched =
            result.map_err(|failure| anyhow::anyhow!("the picture was refused: {}", failure.message))?;
        let is_known = matched.found.matches.iter().any(|one| one.item == item);
        Ok((is_known, begun.elapsed()))
    }
}

/// What is banked of the picture, and the altered copy that is asked about.
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
