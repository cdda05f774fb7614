use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::rows::segment_writer::{SegmentWriter, remove_leftovers};

fn fault_of(bytes: &[u8]) -> Fault {
    match forge::open(bytes) {
        Err(SegmentError::Refused { fault, .. }) => fault,
        other => panic!("not refused: {other:?}"),
    }
}

/// Returns bytes that differ between positions and between seeds.
fn content(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32).to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}

/// Sections of these lengths, numbered 10, 20, ... with their content.
fn sections(lengths: &[usize]) -> Vec<(SectionId, Vec<u8>)> {
    let section = |(number, bytes): (u32, &usize)| {
        let id = (number + 1) * 10;
        (SectionId(id), content(*bytes, u64::from(id)))
    };
    (0..).zip(lengths).map(section).collect()
}

fn borrowed(sections: &[(SectionId, Vec<u8>)]) -> Vec<(SectionId, &[u8])> {
    sections.iter().map(|(id, bytes)| (*id, bytes.as_slice())).collect()
}

fn lengths(sections: &[(SectionId, Vec<u8>)]) -> Vec<(SectionId, usize)> {
    sections.iter().map(|(id, bytes)| (*id, bytes.len())).collect()
}

/// Writes everything in pieces, with two threads that alternate and go backwards.
fn write(writer: &SegmentWriter, sections: &[(SectionId, Vec<u8>)], piece_bytes: usize) {
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for (id, bytes) in sections {
                    let pieces = bytes.chunks(piece_bytes).enumerate().rev();
                    for (number, piece) in pieces.filter(|(number, _)| number % 2 == half) {
                        writer.write_at(*id, number * piece_bytes, piece).unwrap();
                    }
                }
            });
        }
    });
}

fn check_holds(segment: &SegmentFile, sections: &[(SectionId, Vec<u8>)], meta: &[u8]) {
    for (id, bytes) in sections {
        let found = segment.section(*id).unwrap();
        assert!(found == bytes, "section {id:?} of {} bytes", bytes.len());
        assert_eq!(found.as_ptr() as usize % 64, 0);
    }
    assert_eq!(segment.section(SectionId(7)), None);
    assert_eq!(segment.meta(), meta);
}

fn check_round_trip(lengths_wanted: &[usize], piece_bytes: usize, meta: &[u8]) {
    let sections = sections(lengths_wanted);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segment");
    for writer in
        [SegmentWriter::create(&path, &lengths(&sections)), SegmentWriter::in_memory(&lengths(&sections))]
    {
        let writer = writer.unwrap();
        write(&writer, &sections, piece_bytes);
        for (id, bytes) in &sections {
            let mut read = vec![0; bytes.len()];
            writer.read_at(*id, 0, &mut read).unwrap();
            assert!(read == *bytes);
        }
        check_holds(&writer.finish(meta).unwrap(), &sections, meta);
    }
    check_holds(&SegmentFile::open(&path).unwrap(), &sections, meta);
    assert_eq!(fs::read(&path).unwrap(), forge::image(&borrowed(&sections), meta));
}

/// Returns the bytes of a segment of a few small sections.
fn small_image() -> Vec<u8> {
    forge::image(&borrowed(&sections(&[100, 0, 1, 64, 333])), b"three")
}

fn written(path: &Path) -> SegmentFile {
    let sections = sections(&[100, 200]);
    let writer = SegmentWriter::create(path, &lengths(&sections)).unwrap();
    write(&writer, &sections, 64);
    writer.finish(b"note").unwrap()
}

fn names_in(folder: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| PathBuf::from(entry.unwrap().file_name())).collect();
    names.sort();
    names
}

#[test]
fn what_was_written_is_read_back() {
    check_round_trip(&[], 1, b"");
    check_round_trip(&[0], 1, b"");
    check_round_trip(&[0, 1, 0, 63, 64, 65, 0], 10, b"note");
    check_round_trip(
        &[1_000, 2 << 20, 5, 0, (6 << 20) + 1, (2 << 20) - 1, 3 << 20],
        300_000,
        &[9; META_BYTES_MAX],
    );
    check_round_trip(&[5 << 20], 2 << 20, b"");
}

#[test]
fn what_was_never_written_is_zero() {
    let folder = TempDir::new().unwrap();
    let lengths = [(SectionId(1), 100), (SectionId(2), 5 << 20)];
    let file = SegmentWriter::create(&folder.path().join("segment"), &lengths).unwrap();
    for writer in [file, SegmentWriter::in_memory(&lengths).unwrap()] {
        writer.write_at(SectionId(2), 3 << 20, &[1]).unwrap();
        let segment = writer.finish(b"").unwrap();
        assert_eq!(segment.section(SectionId(1)).unwrap(), [0; 100]);
        let ones = segment.section(SectionId(2)).unwrap().iter().filter(|byte| **byte != 0);
        assert_eq!(ones.count(), 1);
    }
}

