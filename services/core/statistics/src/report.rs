//! The numbers for a period: by month, bank, class, member and verdict; latencies; precision; the fields of
//! published reports.

mod names;
mod numbers;
mod classifiers;
mod precision;
mod filled;
mod statistics;
#[cfg(test)]
pub(crate) mod tests;

pub use classifiers::{ClassifierNumbers, ScoreNumbers};
pub use filled::{FilledField, FilledReport, Value};
pub use numbers::{CUMULATIVE_STEP, MeasureNumbers, MemberNumbers, Part};
pub use precision::{Precision, Reviewed, Scope};
pub use statistics::{Input, LatencyNumbers, Reader, Statistics};
