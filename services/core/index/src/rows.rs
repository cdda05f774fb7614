//! The storage of rows: files of sections, segments, the tail, and the folder that an index owns.

pub(crate) mod segment_file;
pub(crate) mod segment_writer;
pub(crate) mod saved;
pub(crate) mod stored;
pub mod container;
pub(crate) mod locator;
pub(crate) mod tombstones;
pub(crate) mod segment;
pub(crate) mod tail;
pub(crate) mod home;
