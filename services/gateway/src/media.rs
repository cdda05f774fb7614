//! Bytes that callers send or name: bodies within limits, files of forms, and pictures that are fetched.

pub(crate) mod bodies;
pub(crate) mod fetching;
pub(crate) mod form;
pub(crate) mod addresses;
