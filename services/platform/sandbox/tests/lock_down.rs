//! Locks down processes of this test's own program and lets them try what they must not.
#![expect(clippy::unwrap_used, reason = "it is a test")]
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Output, Stdio};

use vigie_sandbox::{Posture, Profile, lock_down};

/// Names the deed of a process that this test started.
const DEED: &str = "VIGIE_SANDBOX_TEST_DEED";
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// The process's part. Run as a test without the variable it does nothing.
#[test]
fn child() {
    let Ok(deed) = std::env::var(DEED) else { return };
    let posture = lock_down(Profile::Decoder { memory_bytes_max: MEMORY_BYTES_MAX });
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("posture: {posture}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
    match deed.as_str() {
        "compute" => {
            // Several megabytes, given back and taken again.
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
        "sleep" => std::thread::sleep(std::time::Duration::from_millis(1)),
        other => panic!("no deed {other}"),
    }
    std::process::exit(0);
}

fn run(deed: &str) -> Output {
    let arguments = ["--exact", "child", "--nocapture", "--test-threads", "1"];
    Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .env_clear()
        .env(DEED, deed)
        .stdin(Stdio::null())
        .output()
        .unwrap()
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
