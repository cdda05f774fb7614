//! Measurement of times: alternating short slices of each condition, and histograms of single searches.

mod times;
mod latency;
mod throughput;
mod updates;
mod tail;

pub(crate) use latency::{Latency, latency};
pub(crate) use tail::{TailCost, tail};
pub(crate) use throughput::{Throughput, throughput};
pub(crate) use times::Plan;
pub(crate) use updates::{Condition, UpdateCost, updates};
