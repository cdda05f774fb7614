//! The mapping from content ids to rows of the data.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use vigie_hashes::hex::{self, Hex};

use crate::Hash;
use crate::data::rows::Rows;
use crate::judge::oracle::Identity;

/// Rows that are drawn at a time.
const CHUNK: u32 = 65_536;

/// The mapping from content ids to rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Contents {
    /// Rows were added in order; the first has this id, and the following ids are consecutive.
    From(u64),
    /// The row of each content id.
    Listed(HashMap<u64, u32>),
}

impl Contents {
    /// Reads a file with a line `id,hash` for each row, in any order. Rows with equal hashes may swap their
    /// ids, because no lookup can distinguish them.
    pub(crate) fn read(path: &Path, rows: &Rows) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, rows).with_context(|| format!("{} does not list the data", path.display()))
    }

    fn parse(text: &str, rows: &Rows) -> anyhow::Result<Self> {
        let mut given = Vec::with_capacity(rows.count() as usize);
        for (number, line) in (1..).zip(text.lines()) {
            // The optional header of a table.
            if number == 1 && line.trim() == "id,hash" {
                continue;
            }
            given.push(pair(line).with_context(|| format!("line {number}"))?);
        }
        ensure!(
            given.len() == rows.count() as usize,
            "it has {} ids, and the data {} rows",
            given.len(),
            rows.count()
        );
        let mut drawn: Vec<(Hash, u32)> = Vec::with_capacity(given.len());
        for first in (0..rows.count()).step_by(CHUNK as usize) {
            drawn.extend(rows.rows(first, CHUNK).into_iter().zip(first..));
        }
        given.sort_unstable();
        drawn.sort_unstable();
        let mut listed = HashMap::with_capacity(given.len());
        for ((hash, id), (row_hash, row)) in given.into_iter().zip(drawn) {
            ensure!(hash == row_hash, "the hash of id {id} is not in the data, or too often in the file");
            if listed.insert(id, row).is_some() {
                bail!("id {id} is given twice");
            }
        }
        Ok(Self::Listed(listed))
    }

    /// Writes the ids of the rows in the format that [`Contents::read`] reads.
    pub(crate) fn write(ids: &[u64], path: &Path, rows: &Rows) -> anyhow::Result<()> {
        let mut text = "id,hash\n".to_owned();
        for (first, ids) in (0..rows.count()).step_by(CHUNK as usize).zip(ids.chunks(CHUNK as usize)) {
            for (hash, id) in rows.rows(first, CHUNK).iter().zip(ids) {
                writeln!(text, "{id},{}", Hex(hash))?;
            }
        }
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Returns the mapping of rows that were added one by one; `ids` has the id of each row.
    pub(crate) fn of_rows(ids: &[u64]) -> anyhow::Result<Self> {
        let listed: HashMap<u64, u32> = ids.iter().copied().zip(0..).collect();
        ensure!(listed.len() == ids.len(), "two rows were given the same id");
        Ok(Self::Listed(listed))
    }

    pub(crate) fn row(&self, content: u64) -> Identity {
        let row = match self {
            Self::From(first) => content.checked_sub(*first).and_then(|row| u32::try_from(row).ok()),
            Self::Listed(listed) => listed.get(&content).copied(),
        };
        row.map_or(Identity::Unknown, Identity::Row)
    }
}

fn pair(line: &str) -> anyhow::Result<(Hash, u64)> {
    let (id, hash) = line.split_once(',').context("it is not `id,hash`")?;
    let id = id.trim().parse().context("the id is no number")?;
    let hash = hex::decode_array(hash.trim()).context("the hash is not 64 hexadecimal digits")?;
    Ok((hash, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ShapeName;
    use crate::run::scenario::Scenario;

    fn rows(count: u32) -> Rows {
        let mut scenario = Scenario::parse("name = 'x'\n[arrivals]\nrate = 1\n").unwrap();
        scenario.data.shape = ShapeName::Uniform;
        scenario.data.hashes = count;
        Rows::new(&scenario).unwrap()
    }

    #[test]
    fn ids_in_any_order_are_found_by_their_hashes() {
        let rows = rows(3);
        let hash = |row| Hex(&rows.row(row).unwrap()).to_string();
        let text = format!("70,{}\n50,{}\n60,{}\n", hash(2), hash(0), hash(1));
        let contents = Contents::parse(&text, &rows).unwrap();
        let found = [50, 60, 70, 51].map(|id| contents.row(id));
        assert_eq!(found, [Identity::Row(0), Identity::Row(1), Identity::Row(2), Identity::Unknown]);
    }

    #[test]
    fn a_file_that_was_written_is_read_again() {
        let (folder, rows) = (tempfile::tempdir().unwrap(), rows(70_000));
        let path = folder.path().join("ids.csv");
        let ids: Vec<u64> = (0..70_000).map(|row| 1_000_000 - row * 3).collect();
        Contents::write(&ids, &path, &rows).unwrap();
        let contents = Contents::read(&path, &rows).unwrap();
        assert_eq!(contents, Contents::of_rows(&ids).unwrap());
    }

    #[test]
    fn a_file_that_does_not_list_the_data_is_refused_with_the_reason() {
        let rows = rows(2);
        let hash = |row| Hex(&rows.row(row).unwrap()).to_string();
        let cases = [
            (format!("1,{}\n", hash(0)), "it has 1 ids, and the data 2 rows"),
            (format!("1,{}\n1,{}\n", hash(0), hash(1)), "id 1 is given twice"),
            (format!("1,{}\n2,{}\n", hash(0), "5".repeat(64)), "is not in the data"),
            (format!("1,{}\nx,{}\n", hash(0), hash(1)), "line 2: the id is no number"),
            (format!("1,{}\n2\n", hash(0)), "line 2: it is not `id,hash`"),
            ("1,0f\n".to_owned(), "line 1: the hash is not 64 hexadecimal digits"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", Contents::parse(&text, &rows).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
