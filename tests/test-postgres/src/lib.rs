//! PostgreSQL servers for tests: created in a temporary folder, and removed with the test process.
//!
//! A server listens on a socket in its own folder, so that no other program finds it and no port is used; one
//! with TLS ([`Server::start_with_tls`]) also listens on a port of the loopback interface. It flushes every
//! commit, as in production. PostgreSQL refuses to run as root, so tests that run as root start it as
//! `postgres`, or as `nobody` where there is no such user. A watching process stops the server and removes
//! its folder when the test process ends, in whatever way.
//!
//! Where PostgreSQL is not installed there is no server: [`Server::shared`] reports that on standard error
//! and returns `None`, and the test has to be skipped. With `VIGIE_REQUIRE_POSTGRES=1` it fails instead.

mod tls;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

pub use tls::Files;

use tls::Tls;

/// The environment variable that turns the absence of PostgreSQL into a failure.
const REQUIRED: &str = "VIGIE_REQUIRE_POSTGRES";

/// The settings of a server that differ from PostgreSQL's own. Small, since each test process has a server,
/// and quick to restart.
const SETTINGS: &str = "
listen_addresses = ''
max_connections = 200
shared_buffers = 64MB
logging_collector = off
log_min_messages = warning
";

/// PostgreSQL's default port, which is a part of the socket's name.
const PORT: u16 = 5432;

/// The programs that have to be installed, in one folder.
const PROGRAMS: [&str; 6] = ["initdb", "pg_ctl", "createdb", "psql", "pg_dump", "pg_restore"];

/// The shell script of the watching process. It ends when its standard input is closed, which the test
/// process holds open, and then stops the server.
const WATCH: &str =
    r#"trap '' INT TERM HUP; cat > /dev/null; "$@" --silent --mode immediate stop; rm -rf -- "$FOLDER""#;

/// A PostgreSQL server of a test process.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    user: Option<User>,
    watch: Child,
    /// The port on the loopback interface; `None` for a server that has only a socket.
    port: Option<u16>,
}

/// The user that the server runs as, where it differs from the user of the tests.
#[derive(Debug, Clone)]
struct User {
    name: &'static str,
    uid: u32,
    gid: u32,
}

impl Server {
    /// Returns the server that all tests of this process share; `None`, which is reported, where PostgreSQL
    /// is not installed.
    ///
    /// # Panics
    ///
    /// The server cannot be started, or PostgreSQL is absent and `VIGIE_REQUIRE_POSTGRES` is set.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("")).as_ref()
    }

    /// Starts a separate server for a test that stops or fills it, with further settings, one a line. `None`,
    /// which is reported, where PostgreSQL is not installed.
    ///
    /// # Panics
    ///
    /// The server cannot be started, or PostgreSQL is absent and `VIGIE_REQUIRE_POSTGRES` is set.
    #[must_use]
    pub fn start(settings: &str) -> Option<Self> {
        Some(start(installed()?, settings, None).expect("a PostgreSQL server can be started"))
    }

    /// Creates an empty database.
    ///
    /// # Panics
    ///
    /// The database cannot be created.
    #[must_use]
    pub fn database(&self) -> Database<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.run("createdb", [&name]);
        Database { server: self, name }
    }

    /// Stops the server as a crash would, and starts it again; everything that was flushed is kept.
    ///
    /// # Panics
    ///
    /// The server does not start again.
    pub fn crash_and_restart(&self) {
        self.control(&["--mode", "immediate", "restart"]);
    }

    /// Stops the server, which ends every connection.
    ///
    /// # Panics
    ///
    /// The server does not stop.
    pub fn stop(&self) {
        self.control(&["--mode", "fast", "stop"]);
    }

    /// Starts the server after [`Self::stop`].
    ///
    /// # Panics
    ///
    /// The server does not start.
    pub fn start_again(&self) {
        self.control(&["start"]);
    }

    /// Runs one of PostgreSQL's client programs as the administrator, and returns its output.
    ///
    /// # Panics
    ///
    /// The program fails.
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> String {
        let mut command = command(self.user.as_ref(), &self.programs.join(program));
        command.env("PGHOST", &self.folder).env("PGUSER", "postgres").args(arguments);
        command.env("PGPORT", self.port.unwrap_or(PORT).to_string());
        finish(&mut command).unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// Returns the server's folder, which the server's user may write to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn control(&self, arguments: &[&str]) {
        self.control_at_once(&[&["--wait"], arguments].concat());
    }

    fn control_at_once(&self, arguments: &[&str]) {
        let mut command = control(&self.programs, self.user.as_ref(), &self.folder);
        command.arg("--silent").args(arguments);
        finish(&mut command).expect("pg_ctl succeeds");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The watching process stops the server and ends when its input is closed. An error is ignored,
        // because it may have ended already.
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

/// A database of a server.
#[derive(Debug)]
pub struct Database<'a> {
    server: &'a Server,
    name: String,
}

