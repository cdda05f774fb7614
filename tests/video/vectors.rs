//! Comparison with the hashes of PyPI's `vpdq`, where the reference's data are available.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use vigie_media::digest::digests;
use vigie_media::video::Sampling;
use vigie_model::{DecodeFailureKind, Hash, HashType, VideoPartial};

use crate::studio::{Studio, failure, reference};

/// A frame of the reference table.
struct Expected {
    number: u32,
    quality: u8,
    pdq: String,
    time_s: String,
}

/// Returns the lines of a table without its header, as cells. Quoted cells may contain commas.
fn table(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let cells = |line: &str| {
        let mut cells = vec![String::new()];
        let mut is_quoted = false;
        for sign in line.chars() {
            match sign {
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => cells.push(String::new()),
                sign => cells.last_mut().unwrap().push(sign),
            }
        }
        cells
    };
    text.lines().skip(1).map(cells).collect()
}

/// Splits a command into words; text between single quotes is one word.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for sign in command.chars() {
        match sign {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            sign => words.last_mut().unwrap().push(sign),
        }
    }
    words
}

fn md5(content: &[u8]) -> String {
    digests(content).into_iter().find(|one| one.hash_type() == HashType::MD5).unwrap().to_text()
}

/// Returns a file of the table: from the folder, or made by its command.
fn content(studio: &Studio, folder: &Path, file: &str, md5_expected: &str) -> Option<Vec<u8>> {
    let stored = folder.join("vpdq-videos").join(file.replace('/', "-"));
    if let Ok(content) = fs::read(stored) {
        assert_eq!(md5(&content), md5_expected, "{file}");
        return Some(content);
    }
    let commands = table(&folder.join("vpdq-commands.csv"));
    let command = &commands.iter().find(|row| row[0] == file)?[3];
    fs::create_dir_all(studio.at("src")).unwrap();
    let words = words(command);
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let content = studio.try_make(&words)?;
    (md5(&content) == md5_expected).then_some(content)
}

#[test]
fn every_frame_has_the_hash_and_quality_that_vpdq_gives() {
    let Some(folder) = reference("vpdq") else { return };
    let Some(studio) = Studio::open() else { return };
    let mut files: BTreeMap<(String, String), Vec<Expected>> = BTreeMap::new();
    for row in table(&folder.join("vpdq-vectors.csv")) {
        let frames = files.entry((row[0].clone(), row[1].clone())).or_default();
        if let Ok(number) = row[2].parse() {
            let [quality, pdq, time_s] = [&row[3], &row[4], &row[5]].map(Clone::clone);
            frames.push(Expected { number, quality: quality.parse().unwrap(), pdq, time_s });
        }
    }
    let (mut checked, mut made_otherwise, mut wrong) = (0, Vec::new(), Vec::new());
    for ((file, md5), expected) in files.iter().filter(|(_, frames)| !frames.is_empty()) {
        let Some(content) = content(&studio, &folder, file, md5) else {
            made_otherwise.push(file.clone());
            continue;
        };
        let video = studio.hash(&content, Sampling::ByCount(1.0)).unwrap();
        if video.frames.len() != expected.len() {
            wrong.push(format!("{file}: {} frames and not {}", video.frames.len(), expected.len()));
        }
        for (frame, expected) in video.frames.iter().zip(expected) {
            checked += 1;
            let pdq = Hash::pdq(frame.plain.pdq[0]).to_text();
            let time_s = format!("{}.{:03}", frame.time_ms / 1_000, frame.time_ms % 1_000);
            let actual = (frame.number, frame.plain.quality.get(), &pdq, &time_s);
            if actual != (expected.number, expected.quality, &expected.pdq, &expected.time_s) {
                wrong.push(format!("{file}, frame {}: {actual:?}", expected.number));
            }
        }
    }
    println!("{checked} frames of {} files; of other bytes here: {made_otherwise:?}", files.len());
    assert!(checked >= 100 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files that PyPI's `vpdq` hashes wrongly, or hashes without reporting a fault.
#[test]
fn files_that_are_damaged_or_odd_are_answered_with_a_reason() {
    let Some(folder) = reference("vpdq") else { return };
    let Some(studio) = Studio::open() else { return };
    let read = |name: &str| fs::read(folder.join("vpdq-videos").join(name)).unwrap();
    for (name, frames_min, partial) in [
        ("edge-corrupt.avi", 6, Some(VideoPartial::Damaged)),
        ("edge-trunc.webm", 4, Some(VideoPartial::CutOff)),
        ("edge-trunc.gif", 4, Some(VideoPartial::CutOff)),
        ("edge-rot.mp4", 20, None),
        ("src-pan.mp4", 20, None),
        ("src-gif.gif", 6, None),
        ("src-vp9-webm.webm", 6, None),
        ("src-av1-mkv.mkv", 6, None),
        ("src-mpeg4-avi.avi", 6, None),
        ("src-black.mp4", 4, None),
        ("src-slow-half-fps.mp4", 6, None),
        ("src-still.mp4", 8, None),
    ] {
        for sampling in [Sampling::ByCount(1.0), Sampling::QUERY, Sampling::Dense] {
            let video = studio.hash(&read(name), sampling).unwrap();
            assert_eq!(video.partial, partial, "{name} {sampling:?}");
            let is_enough = video.frames.len() >= frames_min || sampling == Sampling::Dense;
            assert!(is_enough, "{name} {sampling:?}: {}", video.frames.len());
        }
    }
    let (kind, message) = failure(studio.hash(&read("edge-trunc.mp4"), Sampling::QUERY));
    assert_eq!(kind, DecodeFailureKind::Truncated, "{message}");
    let (kind, message) = failure(studio.hash(&read("edge-audio.m4a"), Sampling::QUERY));
    assert_eq!(kind, DecodeFailureKind::NoVideo, "{message}");
    let rotated = studio.hash(&read("edge-rot.mp4"), Sampling::ByCount(1.0)).unwrap();
    assert_eq!((rotated.width, rotated.height), (640, 360), "as it is stored");
}
