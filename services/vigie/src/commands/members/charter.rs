//! `vigie bank charter`: shows and sets a bank's demands on contributors, and its terms.

use anyhow::Context as _;
use vigie_clients::{BankListing, IdempotencyKey};
use vigie_consortium::{BankRef, Charter, CharterDraft};
use vigie_model::{BankId, Distance, HashType, Sequence};

use crate::cli::{BankAddressArgs, CharterCommand, CharterSetArgs, listed};
use crate::commands::bank_address;
use crate::commands::members::connect::{all_banks, connect};
use crate::commands::members::lines::{CharterObject, vector_distances};
use crate::commands::vectors::declared_types;
use crate::output::{Exit, Output, counted};

pub(crate) async fn run(command: CharterCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        CharterCommand::Show { bank, address } => {
            declared_types::hear(&address, output).await?;
            let (client, deadline) = connect(&address, output)?;
            let found = client.get_charter(&bank, deadline).await?;
            let suppressed = suppressed(&found.value, &address, output).await?;
            print(&bank, &found.value, &suppressed, found.sequence, output)
        }
        CharterCommand::Set(args) => set(*args, output).await,
    }
}

async fn set(args: CharterSetArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let CharterSetArgs { bank, address, .. } = &args;
    let (client, deadline) = connect(address, output)?;
    let before = client.get_charter(bank, deadline).await?.value;
    declared_types::hear(address, output).await?;
    let suppresses = match &args.suppresses {
        Some(banks) => Some(banks_of(&listed(banks), address, output).await?),
        None => None,
    };
    let charter = changed(&args, suppresses, &before)?;
    let of_matchers = vigie_matcher::Config::default().purge_hours;
    if u64::from(charter.purge_hours()) < of_matchers {
        output.note(format!(
            "matchers keep a removed hash for `matcher.purge_hours`, {of_matchers} by default: set it to at most {}",
            charter.purge_hours()
        ));
    }
    let set = client.set_charter(bank, charter.clone(), IdempotencyKey::random(), deadline).await?;
    let suppressed = suppressed(&charter, address, output).await?;
    print(bank, &charter, &suppressed, set.sequence, output)
}

/// Returns the charter with the values that were typed, and otherwise with the values from before.
fn changed(
    args: &CharterSetArgs,
    suppresses: Option<Vec<BankId>>,
    before: &Charter,
) -> anyhow::Result<Charter> {
    let before = before.draft();
    let vector_distances = args.vector_distances.as_deref().map(distances_of).transpose()?;
    let taxonomies = args.taxonomies.as_deref();
    let taxonomies = taxonomies.map(|names| listed(names).into_iter().map(str::to_owned).collect());
    Ok(Charter::try_from(CharterDraft {
        taxonomies: taxonomies.unwrap_or(before.taxonomies),
        two_person_items: args.two_person_items.unwrap_or(before.two_person_items),
        purge_hours: args.purge_hours.unwrap_or(before.purge_hours),
        confirmations_min: args.confirmations.unwrap_or(before.confirmations_min),
        hold_on_negatives: args.hold_on_negatives.unwrap_or(before.hold_on_negatives),
        shadow: args.shadow.unwrap_or(before.shadow),
        suppresses: suppresses.unwrap_or(before.suppresses),
        dispute_days: args.dispute_days.unwrap_or(before.dispute_days),
        match_record_days: args.record_days.unwrap_or(before.match_record_days),
        frames_answer_images: args.frames_answer_images.unwrap_or(before.frames_answer_images),
        images_answer_videos: args.images_answer_videos.unwrap_or(before.images_answer_videos),
        vector_distances: vector_distances.unwrap_or(before.vector_distances),
    })?)
}

/// Parses distances that are typed as `clip=0.25,dino=0.3`.
fn distances_of(text: &str) -> anyhow::Result<Vec<(HashType, Distance)>> {
    let read = |one: &str| {
        let (name, distance) = one.split_once('=').context("is not TYPE=DISTANCE, such as clip=0.25")?;
        Charter::read_vector_distance(name, distance).map_err(anyhow::Error::msg)
    };
    listed(text).into_iter().map(|one| read(one).context("--vector-distances")).collect()
}

/// Returns the ids of banks that are typed by name or id.
async fn banks_of(names: &[&str], address: &BankAddressArgs, output: &Output) -> anyhow::Result<Vec<BankId>> {
    let (client, deadline) = bank_address::connect(address, output)?;
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        ids.push(match name.parse() {
            Ok(id) => BankId(id),
            Err(_) => {
                let bank: BankRef = name.parse()?;
                client.get_bank(&bank, deadline).await?.value.id
            }
        });
    }
    Ok(ids)
}

