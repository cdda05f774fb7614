//! Hashes files and prints the same output as `vigie hash --json FILE ...`, without the rest of the program:
//! `hash_json hash --json FILE ...`.
//!
//! For comparing hashes over many files while a decoder is being changed, because this example builds in
//! seconds.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{env, fs};

use vigie_media::{Limits, Ways, picture};
use vigie_model::{FrameFingerprint, Hash, PictureHashes};

fn main() {
    for file in env::args().skip(3) {
        let content = fs::read(&file).unwrap_or_default();
        let rest = match picture(&content, &Limits::default(), Ways::default()) {
            Ok(picture) => {
                let frames: Vec<String> = picture.frames().map(frame).collect();
                format!(
                    "\"width\":{},\"height\":{},{},\"frames\":[{}],\"frames_left_out\":{}",
                    picture.width,
                    picture.height,
                    hashes(&picture.first.plain),
                    frames.join(","),
                    picture.frames_left_out
                )
            }
            Err(error) => format!("\"error\":{{\"code\":\"{}\",\"message\":\"{error}\"}}", error.kind()),
        };
        println!("{{\"file\":\"{file}\",{rest}}}");
    }
}

fn hashes(hashes: &PictureHashes) -> String {
    format!("\"pdq\":\"{}\",\"quality\":{}", Hash::pdq(hashes.pdq[0]).to_text(), hashes.quality)
}

fn frame(frame: &FrameFingerprint) -> String {
    let ways: Vec<String> =
        frame.further.iter().map(|(way, of)| format!("{{\"way\":\"{way}\",{}}}", hashes(of))).collect();
    let time = frame.time.map_or_else(|| "null".to_owned(), |time| time.as_secs_f64().to_string());
    format!(
        "{{\"frame\":{},\"time_s\":{time},{},\"ways\":[{}]}}",
        frame.number,
        hashes(&frame.plain),
        ways.join(",")
    )
}
