//! A program that behaves like `ffprobe` and `ffmpeg` for a video and misbehaves as the video orders, for the
//! tests of the code that runs such programs.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

const ORDER: &str = "stand-in: ";
/// Width and height of its frames, in pixels.
const SIZE: (u16, u16) = (80, 60);
/// The factor by which a frame's number and time are packed into one integer.
const NUMBERS: u64 = 1 << 24;

fn main() -> ExitCode {
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    if has("-decoders") {
        eprint_all("ffmpeg version 6.1-stand-in Copyright nobody\n");
        write_all(b"Decoders:\n ------\n");
        return ExitCode::SUCCESS;
    }
    let mut content = Vec::new();
    if std::io::stdin().read_to_end(&mut content).is_err() {
        return ExitCode::FAILURE;
    }
    let text = String::from_utf8_lossy(&content);
    let order =
        text.split_once(ORDER).and_then(|(_, rest)| rest.split_once('\n')).map_or("", |(order, _)| order);
    if has("-show_entries") { probe(order) } else { decode(order) }
}

fn probe(order: &str) -> ExitCode {
    let stream = |width: u16, rate: &str, duration: &str| {
        format!(
            "streams.stream.0.index=0\nstreams.stream.0.codec_type=\"video\"\nstreams.stream.0.width={width}\n\
             streams.stream.0.height=60\nstreams.stream.0.avg_frame_rate=\"{rate}\"\n\
             streams.stream.0.disposition.attached_pic=0\nformat.duration=\"{duration}\"\n"
        )
    };
    match order {
        "probe: wait" => park(),
        "probe: abort" => std::process::abort(),
        "probe: refuse" => return ExitCode::FAILURE,
        "probe: say nothing" => {}
        "probe: flood" => loop {
            write_all(&[b'x'; 4_096]);
            eprint_all("many words\n");
        },
        "probe: no text" => write_all(&[0xff; 1_000]),
        "probe: wide" => write_all(stream(20_000, "25/1", "1").as_bytes()),
        "endless" => write_all(stream(80, "25/1", "1e99").as_bytes()),
        _ => write_all(stream(80, "25/1", "2.0").as_bytes()),
    }
    ExitCode::SUCCESS
}

fn decode(order: &str) -> ExitCode {
    let (width, height) = SIZE;
    match order {
        "refuse" => return ExitCode::FAILURE,
        "say nothing" => return ExitCode::SUCCESS,
        "abort" => std::process::abort(),
        "wait" => park(),
        "no memory" => {
            eprint_all("[h264 @ 0x55] Cannot allocate memory\n");
            return ExitCode::FAILURE;
        }
        "noise" => write_all(&[0x5a; 10_000]),
        "huge" => write_all(&head(60_000, 60_000)),
        "empty" => write_all(&head(0, 0)),
        "head alone" => write_all(&head(width, height)),
        _ => {
            write_all(&head(width, height));
            write_all(&frame(0, 0));
            write_all(&frame(1, 1_000));
            return go_on(order);
        }
    }
    ExitCode::SUCCESS
}

/// Obeys the order after two frames.
fn go_on(order: &str) -> ExitCode {
    let third = frame(2, 2_000);
    match order {
        "wait later" => park(),
        "abort later" => std::process::abort(),
        "refuse later" => return ExitCode::FAILURE,
        "loop later" => loop {
            std::hint::spin_loop();
        },
        "half" => write_all(&third[..third.len() / 2]),
        "half and wait" => {
            write_all(&third[..third.len() / 2]);
            park();
        }
        "long frame" => write_all(&block(2, 2_000, &[0; 80 * 60 * 3 + 1])),
        "short frame" => write_all(&block(2, 2_000, &[0; 80 * 60 * 3 - 1])),
        "noise later" => write_all(&[0xff; 100_000]),
        "endless" => {
            for number in 2_u32.. {
                // All frames have the same time, so a limit on the length does not end the video.
                write_all(&frame(number % 0xff_ffff, 1_000));
            }
        }
        "backwards" => write_all(&frame(2, 500)),
        "flood" => {
            for _ in 0..200_000 {
                eprint_all("many words\n");
            }
            write_all(&third);
        }
        _ => write_all(&third),
    }
    ExitCode::SUCCESS
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// Returns the header of a Matroska file with a video of this size.
fn head(width: u16, height: u16) -> Vec<u8> {
    let mut head = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff".to_vec();
    head.extend(b"\x16\x54\xae\x6b\x8c\xae\x8a\xe0\x88\xb0\x82");
    head.extend(width.to_be_bytes());
    head.extend(b"\xba\x82");
    head.extend(height.to_be_bytes());
    head
}

/// Returns a cluster with one frame of some detail.
fn frame(number: u32, time_ms: u64) -> Vec<u8> {
    let (width, height) = SIZE;
    let mut frame = Vec::new();
    for (y, x) in (0..usize::from(height)).flat_map(|y| (0..usize::from(width)).map(move |x| (y, x))) {
        let sample = |factor: usize| {
            u8::try_from((x * factor + y * 3 + x * y / 7 + number as usize * 31) % 256).unwrap_or(0)
        };
        frame.extend([sample(2), sample(5), sample(7)]);
    }
    block(number, time_ms, &frame)
}

fn block(number: u32, time_ms: u64, frame: &[u8]) -> Vec<u8> {
    let mut cluster = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff\xe7\x88".to_vec();
    cluster.extend((time_ms * NUMBERS + u64::from(number)).to_be_bytes());
    cluster.push(0xa3);
    let bytes = u32::try_from(frame.len() + 4).unwrap_or(0) | 1 << 28;
    cluster.extend(bytes.to_be_bytes());
    cluster.extend([0x81, 0, 0, 0x80]);
    cluster.extend(frame);
    cluster
}

fn write_all(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    // This fails when the pipe is closed; then the program ends, like a real one.
    if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(1);
    }
}

fn eprint_all(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
