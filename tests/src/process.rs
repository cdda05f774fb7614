//! The real binary: built if it has to be, started, asked, and killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long a cluster may take to be ready; one that is stuck is not waited for.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Further variables that cargo sets for one package.
const OF_A_PACKAGE: [&str; 3] = ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_MANIFEST_LINKS"];

/// The path of the binary `vigie`, of the profile that the tests were built with.
pub fn vigie_binary() -> &'static Path {
    &binaries().vigie
}

/// The path of the binary `vigie-loadtest`, of the same.
pub fn loadtest_binary() -> &'static Path {
    &binaries().loadtest
}

struct Binaries {
    vigie: PathBuf,
    loadtest: PathBuf,
}

fn binaries() -> &'static Binaries {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    BINARIES.get_or_init(|| build().expect("the binaries can be built"))
}

/// Asks for the tests of the whole workspace, which use the binary: `cargo test --workspace` has built all of it with
/// the same features already, whereas `--package vigie` would choose other features and build much of it again.
fn build() -> anyhow::Result<Binaries> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--workspace", "--no-run", "--quiet", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What cargo tells a test of its own package. Build scripts that look at such variables would run again, and all that
    // stands on them be built again.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || OF_A_PACKAGE.iter().any(|one| name == *one) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "cargo could not build the workspace");
    let messages = String::from_utf8(output.stdout)?;
    let executable = |name: &str| {
        let mut executables = messages.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let target = &message["target"];
            let is_binary = target["name"] == name && target["kind"][0] == "bin";
            // The unit tests of the binary are an executable too.
            let is_tests = message["profile"]["test"] == true;
            message["executable"].as_str().filter(|_| is_binary && !is_tests).map(PathBuf::from)
        });
        executables.next().with_context(|| format!("cargo named no executable of {name}"))
    };
    Ok(Binaries { vigie: executable("vigie")?, loadtest: executable("vigie-loadtest")? })
}

/// Runs the binary `vigie` to its end: its exit code, what it printed as lines, and what it said on standard error.
pub fn run(args: &[&str], environment: &[(String, String)]) -> anyhow::Result<Finished> {
    run_of(vigie_binary(), args, environment)
}

/// The same of another binary.
pub fn run_of(binary: &Path, args: &[&str], environment: &[(String, String)]) -> anyhow::Result<Finished> {
    let environment = environment.iter().map(|(name, value)| (name, value));
    let output = Command::new(binary).args(args).envs(environment).stdin(Stdio::null()).output()?;
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
    child: Running,
    /// Where its frontend listens.
    pub frontend: String,
    /// Where its coordinator listens.
    pub coordinator: String,
    /// Where its bank listens.
    pub bank: String,
}

/// A child that does not outlive its owner: a test that failed must not leave it running.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // If it has ended already, so much the better.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl UpProcess {
    /// Starts it on the data in `data`, on free ports, and waits until it is ready.
    pub fn start(data: &Path) -> anyhow::Result<Self> {
        let data = data.to_str().context("the path is not UTF-8")?;
        let mut stderr = tempfile::tempfile()?;
        let mut child = Running(
            Command::new(vigie_binary())
                .args(["up", "--json", "--port", "0", "--data", data])
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
        self.child.0.kill()?;
        self.child.0.wait()?;
        Ok(())
    }
}

/// One role as a process of its own, which ends with this.
#[derive(Debug)]
pub struct RoleProcess {
    child: Running,
    log: PathBuf,
}

impl RoleProcess {
    /// Starts it with these arguments; what it logs goes to `log`.
    pub fn start(args: &[String], log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log)?;
        let child = Command::new(vigie_binary())
            .args(args)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {args:?}"))?;
        Ok(Self { child: Running(child), log: log.to_owned() })
    }

    /// What it has logged.
    pub fn logged(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Tells it to stop, as an orchestrator does.
    pub fn terminate(&self) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child.0), Signal::TERM)?)
    }

    /// Whether it has ended, with which code.
    pub fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        Ok(self.child.0.try_wait()?.map(|status| status.code().unwrap_or(-1)))
    }

    /// Fails if it has ended.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        let ended = self.child.0.try_wait()?;
        ensure!(ended.is_none(), "it ended with {ended:?}: {}", self.logged()?);
        Ok(())
    }
}

/// The first line, if it comes in time.
fn first_line(stdout: ChildStdout) -> anyhow::Result<String> {
    let (found, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Whoever waited may have given up.
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
