//! Commands about files: their hashes and matches.

pub(crate) mod match_files;
pub(crate) mod match_summary;
pub(crate) mod inputs;
pub(crate) mod hash;
pub(crate) mod image_hasher;
pub(crate) mod image_file;
pub(crate) mod media_file;
pub(crate) mod folders;
