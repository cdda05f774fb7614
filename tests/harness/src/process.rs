//! A process of a cluster, which can be started again.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::isolation::Host;

/// The time limit for a process to end after it was asked to.
const END_WITHIN: Duration = Duration::from_secs(30);
/// Number of log lines that an error shows.
const LOG_LINES: usize = 5;

/// A program with its arguments and environment.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// The configuration file that the arguments name, if they name one.
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) environment: Vec<(String, String)>,
    /// Whether the process has a group of its own, so that an interrupt at the terminal does not reach it.
    pub(crate) own_group: bool,
}

/// A process of one role. It runs only after it is started, and ends with its owner.
#[derive(Debug)]
pub struct Process {
    name: String,
    address: SocketAddr,
    telemetry: Option<SocketAddr>,
    program: Program,
    log: PathBuf,
    /// `None` while it is intentionally not running.
    child: Option<Child>,
    /// The host that it runs on; `None` for this process's own. Dropped after the child.
    host: Option<Host>,
}

/// Returns the clock ticks of a process in user and system mode, from its line in `/proc`. The process name,
/// in brackets, may contain any characters.
fn ticks_used(line: &str) -> Option<u64> {
    let (_, after_name) = line.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

impl Process {
    pub(crate) const fn new(
        name: String,
        (address, telemetry): (SocketAddr, Option<SocketAddr>),
        program: Program,
        log: PathBuf,
        host: Option<Host>,
    ) -> Self {
        Self { name, address, telemetry, program, log, child: None, host }
    }

    /// Returns role and number, such as `matcher-1-0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of its metrics and probes, if the cluster was built with them.
    #[must_use]
    pub const fn telemetry(&self) -> Option<SocketAddr> {
        self.telemetry
    }

    /// Returns its endpoint in plain text.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns its host; fails if it has no host of its own that can be cut off.
    pub fn host(&self) -> anyhow::Result<&Host> {
        self.host.as_ref().with_context(|| format!("{} has no host of its own", self.name))
    }

    /// Returns its process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Returns the processor time that all its threads have used, to the clock tick (10 ms). `None` while it
    /// does not run, and where the system does not report it (only Linux does).
    #[must_use]
    pub fn processor_time(&self) -> Option<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.id()?)).ok()?;
        let ticks = ticks_used(&text)?;
        Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Starts it. Its log is appended to that of the previous run.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut words = self.host.as_ref().map_or(Vec::new(), Host::launcher);
        words.push(self.program.path.to_str().context("the path is not UTF-8")?.to_owned());
        let mut command = Command::new(&words[0]);
        #[cfg(unix)]
        if self.program.own_group {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let child = command
            .args(&words[1..])
            .args(&self.program.arguments)
            .envs(self.program.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {} as {}", self.program.path.display(), self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.as_ref().with_context(|| format!("{} does not run", self.name))?;
        kill_process(Pid::from_child(child), signal)
            .with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    /// Kills it with SIGKILL, so that it cannot finish anything.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.name))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to end (SIGTERM), and waits until it has ended.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + END_WITHIN;
        // The child stays in its field until it has ended, so that it is killed if this future is dropped.
        while let Some(child) = &mut self.child {
            if child.try_wait()?.is_some() {
                self.child = None;
            } else if Instant::now() >= deadline {
                self.kill()?;
                bail!("{} did not end within {END_WITHIN:?} and was killed", self.name);
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Returns the exit code, if it has ended by itself or after a signal; -1 if a signal ended it.
    pub fn exit_code(&mut self) -> anyhow::Result<Option<i32>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        Ok(child.try_wait()?.map(|status| status.code().unwrap_or(-1)))
    }

    /// Returns the exit status with the end of its log, if it has ended by itself.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        let log = self.logged().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join(" | ");
        Some(format!("{} ended by itself with {status}: {last}", self.name))
    }

    /// Fails if it has ended by itself.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(ended) => bail!("{ended}"),
        }
    }

    /// Returns its log.
    pub fn logged(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Returns its configuration file, if the cluster was built with such files.
    #[must_use]
    pub fn config_file(&self) -> Option<&Path> {
        self.program.config_file.as_deref()
    }

    /// Returns the path of its log file.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            // An error is ignored, because the process may have ended already.
            let _ = self.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_those_of_both_modes_whatever_the_name_is() {
        let line = "17 (a) b (c) S 1 17 17 0 -1 4194560 900 0 3 0 41 9 7 7 20 0 4 0 100 1000 50";
        assert_eq!(ticks_used(line), Some(50));
        assert_eq!(ticks_used("17 (vigie) S 1"), None);
    }
}
