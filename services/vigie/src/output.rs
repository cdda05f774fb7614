//! Output of commands: lines for people, JSON for scripts, and exit codes for both.
//!
//! Results go to standard output, and all other messages to standard error. With `--json`, every line of
//! standard output is one JSON object.

mod table;
pub(crate) mod style;

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstream::AutoStream;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use vigie_clients::{CallError, Code, Notice, Wait};
use vigie_rpc::code;

use style::Style;

/// The result of a command, and its exit code for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// The command was refused, or it failed.
    Failed = 1,
    /// Done, but some of the inputs could not be used.
    SomeInputsFailed = 3,
    /// The cluster is not reachable, not complete or too busy.
    Unavailable = 4,
    /// Something matched, and the caller requested this code for that case.
    Matched = 10,
    /// The command was interrupted, and has reported what it had done.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::SomeInputsFailed => 3,
            Exit::Unavailable => 4,
            Exit::Matched => 10,
            Exit::Interrupted => 130,
        })
    }
}

/// The output of a command. Lines have colours if standard output is a terminal and `NO_COLOR` is not set;
/// `CLICOLOR_FORCE` enables colours everywhere.
#[derive(Debug)]
pub struct Output {
    json: bool,
    to: AutoStream<io::Stdout>,
    /// The latest progress bar, which may be finished.
    bar: Arc<Mutex<ProgressBar>>,
}

/// Time after which a line reports that a call takes long.
const NOTICE_AFTER: Duration = Duration::from_secs(1);
/// Minimum time between two such lines.
const NOTICE_EVERY: Duration = Duration::from_secs(5);

/// An error in the form for scripts.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorLine {
    /// A fixed word for the error: a gRPC code in lower case, or the kind of a file's fault.
    pub(crate) code: String,
    /// A description of the error, for a person.
    pub(crate) message: String,
}

