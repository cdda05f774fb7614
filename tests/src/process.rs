//! The real binary: built if it has to be, started, asked, and killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};

/// The path of the binary `vigie`, of the profile that the tests were built with.
pub fn vigie_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build().expect("the binary can be built"))
}

fn build() -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "vigie", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "cargo build failed");
    let messages = String::from_utf8(output.stdout)?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executables.next_back().context("cargo named no executable")
}

/// Runs the binary to its end: its exit code, what it printed as lines, and what it said on standard error.
pub fn run(args: &[&str], environment: &[(String, String)]) -> anyhow::Result<Finished> {
    let environment = environment.iter().map(|(name, value)| (name, value));
    let output = Command::new(vigie_binary()).args(args).envs(environment).stdin(Stdio::null()).output()?;
    let stdout = String::from_utf8(output.stdout)?;
    Ok(Finished {
        code: output.status.code().context("it was killed")?,
        lines: stdout.lines().map(str::to_owned).collect(),
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// A run of the binary that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// Lines of standard output.
    pub lines: Vec<String>,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// The lines, each read as JSON.
    pub fn json(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        self.lines
            .iter()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }
}

/// `vigie up` as a process of its own.
#[derive(Debug)]
pub struct UpProcess {
    child: Child,
    /// Where its frontend listens.
    pub frontend: String,
    /// Where its coordinator listens.
    pub coordinator: String,
    /// Where its bank listens.
    pub bank: String,
}

impl UpProcess {
    /// Starts it on the data in `data`, on free ports, and waits until it is ready.
    pub fn start(data: &Path) -> anyhow::Result<Self> {
        let data = data.to_str().context("the path is not UTF-8")?;
        let mut child = Command::new(vigie_binary())
            .args(["up", "--json", "--port", "0", "--data", data])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: serde_json::Value =
            serde_json::from_str(&line).with_context(|| format!("not ready: {line}"))?;
        let url = |role: &str| ready[role].as_str().map(str::to_owned).with_context(|| format!("no {role}"));
        Ok(Self { frontend: url("frontend")?, coordinator: url("coordinator")?, bank: url("bank")?, child })
    }

    /// The variables by which client commands find it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("VIGIE_FRONTEND", &self.frontend),
            ("VIGIE_COORDINATOR", &self.coordinator),
            ("VIGIE_BANK", &self.bank),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.clone())).into()
    }

    /// Ends it with SIGKILL: it gets no chance to finish anything.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for UpProcess {
    fn drop(&mut self) {
        // A test that failed must not leave it running; if it has ended already, so much the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
