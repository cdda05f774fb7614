//! `vigie hash-type`: declares and lists hash types of vectors.

use anyhow::Context as _;
use serde_json::{Value, json};
use vigie_clients::{Deadline, HashTypeClient, IdempotencyKey, NewHashType};
use vigie_model::{Declaration, Distance, VectorClass, VectorMetric};

use crate::cli::{BankAddressArgs, HashTypeCommand, HashTypeDeclareArgs};
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::{Exit, Output, counted};

pub(crate) async fn run(command: HashTypeCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        HashTypeCommand::Declare(args) => declare(args, output).await,
        HashTypeCommand::List(address) => list(&address, output).await,
    }
}

fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<(HashTypeClient, Deadline)> {
    let client = HashTypeClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok((client.with_patience(patience(address)), deadline(address.timeout_ms)))
}

async fn declare(args: HashTypeDeclareArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&args.address, output)?;
    let new = wanted(&args)?;
    let declared = client.declare(new, IdempotencyKey::random(), deadline).await?;
    let (declaration, sequence) = (&declared.value, declared.sequence);
    output.say(format!(
        "{} is hash type {} (sequence {sequence}); it is permanent",
        declaration.name,
        declaration.hash_type.number()
    ))?;
    let mut object = object(declaration);
    object["sequence"] = sequence.0.into();
    output.object(&object)?;
    Ok(Exit::Done)
}

/// Returns the hash type to declare. For the cosine metric, distances that were not typed have defaults.
fn wanted(args: &HashTypeDeclareArgs) -> anyhow::Result<NewHashType> {
    let class = VectorClass { element: args.element, metric: args.metric };
    let distance = |option: &'static str, text: Option<&str>, default: &str| {
        // Euclidean distances have no usual range, so the command line requires both.
        let text = text.or((class.metric == VectorMetric::Cosine).then_some(default));
        let read = text.and_then(|text| class.marker().distance_of_text(text));
        read.with_context(|| format!("{option} is no distance: a number such as {default} is expected"))
    };
    let distance_max = distance("--distance-max", args.distance_max.as_deref(), "0.5")?;
    let distance_default = distance("--distance", args.distance.as_deref(), "0.1")?;
    let name = args.name.clone();
    Ok(NewHashType { name, class, elements: args.elements, distance_default, distance_max })
}

async fn list(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address, output)?;
    let listed = client.list(deadline).await?;
    listed.value.iter().try_for_each(|one| output.object(&object(one)))?;
    let count = counted(u64::try_from(listed.value.len())?, "declared hash type");
    output.say(format!("{count} (sequence {})", listed.sequence))?;
    let columns = ["name", "number", "elements", "form", "metric", "distance", "largest distance"];
    output.table(&columns, &listed.value.iter().map(row).collect::<Vec<_>>())?;
    Ok(Exit::Done)
}

/// Returns the names of the element type and of the metric.
fn class_words(declaration: &Declaration) -> (&'static str, &'static str) {
    declaration.class().map_or(("", ""), |class| (class.element.name(), class.metric.name()))
}

fn text(declaration: &Declaration, distance: Distance) -> String {
    declaration.hash_type.distance_text(distance)
}

fn row(one: &Declaration) -> Vec<String> {
    let (element, metric) = class_words(one);
    vec![
        one.name.to_string(),
        one.hash_type.number().to_string(),
        one.elements.to_string(),
        element.to_owned(),
        metric.to_owned(),
        text(one, one.distance_default),
        text(one, one.distance_max),
    ]
}

fn object(one: &Declaration) -> Value {
    let (element, metric) = class_words(one);
    json!({
        "hash_type": &*one.name, "number": one.hash_type.number(), "elements": one.elements, "element": element, "metric": metric,
        "distance": text(one, one.distance_default), "distance_max": text(one, one.distance_max),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn distances_are_typed_in_the_metric_or_left_to_the_cosine() {
        let wanted = |line: &str| {
            let Command::HashType(HashTypeCommand::Declare(args)) =
                Cli::try_parse_from(line.split(' ')).unwrap().command
            else {
                panic!("{line} declares nothing");
            };
            super::wanted(&args)
        };
        let clip = wanted("vigie hash-type declare clip --elements 3 --metric cosine").unwrap();
        assert_eq!((clip.distance_default, clip.distance_max), (Distance(100_000), Distance(500_000)));
        let l2 = "vigie hash-type declare clip --elements 3 --metric l2 --element u8 --distance 1.5 --distance-max 200";
        let l2 = wanted(l2).unwrap();
        assert_eq!((l2.distance_default, l2.distance_max), (Distance(1_500_000), Distance(200_000_000)));
        assert_eq!(l2.class, VectorClass::ALL[3]);
        let wrong = wanted("vigie hash-type declare clip --elements 3 --metric cosine --distance near");
        assert!(wrong.unwrap_err().to_string().starts_with("--distance is no distance"));
    }
}
