//! `vigie demo`: demonstrates a whole cluster.
//!
//! Starts a cluster in a temporary folder and banks drawn pictures. Then sends altered copies of them and
//! unrelated pictures to the frontend, as a platform would, and prints a table of what was recognised. If
//! ffmpeg is installed, the same is done with a video clip.

mod clip;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use vigie_clients::{BankClient, Deadline, IdempotencyKey, MatchClient};
use vigie_media::{Limits, Ways};
use vigie_model::{
    BankName, Content, HashType, ItemContent, ItemDraft, ItemId, Match, MatchCall, PdqHash, SearchOptions,
    Sequence,
};
use vigie_pictures::{Alteration, draw, encode_jpeg, scene_name};

use crate::cli::DemoArgs;
use crate::commands::stop::StopRequests;
use crate::local_cluster::{HttpAt, LocalCluster, LocalClusterConfig};
use crate::output::{Exit, Output, counted, counted_as};

/// The size of the drawn pictures in pixels, typical of a picture in a feed.
const SIZE: (u32, u32) = (640, 480);
/// The first seed of unrelated pictures; the seeds of banked ones are smaller.
const UNRELATED_FROM: u64 = 100_000;
const BANK: &str = "demo";

/// A picture that is sent to the frontend.
struct Sent {
    seed: u64,
    /// Name of the alteration; `None` for an unrelated picture.
    alteration: Option<String>,
    bytes: Bytes,
    /// Distance in bits between the plain hash and that of the original.
    plain: Option<u32>,
}

fn bits_between(one: &PdqHash, other: &PdqHash) -> u32 {
    one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
}

/// The result for one picture that was sent.
struct Outcome {
    seed: u64,
    alteration: Option<String>,
    nearest: Option<Match>,
    /// Distance in bits between the plain hash and that of the original.
    plain: Option<u32>,
    right: bool,
    wrong: bool,
    time: Duration,
}

pub(crate) async fn run(args: DemoArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let mut requests = StopRequests::listen();
    let folder =
        tempfile::Builder::new().prefix("vigie-demo-").tempdir().context("cannot make a temporary folder")?;
    // The console is only of use if the cluster keeps running.
    let http = if args.keep { HttpAt::Beside } else { HttpAt::Off };
    let config = LocalClusterConfig { http, ..LocalClusterConfig::new(folder.path().join("data")) };
    let mut cluster = LocalCluster::start(config).await?;
    let shown = tokio::select! {
        shown = show(&args, folder.path(), &mut cluster, output) => shown,
        () = requests.next() => Err(anyhow!("stopped before its end")),
    };
    if args.keep && shown.is_ok() {
        output.note("running until Ctrl-C, which also removes the folder");
        requests.next().await;
    }
    let stopped = cluster.stop().await;
    folder.close().context("cannot remove the temporary folder")?;
    let exit = shown?;
    stopped?;
    Ok(exit)
}

async fn show(
    args: &DemoArgs,
    folder: &Path,
    cluster: &mut LocalCluster,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    cluster.wait_ready(Deadline::now() + Duration::from_secs(60)).await?;
    output.say("A cluster of 1 bank, 4 matchers, 1 coordinator and 1 frontend runs in this process.")?;

    let begun = Instant::now();
    let progress = output.progress(u64::from(args.pictures) + u64::from(args.unrelated), "drawing");
    let alterations = if args.recall { Alteration::RECALL } else { Alteration::DEMO };
    let originals = draw_all(0, args.pictures, alterations, &progress).await?;
    let unrelated = draw_all(UNRELATED_FROM, args.unrelated, &[], &progress).await?;
    progress.finish_and_clear();
    let drawn = begun.elapsed();

    let (items, sequence) = bank_originals(&cluster.bank_client()?, &originals).await?;
    output.say(format!(
        "It knows {}, drawn by this program, by their fingerprints (bank `{BANK}`, sequence {sequence}).",
        counted(args.pictures.into(), "picture")
    ))?;
    let sent: Vec<Sent> = originals
        .into_iter()
        .flat_map(|drawn| drawn.copies)
        .chain(unrelated.into_iter().flat_map(|drawn| drawn.copies))
        .collect();
    let altered = u64::from(args.pictures) * u64::try_from(alterations.len())?;
    output.say(format!(
        "{} of them, {} unchanged and {} are sent to the frontend, one after the other.\n",
        counted_as(altered, "altered copy", "altered copies"),
        args.pictures,
        counted(args.unrelated.into(), "unrelated picture")
    ))?;
    let outcomes = send_all(&cluster.match_client()?, &sent, &items, sequence, output).await?;
    if args.recall {
        report_recall(&outcomes, output)?;
    } else {
        report(&outcomes, drawn, output)?;
    }
    let summary = Summary::of(&outcomes);
    let clips = clip::show(&cluster.match_client()?, &cluster.bank_client()?, BANK, output).await?;
    if args.keep {
        let pictures = keep_pictures(folder, &sent)?;
        next_commands(cluster, &pictures, output)?;
    } else {
        output.say("\nNext: `vigie demo --keep` leaves the cluster running to try commands on; `vigie up` starts one that lasts.")?;
        output
            .say("(From the source: `cargo run --release -- demo --keep`, `cargo run --release -- up`.)")?;
    }
    output.object(&summary.line())?;
    // With `--recall`, copies that PDQ does not recognise are an expected part of the result.
    let missed = if args.recall { 0 } else { summary.missed };
    let wrong = missed + summary.falsely + clips.missed + clips.falsely;
    Ok(if wrong == 0 { Exit::Done } else { Exit::Failed })
}

