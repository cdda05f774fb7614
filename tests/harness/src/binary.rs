//! The programs `vigie` and `vigie-loadtest`: found next to this program or built, and run to their end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};

/// Variables that cargo sets for one package, in addition to those that begin with `CARGO_PKG_`.
const OF_A_PACKAGE: [&str; 3] = ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_MANIFEST_LINKS"];

/// The variable that names a folder with the programs to test, such as those of a release.
const FOLDER: &str = "VIGIE_BINARIES";

/// Finds `vigie` in the folder of this program, or in the folder above, where it is for tests.
pub fn find_vigie() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let name = format!("vigie{}", std::env::consts::EXE_SUFFIX);
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join(&name));
    let mut found = beside.filter(|path| path.is_file());
    found.next().with_context(|| {
        format!("there is no `{name}` beside {}; build it, or say where it is with --vigie", own.display())
    })
}

/// Returns the path of the binary `vigie`, built with the profile of the tests.
pub fn vigie_binary() -> &'static Path {
    &binaries().vigie
}

/// Returns the path of the binary `vigie-loadtest`, built with the profile of the tests.
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

/// Returns the programs in the folder that the variable names, if it is set; otherwise builds those of the
/// workspace.
fn build() -> anyhow::Result<Binaries> {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return build_workspace() };
    let named = |name: &str| {
        let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        ensure!(path.is_file(), "{FOLDER} has no {}", path.display());
        Ok(path)
    };
    Ok(Binaries { vigie: named("vigie")?, loadtest: named("vigie-loadtest")? })
}

/// Builds the tests of the whole workspace, which include the binaries: `cargo test --workspace` has already
/// built all of it with the same features, whereas `--package vigie` would choose other features and rebuild
/// much of it.
fn build_workspace() -> anyhow::Result<Binaries> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--workspace", "--no-run", "--quiet", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // Cargo sets these variables for a test of its own package. Build scripts that read them would run again,
    // and everything that depends on them would be rebuilt.
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
            // The unit tests of the binary are an executable with the same name.
            let is_tests = message["profile"]["test"] == true;
            message["executable"].as_str().filter(|_| is_binary && !is_tests).map(PathBuf::from)
        });
        executables.next().with_context(|| format!("cargo named no executable of {name}"))
    };
    Ok(Binaries { vigie: executable("vigie")?, loadtest: executable("vigie-loadtest")? })
}

/// Runs the binary `vigie` to its end; returns exit code, standard output as lines, and standard error.
pub fn run(args: &[&str], environment: &[(String, String)]) -> anyhow::Result<Finished> {
    run_of(vigie_binary(), args, environment)
}

/// Runs another binary to its end.
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

/// The result of a binary's run.
#[derive(Debug)]
pub struct Finished {
    /// The exit code.
    pub code: i32,
    /// The lines of standard output.
    pub lines: Vec<String>,
    /// The text of standard error.
    pub stderr: String,
}

impl Finished {
    /// Returns the lines of standard output, each parsed as JSON.
    pub fn json(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        self.lines
            .iter()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }
}
