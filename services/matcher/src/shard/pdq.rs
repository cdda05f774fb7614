//! The choice of the engine that searches PDQ hashes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The engine that searches PDQ hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PdqEngine {
    /// Finds every hash within the distance.
    #[default]
    Exact,
    /// May miss a match, and is slower than the exact engine up to large numbers of hashes. It exists for
    /// comparison. Answers say that they are approximate.
    Hnsw,
}
