//! Adds the rows of the data to a bank through HMA's API, one call for each.
//!
//! `POST /c/bank/BANK/signal` returns the id of each content, so the order does not matter and many calls are
//! under way at once. HMA commits each call separately, some hundred per second. Its lookups find the rows
//! after the next build of its index.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{StatusCode, Uri};
use serde::Deserialize;
use vigie_clients::Network;
use vigie_hashes::hex::Hex;

use crate::Hash;
use crate::cli::HmaCall;
use crate::data::rows::Rows;
use crate::judge::oracle::Identity;
use crate::run::say::say;
use crate::run::target::hma::answer;
use crate::run::target::hma::connections::{Connections, Response};
use crate::run::target::hma::contents::Contents;

/// Calls under way at the same time, each on a connection of its own.
const AT_ONCE: usize = 16;
/// The time limit for opening a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// The time limit for the lookups to find the last row: HMA builds its index once a minute, and then loads
/// it.
const FOUND_WITHIN: Duration = Duration::from_secs(600);
/// The pause between two lookups of the last row.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The interval of progress reports.
const SAY_EVERY: Duration = Duration::from_secs(2);
/// The longest part of an answer that an error quotes, in characters.
const SHOWN_MAX: usize = 200;

#[derive(Deserialize)]
struct Added {
    id: u64,
}

/// Creates `bank`, adds every row to it, and waits until lookups find the last one. Writes the ids to the
/// file `ids`, if there is one.
pub(crate) async fn fill(
    endpoint: &Uri,
    network: &Network,
    bank: &str,
    rows: &Arc<Rows>,
    ids: Option<&Path>,
) -> anyhow::Result<Contents> {
    let connections = Connections::new(endpoint, network, AT_ONCE)?;
    connections.opened(CONNECT_WITHIN).await?;
    let made = connections.post("/c/banks", &serde_json::json!({ "name": bank })).await?;
    match made.status {
        StatusCode::CREATED => {}
        StatusCode::FORBIDDEN => bail!(
            "{endpoint} refuses to create the bank {bank}, or has it already; name another, or give the ids of its contents: {}",
            shown(&made)
        ),
        status => bail!("{endpoint} does not create the bank {bank}: {status} {}", shown(&made)),
    }
    let added = add(&connections, bank, rows).await;
    let added = added.with_context(|| {
        format!("the bank {bank} is left behind; remove it with `curl -X DELETE {endpoint}c/bank/{bank}`")
    })?;
    if let Some(path) = ids {
        Contents::write(&added, path, rows)?;
    }
    let contents = Contents::of_rows(&added)?;
    if let Some(last) = rows.count().checked_sub(1).and_then(|last| rows.row(last)) {
        wait_found(&connections, &last, &contents).await?;
    }
    Ok(contents)
}

/// Adds every row and returns their ids, in the order of the rows.
async fn add(connections: &Connections, bank: &str, rows: &Arc<Rows>) -> anyhow::Result<Vec<u64>> {
    let (begin, mut said) = (Instant::now(), Instant::now());
    let path = format!("/c/bank/{bank}/signal");
    let path = path.as_str();
    let sent = stream::iter(0..rows.count()).map(|row| async move {
        let hash = rows.row(row).with_context(|| format!("there is no row {row}"))?;
        let body = serde_json::json!({ "pdq": Hex(&hash).to_string() });
        let response =
            connections.post(path, &body).await.with_context(|| format!("cannot add row {row}"))?;
        if response.status != StatusCode::OK {
            bail!("row {row} is not added: {} {}", response.status, shown(&response));
        }
        let added: Added = serde_json::from_slice(&response.body).context("an answer names no id")?;
        anyhow::Ok(added.id)
    });
    let mut sent = std::pin::pin!(sent.buffered(AT_ONCE));
    let mut ids = Vec::with_capacity(rows.count() as usize);
    while let Some(id) = sent.try_next().await? {
        ids.push(id);
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let rate = ids.len() as f64 / begin.elapsed().as_secs_f64();
            say(&format!("{} of {} rows added, {rate:.0}/s", ids.len(), rows.count()));
        }
    }
    Ok(ids)
}

/// Waits until a lookup of `hash` finds a row that has it.
async fn wait_found(connections: &Connections, hash: &Hash, contents: &Contents) -> anyhow::Result<()> {
    let path = format!("/m/raw_lookup?signal_type=pdq&signal={}&include_distance=true", Hex(hash));
    let deadline = Instant::now() + FOUND_WITHIN;
    let mut say_at = Instant::now() + SAY_EVERY;
    loop {
        let response = connections.get(&path).await?;
        if response.status == StatusCode::OK {
            let hits = answer::read(&response.body, HmaCall::RawLookup, contents)?;
            if hits.iter().any(|hit| hit.distance == Some(0) && matches!(hit.item, Identity::Row(_))) {
                return Ok(());
            }
        }
        let now = Instant::now();
        if now >= deadline {
            bail!("lookups do not find the last row {FOUND_WITHIN:?} after it was added");
        }
        if now >= say_at {
            say("waiting until lookups find the last row");
            say_at = now + 5 * SAY_EVERY;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Returns the start of an answer's text, for an error.
fn shown(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).chars().take(SHOWN_MAX).collect()
}