#[test]
fn sections_lie_close_together() {
    let sections = sections(&[10, 2 << 20, 20, 5 << 20]);
    let image = forge::image(&borrowed(&sections), b"");
    let segment = forge::open(&image).unwrap();
    let mut end = None;
    for id in [10, 30, 20, 40].map(SectionId) {
        let section = segment.section(id).unwrap();
        let start = section.as_ptr().addr() - segment.maps[0].as_ptr().addr();
        let follows = end.is_none_or(|end| (end..end + 64).contains(&start));
        assert!(start.is_multiple_of(64) && follows, "{id:?} at {start}, after {end:?}");
        end = Some(start + section.len());
    }
    assert_eq!(end, Some(image.len()));
    assert!(small_image().len() < 2_048);
}

#[test]
fn any_flipped_bit_is_refused() {
    let image = small_image();
    assert!(forge::open(&image).is_ok());
    for at in 0..image.len() {
        for bit in 0..8 {
            let mut damaged = image.clone();
            damaged[at] ^= 1 << bit;
            assert!(forge::open(&damaged).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_flipped_byte_of_a_large_segment_is_refused_with_its_place() {
    let image = forge::image(&borrowed(&sections(&[100, (4 << 20) + 5, 3 << 20])), b"");
    let last = image.len() - (3 << 20);
    let check = |at: usize, expected: Option<&[u32]>| {
        let mut damaged = image.clone();
        damaged[at] ^= 0x10;
        let Fault::Content { from, to, sections } = fault_of(&damaged) else { panic!("byte {at}") };
        assert!((from..to).contains(&at), "{from}..{to} for {at}");
        assert_eq!(Some(sections.as_slice()), expected, "byte {at}");
    };
    check((2 << 20) - 1, Some(&[10, 20]));
    check(2 << 20, Some(&[20]));
    check((4 << 20) - 1, Some(&[20]));
    check(4 << 20, Some(&[20, 30]));
    // Damage to padding is harmless, but a changed file is always refused.
    check(last - 1, Some(&[20, 30]));
    check(last, Some(&[20, 30]));
    check(6 << 20, Some(&[30]));
    check(image.len() - 1, Some(&[30]));
}

#[test]
fn a_file_of_another_length_is_refused() {
    let image = small_image();
    for length in 0..image.len() {
        let fault = fault_of(&image[..length]);
        assert!(matches!(fault, Fault::Truncated { .. }), "{length} bytes: {fault}");
    }
    let longer = [image.as_slice(), &[0]].concat();
    assert_eq!(
        fault_of(&longer),
        Fault::TooLong { expected: image.len() as u64, found: longer.len() as u64 }
    );
    assert!(matches!(fault_of(&[0; 100]), Fault::NotASegment));
}

#[test]
fn a_newer_file_is_distinguished_from_a_damaged_one() {
    let mut image = small_image();
    image[8] = 2;
    assert_eq!(fault_of(&image), Fault::Header);
    let checksum = checksum::of(&image[..24]).to_le_bytes();
    image[24..32].copy_from_slice(&checksum);
    assert_eq!(fault_of(&image), Fault::Version { found: 2, known: 1 });
    // The bytes after the first 32 do not matter there.
    image.truncate(40);
    assert_eq!(fault_of(&image), Fault::Version { found: 2, known: 1 });
}

#[test]
fn swapped_sections_are_refused() {
    let image = forge::image(&borrowed(&sections(&[64, 64])), b"");
    let mut swapped = image.clone();
    let header_bytes = image.len() - 128;
    swapped[header_bytes..].rotate_left(64);
    assert!(matches!(fault_of(&swapped), Fault::Content { .. }));
    let mut renamed = image;
    renamed[48..96].rotate_left(24);
    assert_eq!(fault_of(&renamed), Fault::Header);
}

#[test]
fn a_signed_header_that_cannot_be_right_is_refused() {
    let check = |at: usize, value: u64, bytes: usize, expected: &str| {
        let mut image = small_image();
        image[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
        forge::sign(&mut image);
        assert_eq!(fault_of(&image), Fault::Contradiction(Box::leak(expected.into())), "{value} at {at}");
    };
    let (id, offset, length) = (48, 56, 64);
    check(32, u64::from(u32::MAX), 4, "the header is too short for what it holds");
    check(36, u64::from(u32::MAX), 4, "the number of checksums is wrong");
    check(40, u64::from(u32::MAX), 4, "the header is too short for what it holds");
    check(44, 1, 4, "bytes that mean nothing are not zero");
    check(40, 0, 4, "bytes that mean nothing are not zero");
    check(id, 20, 4, "two sections have one id");
    check(offset, 0, 8, "sections overlap or are out of order");
    check(offset, 1_601, 8, "a section is not aligned");
    check(offset, u64::MAX - 63, 8, "a section ends after the file");
    check(length, u64::MAX, 8, "a section ends after the file");
    check(length, 200, 8, "sections overlap or are out of order");
}

#[test]
fn a_file_that_is_refused_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segment-12");
    let check = |content: Option<&[u8]>, expected: &str| {
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let message = SegmentFile::open(&path).unwrap_err().to_string();
        assert!(message.contains("segment-12") && message.contains(expected), "{message}");
    };
    check(None, "cannot open");
    check(Some(b""), "truncated");
    check(Some(&[7; 5_000]), "not a segment file");
    check(Some(&small_image()[..1_500]), "truncated");
}

#[test]
fn a_crash_before_the_rename_leaves_only_what_is_cleared_away() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segment");
    drop(written(&path));
    let next = folder.path().join("next");
    let writer = SegmentWriter::create(&next, &[(SectionId(1), 3 << 20)]).unwrap();
    writer.write_at(SectionId(1), 0, &[1; 1_000]).unwrap();
    std::mem::forget(writer);
    assert_eq!(names_in(&folder), [Path::new("next.tmp"), Path::new("segment")]);
    // An unfinished file is never accepted as a segment, even under its final name.
    assert!(SegmentFile::open(&folder.path().join("next.tmp")).is_err());
    // An unfinished file does not prevent writing it again.
    drop(SegmentWriter::create(&next, &[(SectionId(1), 10)]).unwrap());
    assert_eq!(names_in(&folder), [Path::new("segment")]);
    fs::write(folder.path().join("other.tmp"), b"half").unwrap();
    assert_eq!(remove_leftovers(folder.path()).unwrap(), 1);
    assert_eq!(names_in(&folder), [Path::new("segment")]);
    assert!(SegmentFile::open(&path).is_ok());
}

#[test]
fn a_writer_that_fails_or_is_dropped_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segment");
    drop(SegmentWriter::create(&path, &[(SectionId(1), 10)]).unwrap());
    let writer = SegmentWriter::create(&path, &[(SectionId(1), 10)]).unwrap();
    assert!(writer.finish(&[0; META_BYTES_MAX + 1]).is_err());
    let writer = SegmentWriter::in_memory(&[]).unwrap();
    assert!(writer.finish(&[0; META_BYTES_MAX + 1]).is_err());
    assert!(SegmentWriter::create(&path, &[(SectionId(1), 10), (SectionId(1), 10)]).is_err());
    assert!(SegmentWriter::create(&path, &[(SectionId(1), usize::MAX)]).is_err());
    assert!(SegmentWriter::in_memory(&[(SectionId(1), usize::MAX - 10_000)]).is_err());
    assert!(names_in(&folder).is_empty());
}

#[test]
fn writing_outside_a_section_is_an_error() {
    let writer = SegmentWriter::in_memory(&[(SectionId(1), 10)]).unwrap();
    assert!(writer.write_at(SectionId(1), 0, &[1; 10]).is_ok());
    assert!(writer.write_at(SectionId(1), 10, &[]).is_ok());
    assert!(writer.write_at(SectionId(1), 1, &[1; 10]).is_err());
    assert!(writer.write_at(SectionId(1), usize::MAX, &[1]).is_err());
    assert!(writer.write_at(SectionId(2), 0, &[]).is_err());
    assert!(writer.read_at(SectionId(1), 9, &mut [0; 2]).is_err());
}

#[test]
fn a_removed_segment_is_readable_until_it_is_dropped() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segment");
    let segment = written(&path);
    assert_eq!(segment.path(), Some(path.as_path()));
    segment.remove().unwrap();
    assert!(names_in(&folder).is_empty());
    check_holds(&segment, &sections(&[100, 200]), b"note");
    segment.remove().unwrap();
}

#[test]
fn a_segment_can_replace_another_that_is_still_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segment");
    let old = written(&path);
    let writer = SegmentWriter::create(&path, &[(SectionId(1), 5)]).unwrap();
    writer.write_at(SectionId(1), 0, b"newer").unwrap();
    let new = writer.finish(b"").unwrap();
    assert_eq!(new.section(SectionId(1)).unwrap(), b"newer");
    check_holds(&old, &sections(&[100, 200]), b"note");
}

