//! The parameters of an approximate index, and their limits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of an approximate index. The defaults suit 256-bit hashes and vectors of some hundred numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HnswConfig {
    /// Links of a node in each upper layer, 2 to 128; twice as many in the lowest. More links find more
    /// matches, and cost memory (about 100 bytes each) and time to build.
    #[schemars(range(min = 2, max = 128))]
    pub max_nb_connection: usize,
    /// Candidates kept while a node is linked, 8 to 4,096. More candidates make a better graph; the time to
    /// build it grows in proportion.
    #[schemars(range(min = 8, max = 4_096))]
    pub ef_construction: usize,
    /// Candidates kept while a search goes through a graph, 8 to 1,024. More candidates find more matches;
    /// the time of a search grows in proportion.
    #[schemars(range(min = 8, max = 1_024))]
    pub ef_search: usize,
    /// Threads that build a graph, 1 to 64. Searches have the other cores to themselves.
    #[schemars(range(min = 1, max = 64))]
    pub build_threads: usize,
    /// The number of new hashes of which a graph is built, 1 or more. Until then they are scanned.
    #[schemars(range(min = 1, max = ROWS_MAX))]
    pub list_rows_build: usize,
    /// The most hashes that are in no graph yet, at least `list_rows_build`. At this number writers wait for
    /// the build in progress, which bounds what a search has to scan.
    #[schemars(range(min = 1, max = ROWS_MAX))]
    pub list_rows_max: usize,
    /// The largest number of a graph's hashes, for each candidate of the search, at which they are scanned
    /// instead. A scan is exact, and up to about this number faster than the graph. 0 never scans. The number
    /// is for hashes of 32 bytes; for long vectors it is lowered, to a quarter for 1,536 bytes.
    #[schemars(range(max = 1 << 20))]
    pub scan_rows_per_ef: usize,
}

impl Default for HnswConfig {
    fn default() -> Self {
        Self {
            max_nb_connection: 16,
            ef_construction: 100,
            ef_search: 64,
            build_threads: 1,
            list_rows_build: 16_384,
            list_rows_max: 1 << 20,
            scan_rows_per_ef: 256,
        }
    }
}

impl HnswConfig {
    /// Returns every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |name: &str, value: usize, least: usize, most: usize| {
            if value < least || value > most {
                faults.push(format!("{name}: must be {least} to {most}, not {value}"));
            }
        };
        // The library counts links in a byte, and ends the process above 256 of them.
        check("max_nb_connection", self.max_nb_connection, 2, 128);
        check("ef_construction", self.ef_construction, 8, 4_096);
        check("ef_search", self.ef_search, 8, 1_024);
        check("build_threads", self.build_threads, 1, 64);
        check("list_rows_build", self.list_rows_build, 1, ROWS_MAX);
        check("list_rows_max", self.list_rows_max, self.list_rows_build.min(ROWS_MAX), ROWS_MAX);
        check("scan_rows_per_ef", self.scan_rows_per_ef, 0, 1 << 20);
        faults
    }

    /// Returns the number of rows of this length, for each candidate, up to which a scan is preferred.
    pub(crate) fn scan_rows_per_ef(&self, row_bytes: usize) -> usize {
        self.scan_rows_per_ef * (ROW_BYTES + SCAN_BYTES) / (ROW_BYTES + row_bytes)
    }
}

/// The length of the hashes for which `scan_rows_per_ef` is given, in bytes.
const SCAN_BYTES: usize = 32;

/// The part of the time to compare one row that does not grow with its length, as a number of bytes. With
/// this number, a scan of about 4,350 vectors of 384 `f32` is preferred to a graph with 64 candidates. On an
/// AMD EPYC with AVX-512 a scan of 4,000 takes as long as a search of such a graph of 20,000 (0.47 ms).
const ROW_BYTES: usize = 512;

/// Rows are counted in 32 bits, and half of that leaves room for a batch and a merge.
const ROWS_MAX: usize = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rows_are_scanned_in_smaller_numbers() {
        let config = HnswConfig::default();
        assert_eq!([32, 512, 1_536].map(|bytes| config.scan_rows_per_ef(bytes)), [256, 136, 68]);
        let never = HnswConfig { scan_rows_per_ef: 0, ..config };
        assert_eq!(never.scan_rows_per_ef(32), 0);
    }

    #[test]
    fn the_defaults_have_no_fault_and_every_fault_is_reported() {
        assert_eq!(HnswConfig::default().faults(), Vec::<String>::new());
        let wrong = HnswConfig {
            max_nb_connection: 256,
            ef_construction: 1,
            ef_search: 0,
            build_threads: 0,
            list_rows_build: 0,
            list_rows_max: usize::MAX,
            scan_rows_per_ef: usize::MAX,
        };
        assert_eq!(wrong.faults().len(), 7);
        let short = HnswConfig { list_rows_max: 10, ..HnswConfig::default() };
        assert_eq!(short.faults(), ["list_rows_max: must be 16384 to 2147483648, not 10"]);
    }
}
