//! Tests a follower of a fake source: numbers that are summed.

mod course;
mod fake;
mod run;
mod standing;
