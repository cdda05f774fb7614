//! Limits on a member's use: its quota, and the meter in which a process counts what was spent.

pub mod quota;
mod gcra;
mod seen;
pub mod meter;
pub mod near;

pub use meter::{Meter, Spent, UnitLimit};
pub use near::{Asked, Judged, Near, NearLimits, PdqBits, Repeat, Seen, Sign};
pub use quota::{Amount, AmountError, Quota};