/// A drawn picture: its item for the bank, and the pictures that are sent.
struct Drawn {
    seed: u64,
    item: Option<ItemContent>,
    copies: Vec<Sent>,
}

async fn draw_all(
    first_seed: u64,
    count: u16,
    alterations: &'static [Alteration],
    progress: &indicatif::ProgressBar,
) -> anyhow::Result<Vec<Drawn>> {
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let drawn = stream::iter(0..u64::from(count))
        .map(|offset| tokio::task::spawn_blocking(move || draw_one(first_seed + offset, alterations)))
        .buffered(at_once)
        .inspect(|_| progress.inc(1));
    drawn.map(|one| one.context("drawing failed")?).collect::<Vec<_>>().await.into_iter().collect()
}

/// Draws a picture to bank and its altered copies. Without alterations, draws a picture that is not banked.
fn draw_one(seed: u64, alterations: &[Alteration]) -> anyhow::Result<Drawn> {
    let picture = draw(seed, SIZE.0, SIZE.1);
    if alterations.is_empty() {
        let bytes = encode_jpeg(&picture, 90).into();
        return Ok(Drawn {
            seed,
            item: None,
            copies: vec![Sent { seed, alteration: None, bytes, plain: None }],
        });
    }
    let file = encode_jpeg(&picture, 95);
    let fingerprint = vigie_media::fingerprint(&file, &Limits::default())?;
    let item = ItemContent::try_from(ItemDraft {
        hashes: fingerprint.banked_hashes(),
        labels: vec!["drawn".to_owned()],
        external_reference: scene_name(seed),
    })?;
    let known = fingerprint.picture.first.plain.pdq[0];
    let sent = |name: String, file: Vec<u8>| {
        let plain = vigie_media::picture(&file, &Limits::default(), Ways::NONE)?.first.plain;
        let distances = plain.pdq.map(|turned| bits_between(&turned, &known));
        let plain = distances.into_iter().min();
        anyhow::Ok(Sent { seed, alteration: Some(name), bytes: file.into(), plain })
    };
    let altered = alterations.iter().map(|alteration| sent(alteration.name(), alteration.apply(&picture)));
    let unchanged = sent("unchanged".to_owned(), file);
    let copies = std::iter::once(unchanged).chain(altered).collect::<anyhow::Result<_>>()?;
    Ok(Drawn { seed, item: Some(item), copies })
}

async fn bank_originals(
    bank: &BankClient,
    originals: &[Drawn],
) -> anyhow::Result<(BTreeMap<u64, ItemId>, Sequence)> {
    let deadline = Deadline::now() + Duration::from_secs(30);
    let name: BankName = BANK.parse()?;
    bank.create_bank(&name, IdempotencyKey::random(), deadline).await?;
    let contents: Vec<ItemContent> = originals.iter().filter_map(|drawn| drawn.item.clone()).collect();
    let added = bank.add_items(&name, contents, IdempotencyKey::random(), deadline).await?;
    let seeds = originals.iter().map(|drawn| drawn.seed);
    Ok((seeds.zip(added.value).collect(), added.sequence))
}

