//! Runs a script of `browser/` if a browser is installed.

use std::env;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// The commands that install the missing parts.
const INSTALL: &str = "apt-get install chromium nodejs npm, then npm ci in tests/console/browser";

/// A browser, and the scripts that control it.
#[derive(Debug)]
pub(crate) struct Node {
    chromium: PathBuf,
    scripts: PathBuf,
}

impl Node {
    /// Returns the browser; prints a line and returns `None` if it is not installed.
    ///
    /// # Panics
    ///
    /// The browser is not installed, and `VIGIE_REQUIRE_BROWSER` is set.
    pub(crate) fn open() -> Option<Self> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("console/browser");
        match Self::find(scripts) {
            Ok(node) => Some(node),
            Err(absence) => {
                assert!(
                    env::var_os("VIGIE_REQUIRE_BROWSER").is_none(),
                    "{absence}, and VIGIE_REQUIRE_BROWSER is set: {INSTALL}"
                );
                // Written to stderr directly, because the test harness captures `eprintln!`.
                let line =
                    format!("SKIPPED: {absence}, so the console is not tested in a browser: {INSTALL}\n");
                let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
                None
            }
        }
    }

    fn find(scripts: PathBuf) -> Result<Self, String> {
        let chromium = match env::var_os("VIGIE_CHROMIUM") {
            Some(path) => PathBuf::from(path),
            None => in_path("chromium").ok_or("there is no chromium")?,
        };
        in_path("node").ok_or("there is no node")?;
        for package in ["playwright-core", "axe-core"] {
            if !scripts.join("node_modules").join(package).join("package.json").is_file() {
                return Err(format!("there is no {package}"));
            }
        }
        Ok(Self { chromium, scripts })
    }

    /// Runs a script, which reads `asked` on its standard input, and returns what it printed.
    ///
    /// # Panics
    ///
    /// The script finds a fault, or takes longer than `within`.
    pub(crate) async fn run(&self, script: &str, asked: &Value, within: Duration) -> String {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(asked.to_string().as_bytes()).unwrap();
        input.rewind().unwrap();
        let mut command = Command::new("node");
        command.arg(self.scripts.join(script)).stdin(Stdio::from(input)).kill_on_drop(true);
        command.env("VIGIE_CHROMIUM", &self.chromium);
        let ended = timeout(within, command.output()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{script} takes longer than {within:?}"));
        let Output { status, stdout, stderr } = ended.unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(status.success(), "{script}:\n{stdout}{stderr}");
        stdout
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
