//! Writes the pictures of a range of seeds, and optionally their altered copies, to a directory.
//!
//! `cargo run --release -p vigie-pictures --example draw -- DIRECTORY FIRST COUNT WIDTH HEIGHT [altered]`

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use vigie_pictures::{Alteration, draw, encode_png, scene_name};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u32>().ok());
    let (Some(directory), Some(first), Some(count), Some(width), Some(height)) =
        (arguments.first(), number(1), number(2), number(3), number(4))
    else {
        eprintln!("usage: draw DIRECTORY FIRST COUNT WIDTH HEIGHT [altered]");
        return ExitCode::FAILURE;
    };
    let altered = arguments.get(5).is_some_and(|word| word == "altered");
    for seed in (u64::from(first)..).take(count as usize) {
        if let Err(fault) = write(Path::new(directory), seed, width, height, altered) {
            eprintln!("could not write picture {seed}: {fault}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write(directory: &Path, seed: u64, width: u32, height: u32, altered: bool) -> std::io::Result<()> {
    let start = Instant::now();
    let picture = draw(seed, width, height);
    eprintln!("{} in {:.1} ms", scene_name(seed), start.elapsed().as_secs_f64() * 1000.0);
    fs::write(directory.join(format!("{seed:04}.png")), encode_png(&picture))?;
    if altered {
        for (place, alteration) in Alteration::DEMO.iter().enumerate() {
            fs::write(directory.join(format!("{seed:04}-{place:02}.copy")), alteration.apply(&picture))?;
        }
    }
    Ok(())
}
