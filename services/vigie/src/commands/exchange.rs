//! `vigie exchange`: manages the hash-sharing programmes and files that banks follow.

mod lines;

use std::time::Duration;

use anyhow::bail;
use vigie_clients::{CallError, Deadline, ExchangeClient, ExchangeListing, IdempotencyKey, NewExchange};
use vigie_consortium::{ExchangeConfig, ExchangeId, ExchangeName};
use vigie_exchange::Settings;

use crate::cli::{BankAddressArgs, ExchangeAddArgs, ExchangeCommand, ExchangeFetchArgs, OneExchangeArgs};
use crate::commands::bank_address::{network, patience};
use crate::commands::cluster::role;
use crate::commands::deadline::deadline;
use crate::commands::exchange::lines::{ExchangeObject, details, row};
use crate::output::{Exit, Output, counted};

/// Maximum number of exchanges in one page.
const PAGE: u16 = 100;
/// The interval at which a requested round is checked for completion.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn run(command: ExchangeCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ExchangeCommand::Run(args) => Box::pin(role::exchange(&args)).await,
        ExchangeCommand::Add(args) => add(args, output).await,
        ExchangeCommand::List(address) => list(&address, output).await,
        ExchangeCommand::Status(args) => status(&args, output).await,
        ExchangeCommand::Fetch(args) => fetch(args, output).await,
        ExchangeCommand::Pause(args) => set_enabled(&args, false, output).await,
        ExchangeCommand::Resume(args) => set_enabled(&args, true, output).await,
        ExchangeCommand::Remove(args) => remove(&args, output).await,
    }
}

fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<(ExchangeClient, Deadline)> {
    let network = network(address, output)?;
    let client = ExchangeClient::among(&address.bank_urls, &network)?.with_patience(patience(address));
    Ok((client, deadline(address.timeout_ms)))
}

async fn add(args: ExchangeAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    // The settings are parsed here, so that the person who types them sees the error. Otherwise it would be
    // an alarm of the exchange process later.
    let (_, common) = Settings::parse(args.api, &args.settings)?;
    let new = NewExchange {
        name: args.name,
        api: args.api.name().parse()?,
        config: ExchangeConfig::new(&args.settings)?,
        interval_seconds: args.interval_s.unwrap_or(0),
    };
    let (client, deadline) = connect(&args.address, output)?;
    let added = client.add_exchange(&new, &args.bank, IdempotencyKey::random(), deadline).await?;
    output.object(&ExchangeObject::from(&added.value))?;
    output.say(format!("added {}: its items go to {}", new.name, args.bank))?;
    let needed = args.api.credentials();
    if !needed.is_empty() {
        output.note(format!("its process needs the credentials {}", needed.join(", ")));
    }
    if common.submit.is_some() {
        let needed = args.api.submit_credentials().join(", ");
        output.note(format!(
            "to submit it needs {needed}; where there are members also bank_key, a key that reads the bank"
        ));
    }
    if common.feedback.is_some() {
        let needed = args.api.feedback_credentials().join(", ");
        output.note(format!(
            "to send opinions it needs {needed}; where there are members also bank_key, a key that reads the bank"
        ));
    }
    Ok(Exit::Done)
}

async fn list(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let all = all(&client, address).await?;
    for listing in &all {
        output.object(&ExchangeObject::from(listing))?;
    }
    output.say(counted(u64::try_from(all.len())?, "exchange"))?;
    if !all.is_empty() {
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        output.table(&["name", "interface", "bank", "state", "last round", "items fetched"], &rows)?;
    }
    Ok(Exit::Done)
}

async fn status(args: &OneExchangeArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&args.address, output)?;
    let listing = client.get_exchange(&args.name, deadline).await?;
    output.object(&ExchangeObject::from(&listing))?;
    output.say(format!("exchange {}", listing.exchange.name))?;
    output.table(&["field", "value"], &details(&listing))?;
    Ok(Exit::Done)
}

async fn fetch(args: ExchangeFetchArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(&args.address, output)?;
    let names = match args.all {
        false => args.names,
        true => {
            let all = all(&client, &args.address).await?;
            all.into_iter().map(|one| one.exchange).filter(|one| one.enabled).map(|one| one.name).collect()
        }
    };
    let mut asked = Vec::new();
    for name in names {
        let deadline = deadline(args.address.timeout_ms);
        let written = client.fetch_exchange_now(&name, IdempotencyKey::random(), deadline).await?;
        asked.push((name, written.value.exchange.requested_rounds));
    }
    if !args.wait {
        output.object(&serde_json::json!({"asked": asked.len()}))?;
        output.say(format!("asked for a round of {}", counted(u64::try_from(asked.len())?, "exchange")))?;
        return Ok(Exit::Done);
    }
    let until = Deadline::now() + Duration::from_secs(args.wait_s_max);
    let mut exit = Exit::Done;
    for (name, round) in asked {
        let listing = answered(&client, &name, round, until, &args.address).await?;
        output.object(&ExchangeObject::from(&listing))?;
        let status = &listing.exchange.status;
        if status.succeeded == Some(true) {
            output.say(format!("{name}: complete"))?;
        } else {
            let alarm = status.alarm.as_str();
            let reason = if alarm.is_empty() { "the round ended early" } else { alarm };
            output.say(format!("{name}: {reason}"))?;
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// Waits until the requested round has ended.
async fn answered(
    client: &ExchangeClient,
    name: &ExchangeName,
    round: u64,
    until: Deadline,
    address: &BankAddressArgs,
) -> anyhow::Result<ExchangeListing> {
    loop {
        let listing = client.get_exchange(name, deadline(address.timeout_ms)).await?;
        let status = &listing.exchange.status;
        if status.answered_rounds >= round && status.running_since.is_none() {
            return Ok(listing);
        }
        if Deadline::now() >= until {
            bail!("the round of {name} has not ended in time; is an exchange process running?");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn set_enabled(args: &OneExchangeArgs, enabled: bool, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&args.address, output)?;
    let key = IdempotencyKey::random();
    let set = client.set_exchange_enabled(&args.name, enabled, key, deadline).await?;
    output.object(&ExchangeObject::from(&set.value))?;
    output.say(format!("{} is {}", args.name, if enabled { "followed" } else { "paused" }))?;
    Ok(Exit::Done)
}

async fn remove(args: &OneExchangeArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&args.address, output)?;
    let removed = client.remove_exchange(&args.name, IdempotencyKey::random(), deadline).await?;
    output.object(&serde_json::json!({"removed": args.name.as_str(), "sequence": removed.sequence.0}))?;
    output.say(format!("removed {}; its bank and the items in it stay", args.name))?;
    Ok(Exit::Done)
}

/// Returns every exchange that the caller may see.
async fn all(client: &ExchangeClient, address: &BankAddressArgs) -> Result<Vec<ExchangeListing>, CallError> {
    let mut all: Vec<ExchangeListing> = Vec::new();
    let mut after: Option<ExchangeId> = None;
    loop {
        let (page, has_more) = client.list_exchanges(after, PAGE, deadline(address.timeout_ms)).await?;
        after = page.last().map(|listing| listing.exchange.id);
        all.extend(page);
        if !has_more || after.is_none() {
            return Ok(all);
        }
    }
}
