//! `vigie classifier calibrate`: measures a model on labelled content.

use std::error::Error as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use futures::{StreamExt as _, stream};
use vigie_classifiers::{Calibration, Kind, Name, calibration::CalibrationDraft};
use vigie_clients::{CallError, Code, MatchClient, MeasuredScores};

use super::labelled::{Labelled, Samples, find, read};
use super::{page, putting};
use crate::cli::ClassifierCalibrateArgs;
use crate::commands::deadline::deadline;
use crate::commands::lines::FailedFileLine;
use crate::output::{ErrorLine, Exit, Output, code_name, counted};

/// Maximum number of files that are scored at the same time.
const AT_ONCE: usize = 8;
/// Maximum number of attempts for a file whose model is busy or not available.
const TRIES: u32 = 4;
/// The wait before the second attempt; it doubles before each further one.
const WAIT: Duration = Duration::from_millis(250);

/// The reason why a file is not in the sample.
enum Failed {
    /// The file is at fault; others may succeed.
    File(ErrorLine),
    /// The call would fail in the same way for every other file.
    All(CallError),
}

pub(crate) async fn run(args: ClassifierCalibrateArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (bank, newest) = putting::newest(&args.one, output).await?;
    let card = newest.card.card();
    let classes = classes(&args, &newest.card)?;
    let every: Vec<Name> = card.output().classes().iter().map(|class| class.name.clone()).collect();
    let files = find(&args.folder, &every, output)?;
    let network = args.tls().network(&[&args.frontend])?.noticing(output.notice());
    let frontend = &MatchClient::new_on(&[&args.frontend], &network)?;
    let progress = output.progress(u64::try_from(files.len())?, "scoring");
    let (kind, timeout_ms) = (card.kind(), args.one.address.timeout_ms);
    let model = &args.one.name;
    let mut scored = stream::iter(files)
        .map(|file| async move {
            let scores = score(frontend, model, &file, kind, timeout_ms).await;
            (file, scores)
        })
        .buffered(AT_ONCE);
    let (mut samples, mut failed, mut used) = (Samples::new(&classes), 0_u64, 0_u64);
    while let Some((file, scores)) = scored.next().await {
        progress.inc(1);
        let added = match scores {
            Ok(scores) => {
                is_of_version(&scores, card.version())?;
                samples.add(file.class.as_ref(), scores.content_sha256, &scores.scores)
            }
            Err(Failed::All(error)) => return Err(error.into()),
            Err(Failed::File(error)) => Err(error),
        };
        match added {
            Ok(()) => used += 1,
            Err(error) => {
                failed += 1;
                progress.suspend(|| report(&file.path, error, output))?;
            }
        }
    }
    drop(scored);
    progress.finish_and_clear();
    if failed > 0 && !args.skip_failed {
        bail!(
            "{} could not be read or scored; nothing was changed (--skip-failed leaves them out)",
            counted(failed, "file")
        );
    }
    let source = args.source.clone().unwrap_or_else(|| folder_name(&args.folder));
    let draft = CalibrationDraft { source, at: now_ms(), classes: samples.tables()? };
    let calibration = Calibration::try_from(draft)
        .map_err(|faults| anyhow::anyhow!("the measurements are no valid calibration:\n{faults}"))?;
    let measured = card.with_calibration(calibration)?;
    output.say(format!("{} measured", counted(used, "file")))?;
    putting::put((&bank, &newest), &measured, &args.one.address, output).await?;
    for table in measured.calibration().into_iter().flat_map(Calibration::classes) {
        page::print_thresholds(table, output)?;
    }
    Ok(if failed > 0 { Exit::SomeInputsFailed } else { Exit::Done })
}

/// Returns the classes to measure: those of the arguments, or all classes of the model.
fn classes(
    args: &ClassifierCalibrateArgs,
    card: &vigie_consortium::CardVersion,
) -> anyhow::Result<Vec<Name>> {
    let all: Vec<Name> = card.card().output().classes().iter().map(|class| class.name.clone()).collect();
    if let Some(unknown) = args.classes.iter().find(|class| !all.contains(class)) {
        let known: Vec<&str> = all.iter().map(Name::as_str).collect();
        bail!("the model {} has no class {unknown}; it has {}", card.name(), known.join(", "));
    }
    Ok(if args.classes.is_empty() { all } else { args.classes.clone() })
}

/// Scores a file, with further attempts if the model is busy or not available.
async fn score(
    frontend: &MatchClient,
    model: &Name,
    file: &Labelled,
    kind: Kind,
    timeout_ms: u64,
) -> Result<MeasuredScores, Failed> {
    let content = read(&file.path, kind).await.map_err(Failed::File)?;
    let mut wait = WAIT;
    for _ in 1..TRIES {
        match frontend.measure_scores(model.as_str(), &content, deadline(timeout_ms)).await {
            Err(error) if is_passing(&error) => tokio::time::sleep(wait).await,
            other => return other.map_err(failed),
        }
        wait *= 2;
    }
    frontend.measure_scores(model.as_str(), &content, deadline(timeout_ms)).await.map_err(failed)
}

/// Returns whether the same call may succeed a little later.
fn is_passing(error: &CallError) -> bool {
    error.source().is_none() && matches!(error.code(), Code::Unavailable | Code::ResourceExhausted)
}

/// Decides whether a failed call is the fault of the file, or would fail for every file.
fn failed(error: CallError) -> Failed {
    let is_of_the_file = error.source().is_none()
        && matches!(
            error.code(),
            Code::InvalidArgument | Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
        );
    if is_of_the_file {
        Failed::File(ErrorLine { code: code_name(error.code()), message: error.message().to_owned() })
    } else {
        Failed::All(error)
    }
}

/// Checks the version of the scores: those of another version would not describe the card that is put.
fn is_of_version(scores: &MeasuredScores, version: u32) -> anyhow::Result<()> {
    let scored = scores.version;
    if scored != version {
        bail!(
            "the frontend uses version {scored} of the card, but the newest is {version}: try again in some seconds"
        );
    }
    Ok(())
}

fn report(file: &Path, error: ErrorLine, output: &mut Output) -> crate::output::Printed {
    let file = file.display().to_string();
    output.note(format!("{file}: {}", error.message));
    output.object(&FailedFileLine { file: &file, error })
}

/// Returns the last component of the folder's path.
fn folder_name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
