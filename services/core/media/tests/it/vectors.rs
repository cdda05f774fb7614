//! Checks hashes against those of PyPI's `pdqhash`, for this crate's own files and, if available, the
//! reference's.

use std::path::{Path, PathBuf};
use std::{env, fs};

use vigie_media::{Limits, decode, digest, fingerprint};
use vigie_model::{Hash, HashType, ImageFingerprint, PdqHash};

/// A line of an `expected.csv`, by column name.
struct Row(Vec<(String, String)>);

impl Row {
    fn get(&self, column: &str) -> &str {
        self.find(column).unwrap_or_else(|| panic!("expected.csv has no column {column}"))
    }

    fn find(&self, column: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == column).map(|(_, value)| value.as_str())
    }

    fn number(&self, column: &str) -> u32 {
        self.get(column).parse().unwrap()
    }

    fn hash(&self, column: &str) -> PdqHash {
        Hash::from_text(HashType::PDQ, self.get(column)).unwrap().as_bytes().try_into().unwrap()
    }
}

/// Returns the files of a folder that its `expected.csv` names, with the expected values.
fn rows(folder: &Path) -> Vec<(Row, Vec<u8>)> {
    let table = fs::read_to_string(folder.join("expected.csv")).unwrap();
    let mut lines = table.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().unwrap().collect();
    lines
        .map(|values| {
            let row = Row(names.iter().cloned().zip(values).collect());
            let content = fs::read(folder.join(row.get("file"))).unwrap();
            (row, content)
        })
        .collect()
}

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// Returns a file of the reference's own data, if `VIGIE_REFERENCE_DATA` names its folder.
fn reference(name: &str) -> Option<PathBuf> {
    let Some(folder) = env::var_os("VIGIE_REFERENCE_DATA") else {
        println!("SKIPPED: VIGIE_REFERENCE_DATA names no folder with the reference's data (pdq/{name})");
        return None;
    };
    Some(Path::new(&folder).join("pdq").join(name))
}

fn distance(a: &PdqHash, b: &PdqHash) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

/// Returns the differences between `actual` and the row, in words. Hashes count only if the quality is above
/// 0, because at 0 rounding decides the bits.
fn differences(
    row: &Row,
    actual: &ImageFingerprint,
    distance_max: u32,
    quality_tolerance: u32,
) -> Vec<String> {
    let mut out = Vec::new();
    let quality = row.number("quality");
    if (actual.picture.width, actual.picture.height) != (row.number("width"), row.number("height")) {
        out.push(format!("size is {} x {}", actual.picture.width, actual.picture.height));
    }
    if u32::from(actual.picture.quality().get()).abs_diff(quality) > quality_tolerance {
        out.push(format!("quality is {} and not {quality}", actual.picture.quality()));
    }
    let columns = if row.find("d0").is_some() {
        &["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"][..]
    } else {
        &["pdq"]
    };
    for (column, hash) in columns.iter().zip(&actual.picture.first.plain.pdq).filter(|_| quality > 0) {
        let bits = distance(&row.hash(column), hash);
        if bits > distance_max {
            out.push(format!("{column} is {bits} bits off"));
        }
    }
    out.into_iter().map(|text| format!("{}: {text}", row.get("file"))).collect()
}

#[test]
fn own_vectors_agree_with_pdqhash() {
    let mut wrong = Vec::new();
    for (row, content) in rows(&own()) {
        let distance_max = row.number("distance_max");
        match fingerprint(&content, &Limits::default()) {
            Ok(actual) => {
                wrong.extend(differences(&row, &actual, distance_max, u32::from(distance_max > 0)));
                for hash_type in [HashType::MD5, HashType::SHA256] {
                    let digest = actual.digest(hash_type).map(Hash::to_text);
                    assert_eq!(digest.as_deref(), Some(row.get(&hash_type.to_string())));
                }
            }
            Err(error) => wrong.push(format!("{}: {error}", row.get("file"))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn lossless_files_decode_to_the_samples_that_pillow_gives() {
    let mut wrong = Vec::new();
    for (row, content) in rows(&own()) {
        let expected = row.get("rgb_md5");
        if expected.is_empty() {
            continue;
        }
        let actual = decode(&content, &Limits::default());
        let md5 = |rgb: &[u8]| digest::digests(rgb).into_iter().find(|one| one.hash_type() == HashType::MD5);
        let actual =
            actual.map(|picture| md5(picture.rgb()).map(|digest| digest.to_text()).unwrap_or_default());
        if actual.as_deref() != Ok(expected) {
            wrong.push(row.get("file").to_owned());
        }
    }
    assert!(wrong.is_empty(), "other samples: {wrong:#?}");
}

#[test]
fn every_synthetic_reference_vector_is_equal() {
    let Some(folder) = reference("synthetic") else { return };
    let mut wrong = Vec::new();
    for (row, content) in rows(&folder) {
        wrong.extend(differences(&row, &fingerprint(&content, &Limits::default()).unwrap(), 0, 0));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_reference_photo_is_within_two_bits() {
    let Some(folder) = reference("photos") else { return };
    let mut wrong = Vec::new();
    let mut distances = [0; 257];
    for (row, content) in rows(&folder) {
        let actual = fingerprint(&content, &Limits::default()).unwrap();
        distances[distance(&row.hash("pdq"), &actual.picture.first.plain.pdq[0]) as usize] += 1;
        wrong.extend(differences(&row, &actual, 2, 1));
    }
    println!("photos at 0, 1, 2 bits: {:?}", &distances[..3]);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
