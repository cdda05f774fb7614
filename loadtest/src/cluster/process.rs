//! One process of a cluster, and how to start it again.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(30);
/// How much of a log is told.
const LOG_LINES: usize = 5;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    vigie: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// `None` while it does not run on purpose.
    child: Option<Child>,
}

impl Process {
    pub(super) fn start(
        vigie: &Path,
        folder: &Path,
        name: &str,
        role: &str,
        address: SocketAddr,
        set: Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut arguments = vec![role.to_owned(), "--listen".to_owned(), address.to_string()];
        arguments.extend(set.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
        let log = folder.join(format!("{name}.log"));
        let mut process =
            Self { name: name.to_owned(), vigie: vigie.to_owned(), arguments, log, child: None };
        process.spawn()?;
        Ok(process)
    }

    pub(super) fn spawn(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.vigie);
        // A group of its own: an interrupt at the terminal is for the harness, which then ends the processes itself.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command
            .args(&self.arguments)
            .env("VIGIE_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {} as {}", self.vigie.display(), self.name))?;
        self.child = Some(child);
        Ok(())
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.as_ref().with_context(|| format!("{} does not run", self.name))?;
        kill_process(Pid::from_child(child), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Ends it with SIGKILL: it gets no chance to finish anything.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.name))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + END_WITHIN;
        // It stays in its place until it has ended: if this is given up meanwhile, it is killed like the others.
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

    /// What happened, if it has ended by itself.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join(" | ");
        Some(format!("{} ended by itself with {status}: {last}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // If it has ended already, so much the better.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
