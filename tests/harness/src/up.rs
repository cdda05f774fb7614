//! `vigie up` as a separate process: a whole cluster in one process.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;

/// The time limit for a cluster to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A process of `vigie up`. It ends with its owner.
#[derive(Debug)]
pub struct UpProcess {
    child: Running,
    /// The endpoint of its frontend.
    pub frontend: String,
    /// The endpoint of its coordinator.
    pub coordinator: String,
    /// The endpoint of its bank.
    pub bank: String,
    /// The endpoint of its gateway: HMA's API and our own.
    pub http: String,
    /// The address of its metrics and probes: `127.0.0.1:port`.
    pub telemetry: String,
}

/// A child process that is killed on drop, so that a failed test does not leave it running.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Errors are ignored, because the process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl UpProcess {
    /// Starts the program on the data in `data`, on free ports, and waits until it is ready.
    pub fn start(vigie: &Path, data: &Path) -> anyhow::Result<Self> {
        Self::start_with(vigie, data, &[])
    }

    /// Starts it in the same way, with further arguments.
    pub fn start_with(vigie: &Path, data: &Path, more: &[&str]) -> anyhow::Result<Self> {
        let data = data.to_str().context("the path is not UTF-8")?;
        let mut stderr = tempfile::tempfile()?;
        let mut child = Running(
            Command::new(vigie)
                .args(["up", "--json", "--port", "0", "--data", data, "--telemetry-listen", "127.0.0.1:0"])
                .args(more)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(stderr.try_clone()?)
                .spawn()?,
        );
        let stdout = child.0.stdout.take().context("no standard output")?;
        let ready = first_line(stdout).and_then(|line| Ok(serde_json::from_str::<serde_json::Value>(&line)?));
        let ready =
            ready.with_context(|| format!("`vigie up` is not ready; it said: {}", said(&mut stderr)))?;
        let url = |role: &str| ready[role].as_str().map(str::to_owned).with_context(|| format!("no {role}"));
        Ok(Self {
            frontend: url("frontend")?,
            coordinator: url("coordinator")?,
            bank: url("bank")?,
            http: url("http")?,
            telemetry: url("telemetry")?.trim_start_matches("http://").to_owned(),
            child,
        })
    }

    /// Returns the environment variables with which client commands reach it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("VIGIE_FRONTEND", &self.frontend),
            ("VIGIE_COORDINATOR", &self.coordinator),
            ("VIGIE_BANK", &self.bank),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.clone())).into()
    }

    /// Kills it with SIGKILL, so that it cannot finish anything.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.0.kill()?;
        self.child.0.wait()?;
        Ok(())
    }
}

/// Returns the first line of standard output; fails if it does not come in time.
fn first_line(stdout: ChildStdout) -> anyhow::Result<String> {
    let (found, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // The receiver may have given up.
        let _ = found.send(read.map(|_| line));
    });
    Ok(line.recv_timeout(READY_WITHIN).context("it took too long")??)
}

fn said(stderr: &mut File) -> String {
    let mut text = String::new();
    match stderr.rewind().and_then(|()| stderr.read_to_string(&mut text)) {
        Ok(_) => text,
        Err(error) => format!("({error})"),
    }
}
