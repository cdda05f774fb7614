//! Clients in other languages that make calls at a steady rate.
//!
//! They install their libraries from the registries of their languages, so they run only where
//! `VIGIE_SDK_EXAMPLES` is set.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    Python,
    Go,
}

/// A client that is ready to run.
pub(crate) struct OtherClient {
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

/// The number of calls that a client has made, and how many of them had no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) calls: u64,
    pub(crate) lost: u64,
}

impl OtherClient {
    /// Returns `None`, after printing a line that says so, if it is not requested or its tool is missing.
    pub(crate) fn prepare(language: Language) -> Option<Self> {
        if std::env::var_os("VIGIE_SDK_EXAMPLES").is_none() {
            eprintln!("SKIPPED: the client in {language:?} installs packages; VIGIE_SDK_EXAMPLES=1 runs it");
            return None;
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        // The folder is kept, so that packages are not installed again.
        let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        std::fs::create_dir_all(&build).unwrap();
        let (tool, help) = match language {
            Language::Python => ("python3", "--help"),
            Language::Go => ("go", "help"),
        };
        if Command::new(tool).arg(help).output().is_err() {
            eprintln!("SKIPPED: the client in {language:?} needs `{tool}`, which is not installed");
            return None;
        }
        Some(match language {
            Language::Python => {
                let (venv, packages) = (build.join("venv"), source.join("requirements.txt"));
                let python = venv.join("bin/python");
                if !python.exists() {
                    succeeds(Command::new(tool).args(["-m", "venv"]).arg(&venv));
                }
                let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
                succeeds(Command::new(&python).args(pip).arg(packages));
                Self { program: python, arguments: vec![source.join("client.py")] }
            }
            Language::Go => {
                let program = build.join("client-go");
                succeeds(
                    Command::new(tool).arg("-C").arg(&source).args(["build", "-o"]).arg(&program).arg("."),
                );
                Self { program, arguments: Vec::new() }
            }
        })
    }

    /// Runs this many callers, each of which calls the server at `address` once every `pause`, for `seconds`.
    pub(crate) async fn run(
        self,
        address: SocketAddr,
        callers: usize,
        pause: Duration,
        seconds: u64,
    ) -> Made {
        let numbers = [callers.to_string(), pause.as_millis().to_string(), seconds.to_string()];
        let mut command = Command::new(self.program);
        command.args(self.arguments).arg(address.to_string()).args(numbers);
        let output = tokio::task::spawn_blocking(move || succeeds(&mut command)).await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        let (calls, lost) = printed.trim().split_once(' ').unwrap();
        Made { calls: calls.parse().unwrap(), lost: lost.parse().unwrap() }
    }
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
