//! Reads the newest card of a model, and replaces it.

use serde_json::json;
use vigie_classifiers::{ModelCard, State};
use vigie_clients::{Deadline, IdempotencyKey, ModelCardClient, ReadModelCard};

use super::page;
use crate::cli::{BankAddressArgs, OneClassifierArgs};
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::Output;

/// Returns a client of the bank's model cards, and the deadline of a call that starts now.
pub(super) fn connect(
    address: &BankAddressArgs,
    output: &Output,
) -> anyhow::Result<(ModelCardClient, Deadline)> {
    let client = ModelCardClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok((client.with_patience(patience(address)), deadline(address.timeout_ms)))
}

/// Reads the newest card of a model. Also returns the client that read it.
pub(super) async fn newest(
    one: &OneClassifierArgs,
    output: &Output,
) -> anyhow::Result<(ModelCardClient, ReadModelCard)> {
    let (client, deadline) = connect(&one.address, output)?;
    let read = client.get(one.name.as_str(), 0, deadline).await?.value;
    Ok((client, read))
}

/// Puts a card in place of the one that was read, and prints the result. Fails if there is a newer card by
/// now.
pub(super) async fn put(
    (client, read): (&ModelCardClient, &ReadModelCard),
    card: &ModelCard,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<()> {
    let document = serde_json::to_string(&card.draft())?;
    let (key, deadline) = (IdempotencyKey::random(), deadline(address.timeout_ms));
    let put = client.put(&document, Some(read.newest_version), key, deadline).await?;
    print_put(card, put.value, put.sequence.0, output)
}

/// Prints that a card was put.
pub(super) fn print_put(
    card: &ModelCard,
    version: u32,
    sequence: u64,
    output: &mut Output,
) -> anyhow::Result<()> {
    let (mode, state) = (page::mode(card), page::state(card));
    output.say(format!(
        "version {version} of the card of {} is set: {}{mode} (sequence {sequence})",
        card.name(),
        if card.state() == State::Retired { "retired, " } else { "" }
    ))?;
    output.object(&json!({
        "classifier": card.name().as_str(), "version": version, "mode": mode, "state": state,
        "thresholds": page::threshold_objects(card), "sequence": sequence,
    }))?;
    Ok(())
}
