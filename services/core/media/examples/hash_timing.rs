//! Measures one file: `hash_timing FILE ROUNDS` prints one line per round with three times in milliseconds.
//!
//! The times are: decoding to RGB only, bytes to PDQ with its eight variants, and the whole fingerprint. Used
//! by `benches/compare_with_pdqhash.py`. The file is read once; the times do not include reading it.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use std::{env, fs};

use vigie_media::{Limits, Ways, decode, fingerprint, picture};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let file = arguments.next().ok_or("usage: hash_timing FILE ROUNDS")?;
    let rounds: usize = arguments.next().as_deref().unwrap_or("1").parse()?;
    let content = fs::read(file)?;
    let limits = Limits::default();
    for _ in 0..rounds {
        let start = Instant::now();
        drop(black_box(decode(black_box(&content), &limits)?));
        let decoding = start.elapsed();

        let start = Instant::now();
        black_box(picture(black_box(&content), &limits, Ways::NONE)?);
        let hashing = start.elapsed();

        let start = Instant::now();
        black_box(fingerprint(black_box(&content), &limits)?);
        let everything = start.elapsed();

        let [a, b, c] = [decoding, hashing, everything].map(|time| time.as_secs_f64() * 1e3);
        println!("{a:.3} {b:.3} {c:.3}");
    }
    Ok(())
}
