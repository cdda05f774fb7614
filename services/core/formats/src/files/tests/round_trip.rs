//! Checks that written files are read back with the same hashes.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vigie_model::{Frame, ItemDraft};

use super::*;
use crate::files::{FileWriter, Written};

fn hashes() -> impl Strategy<Value = Vec<Hash>> {
    let types: Vec<HashType> = HashType::of_table().chain([vectors::small(), vectors::bytes()]).collect();
    let hash = (proptest::sample::select(types), any::<u64>())
        .prop_map(|(hash_type, seed)| Hash::sample(hash_type, seed));
    proptest::collection::vec(hash, 1..6)
}

fn items() -> impl Strategy<Value = Vec<ItemContent>> {
    let text = "[ -~]{0,12}|[a-z\",;\\\\<&'\t ]{1,8}|\\PC{1,4}";
    let labels = proptest::collection::vec("[!-~]{1,8}|[a-z;, ]{1,6}x", 0..3);
    let item = (hashes(), labels, text, "[0-9]{1,3}-[a-z]{1,3}|\\PC{0,3}").prop_map(
        |(hashes, labels, one, other)| {
            let external_reference =
                format!("{one}{other}").chars().filter(|letter| !letter.is_control()).collect();
            ItemContent::try_from(ItemDraft { hashes, labels, external_reference }).unwrap()
        },
    );
    proptest::collection::vec(item, 0..6)
}

