//! Checks the pixels against those of Pillow, and the files that it refuses.

use std::fs;
use std::path::PathBuf;

use md5::{Digest, Md5};

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/jpeg")
}

fn file(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

/// Returns the digests of the pixels of all pictures, and how many are left out.
fn pictures(content: &[u8], limits: &Limits) -> Result<(Vec<String>, u32), DecodeError> {
    let mut digests = Vec::new();
    let mut visit = |_, frame: Frame| match frame.samples {
        Samples::Near(_) => Taken::NeedsRgb,
        Samples::Rgb(picture) => {
            digests.push(Md5::digest(picture.rgb()).iter().map(|byte| format!("{byte:02x}")).collect());
            Taken::Hashed
        }
    };
    let mut frames = Frames::new(limits, &mut visit);
    decode(content, limits, &mut frames)?;
    let left_out = frames.left_out();
    Ok((digests, left_out))
}

/// Checks that the content is refused with an error of this kind.
fn check_refused(what: &str, content: &[u8], kind: &str) {
    match pictures(content, &Limits::default()) {
        Ok(_) => panic!("{what}: decoded"),
        Err(error) => assert_eq!(error.kind().name(), kind, "{what}: {error}"),
    }
}

/// Returns the position of the entropy-coded data of the first scan.
fn data(content: &[u8]) -> usize {
    let scan = content.windows(2).position(|bytes| bytes == b"\xff\xda").unwrap();
    scan + 2 + usize::from(content[scan + 3])
}

#[test]
fn each_picture_has_the_pixels_that_pillow_gives_it() {
    let expected = fs::read_to_string(folder().join("expected.csv")).unwrap();
    let mut checked = 0;
    for row in expected.lines().skip(1) {
        let [name, frame, rgb] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (digests, left_out) = pictures(&file(name), &Limits::default()).unwrap();
        let frame: usize = frame.parse().unwrap();
        assert_eq!((digests.get(frame).map(String::as_str), left_out), (Some(rgb), 0), "{name}, {frame}");
        checked += 1;
    }
    assert!(checked >= 40, "{checked} pictures");
}

#[test]
fn a_file_without_its_end_is_refused_unless_only_the_end_marker_is_missing() {
    let content = file("scan-per-component-1x1.jpg");
    for length in (20..content.len()).step_by(31) {
        check_refused(&format!("cut at {length}"), &content[..length], "truncated");
    }
    assert!(pictures(&file("no-end-and-a-trailer.jpg"), &Limits::default()).is_ok());
}

#[test]
fn an_end_marker_behind_missing_data_makes_no_whole_picture() {
    for name in ["../colour-420.jpg", "../colour-444.jpg", "../restart-markers.jpg", "../grey.jpg"] {
        let content = file(name);
        let start = data(&content);
        for length in (start..content.len() - 40).step_by(97) {
            let mut ended = content[..length].to_vec();
            // A single ff at the end would form another marker with the next byte.
            ended.pop_if(|byte| *byte == 0xff);
            ended.extend(b"\xff\xd9");
            match pictures(&ended, &Limits::default()) {
                Ok(_) => panic!("{name}, ended at {length}: decoded"),
                Err(error) => {
                    assert!(matches!(error.kind().name(), "truncated" | "corrupt"), "{name}: {error}");
                }
            }
        }
    }
}

/// In a sequential file, libjpeg reads such codes as zeros without a warning, unless the data end too early.
#[test]
fn codes_that_are_none_are_refused_in_a_progressive_file() {
    for name in ["../grey-progressive.jpg", "../progressive.jpg"] {
        let mut content = file(name);
        let start = data(&content);
        let end = content.len() - 2;
        // All ones are not a code of any table; each ff is followed by 00.
        for pair in content[start + 60..end].as_chunks_mut().0 {
            *pair = [0xff, 0x00];
        }
        check_refused(name, &content, "corrupt");
    }
}

#[test]
fn a_missing_restart_marker_is_refused() {
    let mut content = file("../restart-markers.jpg");
    let start = data(&content);
    let marker = start + content[start..].windows(2).position(|bytes| bytes == b"\xff\xd2").unwrap();
    content.drain(marker..marker + 2);
    assert!(pictures(&content, &Limits::default()).is_err());
}

#[test]
fn a_file_of_more_scans_than_any_encoder_writes_is_refused() {
    let content = file("../progressive.jpg");
    let last = content.windows(2).rposition(|bytes| bytes == b"\xff\xda").unwrap();
    let scan = &content[last..content.len() - 2];
    let mut many = content[..last].to_vec();
    for _ in 0..100 {
        many.extend(scan);
    }
    many.extend(b"\xff\xd9");
    check_refused("100 scans more", &many, "corrupt");
}

#[test]
fn a_damaged_further_picture_and_those_beyond_the_limit_are_left_out() {
    let content = file("two-pictures-big-endian.jpg");
    let cut = content.len() - 300;
    assert!(matches!(pictures(&content[..cut], &Limits::default()), Ok((digests, 1)) if digests.len() == 1));
    let one = Limits { frames_max: 1, ..Limits::default() };
    assert!(matches!(pictures(&content, &one), Ok((digests, 1)) if digests.len() == 1));
}

#[test]
fn a_damaged_index_names_no_further_pictures() {
    let content = file("two-pictures-little-endian.jpg");
    let index = content.windows(4).position(|bytes| bytes == b"MPF\0").unwrap() + 4;
    for at in 4..40 {
        let mut damaged = content.clone();
        damaged[index + at] ^= 0xff;
        assert!(pictures(&damaged, &Limits::default()).is_ok(), "byte {at}");
    }
    let mut gain_map = b"\xff\xe1\0\x40http://ns.adobe.com/xap/1.0/\0 hdrgm:Version=\"1.0\"".to_vec();
    gain_map.resize(0x40 + 2, b' ');
    let content = [&content[..2], &gain_map, &content[2..]].concat();
    assert!(matches!(pictures(&content, &Limits::default()), Ok((digests, 0)) if digests.len() == 1));
}
