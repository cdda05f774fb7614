//! The formats in which the field shares hashes: files of them, and the documents of sharing programmes.

pub mod files;
