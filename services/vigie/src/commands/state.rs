//! Commands that query or test a running cluster.

pub(crate) mod statistics;
pub(crate) mod status;
pub(crate) mod health;
pub(crate) mod try_out;
