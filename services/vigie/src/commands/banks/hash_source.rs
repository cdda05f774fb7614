//! A file of hashes that a command reads in batches. Its bad lines are reported, and can be written to a
//! file.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use vigie_formats::files::{
    BadLine, Batch, FileReader, Format, LeftOut, ReadOptions, Survey, Unknown, file_name,
};
use vigie_model::{ItemContent, UnknownHashType};

use crate::cli::{HashFileArgs, HashTypeName};
use crate::output::{Output, Printed, counted};

/// Maximum number of bad lines that are printed one by one for a person.
const BAD_LINES_SHOWN: u64 = 100;

/// A file of hashes, and the options for reading it.
#[derive(Debug, Clone)]
pub(super) struct HashSource {
    path: PathBuf,
    options: ReadOptions,
}

/// Facts about a file that are known once it has been read.
#[derive(Debug)]
pub(super) struct WholeFile {
    pub(super) format: Format,
    pub(super) left_out: LeftOut,
}

impl HashSource {
    /// # Errors
    ///
    /// The named hash type is not known. A declared type is known once the bank has been asked for it.
    pub(super) fn new(
        path: &Path,
        args: &HashFileArgs,
        labels: Vec<String>,
    ) -> Result<Self, UnknownHashType> {
        let is_named = path != Path::new("-");
        let options = ReadOptions {
            labels,
            name: if is_named { file_name(path) } else { String::new() },
            format: args.format,
            hash_type: args.hash_type.as_ref().map(HashTypeName::resolve).transpose()?,
            columns: args.columns.clone(),
            unknown: if args.ignore_unknown { Unknown::Ignored } else { Unknown::Refused },
            keeps_text: args.rejects.is_some(),
        };
        Ok(Self { path: path.to_owned(), options })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_standard_input(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Returns the size of the file in bytes; 0 if it is not known.
    pub(super) fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// Reads the lines after line `after`, and passes them to `hand_on` in batches, until the file ends or
    /// `hand_on` returns `false`.
    pub(super) fn read(
        &self,
        after: u64,
        progress: &ProgressBar,
        mut hand_on: impl FnMut(Batch) -> bool,
    ) -> anyhow::Result<WholeFile> {
        let failed = || format!("cannot read {}", self.path.display());
        let source: Box<dyn Read> = if self.is_standard_input() {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(&self.path).with_context(failed)?)
        };
        let source = Box::new(progress.wrap_read(source));
        let mut reader = FileReader::open(source, self.options.clone()).with_context(failed)?;
        for batch in reader.batches(after) {
            if !hand_on(batch.with_context(failed)?) {
                break;
            }
        }
        Ok(WholeFile { format: reader.format(), left_out: reader.left_out().clone() })
    }

    /// Reads the whole file without a call to the bank. Passes the items to `take`, and reports bad lines as
    /// they are read.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        mut state: T,
        mut take: impl FnMut(&mut T, Vec<ItemContent>) -> anyhow::Result<()> + Send + 'static,
        bad_lines: &mut BadLines,
        output: &mut Output,
    ) -> anyhow::Result<(T, WholeFile)> {
        let progress = output.byte_progress(self.size(), "reading");
        let (sender, mut reported) = mpsc::channel(1);
        let (source, shown) = (self.clone(), progress.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let mut fault = None;
            let whole = source.read(0, &shown, |batch| {
                fault = take(&mut state, batch.items).err();
                fault.is_none() && (batch.bad.is_empty() || sender.blocking_send(batch.bad).is_ok())
            })?;
            fault.map_or(Ok((state, whole)), Err)
        });
        while let Some(bad) = reported.recv().await {
            bad.iter().try_for_each(|line| progress.suspend(|| bad_lines.report(line, output)))?;
        }
        let read = reading.await.context("the file's reader failed")?;
        progress.finish_and_clear();
        bad_lines.finish()?;
        read
    }

    /// Reads the whole file and counts its contents, without a call to the bank.
    pub(super) async fn survey(
        &self,
        bad_lines: &mut BadLines,
        output: &mut Output,
    ) -> anyhow::Result<Surveyed> {
        let take = |survey: &mut Survey, items: Vec<ItemContent>| {
            survey.take(&items);
            Ok(())
        };
        let (survey, whole) = self.scan(Survey::default(), take, bad_lines, output).await?;
        Ok(Surveyed { survey, whole })
    }
}