/// Writes items, reads them back, and compares the hashes that the file can hold.
fn check(items: &[ItemContent], format: Format, hash_type: Option<HashType>) {
    let mut file = Vec::new();
    let mut writer =
        FileWriter::begin(Box::new(&mut file), format, hash_type, "2026-11-28T16:20:05Z").unwrap();
    for (item, id) in items.iter().zip(1..) {
        let labels: Vec<String> = item.labels().iter().map(ToString::to_string).collect();
        let external_reference = item.external_reference().unwrap_or_default();
        let (added_at_unix_ms, added_at) = (1_795_882_805_000, "2026-11-28T16:20:05Z");
        let written = Written {
            id,
            added_at_unix_ms,
            added_at,
            hashes: item.hashes(),
            labels: &labels,
            external_reference,
        };
        writer.item(&written).unwrap();
    }
    let counts = writer.finish().unwrap();
    let text = String::from_utf8(file).unwrap();
    let read =
        Read::of(&text, ReadOptions { format: Some(format), hash_type, ..ReadOptions::default() }).unwrap();
    assert_eq!(read.bad, [], "{format}: {text}");
    let all: BTreeSet<Hash> = items.iter().flat_map(|item| item.hashes().iter().cloned()).collect();
    let back: BTreeSet<Hash> =
        read.items.iter().flat_map(|(_, item)| item.hashes().iter().cloned()).collect();
    let is_held = |hash: &&Hash| match (format, hash.hash_type()) {
        _ if hash_type.is_some_and(|only| only != hash.hash_type()) => false,
        (Format::Sums, of) => {
            [HashType::MD5, HashType::SHA1, HashType::SHA256, HashType::SHA512].contains(&of)
        }
        (Format::StopNcii, of) => [HashType::PDQ, HashType::MD5].contains(&of),
        (Format::Ncmec, of) => {
            [HashType::PDQ, HashType::MD5, HashType::SHA1, HashType::PHOTODNA].contains(&of)
        }
        _ => true,
    };
    assert_eq!(back, all.iter().filter(is_held).cloned().collect(), "{format}: {text}");
    let every: usize = items.iter().map(|item| item.hashes().len()).sum();
    assert_eq!(counts.hashes + counts.left_out, every as u64, "{format}");
    // Formats that hold whole items give back the same items.
    if matches!(format, Format::Csv | Format::Tsv | Format::Semicolon | Format::JsonLines)
        && hash_type.is_none()
    {
        let sets = |items: &mut dyn Iterator<Item = &ItemContent>| {
            items.map(|item| item.hashes().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(sets(&mut read.items.iter().map(|(_, item)| item)), sets(&mut items.iter()), "{format}");
    }
}

proptest! {
    #[test]
    fn an_export_is_imported_with_the_same_hashes(items in items()) {
        for format in Format::writable() {
            if !matches!(format, Format::List | Format::Named) {
                check(&items, format, None);
            }
            for hash_type in [HashType::PDQ, HashType::URL_MD5, HashType::TLSH, HashType::VPDQ, vectors::small()] {
                check(&items, format, Some(hash_type));
            }
        }
    }

    #[test]
    fn no_text_makes_a_reader_fail(text in "[ -~\n\t]{0,200}|\\PC{0,60}", pieces in proptest::collection::vec("[{}\\[\\]\",:<>a-f0-9/\n ;=()]{0,8}", 0..30)) {
        for text in [text, pieces.concat()] {
            for format in [None].into_iter().chain(Format::all().map(Some)) {
                // An error is allowed. The number of entries of a readable file is limited by its bytes.
                if let Ok(read) = Read::of(&text, ReadOptions { format, hash_type: Some(HashType::MD5), ..ReadOptions::default() }) {
                    prop_assert!(read.items.len() + read.bad.len() <= text.len() + 1);
                }
            }
        }
    }
}

/// Returns the frames of a video, all of which differ.
fn video(frames: u32) -> Hash {
    let frame = |at: u32| {
        let mut pdq = [7; 32];
        pdq[..4].copy_from_slice(&at.to_be_bytes());
        Frame { pdq, quality: 99, time_ms: at * 4_000 }
    };
    Hash::of_frames(&(0..frames).map(frame).collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_longest_videos_are_written_and_read_back_in_every_format() {
    let item = |hashes: Vec<Hash>, name: &str| {
        ItemContent::try_from(ItemDraft { hashes, labels: vec!["l".into()], external_reference: name.into() })
            .unwrap()
    };
    let items = [
        item(vec![video(4_000), video(96), Hash::md5([3; 16])], "a.mp4"),
        item(vec![video(4_096)], "b.mp4"),
        item(vec![video(2)], "c.mp4"),
    ];
    for format in Format::writable() {
        if !matches!(format, Format::List | Format::Named) {
            check(&items, format, None);
        }
        check(&items, format, Some(HashType::VPDQ));
        // The format is recognised by the beginning, although the first line is longer than that.
        let mut file = Vec::new();
        let mut writer = FileWriter::begin(Box::new(&mut file), format, Some(HashType::VPDQ), "").unwrap();
        let (hashes, labels) = (items[1].hashes(), &[][..]);
        let (id, added_at_unix_ms, added_at, external_reference) = (1, 0, "", "b.mp4");
        writer.item(&Written { id, added_at_unix_ms, added_at, hashes, labels, external_reference }).unwrap();
        if writer.finish().unwrap().items > 0 {
            let read = Read::plain(&String::from_utf8(file).unwrap());
            assert_eq!((read.items.len(), read.bad.len()), (1, 0), "{format}");
            assert_eq!(read.items[0].1.hashes(), hashes, "{format}");
        }
    }
}

#[test]
fn a_file_of_frames_is_one_item_that_its_file_names() {
    let long = video(4_096);
    let lines = long.to_text();
    let command: Vec<String> = lines
        .lines()
        .map(|line| {
            let [_, quality, pdq, time] = line.splitn(4, ',').collect::<Vec<_>>()[..] else { panic!() };
            format!("{pdq},{quality},{time}")
        })
        .collect();
    let indented = format!("[\n    \"{}\"\n]", command.join("\",\n    \""));
    for text in [lines.clone(), format!("{lines}\n"), command.join("\r\n"), long.to_line(), indented] {
        let options =
            ReadOptions { name: "film.mp4".into(), labels: vec!["l".into()], ..ReadOptions::default() };
        let read = Read::of(&text, options).unwrap();
        assert_eq!((read.format, read.items.len(), read.bad.len()), (Format::Vpdq, 1, 0), "{:?}", read.bad);
        assert_eq!(read.items[0].1.hashes(), std::slice::from_ref(&long));
        assert_eq!(read.items[0].1.external_reference(), Some("film.mp4"));
    }
    // One bad frame makes the video invalid, and the error names its line. A longer video omits frames that
    // hardly change.
    let bad = Read::plain(&lines.replacen("\n3,99,", "\n3,99,x", 1));
    assert!(bad.items.is_empty() && bad.bad[0].1.starts_with("line 4 is no frame"), "{:?}", bad.bad);
    let still: String = (0..9_000).map(|at| format!("{at},99,{},{at}.5\n", pdq(0xa1))).collect();
    let read = Read::plain(&still);
    assert_eq!(read.items[0].1.hashes()[0].frames().unwrap().len(), 2);
    let many: String = (0..5_000_u32)
        .map(|at| format!("{at},99,{},{at}\n", format!("{:08x}", at.wrapping_mul(0x9e37_79b9)).repeat(8)))
        .collect();
    let read = Read::plain(&many);
    assert!(read.items.is_empty() && read.bad[0].1.contains("1 to 4096 frames"), "{:?}", read.bad);
}

#[test]
fn what_cannot_be_written_is_refused() {
    for format in [Format::Pdq, Format::PdqDetails, Format::Vpdq] {
        let refused = FileWriter::begin(Box::new(io::sink()), format, None, "").unwrap_err().to_string();
        assert!(refused.contains("cannot be written") && refused.contains("jsonl"), "{refused}");
    }
    assert!(matches!(
        FileWriter::begin(Box::new(io::sink()), Format::List, None, ""),
        Err(FileError::UntypedList)
    ));
}
