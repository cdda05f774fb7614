//! Measures how well a model separates the classes, on labelled content.
//!
//! Reading order: `beta` and `interval` (the arithmetic), `sample` (labelled scores), `table` (measured rates
//! of each threshold).

mod beta;
mod interval;
mod sample;
mod table;
#[cfg(test)]
mod tests;

pub use interval::{Estimate, SAMPLE_MAX, upper_bound};
pub use sample::{ContentDigest, Label, Sample, SampleError};
pub use table::{Calibration, CalibrationDraft, ClassTable, ClassTableDraft, Measured, Row};

pub(crate) use interval::is_supported;
