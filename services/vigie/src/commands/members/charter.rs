//! `vigie bank charter`: a bank's demands on contributors and its terms.

use vigie_clients::IdempotencyKey;
use vigie_consortium::{BankRef, Charter, CharterDraft};
use vigie_model::Sequence;

use crate::cli::{CharterCommand, listed};
use crate::commands::members::connect::connect;
use crate::commands::members::lines::CharterObject;
use crate::output::{Exit, Output};

pub(crate) async fn run(command: CharterCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        CharterCommand::Show { bank, address } => {
            let (client, deadline) = connect(&address, output)?;
            let found = client.get_charter(&bank, deadline).await?;
            print(&bank, &found.value, found.sequence, output)
        }
        CharterCommand::Set { bank, taxonomies, two_person_items, purge_hours, address } => {
            let (client, deadline) = connect(&address, output)?;
            let before = client.get_charter(&bank, deadline).await?.value;
            let taxonomies = match &taxonomies {
                Some(names) => listed(names).into_iter().map(str::to_owned).collect(),
                None => before.taxonomies().iter().map(ToString::to_string).collect(),
            };
            let charter = Charter::try_from(CharterDraft {
                taxonomies,
                two_person_items: two_person_items.unwrap_or(before.two_person_items().unwrap_or(0)),
                purge_hours: purge_hours.unwrap_or(before.purge_hours().into()),
                ..before.draft()
            })?;
            let of_matchers = vigie_matcher::Config::default().purge_hours;
            if u64::from(charter.purge_hours()) < of_matchers {
                output.note(format!(
                    "matchers keep a removed hash for `matcher.purge_hours`, {of_matchers} by default: set it to at most {}",
                    charter.purge_hours()
                ));
            }
            let set = client.set_charter(&bank, charter.clone(), IdempotencyKey::random(), deadline).await?;
            print(&bank, &charter, set.sequence, output)
        }
    }
}

fn print(bank: &BankRef, charter: &Charter, sequence: Sequence, output: &mut Output) -> anyhow::Result<Exit> {
    let mut object = serde_json::to_value(CharterObject::from(charter))?;
    object["bank"] = bank.to_string().into();
    object["sequence"] = sequence.0.into();
    output.object(&object)?;
    output.say(format!("the charter of {bank} (sequence {sequence})"))?;
    let taxonomies = match charter.taxonomies() {
        [] => "any".to_owned(),
        names => names.join(","),
    };
    let two_people = match charter.two_person_items() {
        Some(items) => format!("removals of {items} items or more"),
        None => "never".to_owned(),
    };
    let rows = [
        ("taxonomies", taxonomies),
        ("two people are needed", two_people),
        ("a withdrawn hash is gone after", format!("{} hours", charter.purge_hours())),
    ]
    .map(|(what, value)| vec![what.to_owned(), value]);
    output.table(&["term", "value"], &rows)?;
    Ok(Exit::Done)
}
