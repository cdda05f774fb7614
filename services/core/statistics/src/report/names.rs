//! The rows and parts of tables. They are the same for every measure, so that the presence of one reveals no
//! count.

use std::collections::{BTreeMap, BTreeSet};

use vigie_model::{BankId, MemberId};

use crate::cell::CellKey;

/// The rows of members, and the parts by bank, class and verdict.
#[derive(Debug)]
pub(super) struct Names {
    /// The names of members by id; `None` for counts that belong to no member.
    pub(super) members: BTreeMap<Option<MemberId>, String>,
    /// The named banks.
    pub(super) banks: BTreeMap<BankId, String>,
    /// Classes as text; empty for none.
    pub(super) classes: BTreeSet<String>,
    /// Verdicts; empty for none.
    pub(super) verdicts: BTreeSet<String>,
}

/// The part of all banks without a name.
pub(super) const OTHER_BANKS: &str = "other banks";
/// The part of counts that belong to no bank.
pub(super) const NO_BANK: &str = "no bank";
/// The part of counts without a class or a verdict.
pub(super) const NONE: &str = "none";

impl Names {
    pub(super) fn new<'a>(
        keys: impl Iterator<Item = &'a CellKey>,
        members: &BTreeMap<MemberId, String>,
        banks: &BTreeMap<BankId, String>,
    ) -> Self {
        let mut names = Self {
            members: members.iter().map(|(member, name)| (Some(*member), name.clone())).collect(),
            banks: banks.clone(),
            classes: BTreeSet::new(),
            verdicts: BTreeSet::new(),
        };
        for key in keys {
            let unnamed =
                || key.member.map_or_else(|| "no member".to_owned(), |member| format!("member {member}"));
            names.members.entry(key.member).or_insert_with(unnamed);
            // The classes of models have their own tables.
            if !key.what.is_of_classifiers() {
                names.classes.insert(Self::class(key));
                names.verdicts.insert(Self::verdict(key));
            }
        }
        names
    }

    /// Returns only the rows of members.
    pub(super) fn of_members(&self) -> Self {
        let (banks, classes, verdicts) = Default::default();
        Self { members: self.members.clone(), banks, classes, verdicts }
    }

    pub(super) fn bank(&self, key: &CellKey) -> String {
        let Some(bank) = key.bank else { return NO_BANK.to_owned() };
        self.banks.get(&bank).cloned().unwrap_or_else(|| OTHER_BANKS.to_owned())
    }

    /// Returns the names of the parts by bank.
    pub(super) fn bank_parts(&self) -> BTreeSet<String> {
        self.banks.values().cloned().chain([NO_BANK.to_owned(), OTHER_BANKS.to_owned()]).collect()
    }

    pub(super) fn class(key: &CellKey) -> String {
        if key.class.as_str().is_empty() { NONE.to_owned() } else { key.class.to_string() }
    }

    pub(super) fn verdict(key: &CellKey) -> String {
        key.verdict.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string)
    }
}
