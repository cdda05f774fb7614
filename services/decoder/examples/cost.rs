//! Prints the processor time of hashing a JPEG of one megapixel in a decoder process, over that of hashing it
//! in this process: `cargo run --release -p vigie-decoder --example cost`. The argument, if given, is the
//! number of rounds.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot run should say so at once"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use vigie_clients::decoder::{Decoder, DecoderMetrics, DecoderSettings};
use vigie_media::{Limits, Ways, digest};
use vigie_pictures::{Format, draw};

/// The allocator of `vigie`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of images of one round: enough for a clock with steps of 10 ms.
const IMAGES: u32 = 250;

fn main() -> ExitCode {
    // This program is its own decoder process.
    if let Some(code) = vigie_decoder::run_if_asked(std::env::args_os().skip(1)) {
        return code;
    }
    let rounds = std::env::args().nth(1).map_or(7, |text| text.parse().unwrap());
    let file = Format::Jpeg(85).encode(&draw(3, 1_200, 834));
    println!(
        "a JPEG of 1200 x 834 pixels and {} bytes, {IMAGES} times in each of {rounds} rounds",
        file.len()
    );
    let limits = Limits::default();
    // One process for all images, so that its clock can be read.
    let settings = DecoderSettings { images_max: u32::MAX, ..DecoderSettings::for_limits(&limits) };
    let mut decoder = Decoder::new(settings, DecoderMetrics::default());
    println!("protection: {}", decoder.start().unwrap());
    let mut there = || {
        let process = decoder.process_id().unwrap();
        let used = || processor_time("self") + processor_time(&process.to_string());
        measure(used, || {
            let deadline = Instant::now() + Duration::from_secs(60);
            let digests = digest::digests(&file);
            (digests, decoder.hash(&file, &limits, Ways::default(), &[], deadline).unwrap().fingerprint)
        })
    };
    let here = || {
        measure(
            || processor_time("self"),
            || (digest::digests(&file), vigie_media::picture(&file, &limits, Ways::default()).unwrap()),
        )
    };
    // Not counted, because caches are cold.
    let _ = (here(), there());
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let (one, other) = (here(), there());
        let ratio = other.as_secs_f64() / one.as_secs_f64();
        println!("here {one:.2?}, there {other:.2?} an image: {ratio:.3}");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median {:.3}", ratios[ratios.len() / 2]);
    ExitCode::SUCCESS
}

/// Returns the processor time of one image.
fn measure<T>(used: impl Fn() -> Duration, mut hash: impl FnMut() -> T) -> Duration {
    let before = used();
    for _ in 0..IMAGES {
        std::hint::black_box(hash());
    }
    (used() - before) / IMAGES
}

/// Returns the processor time of a process according to the system.
fn processor_time(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}
