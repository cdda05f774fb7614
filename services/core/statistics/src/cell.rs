//! Counted events: measures, the keys of counters, and counters.

mod measure;
mod key;
mod scored_class;
mod counts;

pub use counts::Counts;
pub use key::{CLASS_LEN_MAX, CellKey, CellKeyError, ClassText, VERDICT_LEN_MAX, VerdictText};
pub use measure::Measure;
pub use scored_class::ScoredClass;
