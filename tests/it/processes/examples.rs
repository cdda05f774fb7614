//! The clients in other languages, run as `examples/README.md` describes: against complete answers, with
//! shards missing, with files that are not images, with more items than an answer has, and with an API key.
//!
//! They install their libraries from the registries of their languages, so they run only where
//! `VIGIE_SDK_EXAMPLES` is set.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use vigie_harness::binary::{Finished, run, vigie_binary};
use vigie_harness::cluster::Cluster;
use vigie_harness::up::UpProcess;
use vigie_pictures::{draw, encode_jpeg};

/// The time limit, which only a stuck process exceeds.
const WITHIN: Duration = Duration::from_secs(60);
/// More items with one picture than the examples request.
const COPIES: usize = 11;

struct Example {
    cluster: Cluster,
    program: PathBuf,
    build: PathBuf,
    folder: tempfile::TempDir,
}

impl Example {
    /// Starts an example; returns `None` and reports it where `VIGIE_SDK_EXAMPLES` is not set or a tool is
    /// missing.
    fn start(language: &str, tools: &[&str]) -> Option<Self> {
        if std::env::var_os("VIGIE_SDK_EXAMPLES").is_none() {
            eprintln!("SKIPPED: the example in {language} installs packages; VIGIE_SDK_EXAMPLES=1 runs it");
            return None;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has = |tool: &&&str| !std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
        if let Some(missing) = tools.iter().find(has) {
            eprintln!("SKIPPED: the example in {language} needs `{missing}`, which is not installed");
            return None;
        }
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(language).join("run");
        // The build folder is kept, so that packages are installed only once.
        let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples").join(language);
        let cluster = Cluster::of(vigie_binary()).shards(2).start().unwrap();
        let example = Self { cluster, program, build, folder: tempfile::tempdir().unwrap() };
        example.wait_ready();
        Some(example)
    }

    fn wait_ready(&self) {
        let deadline = Instant::now() + WITHIN;
        while self.vigie(&["status"]).code != 0 {
            assert!(Instant::now() < deadline, "not ready: {}", self.vigie(&["status"]).stderr);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn vigie(&self, args: &[&str]) -> Finished {
        run(args, &self.cluster.environment()).unwrap()
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs the example on these files, and checks its exit code and its lines.
    fn check(&self, files: &[&str], code: i32, expected: &[&str]) {
        self.check_at(&self.cluster.frontend_urls()[0], &[], files, code, expected);
    }

    /// Runs it against another frontend, with further variables, and checks the same.
    fn check_at(
        &self,
        frontend: &str,
        variables: &[(&str, &str)],
        files: &[&str],
        code: i32,
        expected: &[&str],
    ) {
        let environment: [(&str, OsString); 2] =
            [("VIGIE", vigie_binary().into()), ("VIGIE_EXAMPLE_BUILD", self.build.clone().into())];
        let output = Command::new(&self.program)
            .arg(frontend)
            .args(files)
            .envs(environment)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let logged = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{printed}\n{logged}");
        for line in expected {
            assert!(printed.contains(line), "no `{line}` in\n{printed}\n{logged}");
        }
    }
}

fn check(language: &str, tools: &[&str]) {
    let Some(mut example) = Example::start(language, tools) else { return };
    let picture = |seed| encode_jpeg(&draw(seed, 320, 240), 90);
    let known = example.file("known.jpg", &picture(1));
    let unknown = example.file("unknown.jpg", &picture(2));
    let often = example.file("often.jpg", &picture(3));
    let text = example.file("text.txt", b"no image at all");
    assert_eq!(example.vigie(&["bank", "create", "known"]).code, 0);
    assert_eq!(example.vigie(&["item", "add", "known", &known]).code, 0);
    let copies: Vec<String> =
        (0..COPIES).map(|number| example.file(&format!("copy-{number}.jpg"), &picture(3))).collect();
    let add = ["item", "add", "known"].into_iter().chain(copies.iter().map(String::as_str));
    assert_eq!(example.vigie(&add.collect::<Vec<_>>()).code, 0);

    example.check(&[&unknown], 0, &["unknown.jpg: not known", "2 of 2 shards"]);
    example.check(
        &[&known, &unknown],
        10,
        &["known.jpg: known: item 2 of known, distance 0", "2 of 2 shards"],
    );
    let undecoded = "text.txt: incomplete: not decoded, only its digests were searched (unknown_format";
    example.check(&[&text, &known], 3, &["text.txt: not known", undecoded, "known.jpg: known"]);
    example.check(&[&often], 3, &["often.jpg: known", "often.jpg: incomplete: more than 10 items match"]);

    let data = tempfile::tempdir().unwrap();
    let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
    let key_of = |roles: &str, by: &[&str]| {
        let made = run(&[&["principal", "add", "--role", roles], by].concat(), &up.environment()).unwrap();
        assert_eq!(made.code, 0, "{}", made.stderr);
        example.file(&format!("{roles}.key"), made.lines[0].as_bytes())
    };
    // An operator cannot give the right to search.
    let administrator = key_of("operator,administrator", &["--turn-on"]);
    let file = key_of("matcher", &["--api-key-file", &administrator]);
    let key = std::fs::read_to_string(&file).unwrap();
    example.check_at(&up.frontend, &[], &[&unknown], 1, &[]);
    for variable in [("VIGIE_API_KEY", key.as_str()), ("VIGIE_API_KEY_FILE", &file)] {
        example.check_at(&up.frontend, &[variable], &[&unknown], 0, &["unknown.jpg: not known"]);
    }
    example.check_at("http://10.255.255.1:7740", &[("VIGIE_API_KEY", &key)], &[&unknown], 1, &[]);

    example.cluster.process("matcher-1-0").unwrap().kill().unwrap();
    example.check(&[&unknown], 4, &["unknown.jpg: not known", "1 of 2 shards", "shard 1: "]);
    // With ten matches for each file the partial answer does not fit into a status: it comes in a second
    // answer.
    let many = vec![often.as_str(); 40];
    example.check(&many, 4, &["often.jpg: known", "1 of 2 shards"]);

    example.cluster.process("frontend-0").unwrap().kill().unwrap();
    example.check(&[&unknown], 1, &[]);
}

#[test]
fn python() {
    check("python", &["python3"]);
}

#[test]
fn go() {
    check("go", &["go", "npx"]);
}

#[test]
fn typescript() {
    check("typescript", &["node", "npm"]);
}
