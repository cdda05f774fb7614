//! Checks which parts of a file an external program reads, and how pixels make a picture.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::orientation::Orientation;
use crate::{Picture, Ways};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/outside")
}

fn file(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

/// Returns the rows of `expected.csv`: file, width, height, frames left out.
fn expected() -> Vec<(String, u32, u32, u32)> {
    let mut rows = csv::Reader::from_path(folder().join("expected.csv")).unwrap();
    let row = |row: csv::StringRecord| {
        let number = |at: usize| row[at].parse().unwrap();
        (row[0].to_owned(), number(1), number(2), number(3))
    };
    rows.records().map(|record| row(record.unwrap())).collect()
}

fn read(content: &[u8]) -> Result<Option<Outside>, DecodeError> {
    Outside::read(content, &Limits::default())
}

#[test]
fn size_turn_and_further_pictures_are_read() {
    let rows = expected();
    assert!(rows.len() > 20);
    for (name, width, height, left_out) in rows {
        let content = file(&name);
        let Outside { coding, parts, mosaic, .. } = read(&content).unwrap().unwrap();
        let is_turned = mosaic.orientation > 4;
        let upright = if is_turned { (mosaic.height, mosaic.width) } else { (mosaic.width, mosaic.height) };
        assert_eq!((upright, mosaic.frames_left_out), ((width, height), left_out), "{name}");
        let expected = match name.rsplit_once('.').unwrap().1 {
            "heic" => Coding::Hevc,
            "jxl" => Coding::JpegXl,
            _ => Coding::Jpeg2000,
        };
        assert_eq!(coding, expected, "{name}");
        assert_eq!(mosaic.tiles(), if name.starts_with("grid") { 4 } else { 1 }, "{name}");
        // HEVC has parameter sets first, then the picture.
        assert_eq!(parts.iter().all(|part| part.is_unit), coding == Coding::Hevc, "{name}");
        assert_eq!(parts.len() > 3, coding == Coding::Hevc, "{name}");
    }
}

#[test]
fn turns_are_those_that_a_tag_would_ask_for() {
    for (name, tag) in [
        ("rgb.heic", 1),
        ("mirrored.heic", 2),
        ("quarter-turn.heic", 8),
        // A quarter turn counterclockwise, then upside down: rows and columns exchanged.
        ("flipped-quarter-turn.heic", 5),
        // libjxl applies the rotation itself.
        ("quarter-turn.jxl", 1),
    ] {
        assert_eq!(read(&file(name)).unwrap().unwrap().mosaic.orientation, tag, "{name}");
    }
    let Mosaic { left, top, width, height, .. } =
        read(&file("cropped-quarter-turn.heic")).unwrap().unwrap().mosaic;
    assert_eq!((left, top, width, height), (22, 8, 60, 50));
}

#[test]
fn what_the_container_says_of_colours_is_passed_on() {
    assert_eq!(read(&file("rgb.jp2")).unwrap().unwrap().meaning, None);
    let mut content = file("grid.heic");
    let at = content.windows(4).position(|bytes| bytes == b"colr");
    assert_eq!(at, None);
    // Replaces a property to which nothing refers afterwards.
    let at = content.windows(4).rposition(|bytes| bytes == b"ispe").unwrap();
    content[at..at + 12].copy_from_slice(b"colrnclx\0\x01\0\x0d");
    content[at + 12..at + 15].copy_from_slice(&[0, 6, 0x80]);
    let meaning = read(&content).unwrap().unwrap().meaning;
    assert_eq!(meaning, Some(Meaning { matrix: 6, full_range: true }));
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    // Data after the picture may be cut.
    let whole = |name: &String| name != "two-pictures.heic";
    for name in expected().into_iter().map(|(name, ..)| name).filter(whole) {
        let content = file(&name);
        for left in [content.len() - 1, content.len() * 2 / 3, 40] {
            let outcome = read(&content[..left]);
            let is_bare = content.starts_with(&[0xff, 0x0a]);
            // Only the decoder knows the length of a bare JPEG XL codestream.
            let is_refused =
                matches!(outcome, Err(DecodeError::Truncated { .. } | DecodeError::Corrupt { .. }));
            assert_eq!(is_refused, !is_bare, "{name} of {left} bytes: {outcome:?}");
        }
    }
}

#[test]
fn limits_are_checked_on_what_is_declared() {
    for name in ["rgb.jp2", "bare.j2k", "grid.heic", "lossy.jxl", "container.jxl"] {
        let content = file(name);
        let limits = Limits { pixels_max: 2_000, ..Limits::default() };
        let outcome = Outside::read(&content, &limits);
        assert!(matches!(outcome, Err(DecodeError::TooManyPixels { .. })), "{name}: {outcome:?}");
        let limits = Limits { side_px_max: 60, ..Limits::default() };
        let outcome = Outside::read(&content, &limits);
        assert!(matches!(outcome, Err(DecodeError::SideTooLong { .. })), "{name}: {outcome:?}");
        let limits = Limits { alloc_bytes_max: 2_000, ..Limits::default() };
        let outcome = Outside::read(&content, &limits);
        assert!(matches!(outcome, Err(DecodeError::AllocTooLarge { .. })), "{name}: {outcome:?}");
        let limits = Limits { input_bytes_max: 20, ..Limits::default() };
        assert!(matches!(Outside::read(&content, &limits), Err(DecodeError::InputTooLarge { .. })));
    }
}

#[test]
fn formats_that_are_decoded_here_need_no_program() {
    for content in [&b"\x89PNG\r\n\x1a\n"[..], b"", b"GIF89a", b"no picture"] {
        assert_eq!(read(content), Ok(None));
    }
}

#[test]
fn a_jpeg_2000_file_of_two_sizes_is_refused() {
    let mut content = file("rgb.jp2");
    let at = content.windows(4).position(|bytes| bytes == b"ihdr").unwrap() + 4;
    content[at + 3] += 1;
    assert_eq!(read(&content), Err(DecodeError::Corrupt { reason: "the JPEG 2000 file declares two sizes" }));
}

#[test]
fn parts_beyond_the_file_or_far_more_than_it_are_refused() {
    let content = [7; 100];
    let part = |offset, bytes| Part { offset, bytes, is_unit: false };
    let outside =
        |parts| Outside { coding: Coding::Hevc, parts, meaning: None, mosaic: Mosaic::single(1, 1) };
    assert_eq!(outside(vec![part(10, 90)]).pieces(&content).unwrap().concat().len(), 90);
    for parts in [vec![part(10, 91)], vec![part(usize::MAX, 2)], vec![part(0, 100); 1_000]] {
        assert_eq!(outside(parts).pieces(&content), None);
    }
    let unit = Outside { parts: vec![Part { is_unit: true, ..part(0, 2) }], ..outside(vec![]) };
    assert_eq!(unit.pieces(&content).unwrap().concat(), [0, 0, 0, 1, 7, 7]);
}

/// Returns a picture whose samples show their positions.
fn rgb(width: u32, height: u32) -> Vec<u8> {
    let sample = |at: u32| u8::try_from(at * 37 % 251).unwrap();
    (0..width * height * 3).map(sample).collect()
}

/// Cuts a picture into tiles and has it assembled again.
fn check_mosaic(columns: u32, rows: u32, tile: (u32, u32), area: (u32, u32, u32, u32), orientation: u16) {
    let (width, height) = (columns * tile.0, rows * tile.1);
    let whole = rgb(width, height);
    let pixel = |x: u32, y: u32| &whole[((y * width + x) * 3) as usize..][..3];
    let mut tiles = Vec::new();
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        for (y, x) in (0..tile.1).flat_map(|y| (0..tile.0).map(move |x| (y, x))) {
            tiles.extend_from_slice(pixel(column * tile.0 + x, row * tile.1 + y));
        }
    }
    let (left, top, shown_width, shown_height) = area;
    let mut shown = Vec::new();
    for (y, x) in (0..shown_height).flat_map(|y| (0..shown_width).map(move |x| (y, x))) {
        shown.extend_from_slice(pixel(left + x, top + y));
    }
    let mosaic = Mosaic {
        columns,
        rows,
        tile_width: tile.0,
        tile_height: tile.1,
        left,
        top,
        width: shown_width,
        height: shown_height,
        orientation,
        frames_left_out: 3,
    };
    let shown = Picture::from_rgb(shown_width, shown_height, shown).unwrap();
    let upright = Orientation::from_tag(orientation).turn(&shown).unwrap();
    let picture = picture_of_pixels(tiles, &mosaic, &Limits::default(), Ways::NONE, &[]).unwrap().fingerprint;
    assert_eq!((picture.width, picture.height), (upright.width(), upright.height()));
    assert_eq!(picture.first.plain, crate::pdq(&upright), "{mosaic:?}");
    assert_eq!(picture.frames_left_out, 3);
    let stored = picture.first.further.iter().map(|(_, hashes)| *hashes).collect::<Vec<_>>();
    assert_eq!(stored, if orientation == 1 { vec![] } else { vec![crate::pdq(&shown)] });
}

