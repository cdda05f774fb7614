//! Reads lines of hashes to look up. `vigie_formats::files` reads files of hashes to bank.

mod query_hashes;
mod queries;

pub(crate) use queries::{QueryLine, query_lines};
pub(crate) use query_hashes::QueryHashes;
pub(crate) use vigie_formats::files::any_hash;
