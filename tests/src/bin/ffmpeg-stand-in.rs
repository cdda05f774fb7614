//! A program that behaves like `ffmpeg` and misbehaves as its picture orders, for the tests of the code that
//! runs such programs.
//!
//! For a forbidden action it returns a picture if the action was refused, and an error if it was not.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode};

const ORDER: &str = "stand-in: ";
/// Width and height of its pictures, in pixels.
const SIZE: (usize, usize) = (80, 60);

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "-decoders") {
        eprint_all("ffmpeg version 6.1-stand-in Copyright nobody\n");
        write_all(b"Decoders:\n ------\n VFS..D jpeg2000             JPEG 2000\n");
        return ExitCode::SUCCESS;
    }
    let mut content = Vec::new();
    if std::io::stdin().read_to_end(&mut content).is_err() {
        return ExitCode::FAILURE;
    }
    let text = String::from_utf8_lossy(&content);
    let order =
        text.split_once(ORDER).and_then(|(_, rest)| rest.split_once('\n')).map_or("", |(order, _)| order);
    misbehave(order)
}

fn misbehave(order: &str) -> ExitCode {
    let (width, height) = SIZE;
    let picture = picture(width, height);
    match order {
        "loop" => loop {
            std::hint::spin_loop();
        },
        "wait" => std::thread::park(),
        "abort" => std::process::abort(),
        "say nothing" => return ExitCode::SUCCESS,
        "refuse" => {
            eprint_all("this is no picture\n");
            return ExitCode::FAILURE;
        }
        "no memory" => {
            eprint_all("[jpeg2000 @ 0x55] Cannot allocate memory\n");
            return ExitCode::FAILURE;
        }
        "allocate" => drop(std::hint::black_box(vec![1_u8; 4 << 30])),
        "other size" => write_all(&self::picture(height, width)),
        "no head" => write_all(&[b'x'; 100]),
        "half" => write_all(&picture[..picture.len() / 2]),
        "half and wait" => {
            write_all(&picture[..picture.len() / 2]);
            std::thread::park();
        }
        "twice" => write_all(&picture.repeat(2)),
        "late fault" => {
            write_all(&picture);
            return ExitCode::FAILURE;
        }
        "many words" => {
            for _ in 0..100_000 {
                eprint_all("many words\n");
            }
            write_all(&picture);
        }
        "threads" => {
            let threads = (0..4).map(|_| std::thread::spawn(|| ()));
            threads.for_each(|thread| drop(thread.join()));
            write_all(&picture);
        }
        "nothing" => write_all(&picture),
        _ => return forbidden(order, &picture),
    }
    ExitCode::SUCCESS
}

/// Tries an action that must be refused.
fn forbidden(order: &str, picture: &[u8]) -> ExitCode {
    let is_done = match order {
        "read a file" => std::fs::File::open("/etc/passwd").is_ok(),
        "list a folder" => std::fs::read_dir("/tmp").is_ok(),
        "write a file" => std::fs::write("/tmp/ffmpeg-stand-in-was-here", "1").is_ok(),
        "connect" => std::net::TcpStream::connect("127.0.0.1:9").is_ok_or_refused_by_peer(),
        "datagram" => std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        "execute" => Command::new("/bin/true").spawn().is_ok(),
        "signal" => rustix::process::getppid().is_some_and(|parent| {
            rustix::process::kill_process(parent, rustix::process::Signal::CONT).is_ok()
        }),
        "environment" => std::env::vars_os().any(|(name, _)| name != "MALLOC_ARENA_MAX"),
        "change the file" => std::fs::OpenOptions::new()
            .write(true)
            .open("/proc/self/fd/0")
            .is_ok_and(|mut file| file.write_all(b"x").is_ok()),
        _ => true,
    };
    if is_done {
        return ExitCode::FAILURE;
    }
    write_all(picture);
    ExitCode::SUCCESS
}

/// Returns whether a network call reached the network.
trait Reached {
    fn is_ok_or_refused_by_peer(&self) -> bool;
}

impl<T> Reached for std::io::Result<T> {
    fn is_ok_or_refused_by_peer(&self) -> bool {
        match self {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        }
    }
}

/// Returns a picture with some detail, in PPM.
fn picture(width: usize, height: usize) -> Vec<u8> {
    let mut picture = format!("P6\n{width} {height}\n255\n").into_bytes();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let sample = |factor: usize| u8::try_from((x * factor + y * 3 + x * y / 7) % 256).unwrap_or(0);
        picture.extend([sample(2), sample(5), sample(7)]);
    }
    picture
}

fn write_all(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    // This fails when the pipe is closed.
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

fn eprint_all(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