#[test]
fn tiles_make_the_picture_that_they_were_cut_from() {
    check_mosaic(1, 1, (40, 30), (0, 0, 40, 30), 1);
    check_mosaic(3, 2, (20, 25), (0, 0, 60, 50), 1);
    check_mosaic(3, 2, (20, 25), (0, 0, 47, 33), 1);
    check_mosaic(3, 2, (20, 25), (21, 7, 30, 40), 8);
    check_mosaic(1, 1, (40, 30), (5, 3, 30, 20), 5);
}

#[test]
fn pixels_that_are_not_as_many_as_declared_are_refused() {
    for mosaic in [Mosaic::single(8, 6), Mosaic { columns: 2, ..Mosaic::single(8, 6) }] {
        let enough = usize::try_from(mosaic.pixel_bytes()).unwrap();
        for bytes in [0, enough - 1, enough + 1] {
            let outcome = picture_of_pixels(vec![0; bytes], &mosaic, &Limits::default(), Ways::NONE, &[]);
            assert!(matches!(outcome, Err(DecodeError::Corrupt { .. })), "{outcome:?}");
        }
        assert!(picture_of_pixels(vec![0; enough], &mosaic, &Limits::default(), Ways::NONE, &[]).is_ok());
    }
}

#[test]
fn a_mosaic_that_does_not_cover_its_picture_is_refused() {
    let single = Mosaic::single(8, 6);
    for mosaic in [
        Mosaic { left: 1, ..single },
        Mosaic { height: 7, ..single },
        Mosaic { columns: 0, ..single },
        Mosaic { columns: 257, ..single },
        Mosaic { orientation: 9, ..single },
        Mosaic { left: u32::MAX, width: 2, ..single },
        Mosaic { width: 0, ..single },
    ] {
        assert!(mosaic.check(&Limits::default()).is_err(), "{mosaic:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_changed_file_is_read_without_a_panic_and_its_parts_lie_within_it(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        is_head in any::<bool>(),
    ) {
        let rows = expected();
        let mut content = file(&rows[which.index(rows.len())].0);
        for (at, value) in changes {
            let bytes = if is_head { content.len().min(600) } else { content.len() };
            content[at.index(bytes)] = value;
        }
        match read(&content) {
            Ok(Some(outside)) => prop_assert!(outside.pieces(&content).is_some()),
            Ok(None) => {}
            Err(error) => prop_assert!(!matches!(error, DecodeError::DecoderPanicked { .. }), "{error}"),
        }
    }
}
