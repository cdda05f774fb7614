//! Adds entries to the audit, and counts the calls that the entries cover.

use tonic::Code;
use vigie_access::Who;
use vigie_consortium::{Admitted, Method};
use vigie_model::ItemId;
use vigie_statistics::Measure;

use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;
use crate::plan::audit::{About, NewEntry};
use crate::plan::beside::counters::Of;
use crate::plan::write::{Action, Author, Write};

impl Planner<'_> {
    /// Returns the caller of a write.
    pub(in crate::plan) fn who(&self, by: Author) -> Who {
        let admitted = by.admitted(&self.state.view, self.now());
        let of = |admitted: Admitted<'_>| Who {
            member: admitted.member().map(|member| member.id),
            principal: admitted.principal().map(|principal| principal.id),
        };
        admitted.map(of).unwrap_or_default()
    }

    /// Returns the banks and items that a write concerns, in the present state.
    pub(in crate::plan) fn about(&self, write: &Write) -> About {
        match &write.action {
            Action::DeleteBank { name } | Action::AddItems { bank: name, .. } => {
                let bank = self.state.id_of(write.by, name, self.now());
                bank.map(About::bank).unwrap_or_default()
            }
            Action::UpdateItem { item, .. } => {
                About::items(self.known.items.get(item).map(|placement| (*item, placement.bank)))
            }
            Action::RestoreItems { items } => About::items(items.iter().filter_map(|item| {
                let removed = self.known.removed.get(item)?;
                Some((*item, removed.item.bank))
            })),
            Action::RemoveItems { items, .. }
            | Action::SetItemHold { items, .. }
            | Action::ReviewHolds { items, .. } => self.about_items(items),
            Action::Opinions(opinions) => self.about_items(&opinions.items()),
            Action::CreateBank { .. }
            | Action::RenameBank { .. }
            | Action::SetBankEnabled { .. }
            | Action::SetBankMatchRatio { .. }
            | Action::Members(_)
            | Action::Exchange(_)
            | Action::Case(_)
            | Action::ListItems { .. }
            | Action::Record(_)
            | Action::CountMatches(..)
            | Action::CountLatencies(..) => About::default(),
        }
    }

    pub(in crate::plan) fn about_items(&self, items: &[ItemId]) -> About {
        About::items(items.iter().filter_map(|item| {
            let placement = self.known.items.get(item)?;
            Some((*item, placement.bank))
        }))
    }

    pub(in crate::plan) fn record_all(&mut self, entries: &[NewEntry]) -> Result<Answer, Error> {
        for entry in entries {
            let of = Of { member: entry.by.member, ..Of::default() };
            let searches = [Method::Match, Method::MatchStream, Method::MatchVideo];
            let is_search = searches.iter().any(|one| one.path() == entry.action);
            let refused = [Code::PermissionDenied, Code::ResourceExhausted, Code::Unauthenticated];
            if entry.code == Code::Ok && is_search {
                self.count_up(&of, Measure::Lookups, entry.calls)?;
            } else if refused.contains(&entry.code) {
                self.count_up(&of, Measure::CallsRefused, entry.calls)?;
            }
        }
        if self.has_members() {
            entries.iter().try_for_each(|entry| self.record(entry.clone()))?;
        }
        Ok(Answer::Recorded { entries: self.state.audit.count() })
    }

    /// Adds an entry of the audit to the group.
    pub(in crate::plan) fn record(&mut self, entry: NewEntry) -> Result<(), Error> {
        let now = self.now();
        let stored = self.state.audit.append(entry, now).map_err(|_| Error::Broken)?;
        self.state.counts.audited = self.state.audit.count();
        self.entries.push(stored);
        Ok(())
    }
}
