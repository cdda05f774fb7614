//! Lines of hashes to ask about. Files of hashes to bank are read by `vigie_formats::files`.

mod query_hashes;
mod queries;

pub(crate) use queries::{QueryLine, query_lines};
pub(crate) use query_hashes::QueryHashes;
pub(crate) use vigie_formats::files::any_hash;
