//! Puts a data set into a bank, at full speed.
//!
//! Rows are drawn on threads of their own and sent in batches, several at once over several connections, so
//! that the bank can commit them together. Every batch has an idempotency key that names its rows, so a batch
//! that is sent twice is applied once.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use vigie_clients::{BankClient, Code, IdempotencyKey, Network};
use vigie_model::{BankName, Hash, HashType, ItemContent, ItemDraft, Sequence};

use crate::data::rows::Rows;
use crate::data::videos;
use crate::judge::oracle::Identity;

/// Items in one batch: the most that the bank accepts in a call.
const BATCH: u32 = 1_000;
/// Bytes of videos in one batch. A batch with a single video may be larger.
const VIDEO_BATCH_BYTES: usize = 1 << 20;
/// Batches that are sent at the same time.
const AT_ONCE: usize = 8;
/// Connections to the bank.
const CONNECTIONS: usize = 4;
/// The time limit of the first call, which shows whether there is a bank.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// The time limit of a batch, including retries.
const WITHIN: Duration = Duration::from_secs(60);

/// A batch of the plan, named by its first row or video.
#[derive(Debug, Clone, Copy)]
enum Part {
    Rows(u32),
    Videos(u32),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(from) => write!(f, "the rows from number {from} on"),
            Self::Videos(from) => write!(f, "the videos from number {from} on"),
        }
    }
}

/// The result of filling a bank.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    /// Items that were added; 0 if the bank already held them.
    pub(crate) items: u64,
    pub(crate) took: Duration,
    /// A search whose answer includes the log up to this sequence finds all of them.
    pub(crate) sequence: Sequence,
}

/// Makes the bank hold exactly these rows. `writing` is called before the first write, if there is one.
pub(crate) async fn fill(
    bank_url: &str,
    network: &Network,
    name: &BankName,
    rows: &Arc<Rows>,
    writing: impl FnOnce(),
    mut progress: impl FnMut(u64, Duration),
) -> anyhow::Result<Filled> {
    let begin = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| BankClient::new_on(bank_url, network));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let first = &clients[0];
    let deadline = || (Instant::now() + FIRST_WITHIN).into();
    let count = rows.items();
    // Idempotency keys contain the bank's id, because a deleted bank of the same name has a different one.
    let id = match first.get_bank(name, deadline()).await {
        Ok(found) if found.value.item_count == count => {
            let sequence = found.sequence;
            return Ok(Filled { items: 0, took: begin.elapsed(), sequence });
        }
        // An interrupted fill may have committed any of its batches, so all batches are sent again. The bank
        // adds no committed batch twice.
        Ok(found) if found.value.item_count > count => bail!(
            "the bank {name} holds {} items, but the data has only {count}: delete the bank, or name another",
            found.value.item_count
        ),
        Ok(found) => {
            writing();
            found.value.id
        }
        Err(error) if error.code() == Code::NotFound => {
            writing();
            let key = IdempotencyKey::random();
            first.create_bank(name, key, deadline()).await.context("cannot create the bank")?.value.id
        }
        Err(error) => return Err(error).context("cannot read the bank from the bank service"),
    };
    let videos_at_once = (VIDEO_BATCH_BYTES / rows.videos.bytes_max().max(1)).clamp(1, BATCH as usize);
    let batches = (0..rows.count()).step_by(BATCH as usize).map(Part::Rows);
    let batches = batches.chain((0..rows.videos.count).step_by(videos_at_once).map(Part::Videos)).enumerate();
    let sent = stream::iter(batches)
        .map(|(turn, part)| {
            let (rows, client) = (Arc::clone(rows), clients[turn % clients.len()].clone());
            async move {
                let items = tokio::task::spawn_blocking(move || match part {
                    Part::Rows(from) => items(&rows, from),
                    Part::Videos(from) => videos(&rows, from, videos_at_once),
                });
                let items = items.await??;
                let count = items.len() as u64;
                let key = match part {
                    Part::Rows(from) => IdempotencyKey::named(format_args!("load-{id}-{from}")),
                    Part::Videos(from) => IdempotencyKey::named(format_args!("load-{id}-v{from}")),
                };
                let added = client
                    .add_items(name, items, key, (Instant::now() + WITHIN).into())
                    .await
                    .with_context(|| format!("cannot add {part}"))?;
                anyhow::Ok((count, added.sequence))
            }
        })
        .buffer_unordered(AT_ONCE);
    let mut filled = Filled { items: 0, took: Duration::ZERO, sequence: Sequence(0) };
    let mut sent = std::pin::pin!(sent);
    while let Some((items, sequence)) = sent.try_next().await? {
        filled.items += items;
        filled.sequence = filled.sequence.max(sequence);
        progress(filled.items, begin.elapsed());
    }
    filled.took = begin.elapsed();
    Ok(filled)
}

fn items(rows: &Rows, from: u32) -> anyhow::Result<Vec<ItemContent>> {
    let drawn = (from..).zip(rows.rows(from, BATCH));
    let item = |(row, hash)| {
        let draft = ItemDraft {
            hashes: vec![Hash::pdq(hash)],
            external_reference: Identity::Row(row).reference(),
            ..ItemDraft::default()
        };
        Ok(ItemContent::try_from(draft)?)
    };
    drawn.map(item).collect()
}

fn videos(rows: &Rows, from: u32, count: usize) -> anyhow::Result<Vec<ItemContent>> {
    let numbers = (from..rows.videos.count).take(count);
    let item = |number: u32| {
        let draft = ItemDraft {
            hashes: vec![Hash::from_bytes(HashType::VPDQ, &videos::bytes(&rows.videos.banked(number)))?],
            external_reference: Identity::Video(number).reference(),
            ..ItemDraft::default()
        };
        Ok(ItemContent::try_from(draft)?)
    };
    numbers.map(item).collect()
}
