//! Measures the recall of an approximate index, compared with a scan.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::{BankFilter, Cancellation, Cancelled};
use vigie_model::Recall;

use super::answer::Wanted;
use super::metric::Metric;
use super::view::{Manner, View};

/// The number of neighbours that are searched. The usual figure of the field is the recall at 10.
const K: usize = 10;

/// The number of sampled rows. It makes the figure accurate to about 0.01; the scans take 200 times as long
/// as one.
const SAMPLE: u32 = 200;

impl<M: Metric> View<M> {
    /// Measures this view; `None` if it is empty or the measurement was cancelled.
    pub(crate) fn recall(&self, cancel: &Cancellation) -> Option<Recall> {
        // Every row has the same chance.
        let rows: usize = self.all_rows().map(|rows| rows.row_count()).sum();
        if self.live == 0 || rows == 0 {
            return None;
        }
        let mut random = SmallRng::seed_from_u64(self.live as u64);
        let (mut found, mut true_ones) = (0, 0);
        for _ in 0..SAMPLE {
            let mut at = random.random_range(0..rows);
            let holder = self.all_rows().find(|rows| {
                let here = at < rows.row_count();
                at -= if here { 0 } else { rows.row_count() };
                here
            })?;
            let query = self.metric.perturbed(holder.vector_of_row(at), &mut random);
            let (found_here, true_here) = self.compare(&query, cancel).ok()?;
            found += found_here;
            true_ones += true_here;
        }
        Some(Recall { value: f64::from(found) / f64::from(true_ones), sample: SAMPLE, k: small(K) })
    }

    /// Returns how many neighbours were found within the distance of the true ones, and how many true ones
    /// there are.
    fn compare(&self, query: &[M::Element], cancel: &Cancellation) -> Result<(u32, u32), Cancelled> {
        let truth = self.search_one(query, Wanted::Nearest(K), Manner::Scan, &BankFilter::all(), cancel)?;
        let farthest = truth.last().map_or(-1.0, |last| last.distance);
        let answers = self.search([query], Wanted::Nearest(K), &BankFilter::all(), cancel)?;
        let near = answers.iter().flatten().filter(|found| found.distance <= farthest);
        Ok((small(near.count()), small(truth.len())))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an answer holds at most K")]
const fn small(count: usize) -> u32 {
    count as u32
}
