//! Compares hashes of many files in many forms with a table of the hashes of Pillow and `pdqhash`.
//!
//! `VIGIE_PICTURE_MATRIX` names a folder of files with an `expected.csv`, whose columns are `file`, `format`,
//! `feature`, `frame` (from 0), `pdq` (empty if Pillow refuses the file) and more. A row passes if a hash of
//! that frame is at most 2 bits away. Intended differences are listed in `testdata/known-differences.txt`,
//! one shell pattern a line, for a file's name or for `FORMAT/feature`. `VIGIE_PICTURE_MATRIX_EVERY=N` checks
//! every Nth row.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use vigie_media::{Limits, Ways, picture};
use vigie_model::{Hash, HashType, PdqHash, PictureFingerprint};

/// The largest distance of a hash from the expected one, in bits.
const BITS_MAX: u32 = 2;

/// A row of the table.
struct Row {
    file: String,
    feature: String,
    frame: u32,
    /// The expected hash; `None` if Pillow refuses the file.
    pdq: Option<PdqHash>,
}

fn rows(folder: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(folder.join("expected.csv")).unwrap();
    let read = reader.deserialize::<BTreeMap<String, String>>();
    read.map(|row| {
        let row = row.unwrap();
        let pdq = row["pdq"].as_str();
        let hash = || Hash::from_text(HashType::PDQ, pdq).unwrap().as_bytes().try_into().unwrap();
        let later = if row["frame"] == "0" { "" } else { ", later frame" };
        Row {
            file: row["file"].clone(),
            feature: format!("{}/{}{later}", row["format"], row["feature"]),
            frame: row["frame"].parse().unwrap(),
            pdq: (!pdq.is_empty()).then(hash),
        }
    })
    .collect()
}

/// Checks whether `text` matches `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Returns the distance of the nearest hash by which the row may be found.
fn distance(expected: &PdqHash, frame: u32, picture: &PictureFingerprint) -> Option<u32> {
    let bits =
        |hash: &PdqHash| hash.iter().zip(expected).map(|(one, other)| (one ^ other).count_ones()).sum();
    let found = picture.frames().filter(|one| one.number == frame);
    // The plain hash, because banks hold that one.
    found.map(|one| bits(&one.plain.pdq[0])).min()
}

#[test]
fn every_form_of_a_picture_has_the_hash_that_the_field_computes() {
    let Some(folder) = env::var_os("VIGIE_PICTURE_MATRIX").map(PathBuf::from) else {
        println!("SKIPPED: VIGIE_PICTURE_MATRIX names no folder of files with an expected.csv");
        return;
    };
    let every = env::var("VIGIE_PICTURE_MATRIX_EVERY").map_or(1, |every| every.parse().unwrap());
    let known =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/known-differences.txt"));
    let known = known.unwrap();
    let known: Vec<&str> =
        known.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).collect();
    let (mut wrong, mut unused) =
        (Vec::new(), known.iter().filter(|one| !one.is_empty()).collect::<BTreeSet<_>>());
    let rows = rows(&folder);
    let mut checked = 0;
    for row in rows.iter().step_by(every) {
        // A file that Pillow refuses may be hashed or not.
        let Some(expected) = &row.pdq else { continue };
        checked += 1;
        let content = fs::read(folder.join(&row.file)).unwrap();
        let outcome = match picture(&content, &Limits::default(), Ways::default()) {
            Err(error) => Err(error.to_string()),
            Ok(picture) => match distance(expected, row.frame, &picture) {
                Some(bits) if bits <= BITS_MAX => Ok(()),
                Some(bits) => Err(format!("{bits} bits")),
                None => Err("the frame is left out".to_owned()),
            },
        };
        let Err(difference) = outcome else { continue };
        let matching = known.iter().filter(|pattern| !pattern.is_empty());
        let matching: Vec<_> =
            matching.filter(|pattern| fits(pattern, &row.file) || fits(pattern, &row.feature)).collect();
        if matching.is_empty() {
            wrong.push(format!("{} frame {} ({}): {difference}", row.file, row.frame, row.feature));
        }
        for pattern in matching {
            unused.remove(pattern);
        }
    }
    println!("{checked} of {} rows checked; patterns without a row: {unused:?}", rows.len());
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn patterns_match_as_in_a_shell() {
    for (pattern, text, expected) in [
        ("a.png", "a.png", true),
        ("a.png", "a.png2", false),
        ("*", "", true),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abcd", false),
        ("TIFF/grey*", "PNG/grey, 16 bits", false),
        ("TIFF/grey*", "TIFF/grey, 16 bits", true),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} and {text}");
    }
}