async fn send_all(
    client: &MatchClient,
    sent: &[Sent],
    items: &BTreeMap<u64, ItemId>,
    sequence: Sequence,
    output: &mut Output,
) -> anyhow::Result<Vec<Outcome>> {
    let progress = output.progress(u64::try_from(sent.len())?, "matching");
    let mut outcomes = Vec::with_capacity(sent.len());
    for Sent { seed, alteration, bytes, plain } in sent {
        let options = SearchOptions { min_sequence: sequence, ..SearchOptions::default() };
        let call = MatchCall {
            contents: vec![Content::Image(bytes.clone())],
            options,
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let begun = Instant::now();
        let answer = client.match_content(call, Deadline::now() + Duration::from_secs(10)).await?;
        let time = begun.elapsed();
        let result = answer.results.into_iter().next().context("the answer is empty")?;
        let matched =
            result.map_err(|failure| anyhow::anyhow!("a drawn picture was refused: {}", failure.message))?;
        let original = alteration.as_ref().and_then(|_| items.get(seed));
        let matches = matched.found.matches;
        let outcome = Outcome {
            seed: *seed,
            alteration: alteration.clone(),
            plain: *plain,
            right: matches.iter().any(|one| Some(&one.item) == original),
            wrong: matches.iter().any(|one| Some(&one.item) != original),
            nearest: matches.into_iter().next(),
            time,
        };
        output.object(&outcome.line())?;
        outcomes.push(outcome);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(outcomes)
}

impl Outcome {
    fn line(&self) -> serde_json::Value {
        serde_json::json!({
            "picture": scene_name(self.seed),
            "sent": self.alteration.as_deref().unwrap_or("unrelated"),
            "recognised": self.right, "false": self.wrong,
            "distance": self.nearest.as_ref().map(|found| found.distance.0),
            "hash_type": self.nearest.as_ref().map(|found| found.hash_type.name()),
            "variant": self.nearest.as_ref().map(|found| found.variant.name()),
            "way": self.nearest.as_ref().map(|found| found.rendition.way.name()),
            "plain_distance": self.plain,
            "ms": millis(self.time),
        })
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

/// The counts of the outcomes.
struct Summary {
    queries: usize,
    matched: usize,
    missed: usize,
    falsely: usize,
    median: Duration,
}

impl Summary {
    fn of(outcomes: &[Outcome]) -> Self {
        let count = |test: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| test(outcome)).count();
        Self {
            queries: outcomes.len(),
            matched: count(&|outcome| outcome.right),
            missed: count(&|outcome| outcome.alteration.is_some() && !outcome.right),
            falsely: count(&|outcome| outcome.wrong),
            median: median(outcomes.iter().map(|outcome| outcome.time).collect()),
        }
    }

    fn line(&self) -> serde_json::Value {
        serde_json::json!({
            "queries": self.queries, "matched": self.matched, "missed": self.missed, "false": self.falsely,
            "median_ms": millis(self.median),
        })
    }
}

fn median<T: Ord + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Prints a table of the shares that are recognised by the plain hash, and by all ways.
fn report_recall(outcomes: &[Outcome], output: &mut Output) -> anyhow::Result<()> {
    let reach = HashType::PDQ.distance_default().0;
    let row = |kind: Option<&str>| {
        let of_kind: Vec<&Outcome> =
            outcomes.iter().filter(|outcome| outcome.alteration.as_deref() == kind).collect();
        let share = |count: usize| format!("{} %", count * 100 / of_kind.len().max(1));
        let plain: Vec<u32> = of_kind.iter().filter_map(|outcome| outcome.plain).collect();
        let near = plain.iter().filter(|distance| **distance <= reach).count();
        let found = of_kind.iter().filter(|outcome| outcome.right).count();
        let spread = match (plain.iter().min(), plain.iter().max()) {
            (Some(least), Some(most)) => format!("{} ({least}-{most})", median(plain.clone())),
            _ => "-".to_owned(),
        };
        let wrong = of_kind.iter().filter(|outcome| outcome.wrong).count();
        let plainly = if plain.is_empty() { "-".to_owned() } else { share(near) };
        let name = kind.unwrap_or("unrelated pictures").to_owned();
        vec![name, spread, plainly, share(found), wrong.to_string()]
    };
    let rows: Vec<Vec<String>> = kinds(outcomes).into_iter().map(row).collect();
    let columns = ["sent", "plain distance, median (range)", "found by the plain hash", "found", "false"];
    output.table(&columns, &rows)?;
    output.say(format!("\nA match is within {reach} bits."))?;
    Ok(())
}

/// Returns the kinds of pictures that were sent, without duplicates, in their first order.
fn kinds(outcomes: &[Outcome]) -> Vec<Option<&str>> {
    let mut kinds: Vec<Option<&str>> = Vec::new();
    for outcome in outcomes {
        let kind = outcome.alteration.as_deref();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn report(outcomes: &[Outcome], drawn: Duration, output: &mut Output) -> anyhow::Result<()> {
    let kinds = kinds(outcomes);
    let row = |kind: &Option<&str>| {
        let of_kind: Vec<&Outcome> =
            outcomes.iter().filter(|outcome| outcome.alteration.as_deref() == *kind).collect();
        let right = of_kind.iter().filter(|outcome| outcome.right).count();
        let wrong = of_kind.iter().filter(|outcome| outcome.wrong).count();
        let found: Vec<&Match> = of_kind.iter().filter_map(|outcome| outcome.nearest.as_ref()).collect();
        let distances: Vec<u32> = found.iter().map(|found| found.distance.0).collect();
        let mut variants: Vec<&str> = found.iter().map(|found| found.variant.name()).collect();
        variants.sort_unstable();
        variants.dedup();
        let spread = match (distances.iter().min(), distances.iter().max()) {
            (Some(least), Some(most)) => format!("{} ({least}-{most})", median(distances.clone())),
            _ => "-".to_owned(),
        };
        vec![
            kind.unwrap_or("unrelated pictures").to_owned(),
            format!("{right} of {}", of_kind.len()),
            spread,
            if variants.is_empty() { "-".to_owned() } else { variants.join(" ") },
            format!("{:.1}", millis(median(of_kind.iter().map(|outcome| outcome.time).collect()))),
            wrong.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = kinds.iter().map(row).collect();
    output
        .table(&["sent", "recognised", "distance, median (range)", "variant", "median ms", "false"], &rows)?;
    let Summary { queries, matched, missed, falsely, median } = Summary::of(outcomes);
    output.say(format!(
        "\n{queries} pictures: {matched} recognised, {missed} missed, {falsely} false; {:.1} ms each in the median, \
         decoding and hashing included.",
        millis(median)
    ))?;
    output.say(format!("(Drawing and altering them took {:.1} s.)", drawn.as_secs_f64()))?;
    Ok(())
}

/// Writes the pictures that were sent to a folder, for a person to try commands on.
fn keep_pictures(folder: &Path, sent: &[Sent]) -> anyhow::Result<std::path::PathBuf> {
    let pictures = folder.join("pictures");
    std::fs::create_dir_all(&pictures)?;
    for Sent { seed, alteration, bytes, .. } in sent {
        let what = alteration
            .as_deref()
            .unwrap_or("unrelated")
            .replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        std::fs::write(pictures.join(format!("{seed:06}-{what}.{}", extension(bytes))), bytes)?;
    }
    Ok(pictures)
}

/// Returns the file extension of a picture that this program has encoded.
fn extension(content: &[u8]) -> &'static str {
    match content {
        [0xff, 0xd8, ..] => "jpg",
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        _ => "img",
    }
}

fn next_commands(cluster: &LocalCluster, pictures: &Path, output: &mut Output) -> anyhow::Result<()> {
    output.say("\nThe cluster goes on. In another terminal:")?;
    output.say(format!(
        "  export VIGIE_FRONTEND={} VIGIE_COORDINATOR={} VIGIE_BANK={}",
        cluster.frontend_url(),
        cluster.coordinator_url(),
        cluster.bank_url()
    ))?;
    output.say(format!("  vigie match {}", pictures.display()))?;
    output.say(format!("  vigie item list {BANK}"))?;
    output.say("  vigie status")?;
    if let Some(console) = cluster.console_url() {
        output.say(format!("Or in a browser: {console}"))?;
    }
    Ok(())
}
