//! A linear scan of an array: no index.

use std::path::Path;

use anyhow::{bail, ensure};
use vigie_index::{Entry, Hit};
use vigie_model::Distance;

use super::{Engine, Search, Updates, entry};
use crate::Hash;
use crate::data::scan::{Found, scan};

/// Rows that are compared with all queries of a batch before the next rows: 64 KiB, which fits the
/// second-level cache.
const TILE: usize = 2_048;

pub(super) struct Flat {
    rows: Vec<Hash>,
}

pub(super) fn build(rows: &[(Hash, Entry)], directory: Option<&Path>) -> anyhow::Result<Flat> {
    if directory.is_some() {
        return refuse_directory();
    }
    let in_order = (0..).zip(rows).all(|(row, (_, held))| *held == entry(row));
    ensure!(in_order, "a row's number is its place");
    Ok(Flat { rows: rows.iter().map(|&(hash, _)| hash).collect() })
}

pub(super) fn refuse_directory<T>() -> anyhow::Result<T> {
    bail!("the flat engine keeps nothing on disk: leave out --directory")
}

impl Search for Flat {
    fn search(&self, queries: &[Hash], radius: Distance) -> Vec<Vec<Hit>> {
        let mut answers = vec![Vec::new(); queries.len()];
        let mut found = Vec::new();
        for (base, rows) in (0_u64..).step_by(TILE).zip(self.rows.chunks(TILE)) {
            for (query, answer) in queries.iter().zip(&mut answers) {
                scan(rows, query, radius.bits(), &mut found);
                answer.extend(found.drain(..).map(|Found { row, distance }| Hit {
                    entry: entry(base + u64::from(row)),
                    distance: Distance(distance.into()),
                }));
            }
        }
        for answer in &mut answers {
            answer.sort_unstable();
        }
        answers
    }
}

impl Engine for Flat {
    fn is_exact(&self) -> bool {
        true
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn account(&self) -> Option<u64> {
        Some(size_of_val(&self.rows[..]) as u64)
    }

    fn updates(&self) -> Option<&dyn Updates> {
        None
    }
}
