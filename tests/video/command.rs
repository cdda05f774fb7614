//! `vigie hash` of videos.

use std::fs;

use serde_json::Value;
use vigie_harness::binary::run;
use vigie_media::video::Sampling;
use vigie_model::Hash;

use crate::studio::Studio;

const FIELDS: [&str; 9] =
    ["file", "width", "height", "duration_s", "partial", "frames", "md5", "sha1", "sha256"];
const FRAME_FIELDS: [&str; 4] = ["frame", "time_s", "pdq", "quality"];

/// Returns the command's JSON output for one file.
fn hashed(arguments: &[&str]) -> Value {
    let finished = run(&[&["--json", "hash"], arguments].concat(), &[]).unwrap();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    finished.json().unwrap()[0].clone()
}

#[track_caller]
fn check_fields(object: &Value, expected: &[&str]) {
    let mut fields: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    fields.sort_unstable();
    expected.sort_unstable();
    assert_eq!(fields, expected);
}

#[test]
fn the_command_prints_a_video_as_vpdq_samples_it() {
    let Some(studio) = Studio::open() else { return };
    let clip = studio.make(
        "-f lavfi -i testsrc2=size=160x120:rate=30000/1001:duration=3 -c:v mpeg4 -q:v 3 -threads 1 a.mp4",
    );
    let path = studio.at("a.mp4").display().to_string();
    let printed = hashed(&[&path]);
    check_fields(&printed, &FIELDS);
    assert_eq!((printed["width"].as_u64(), printed["height"].as_u64()), (Some(160), Some(120)));
    assert_eq!(printed["partial"], Value::Null);
    assert!((printed["duration_s"].as_f64().unwrap() - 3.003).abs() < 0.05);
    let expected = studio.hash(&clip, Sampling::ByCount(1.0)).unwrap();
    let frames = printed["frames"].as_array().unwrap();
    assert_eq!(frames.len(), expected.frames.len());
    for (printed, expected) in frames.iter().zip(&expected.frames) {
        check_fields(printed, &FRAME_FIELDS);
        assert_eq!(printed["frame"], expected.number);
        assert_eq!(printed["pdq"], Hash::pdq(expected.plain.pdq[0]).to_text());
        assert_eq!(printed["quality"], expected.plain.quality.get());
        assert_eq!(printed["time_s"], f64::from(expected.time_ms) / 1_000.0);
    }
    assert_eq!(frames[1]["time_s"], 0.968);
    let dense = hashed(&["--dense", &path]);
    assert!(dense["frames"].as_array().unwrap().len() > frames.len());
    let every = hashed(&["--seconds-per-hash", "0", &path]);
    assert_eq!(every["frames"].as_array().unwrap().len(), 90);
    // A file without video, and the video itself with the default sampling.
    fs::write(studio.at("sound.m4a"), studio.make("-f lavfi -i sine=duration=1 -c:a aac sound.m4a")).unwrap();
    let sound = studio.at("sound.m4a").display().to_string();
    let finished = run(&["--json", "hash", &sound, &path], &[]).unwrap();
    assert_eq!(finished.json().unwrap()[0]["error"]["code"], "no_video", "{}", finished.stderr);
    let lines = run(&["hash", &path], &[]).unwrap();
    assert!(lines.lines.iter().any(|line| line.ends_with("frame 29  0.968 s")), "{:?}", lines.lines);
}

#[test]
fn an_animated_picture_is_a_video_where_it_is_asked_for_as_one() {
    let Some(studio) = Studio::open() else { return };
    studio.make("-f lavfi -i testsrc2=size=64x48:rate=10:duration=2 -threads 1 a.gif");
    let path = studio.at("a.gif").display().to_string();
    assert!(hashed(&[&path])["variants"].is_array());
    let video = hashed(&["--seconds-per-hash", "1", &path]);
    check_fields(&video, &FIELDS);
    assert_eq!(video["frames"].as_array().unwrap().len(), 2);
}
