//! A decoder process that misbehaves as its images order, for the tests of the code that supervises such
//! processes. An image without an order is decoded as `vigie` does.

use std::process::ExitCode;

use vigie_media::Limits;
use vigie_model::{DecodeFailure, DecodeFailureKind};
use vigie_proto::decoder::{Decoded, Order};

fn main() -> ExitCode {
    vigie_decoder::run_with(std::env::args_os().skip(1), decode).unwrap_or(ExitCode::FAILURE)
}

/// The first bytes of an order.
const ORDER: &[u8] = b"stand-in: ";
/// The mark at the end of a picture, before the order for each frame after the first.
const LATER_FRAME: &[u8] = b"later frame: ";
/// The mark at the end of a picture, before the order for every frame.
const EVERY_FRAME: &[u8] = b"every frame: ";

fn decode(content: &[u8], order: &Order) -> Result<Decoded, DecodeFailure> {
    if let Some(deed) = content.strip_prefix(ORDER).or_else(|| after(content, EVERY_FRAME)) {
        misbehave(deed);
    }
    let Some(deed) = after(content, LATER_FRAME).filter(|_| order.limits.frames_max > 1) else {
        return vigie_decoder::decode(content, order);
    };
    let limits = Limits { frames_max: 1, ..order.limits };
    let mut first = vigie_media::picture_in_forms(content, &limits, order.ways, &order.forms)?;
    let panicked = std::panic::catch_unwind(|| misbehave(deed)).is_err();
    first.fingerprint.later_fault = panicked.then_some(DecodeFailureKind::Panicked);
    Ok(Decoded::Picture(first))
}

/// Returns the part of `content` after `mark`.
fn after<'a>(content: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = content.windows(mark.len()).rposition(|bytes| bytes == mark)?;
    content.get(at + mark.len()..)
}

fn misbehave(deed: &[u8]) {
    match deed {
        b"loop" => loop {
            std::hint::spin_loop();
        },
        b"wait" => std::thread::park(),
        b"panic" => panic!("on purpose"),
        b"abort" => std::process::abort(),
        b"exit" => std::process::exit(0),
        b"allocate" => drop(std::hint::black_box(vec![1_u8; 4 << 30])),
        b"allocate in pieces" => {
            let mut pieces = Vec::new();
            loop {
                pieces.push(std::hint::black_box(vec![1_u8; 1 << 20]));
            }
        }
        b"overflow" => drop(std::hint::black_box(overflow(1))),
        b"open" => drop(std::fs::File::open("/etc/hostname")),
        b"write" => drop(std::fs::write("written", b"1")),
        b"connect" => drop(std::net::TcpStream::connect("127.0.0.1:9")),
        b"execute" => drop(std::process::Command::new("/bin/true").spawn()),
        b"thread" => drop(std::thread::Builder::new().spawn(|| ())),
        b"signal" => drop(rustix::process::getppid().map(rustix::process::test_kill_process)),
        // The length of a valid answer, with invalid content.
        b"lie" => lie(&[0xff; 12]),
        b"lie at length" => lie(&u32::MAX.to_le_bytes()),
        b"answer nothing" => lie(&[0; 4]),
        b"half" => {
            lie(&[40, 0, 0, 0, 1, 2, 3]);
            std::process::abort();
        }
        _ => {}
    }
}

/// Writes bytes that are not a valid answer.
fn lie(bytes: &[u8]) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(bytes);
    let _ = stdout.flush();
}

/// Recurses until the stack overflows.
fn overflow(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { overflow(depth + 1) + here[0] }
}
