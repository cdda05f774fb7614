//! What a file holds that is no item and no fault.

use std::collections::BTreeMap;

/// Names that are counted one by one.
const NAMES_MAX: usize = 64;
/// Bytes of a name that is shown. A longer one may be a hash.
const NAME_LEN_MAX: usize = 24;

/// Counts of what was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Hash types and columns that are not known, by kind and name.
    pub unknown: BTreeMap<String, u64>,
    /// Entries that report a withdrawal.
    pub withdrawn: u64,
}

impl LeftOut {
    /// Counts what is called `name`.
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