/// The error of a result that could not be printed. Only this error can mean that nobody reads the output any
/// more: a broken connection also gives `BrokenPipe`, in other errors.
#[derive(Debug, thiserror::Error)]
#[error("cannot print")]
pub(crate) struct PrintError(#[from] io::Error);

/// The result of printing.
pub(crate) type Printed = Result<(), PrintError>;

impl Output {
    /// Creates the output, for scripts if `json` is set and otherwise for people.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json, to: anstream::stdout(), bar: Arc::new(Mutex::new(ProgressBar::hidden())) }
    }

    /// Prints a line for people. Does nothing with `--json`.
    pub(crate) fn say(&mut self, line: impl AsRef<str>) -> Printed {
        if self.json {
            return Ok(());
        }
        self.print(line.as_ref())
    }

    /// Prints an object for scripts. Does nothing without `--json`.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Printed {
        if !self.json {
            return Ok(());
        }
        self.print(&serde_json::to_string(object).map_err(io::Error::other)?)
    }

    /// Returns standard output for the text of a file, which is neither a line for people nor a JSON object.
    pub(crate) fn raw(&self) -> BufWriter<Stdout> {
        BufWriter::new(io::stdout())
    }

    fn print(&mut self, text: &str) -> Printed {
        writeln!(self.to, "{text}")?;
        Ok(self.to.flush()?)
    }

    /// Prints a message that is not a result, on standard error.
    pub(crate) fn note(&self, line: impl AsRef<str>) {
        // If standard error is closed, nobody is left to receive a message about that.
        let _ = writeln!(anstream::stderr(), "{}", line.as_ref());
    }

    /// Returns a callback that prints to standard error when a call takes long, and what it waits for.
    pub(crate) fn notice(&self) -> Notice {
        let (bar, newest) = (Arc::clone(&self.bar), Mutex::new(None::<Instant>));
        Notice::new(NOTICE_AFTER, move |wait| {
            // Several calls may wait at the same time.
            let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
            if newest.is_none_or(|at| at.elapsed() >= NOTICE_EVERY) {
                *newest = Some(Instant::now());
                let line = waiting(wait);
                let print = || drop(writeln!(anstream::stderr(), "{line}"));
                bar.lock().unwrap_or_else(PoisonError::into_inner).suspend(print);
            }
        })
    }

    /// Prints a table for people. Columns are as wide as their widest cell, and the table is at most as wide
    /// as the terminal.
    pub(crate) fn table(&mut self, header: &[&str], rows: &[Vec<String>]) -> Printed {
        self.styled_table(header, rows, |_, _| style::PLAIN)
    }

    /// Prints a table in the same way, with a style for each cell. `style_of` receives the number of the
    /// cell's column, from 0, and its text.
    pub(crate) fn styled_table(
        &mut self,
        header: &[&str],
        rows: &[Vec<String>],
        style_of: impl Fn(usize, &str) -> Style,
    ) -> Printed {
        if self.json {
            return Ok(());
        }
        // If standard output is not a terminal, the width is not limited, so every row is one line.
        let width = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        self.print(&table::lines(header, rows, width, style_of).join("\n"))
    }

    /// Returns a progress bar on standard error. It is hidden if that is not a terminal, and with `--json`.
    #[must_use]
    pub(crate) fn progress(&self, length: u64, what: &'static str) -> ProgressBar {
        self.bar(length, what, "{msg:>12} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
    }

    /// Returns a progress bar over the bytes of a file, otherwise like [`Self::progress`].
    #[must_use]
    pub(crate) fn byte_progress(&self, bytes: u64, what: &'static str) -> ProgressBar {
        self.bar(bytes, what, "{msg:>12} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    }

    fn bar(&self, length: u64, what: &'static str, template: &str) -> ProgressBar {
        if self.json || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(length).with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar.clone();
        bar
    }

    /// Returns whether the error means that nobody reads the output any more (`vigie ... | head`).
    #[must_use]
    pub fn is_closed(error: &anyhow::Error) -> bool {
        let printing = error.downcast_ref::<PrintError>();
        printing.is_some_and(|PrintError(error)| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Prints why the command failed, and returns its exit code.
    pub fn fail(&mut self, error: &anyhow::Error) -> ExitCode {
        self.note(format!("{} {}", style::styled(style::BAD, "vigie:"), sentence(error)));
        let call = error.downcast_ref::<CallError>();
        let called = call.map(CallError::code);
        if let Some(hint) = call.and_then(hint) {
            self.note(hint);
        }
        let code = called.map_or_else(|| "failed".to_owned(), code_name);
        let line = serde_json::json!({ "error": ErrorLine { code, message: sentence(error) } });
        if let Err(error) = self.object(&line) {
            self.note(format!("vigie: {}", sentence(&error.into())));
        }
        call.map_or(Exit::Failed, exit_of_call).into()
    }
}

/// Describes for a person what a call waits for.
fn waiting(wait: &Wait<'_>) -> String {
    let Wait { service, endpoint, left, failure } = wait;
    let left = left.as_secs_f64();
    match failure {
        Some(failure) => format!("{failure}; trying again, for {left:.0} s at most"),
        None => format!("waiting for the {service} at {endpoint}, for {left:.0} s at most"),
    }
}

/// Returns advice for a person after a call that failed with this error, if there is any.
#[must_use]
pub(crate) fn hint(call: &CallError) -> Option<String> {
    const HINTS: [(Code, &str); 3] = [
        (
            Code::NotFound,
            "hint: `vigie bank list` shows the banks, `vigie item list BANK` the items of one; what the caller's member may \
             not see does not exist for it, and `vigie whoami` shows who that is",
        ),
        (
            Code::PermissionDenied,
            "hint: `vigie whoami` shows for whom the call was made, and with which roles",
        ),
        (
            Code::Unimplemented,
            "hint: --frontend (or VIGIE_FRONTEND), --coordinator (VIGIE_COORDINATOR) and --bank-url (VIGIE_BANK) are \
             addresses of their own",
        ),
    ];
    let code = call.code();
    if code == Code::Unauthenticated {
        return Some(match call.credentials() {
            Some(carried) => format!(
                "hint: the call carried {carried}, which may be wrong, expired or revoked: `vigie whoami` tries one, and an \
                 administrator sees the ids and ends of keys in `vigie principal list`"
            ),
            None => {
                "hint: the call carried no credential: name a file with an API key by --api-key-file (or \
                     VIGIE_API_KEY_FILE), or set VIGIE_API_KEY; `vigie whoami` tries it"
                    .to_owned()
            }
        });
    }
    HINTS.iter().find(|(of, _)| *of == code).map(|(_, hint)| (*hint).to_owned())
}

/// Formats a count of things: `1 file`, `2 files`.
#[must_use]
pub(crate) fn counted(count: u64, thing: &str) -> String {
    counted_as(count, thing, &format!("{thing}s"))
}

/// Formats a count of things with an irregular plural: `1 hash`, `2 hashes`.
#[must_use]
pub(crate) fn counted_as(count: u64, thing: &str, things: &str) -> String {
    format!("{count} {}", if count == 1 { thing } else { things })
}

/// Formats an error and its causes in one line, without repetitions.
#[must_use]
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// Returns the exit code of a call that failed: [`Exit::Unavailable`] if the same command may succeed later.
#[must_use]
pub(crate) fn exit_of(code: Code) -> Exit {
    if code::retryable(code) || code == Code::DeadlineExceeded { Exit::Unavailable } else { Exit::Failed }
}

/// Returns the exit code of a call that failed. It is [`Exit::Failed`] also if no connection is possible
/// until somebody changes a certificate.
#[must_use]
pub(crate) fn exit_of_call(call: &CallError) -> Exit {
    if call.is_for_good() { Exit::Failed } else { exit_of(call.code()) }
}

/// Formats a gRPC code for scripts.
#[must_use]
pub(crate) fn code_name(code: Code) -> String {
    code::word(code).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broken_pipe_of_the_output_itself_means_that_nobody_reads() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Output::is_closed(&anyhow::Error::new(PrintError(broken())).context("while listing")));
        assert!(!Output::is_closed(&anyhow::Error::new(broken()).context("cannot reach the bank")));
        assert!(!Output::is_closed(&PrintError(io::ErrorKind::StorageFull.into()).into()));
    }

    #[test]
    fn a_person_who_waits_reads_for_what_and_for_how_long() {
        let wait = |failure: Option<&str>| {
            let (endpoint, left) = ("http://a:1", Duration::from_millis(28_600));
            waiting(&Wait { service: "bank", endpoint, left, failure: failure.map(str::to_owned) })
        };
        assert_eq!(wait(None), "waiting for the bank at http://a:1, for 29 s at most");
        assert_eq!(wait(Some("it is on fire")), "it is on fire; trying again, for 29 s at most");
    }

    #[test]
    fn one_thing_is_not_many() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "file")), ["0 files", "1 file", "2 files"]);
    }
}
