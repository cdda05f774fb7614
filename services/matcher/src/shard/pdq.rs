//! The choice of the engine that searches PDQ hashes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which engine searches PDQ hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PdqEngine {
    /// Finds every hash within the distance.
    #[default]
    Exact,
    /// May miss a match, and is slower than the exact one up to large numbers of hashes: it is there to be
    /// compared with. Answers say that they are approximate.
    Hnsw,
}
