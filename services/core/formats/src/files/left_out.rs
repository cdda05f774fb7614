//! Counts of the parts of a file that are neither items nor faults.

use std::collections::BTreeMap;

/// The largest number of names that are counted separately.
const NAMES_MAX: usize = 64;
/// The largest length of a name that is shown, in bytes. A longer name may be a hash.
const NAME_LEN_MAX: usize = 24;

/// Counts of the omitted parts of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The numbers of unknown hash types and columns, by kind and name.
    pub unknown: BTreeMap<String, u64>,
    /// The number of entries that report a withdrawal.
    pub withdrawn: u64,
}

impl LeftOut {
    /// Counts one unknown type or column with this name.
    pub(in crate::files) fn unknown(&mut self, kind: &str, name: &str) {
        let name = if name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control) {
            format!("{kind} {name}")
        } else {
            format!("{kind} with a long name")
        };
        let is_full = self.unknown.len() >= NAMES_MAX && !self.unknown.contains_key(&name);
        *self.unknown.entry(if is_full { format!("others: {kind}") } else { name }).or_default() += 1;
    }
}
