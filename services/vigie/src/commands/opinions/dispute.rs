//! `vigie dispute`: disputes, by which members ask the owner of a bank to review an item.

use anyhow::{Context as _, ensure};
use vigie_clients::{IdempotencyKey, ListedDispute, Outcome};
use vigie_consortium::{Class, Classification, Resolution};
use vigie_model::ItemId;

use crate::cli::{BankAddressArgs, DisputeCommand};
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::commands::opinions::connect::connect;
use crate::output::{Exit, Output, Printed};

/// Maximum number of disputes in one page.
const PAGE: u16 = 500;

pub(crate) async fn run(command: DisputeCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        DisputeCommand::List { resolved, address } => list(resolved, &address, output).await,
        DisputeCommand::Resolve { item, outcome, classes, address } => {
            let resolved = outcome_of(outcome, classes)?;
            let (client, deadline) = connect(&address, output)?;
            let key = IdempotencyKey::random();
            let done = client.resolve_dispute(ItemId(item), &resolved, key, deadline).await?;
            output.say(format!("item {item}: {} (sequence {})", outcome.name(), done.sequence))?;
            output.object(&serde_json::json!({
                "item_id": item, "resolution": outcome.name(), "sequence": done.sequence.0
            }))?;
            Ok(Exit::Done)
        }
    }
}

fn outcome_of(outcome: Resolution, classes: Vec<Class>) -> anyhow::Result<Outcome> {
    ensure!(
        (outcome == Resolution::Reclassified) != classes.is_empty(),
        "--class: goes with reclassified, and with no other outcome"
    );
    Ok(match outcome {
        Resolution::Kept => Outcome::Kept,
        Resolution::Removed => Outcome::Removed,
        Resolution::Reclassified => Outcome::Reclassified(Classification::new(classes).context("--class")?),
    })
}

async fn list(resolved: bool, address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let mut after = None;
    loop {
        let deadline = deadline(address.timeout_ms);
        let page = client.list_disputes(resolved, after.as_ref(), PAGE, deadline).await?;
        for dispute in &page.disputes {
            show(dispute, output)?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(Exit::Done),
        }
    }
}

fn show(dispute: &ListedDispute, output: &mut Output) -> Printed {
    let ListedDispute { item, bank, opened_at, due_at, opened_by, resolved } = dispute;
    output.object(&serde_json::json!({
        "item_id": item.0, "bank": bank.to_string(), "opened_at_unix_ms": opened_at.0,
        "due_at_unix_ms": due_at.0, "opened_by": opened_by,
        "resolution": resolved.map(|(outcome, _)| outcome.name()),
        "resolved_at_unix_ms": resolved.map(|(_, at)| at.0)
    }))?;
    let by = if opened_by.is_empty() { "a member" } else { opened_by };
    let state = match resolved {
        Some((outcome, at)) => format!("{} {} UTC", outcome.name(), date(*at)),
        None => format!("due {} UTC", date(*due_at)),
    };
    output.say(format!("{:>8}  {bank}  opened {} UTC by {by}, {state}", item.0, date(*opened_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_go_with_one_outcome_alone() {
        let class = Class::new("iwf", "category", "A").unwrap();
        assert!(outcome_of(Resolution::Reclassified, Vec::new()).is_err());
        assert!(outcome_of(Resolution::Kept, vec![class.clone()]).is_err());
        assert_eq!(outcome_of(Resolution::Removed, Vec::new()).unwrap(), Outcome::Removed);
        let outcome = outcome_of(Resolution::Reclassified, vec![class.clone()]).unwrap();
        assert_eq!(outcome, Outcome::Reclassified(Classification::new(vec![class]).unwrap()));
    }
}
