//! Compares an engine's answers with the right ones.

use anyhow::{bail, ensure};
use serde::Serialize;
use vigie_index::Hit;
use vigie_model::Distance;

use crate::Hash;
use crate::data::answers::{Answer, Answers, Total};
use crate::data::scan::Found;
use crate::index::engine::Engine;

/// Queries in one call when batches are checked.
const BATCH: usize = 64;

/// The result of comparing the answers within one radius.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Checked {
    pub(crate) radius: u16,
    pub(crate) queries: usize,
    /// Rows in the right answers.
    pub(crate) rows: u64,
    /// Whether every answer was right. For an exact engine this is always true, because otherwise the run
    /// ends.
    pub(crate) equal: bool,
    /// The share of the listed right rows that were found.
    pub(crate) recall: f64,
}

/// Searches the answered queries within each radius of the file, one by one and in batches.
///
/// Fails at the first wrong answer of an exact engine, and if any engine returns a row that is not there.
pub(crate) fn check(
    engine: &dyn Engine,
    queries: &[Hash],
    answers: &Answers,
) -> anyhow::Result<Vec<Checked>> {
    let answered = answers.answers.len().min(queries.len());
    let radii = answers.radii.iter().enumerate();
    radii
        .map(|(level, &radius)| {
            let mut comparison = Comparison { level, radius, rows: 0, equal: true, right: 0, found: 0 };
            for batch in [1, BATCH] {
                let batches = queries[..answered].chunks(batch).zip(answers.answers.chunks(batch));
                for (at, (queries, right)) in batches.enumerate() {
                    let given = engine.search(queries, Distance(radius.into()));
                    ensure!(given.len() == queries.len(), "{} answers to {batch} queries", given.len());
                    for (within, (right, given)) in right.iter().zip(&given).enumerate() {
                        comparison.compare(at * batch + within, right, given, engine.is_exact())?;
                    }
                }
            }
            Ok(comparison.outcome(answered))
        })
        .collect()
}

struct Comparison {
    level: usize,
    radius: u16,
    rows: u64,
    equal: bool,
    right: u64,
    found: u64,
}

impl Comparison {
    fn compare(&mut self, query: usize, right: &Answer, given: &[Hit], is_exact: bool) -> anyhow::Result<()> {
        let given: Vec<Found> = given.iter().map(found).collect::<anyhow::Result<_>>()?;
        let mut total = Total::default();
        given.iter().for_each(|&one| total.add(one));
        let expected = right.totals[self.level];
        self.rows += expected.count;
        let listed = self.level < right.listed_radii;
        let expected_rows = right.listed.iter().filter(|one| one.distance <= self.radius);
        if listed {
            let mut sorted = given.clone();
            sorted.sort_unstable_by_key(|one| (one.distance, one.row));
            let is_given = |one: &&Found| {
                sorted
                    .binary_search_by_key(&(one.distance, one.row), |held| (held.distance, held.row))
                    .is_ok()
            };
            let present = expected_rows.clone().filter(is_given).count() as u64;
            self.right += expected.count;
            self.found += present;
            if given.len() as u64 > present {
                bail!(
                    "query {query} within {}: {} of the found rows do not exist, are too far, or were found twice",
                    self.radius,
                    given.len() as u64 - present
                );
            }
        }
        if total == expected {
            return Ok(());
        }
        self.equal = false;
        if is_exact {
            let missing = expected_rows.filter(|one| listed && !given.contains(one)).map(|one| one.row);
            let missing: Vec<u32> = missing.take(10).collect();
            bail!(
                "query {query} within {}: found {} rows, expected {}, or found other rows; listed rows that are missing: {missing:?}",
                self.radius,
                total.count,
                expected.count
            );
        }
        Ok(())
    }

    fn outcome(&self, queries: usize) -> Checked {
        let recall = if self.right == 0 { 1.0 } else { self.found as f64 / self.right as f64 };
        // Each query was searched twice: alone and in a batch.
        Checked { radius: self.radius, queries, rows: self.rows / 2, equal: self.equal, recall }
    }
}

fn found(hit: &Hit) -> anyhow::Result<Found> {
    Ok(Found { row: u32::try_from(hit.entry.item.0)?, distance: hit.distance.bits() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::engine::{Search, Updates, entry};

    /// Gives the same answer to every query.
    struct Fixed {
        rows: Vec<(u64, u16)>,
        exact: bool,
    }

    impl Search for Fixed {
        fn search(&self, queries: &[Hash], _: Distance) -> Vec<Vec<Hit>> {
            let hit = |&(row, distance): &(u64, u16)| Hit {
                entry: entry(row),
                distance: Distance(distance.into()),
            };
            queries.iter().map(|_| self.rows.iter().map(hit).collect()).collect()
        }
    }

    impl Engine for Fixed {
        fn is_exact(&self) -> bool {
            self.exact
        }

        fn len(&self) -> usize {
            self.rows.len()
        }

        fn account(&self) -> Option<u64> {
            None
        }

        fn updates(&self) -> Option<&dyn Updates> {
            None
        }
    }

    fn checked(rows: &[(u64, u16)], exact: bool) -> anyhow::Result<Vec<Checked>> {
        let radii = vec![31];
        let mut answer = Answer::empty(&radii);
        for (row, distance) in [(3, 4), (8, 31)] {
            answer.add(Found { row, distance }, &radii);
        }
        answer.finish();
        let answers = Answers {
            rows: 10,
            rows_digest: [0; 32],
            queries_digest: [0; 32],
            radii,
            answers: vec![answer; 100],
        };
        check(&Fixed { rows: rows.to_vec(), exact }, &[[0; 32]; 100], &answers)
    }

    #[test]
    fn right_answers_pass() {
        let outcome = checked(&[(3, 4), (8, 31)], true).unwrap();
        assert_eq!(outcome, [Checked { radius: 31, queries: 100, rows: 200, equal: true, recall: 1.0 }]);
    }

    #[test]
    fn an_exact_engine_that_misses_a_row_ends_the_run() {
        let refusal = checked(&[(3, 4)], true).unwrap_err().to_string();
        assert!(refusal.contains("query 0 within 31") && refusal.contains("[8]"), "{refusal}");
    }

    #[test]
    fn an_approximate_engine_that_misses_a_row_has_its_recall_reported() {
        let outcome = checked(&[(3, 4)], false).unwrap();
        assert_eq!(outcome, [Checked { radius: 31, queries: 100, rows: 200, equal: false, recall: 0.5 }]);
    }

    #[test]
    fn rows_that_are_not_there_end_the_run_of_any_engine() {
        for wrong in [[(3, 4), (9, 31)], [(3, 4), (8, 30)], [(3, 4), (3, 4)]] {
            assert!(checked(&wrong, false).is_err(), "{wrong:?}");
        }
    }
}
