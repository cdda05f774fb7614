//! Locks down processes of this test's own program and lets them try what they must not.
#![expect(clippy::unwrap_used, reason = "it is a test")]
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use vigie_sandbox::{Posture, Profile, lock_down};

/// Names the action of a process that this test started.
const DEED: &str = "VIGIE_SANDBOX_TEST_DEED";
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// The child process's part. Run as a test, without the variable, it does nothing.
#[test]
fn child() {
    let Ok(deed) = std::env::var(DEED) else { return };
    let posture = lock_down(Profile::Decoder { memory_bytes_max: MEMORY_BYTES_MAX });
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("posture: {posture}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
    match deed.as_str() {
        "compute" => {
            // Several megabytes, released and allocated again.
            let sum: usize = (1..100).map(|round| std::hint::black_box(vec![1_u8; round << 16]).len()).sum();
            let caught = std::panic::catch_unwind(|| panic!("on purpose"));
            assert!(caught.is_err() && sum > 0);
        }
        "abort" => std::process::abort(),
        "allocate" => drop(std::hint::black_box(vec![1_u8; usize::try_from(MEMORY_BYTES_MAX).unwrap()])),
        "open" => drop(std::fs::File::open("/proc/self/status")),
        "connect" => drop(std::net::TcpStream::connect("127.0.0.1:9")),
        "datagram" => drop(std::net::UdpSocket::bind("127.0.0.1:0")),
        "execute" => drop(Command::new("/bin/true").spawn()),
        "thread" => drop(std::thread::Builder::new().spawn(|| ())),
        "signal" => drop(rustix::process::test_kill_process(rustix::process::getppid().unwrap())),
        // Waits until its parent has examined it.
        "wait" => assert_eq!(std::io::stdin().read(&mut [0]).unwrap(), 0),
        "sleep" => std::thread::sleep(std::time::Duration::from_millis(1)),
        other => panic!("no deed {other}"),
    }
    std::process::exit(0);
}

fn command(program: &Path, deed: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "child", "--nocapture", "--test-threads", "1"]).env_clear().env(DEED, deed);
    command
}

fn run(deed: &str) -> Output {
    command(&std::env::current_exe().unwrap(), deed).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn check(deed: &str, ended: impl Fn(&ExitStatus) -> bool) {
    let output = run(deed);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = [Posture::SeccompOnly, Posture::Full].map(|posture| format!("posture: {posture}\n"));
    assert!(expected.iter().any(|one| text.contains(one)), "{deed}: {text}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(ended(&output.status), "{deed}: {:?}, {text}, {errors}", output.status);
}

const SIGABRT: i32 = 6;
const SIGSYS: i32 = 31;

#[test]
fn a_computation_is_left_in_peace() {
    check("compute", |status| status.code() == Some(0));
}

#[test]
fn an_abort_is_seen_as_one() {
    check("abort", |status| status.signal() == Some(SIGABRT));
}

/// Returns the score by which the kernel chooses a process to end when memory is short, of a locked-down
/// process that runs as `user`.
fn oom_score_of(user: Option<u32>) -> String {
    // Another user may have no access to the folder of this program.
    let folder = std::env::temp_dir().join(format!("vigie-sandbox-{}-{user:?}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("child");
    // `cp` writes the file: a process that another test starts meanwhile would inherit a descriptor of this
    // process that writes, and the kernel runs no file that is open for writing.
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(&program, "wait");
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let mut child = command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let posture =
        lines.find_map(|line| line.unwrap().split_once("posture: ").map(|(_, word)| word.to_owned()));
    let score = fs::read_to_string(format!("/proc/{}/oom_score_adj", child.id())).unwrap();
    drop(child.stdin.take());
    let status = child.wait().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert!(status.success(), "{status:?}");
    assert_ne!(posture.as_deref(), Some("none"));
    score
}

#[test]
fn a_process_ends_before_its_parent_when_memory_is_short() {
    assert_eq!(oom_score_of(None), "1000\n");
}

/// A service in a container seldom runs as the superuser. Only the superuser can test that.
#[test]
fn a_process_of_another_user_ends_before_its_parent_too() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only the superuser can start a process of another user");
        return;
    }
    assert_eq!(oom_score_of(Some(65_534)), "1000\n");
}

#[test]
fn memory_ends_at_its_limit() {
    check("allocate", |status| status.signal() == Some(SIGABRT));
}

#[test]
fn files_sockets_processes_threads_and_signals_end_the_process() {
    for deed in ["open", "connect", "datagram", "execute", "thread", "signal", "sleep"] {
        check(deed, |status| status.signal() == Some(SIGSYS));
    }
}