#[test]
fn nothing_of_the_content_is_printed() {
    let folder = TempDir::new().unwrap();
    let segment = written(&folder.path().join("segment"));
    let printed = format!("{segment:?}");
    assert!(printed.contains("sections: 2") && !printed.contains("110, 111, 116, 101"), "{printed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sections_of_any_lengths_come_back(
        small in vec(0_usize..5_000, 0..10),
        large in vec((2_usize << 20) - 70..(2 << 20) + 70, 0..2),
        piece_bytes in 1_000_usize..3_000_000,
        meta in vec(any::<u8>(), 0..META_BYTES_MAX),
    ) {
        check_round_trip(&[small, large].concat(), piece_bytes, &meta);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(
        mut bytes in vec(any::<u8>(), 0..4_000),
        patches in vec((0_usize..2_000, any::<u8>()), 1..8),
    ) {
        let _ = forge::open(&bytes);
        forge::sign(&mut bytes);
        let _ = forge::open(&bytes);
        let mut image = small_image();
        for (at, byte) in patches {
            let at = at % image.len();
            image[at] = byte;
        }
        forge::sign(&mut image);
        if let Ok(segment) = forge::open(&image) {
            prop_assert!(segment.sections.iter().all(|section| segment.section(section.id).is_some()));
        }
    }
}
