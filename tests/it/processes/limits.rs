//! The limits of a process: its open files, and the time that it takes to end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use vigie_harness::binary::vigie_binary;
use vigie_harness::cluster::free_addresses;

/// The time limit, which only a stuck process exceeds.
const WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_role_raises_its_limit_of_files_and_ends_at_once_though_connections_are_open() {
    let address = free_addresses([127, 0, 0, 1].into(), 1).unwrap()[0];
    let folder = tempfile::tempdir().unwrap();
    let run = r#"ulimit -Sn 200 && exec "$0" "$@""#;
    let bank = Command::new("sh")
        .args(["-c", run, vigie_binary().to_str().unwrap(), "bank", "--listen", &address.to_string()])
        .args(["--set", &format!("bank.store=sqlite:{}", folder.path().join("bank.db").display())])
        .args(["--set", "bank.serving.lame_duck_ms=0", "--set", "bank.serving.drain_ms_max=60000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + WITHIN;
    let connect = || loop {
        match TcpStream::connect(address) {
            Ok(io) => return io,
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("the bank does not listen: {error}"),
        }
    };
    // More connections than the soft limit would allow.
    let mut idle: Vec<_> = (0..300).map(|_| connect()).collect();
    for io in &mut idle {
        io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        io.set_read_timeout(Some(WITHIN)).unwrap();
        assert!(io.read(&mut [0; 9]).unwrap() > 0, "the server's settings come");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", bank.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<_> = files.split_whitespace().collect();
    assert_eq!(words[3], words[4], "the soft limit is the hard one: {files}");

    let begun = Instant::now();
    kill_process(Pid::from_child(&bank), Signal::TERM).unwrap();
    let output = bank.wait_with_output().unwrap();
    let took = begun.elapsed();
    assert!(output.status.success(), "{output:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let logged =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(logged.contains("files that may be open") && logged.contains("was=200"), "{logged}");
    assert!(!logged.contains("cut off"), "{logged}");
}