impl Database<'_> {
    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> String {
        let folder = self.server.folder.to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{}", self.server.port.unwrap_or(PORT), self.name)
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements as the administrator, and returns their result, one row a line.
    ///
    /// # Panics
    ///
    /// They fail.
    pub fn sql(&self, statements: &str) -> String {
        let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"];
        let arguments = arguments.into_iter().chain(["--dbname", &self.name, "--command", statements]);
        self.server.run("psql", arguments).trim().to_owned()
    }
}

/// Returns the folder of PostgreSQL's programs: on the path, or where Debian installs them, the newest
/// version first.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    let version = |path: &PathBuf| path.file_name().and_then(OsStr::to_str)?.parse::<u32>().ok();
    versions.sort_by_key(|path| std::cmp::Reverse(version(path)));
    let mut folders = std::env::split_paths(&path).chain(versions.into_iter().map(|path| path.join("bin")));
    folders.find(|folder| PROGRAMS.iter().all(|program| folder.join(program).exists()))
}

/// Returns the folder of PostgreSQL's programs; `None`, which is reported, where they are not installed.
fn installed() -> Option<PathBuf> {
    let found = programs();
    if found.is_none() {
        let required = std::env::var_os(REQUIRED).is_some_and(|value| !value.is_empty() && value != "0");
        assert!(!required, "PostgreSQL is not installed, and {REQUIRED} is set");
        // Written to stderr directly, because the test harness captures printed output.
        let said = writeln!(
            io::stderr(),
            "\n!!! SKIPPED: PostgreSQL is not installed, so a test that needs it proves nothing !!!\n"
        );
        drop(said);
    }
    found
}

fn start(programs: PathBuf, settings: &str, tls: Option<&Tls<'_>>) -> io::Result<Server> {
    let user = other_user()?;
    let folder = tempfile::Builder::new().prefix("vigie-pg-").tempdir()?;
    if let Some(User { uid, gid, .. }) = user {
        chown(folder.path(), Some(uid), Some(gid))?;
    }
    let mut initdb = command(user.as_ref(), &programs.join("initdb"));
    initdb.args(["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]);
    finish(initdb.arg("--no-sync").arg("--pgdata").arg(folder.path().join("data")))?;
    let port = tls.map(|tls| tls.prepare(user.as_ref(), folder.path())).transpose()?;
    let own = format!(
        "{SETTINGS}unix_socket_directories = '{}'\n{}\n{settings}\n",
        folder.path().display(),
        port.map(tls::settings).unwrap_or_default(),
    );
    let mut file = fs::File::options().append(true).open(folder.path().join("data/postgresql.conf"))?;
    file.write_all(own.as_bytes())?;

    let stop = control(&programs, user.as_ref(), folder.path());
    let mut watch = Command::new("sh");
    watch.args(["-c", WATCH, "watch"]).arg(stop.get_program()).args(stop.get_args());
    // It has a process group of its own, so that a signal that ends the tests' group does not end it.
    watch.env("FOLDER", folder.path()).current_dir("/").process_group(0);
    let watch = watch.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    // From here on the watching process removes the folder.
    let server = Server { folder: folder.keep(), programs, user, watch, port };
    let mut start = control(&server.programs, server.user.as_ref(), &server.folder);
    finish(start.args(["--wait", "--silent", "start"]))?;
    Ok(server)
}

fn control(programs: &Path, user: Option<&User>, folder: &Path) -> Command {
    let mut command = command(user, &programs.join("pg_ctl"));
    command.arg("--pgdata").arg(folder.join("data")).arg("--log").arg(folder.join("log"));
    command
}

/// Returns the command of a program, run as this user if there is one.
fn command(user: Option<&User>, program: &Path) -> Command {
    let mut command = match user {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid));
            command.arg("--clear-groups").arg("--").arg(program);
            command.env("HOME", "/").env("USER", user.name);
            command
        }
        None => Command::new(program),
    };
    // The user may have no access to the folder of the tests.
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// Returns the user to run as, where the tests run as root.
fn other_user() -> io::Result<Option<User>> {
    let id = |arguments: &[&str]| -> io::Result<Option<u32>> {
        let Output { status, stdout, .. } = Command::new("id").args(arguments).output()?;
        Ok(String::from_utf8_lossy(&stdout).trim().parse().ok().filter(|_| status.success()))
    };
    if id(&["-u"])? != Some(0) {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Some(uid), Some(gid)) = (id(&["-u", name])?, id(&["-g", name])?) {
            return Ok(Some(User { name, uid, gid }));
        }
    }
    Err(io::Error::other("there is no user postgres or nobody to run PostgreSQL as"))
}

/// Runs a program to its end; returns its output, or its standard error as an error.
fn finish(command: &mut Command) -> io::Result<String> {
    // Output goes to files, not pipes, because a server that `pg_ctl` starts inherits them and keeps them
    // open.
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let status = command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).status()?;
    let text = |file: &mut fs::File| -> io::Result<String> {
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        Ok(text)
    };
    if status.success() { text(&mut stdout) } else { Err(io::Error::other(text(&mut stderr)?)) }
}
