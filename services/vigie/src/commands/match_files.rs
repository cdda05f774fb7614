//! `vigie match`: are these images known?

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use vigie_clients::{CallError, MatchAnswer, MatchClient};
use vigie_model::{
    Content, Coverage, HashType, Limit, MatchCall, Matched, MaxDistances, MinCoverage, SearchOptions,
    Sequence,
};

use super::lines::{FailedFileLine, MatchLine, SkippedObject};
use super::{deadline, image_file};
use crate::cli::MatchArgs;
use crate::output::{ErrorLine, Exit, Output, code_name};

/// Images that are on their way at once: enough to keep a small cluster busy, few enough not to be refused.
const AT_ONCE: usize = 8;

pub(super) async fn run(args: MatchArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let options = SearchOptions {
        banks: args.banks,
        max_distances: MaxDistances::default()
            .with(HashType::Pdq, args.max_distance)
            .context("--max-distance")?,
        limit: Limit::new(args.limit).context("--limit")?,
        min_sequence: Sequence(args.min_sequence),
        min_coverage: MinCoverage::new(args.min_coverage).context("--min-coverage")?,
    };
    let client = MatchClient::new(&args.frontend.frontend)?;
    let files = find_files(&args.paths)?;
    let progress = output.progress(u64::try_from(files.len())?, "matching");
    let timeout_ms = args.frontend.timeout_ms;
    let (client, options) = (&client, &options);
    let mut asked = stream::iter(files)
        .map(|path| async move {
            let outcome = ask(client, &path, options.clone(), timeout_ms).await;
            (path, outcome)
        })
        .buffered(AT_ONCE);

    let (mut known, mut failed, mut total) = (0, 0, 0);
    let mut lost: Option<CallError> = None;
    while let Some((path, outcome)) = asked.next().await {
        let file = path.display().to_string();
        total += 1;
        match outcome {
            Ok((matched, coverage)) => {
                known += u32::from(!matched.found.matches.is_empty());
                progress.suspend(|| print(output, &file, &matched, &coverage))?;
            }
            Err(Failed { error, call }) => {
                failed += 1;
                progress.suspend(|| output.note(format!("{file}: {}", error.message)));
                output.object(&FailedFileLine { file: &file, error })?;
                lost = lost.or(call);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    output.say(format!("{total} files: {known} known, {} not, {failed} failed", total - known - failed))?;
    if let Some(error) = lost {
        return Err(error.into());
    }
    Ok(match (failed, known) {
        (1.., _) => Exit::SomeInputsFailed,
        (0, 1..) if args.exit_code => Exit::Matched,
        (0, _) => Exit::Done,
    })
}

/// The files named, and those in the folders named, in the order of their names.
fn find_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let listed = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut entries = listed.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// A file without an answer. A call that failed because of the cluster, and not of the file, is kept for the exit code.
struct Failed {
    error: ErrorLine,
    call: Option<CallError>,
}

async fn ask(
    client: &MatchClient,
    path: &Path,
    options: SearchOptions,
    timeout_ms: u64,
) -> Result<(Matched, Coverage), Failed> {
    let content = image_file::read(path).await.map_err(|error| Failed { error, call: None })?;
    let call =
        MatchCall { contents: vec![Content::Image(Bytes::from(content))], options, quality_floor: None };
    let answered = client.match_content(call, deadline(timeout_ms)).await;
    let MatchAnswer { mut results, coverage, .. } = answered.map_err(|call| {
        let error = ErrorLine { code: code_name(call.code()).to_owned(), message: call.to_string() };
        let of_the_file = call.code() == vigie_clients::Code::InvalidArgument;
        // The file is named already; where it stood in the request is of no use to a person.
        let of_the_image = call.message().strip_prefix("queries[0].image: ").unwrap_or(call.message());
        let message = if of_the_file { of_the_image.to_owned() } else { error.message };
        Failed { error: ErrorLine { message, ..error }, call: (!of_the_file).then_some(call) }
    })?;
    match results.pop() {
        Some(Ok(matched)) => Ok((matched, coverage)),
        Some(Err(failure)) => {
            let error = ErrorLine { code: code_name(failure.code).to_owned(), message: failure.message };
            Err(Failed { error, call: None })
        }
        None => {
            let error = ErrorLine { code: "internal".to_owned(), message: "the answer is empty".to_owned() };
            Err(Failed { error, call: None })
        }
    }
}

fn print(output: &mut Output, file: &str, matched: &Matched, coverage: &Coverage) -> std::io::Result<()> {
    let skipped: Vec<_> = matched
        .searches
        .iter()
        .filter_map(|one| Some(SkippedObject::new(one.hash_type, one.skipped?)))
        .collect();
    output.object(&MatchLine {
        file,
        matches: matched.found.matches.iter().map(Into::into).collect(),
        limit_reached: matched.found.limit_reached,
        quality: matched.pdq_quality.map(vigie_model::Quality::get),
        skipped,
        coverage: coverage.into(),
        sequence: coverage.sequence_min.0,
    })?;
    let poor = matched.searches.iter().any(|one| one.skipped.is_some());
    let caveat = match (poor, matched.pdq_quality) {
        (true, Some(quality)) => format!(
            " (quality {quality} is below {}: only exact copies can be recognised)",
            matched.quality_floor
        ),
        _ => String::new(),
    };
    if matched.found.matches.is_empty() {
        let searched = coverage.hashes_searched;
        output.say(format!(
            "{file}: not known, {searched} hashes searched as of {}{caveat}",
            coverage.sequence_min
        ))?;
    }
    for found in &matched.found.matches {
        let reference = found.external_reference.as_deref().map_or(String::new(), |text| format!(", {text}"));
        let labels = if found.labels.is_empty() {
            String::new()
        } else {
            format!(", labels {}", found.labels.join(" "))
        };
        output.say(format!(
            "{file}: KNOWN, item {} of {}{reference}{labels}: {} at distance {} ({}){caveat}",
            found.item, found.bank_name, found.hash_type, found.distance, found.variant
        ))?;
    }
    if matched.found.limit_reached {
        output.say(format!("{file}: there are more matches; see --limit"))?;
    }
    Ok(())
}