/// Counts of the contents of a file that was read to its end.
#[derive(Debug)]
pub(super) struct Surveyed {
    pub(super) survey: Survey,
    whole: WholeFile,
}

impl Surveyed {
    /// Prints the counts.
    pub(super) fn show(&self, path: &Path, bad_lines: &BadLines, output: &mut Output) -> Printed {
        let Self { survey, whole: WholeFile { format, left_out } } = self;
        let types: Vec<String> = survey.hashes.iter().map(|(of, count)| format!("{of} {count}")).collect();
        let types = if types.is_empty() { "no hashes".to_owned() } else { types.join(", ") };
        let (items, bad) = (counted(survey.items, "item"), counted(bad_lines.count, "bad line"));
        output.say(format!("{} ({format}): {items} ({types}); {bad}", path.display()))?;
        show_left_out(left_out, output);
        let by_name = survey.hashes.iter().map(|(of, count)| (of.to_string(), *count));
        output.object(&serde_json::json!({
            "format": format.name(), "items": survey.items, "hashes": by_name.collect::<BTreeMap<_, _>>(),
            "bad_lines": bad_lines.count, "withdrawn": left_out.withdrawn, "unknown": left_out.unknown, "dry_run": true
        }))
    }
}

/// Prints how many lines were left out and why, if any were.
pub(super) fn show_left_out(left_out: &LeftOut, output: &Output) {
    let LeftOut { unknown, withdrawn } = left_out;
    let mut parts: Vec<String> = unknown.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    if *withdrawn > 0 {
        parts.push(format!("{withdrawn} withdrawn"));
    }
    if !parts.is_empty() {
        output.note(format!("left out: {}", parts.join(", ")));
    }
}

/// The bad lines of a file. They are reported, and written to a file if one was requested.
#[derive(Debug)]
pub(super) struct BadLines {
    count: u64,
    is_silent: bool,
    rejects: Option<csv::Writer<File>>,
}

impl BadLines {
    /// Creates the file of rejects. Only its owner may read it, because it may contain hashes.
    pub(super) fn begin(rejects: Option<&Path>) -> anyhow::Result<Self> {
        let begin = |path: &Path| {
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
            let file = file.with_context(|| format!("cannot create {}", path.display()))?;
            let mut rejects = csv::Writer::from_writer(file);
            rejects.write_record(["line", "reason", "text"])?;
            anyhow::Ok(rejects)
        };
        Ok(Self { count: 0, is_silent: false, rejects: rejects.map(begin).transpose()? })
    }

    /// Counts bad lines, and reports none of them.
    pub(super) const fn silent() -> Self {
        Self { count: 0, is_silent: true, rejects: None }
    }

    /// Returns the number of bad lines so far.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Reports a bad line.
    pub(super) fn report(&mut self, bad: &BadLine, output: &mut Output) -> anyhow::Result<()> {
        let BadLine { line, reason, text } = bad;
        self.count += 1;
        if self.is_silent {
            return Ok(());
        }
        if self.count <= BAD_LINES_SHOWN {
            output.note(format!("line {line}: {reason}"));
        } else if self.count == BAD_LINES_SHOWN + 1 {
            output.note("further bad lines are only counted");
        }
        if let Some(rejects) = &mut self.rejects {
            let text = text.as_deref().unwrap_or_default();
            rejects.write_record([&line.to_string(), reason, text]).context("cannot write the rejects")?;
        }
        Ok(output.object(&serde_json::json!({
            "line": line, "error": { "code": "bad_line", "message": reason }
        }))?)
    }

    /// Flushes the file of rejects.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.rejects.as_mut().map_or(Ok(()), |rejects| rejects.flush()).context("cannot write the rejects")
    }
}
