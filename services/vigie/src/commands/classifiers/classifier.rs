//! `vigie classifier`: model cards, with their thresholds and modes.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;
use vigie_classifiers::{Mode, ModelCard, ModelCardDraft, Rate, State};
use vigie_clients::{IdempotencyKey, ModelClass, ModelSummary};
use vigie_consortium::CardVersion;

use super::putting::{connect, newest, print_put, put};
use super::{calibrate, page};
use crate::cli::{
    BankAddressArgs, ClassifierAddArgs, ClassifierCommand, ClassifierShowArgs, ClassifierThresholdArgs,
    OneClassifierArgs,
};
use crate::output::{Exit, Output, counted};

pub(crate) async fn run(command: ClassifierCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ClassifierCommand::Add(args) => add(args, output).await,
        ClassifierCommand::List(address) => list(&address, output).await,
        ClassifierCommand::Show(args) => show(&args, output).await,
        ClassifierCommand::Calibrate(args) => Box::pin(calibrate::run(args, output)).await,
        ClassifierCommand::Threshold(args) => threshold(args, output).await,
        ClassifierCommand::Activate(one) => set_mode(&one, Mode::Active, output).await,
        ClassifierCommand::Shadow(one) => set_mode(&one, Mode::Shadow, output).await,
        ClassifierCommand::Retire(one) => retire(&one, output).await,
    }
}

/// Reads a card from a file. Reads no more than the maximum size of a document.
fn read(file: &Path) -> anyhow::Result<CardVersion> {
    let cannot = || format!("cannot read {}", file.display());
    let mut text = String::new();
    let max = u64::try_from(CardVersion::DOCUMENT_LEN_MAX)?;
    let opened = std::fs::File::open(file).with_context(cannot)?;
    opened.take(max + 1).read_to_string(&mut text).with_context(cannot)?;
    // The message has one fault per line, each with its field.
    CardVersion::read_as(&text, 1).map_err(|fault| anyhow::anyhow!("{} is no card:\n{fault}", file.display()))
}

async fn add(args: ClassifierAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let card = read(&args.card)?;
    let (client, deadline) = connect(&args.address, output)?;
    let put = client.put(card.document(), args.expected_version, IdempotencyKey::random(), deadline).await?;
    print_put(card.card(), put.value, put.sequence.0, output)?;
    Ok(Exit::Done)
}

async fn list(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address, output)?;
    let listed = client.list(deadline).await?;
    listed.value.iter().try_for_each(|one| output.object(&object(one)))?;
    let count = counted(u64::try_from(listed.value.len())?, "classifier");
    output.say(format!("{count} (sequence {})", listed.sequence))?;
    if !listed.value.is_empty() {
        let columns = ["name", "version", "kind", "mode", "state", "classes"];
        output.table(&columns, &listed.value.iter().map(row).collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}

fn row(one: &ModelSummary) -> Vec<String> {
    let class = |class: &ModelClass| match class.threshold {
        Some((threshold, one_in)) => format!("{} from {threshold} (at most 1 in {one_in})", class.name),
        None => class.name.clone(),
    };
    vec![
        one.name.clone(),
        one.version.to_string(),
        one.kind.clone(),
        one.mode.clone(),
        one.state.replace('_', " "),
        one.classes.iter().map(class).collect::<Vec<_>>().join(", "),
    ]
}

fn object(one: &ModelSummary) -> serde_json::Value {
    let class = |class: &ModelClass| {
        json!({
            "class": class.name, "stands_for": class.stands_for, "threshold": class.threshold.map(|(threshold, _)| threshold),
            "at_most_one_in": class.threshold.map(|(_, one_in)| one_in),
        })
    };
    json!({
        "classifier": one.name, "version": one.version, "kind": one.kind, "mode": one.mode, "state": one.state,
        "classes": one.classes.iter().map(class).collect::<Vec<_>>(),
    })
}

async fn show(args: &ClassifierShowArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&args.one.address, output)?;
    let read = client.get(args.one.name.as_str(), args.version.unwrap_or(0), deadline).await?;
    let (card, newest_version) = (&read.value.card, read.value.newest_version);
    let document: serde_json::Value = serde_json::from_str(card.document())?;
    output.object(&json!({
        "classifier": card.name(), "version": card.version(), "newest_version": newest_version,
        "card": document, "sequence": read.sequence.0,
    }))?;
    page::show(card.card(), newest_version, output)?;
    Ok(Exit::Done)
}

async fn threshold(args: ClassifierThresholdArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, read) = newest(&args.one, output).await?;
    let card = read.card.card();
    if !card.output().classes().iter().any(|class| class.name == args.class) {
        let known: Vec<&str> = card.output().classes().iter().map(|class| class.name.as_str()).collect();
        bail!("the model {} has no class {}; it has {}", args.one.name, args.class, known.join(", "));
    }
    if card.calibration().is_none_or(|calibration| calibration.class(&args.class).is_none()) {
        bail!(
            "the class {0} was not measured; run `vigie classifier calibrate {1} FOLDER`",
            args.class,
            args.one.name
        );
    }
    let changed = card.with_threshold(&args.class, Rate::one_in(args.at_most_one_in)?)?;
    put((&client, &read), &changed, &args.one.address, output).await?;
    if let Some(chosen) = changed.threshold(&args.class) {
        output.say(format!("{}: {}", args.class, page::describe_threshold(chosen)))?;
    }
    Ok(Exit::Done)
}

async fn set_mode(one: &OneClassifierArgs, mode: Mode, output: &mut Output) -> anyhow::Result<Exit> {
    let draft = |draft: ModelCardDraft| ModelCardDraft { mode, ..draft };
    change(one, draft, output).await
}

async fn retire(one: &OneClassifierArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let draft = |draft: ModelCardDraft| ModelCardDraft { state: State::Retired, ..draft };
    change(one, draft, output).await
}

/// Changes the newest card of a model and puts it. Puts nothing if the card would stay the same.
async fn change(
    one: &OneClassifierArgs,
    change: impl Fn(ModelCardDraft) -> ModelCardDraft,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, read) = newest(one, output).await?;
    let before = read.card.card();
    let changed = ModelCard::try_from(change(before.draft()))
        .map_err(|faults| anyhow::anyhow!("the changed card of {} would be invalid:\n{faults}", one.name))?;
    if changed == *before {
        let (mode, state, version) = (page::mode(before), page::state(before), read.newest_version);
        let words = if before.state() == State::Retired { "retired" } else { mode };
        output.say(format!("{} is {words} already (version {version}); nothing was changed", one.name))?;
        output.object(&json!({
            "classifier": one.name.as_str(), "version": version, "mode": mode, "state": state,
            "thresholds": page::threshold_objects(before), "sequence": null,
        }))?;
        return Ok(Exit::Done);
    }
    put((&client, &read), &changed, &one.address, output).await?;
    Ok(Exit::Done)
}