/// Returns the suppressed banks by name if the caller may see them, otherwise by id.
async fn suppressed(
    charter: &Charter,
    address: &BankAddressArgs,
    output: &Output,
) -> anyhow::Result<Vec<String>> {
    if charter.suppresses().is_empty() {
        return Ok(Vec::new());
    }
    let (client, _) = bank_address::connect(address, output)?;
    let banks = all_banks(&client, address).await?;
    let shown = |id: &BankId| {
        let known = banks.iter().find(|bank: &&BankListing| bank.id == *id);
        known.map_or_else(|| format!("bank {id}"), |bank| bank.name.to_string())
    };
    Ok(charter.suppresses().iter().map(shown).collect())
}

fn print(
    bank: &BankRef,
    charter: &Charter,
    suppressed: &[String],
    sequence: Sequence,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let mut object = serde_json::to_value(CharterObject::from(charter))?;
    object["bank"] = bank.to_string().into();
    object["sequence"] = sequence.0.into();
    output.object(&object)?;
    output.say(format!("the charter of {bank} (sequence {sequence})"))?;
    output.table(&["term", "value"], &rows(charter, suppressed))?;
    Ok(Exit::Done)
}

fn rows(charter: &Charter, suppressed: &[String]) -> Vec<Vec<String>> {
    let taxonomies = match charter.taxonomies() {
        [] => "any".to_owned(),
        names => names.join(","),
    };
    let two_people = match charter.two_person_items() {
        Some(items) => format!("removals of {items} items or more"),
        None => "never".to_owned(),
    };
    let after = |members: Option<u16>, none: &str| match members {
        Some(1) => "1 member says so".to_owned(),
        Some(members) => format!("{members} members say so"),
        None => none.to_owned(),
    };
    let suppressed = if suppressed.is_empty() { "no bank".to_owned() } else { suppressed.join(", ") };
    let distances: Vec<String> =
        vector_distances(charter).map(|(of, far)| format!("{of} within {far}")).collect();
    let default = || "as far as their types say".to_owned();
    let recorded = charter.match_record_days();
    let recorded = recorded.map_or_else(|| "no time".to_owned(), |days| counted(days.into(), "day"));
    [
        ("taxonomies", taxonomies),
        ("two people are needed", two_people),
        ("a withdrawn hash is gone after", format!("{} hours", charter.purge_hours())),
        ("an item matches for others once", after(charter.confirmations_min(), "it is added")),
        ("an item is held as wrong once", after(charter.hold_on_negatives(), "never")),
        ("a dispute is to be resolved in", counted(charter.dispute_days().into(), "day")),
        (
            "shadow",
            if charter.is_shadow() { "on: its matches are answered to nobody" } else { "off" }.to_owned(),
        ),
        ("suppresses matches of", suppressed),
        ("matches are recorded for", recorded),
        ("frames of videos answer images", on_or_off(charter.frames_answer_images())),
        ("images answer videos", on_or_off(charter.images_answer_videos())),
        ("vectors may lie", if distances.is_empty() { default() } else { distances.join(", ") }),
    ]
    .map(|(what, value)| vec![what.to_owned(), value])
    .into()
}

fn on_or_off(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{BankCommand, Cli, Command};

    #[test]
    fn what_is_not_typed_of_a_charter_stays() {
        let args = |line: &str| {
            let Command::Bank(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
                panic!("{line} is about no bank");
            };
            let Some(BankCommand::Charter(CharterCommand::Set(args))) = args.command else {
                panic!("{line} sets no charter");
            };
            args
        };
        let first = args("vigie bank charter set known --confirmations 2 --record-days 30 --shadow on");
        let charter = changed(&first, Some(vec![BankId(7)]), &Charter::default()).unwrap();
        let second = args("vigie bank charter set known --hold-on-negatives 1 --dispute-days 3 --shadow off");
        let charter = changed(&second, None, &charter).unwrap();
        assert_eq!((charter.confirmations_min(), charter.hold_on_negatives()), (Some(2), Some(1)));
        assert_eq!((charter.dispute_days(), charter.match_record_days()), (3, Some(30)));
        assert_eq!((charter.is_shadow(), charter.suppresses()), (false, &[BankId(7)][..]));
        let shown = rows(&charter, &["allowed".to_owned()]).concat().join("|");
        for text in ["2 members say so", "1 member says so", "3 days", "allowed", "30 days"] {
            assert!(shown.contains(text), "{text} in {shown}");
        }
    }
}
