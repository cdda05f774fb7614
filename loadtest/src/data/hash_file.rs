//! Files of hashes: 32-byte records and nothing else, so that every other program can read them.
//!
//! `FILE` holds the rows, `FILE.queries` the queries, and `FILE.answers` the right answers
//! ([`crate::data::answers`]), which also hold digests of the other two, because those contain only records.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::Hash;

/// Returns the path of the queries that belong to a data file.
pub(crate) fn queries_path(data: &Path) -> PathBuf {
    beside(data, ".queries")
}

/// Returns the path of the answers that belong to a data file.
pub(crate) fn answers_path(data: &Path) -> PathBuf {
    beside(data, ".answers")
}

fn beside(data: &Path, ending: &str) -> PathBuf {
    let mut path = OsString::from(data);
    path.push(ending);
    path.into()
}

/// Reads every record, or only the first `at_most` records.
pub(crate) fn read(path: &Path, at_most: Option<usize>) -> anyhow::Result<Vec<Hash>> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let bytes = file.metadata().with_context(|| format!("cannot examine {}", path.display()))?.len();
    let record = size_of::<Hash>() as u64;
    if bytes % record != 0 {
        bail!("{} is damaged: {bytes} bytes are not a whole number of {record}-byte hashes", path.display());
    }
    if bytes == 0 {
        bail!("{} is empty", path.display());
    }
    let held = usize::try_from(bytes / record)?;
    let mut hashes = vec![[0; 32]; at_most.map_or(held, |at_most| at_most.min(held))];
    file.read_exact(hashes.as_flattened_mut()).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hashes)
}

/// Returns the BLAKE3 digest of records, as the answers file stores it.
pub(crate) fn digest(hashes: &[Hash]) -> [u8; 32] {
    *blake3::hash(hashes.as_flattened()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let hashes: Vec<Hash> = (0..100).map(|at| [at; 32]).collect();
        std::fs::write(&path, hashes.as_flattened()).unwrap();
        assert_eq!(read(&path, None).unwrap(), hashes);
        assert_eq!(read(&path, Some(7)).unwrap(), hashes[..7]);
        assert_eq!(read(&path, Some(1_000)).unwrap(), hashes);
    }

    #[test]
    fn an_odd_length_an_empty_and_a_missing_file_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let refusal = |path: &Path| format!("{:#}", read(path, None).unwrap_err());
        assert!(refusal(&path).contains("cannot open") && refusal(&path).contains("rows"));
        std::fs::write(&path, []).unwrap();
        assert!(refusal(&path).ends_with("rows is empty"));
        std::fs::write(&path, [0; 33]).unwrap();
        assert!(refusal(&path).ends_with("33 bytes are not a whole number of 32-byte hashes"));
    }
}
