//! Changes that need two people of a bank's owner: large removals, the deletion of a bank with many items,
//! and charters with weaker requirements.
//!
//! The first person's request is refused and noted; the same request by another principal of the member is
//! carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigie_consortium::{Charter, Credential, Principal};
use vigie_model::{BankId, UnixMillis};

use super::Planner;
use super::write::Write;
use crate::error::Error;

impl Planner<'_> {
    /// Checks that two people request removals for which the banks' charters require two. `removed` is the
    /// number of items of each bank, by the caller's member.
    pub(super) fn check_removals(
        &mut self,
        write: &Write,
        items: BTreeMap<BankId, u64>,
    ) -> Result<(), Error> {
        let Some(person) = self.person(write)? else { return Ok(()) };
        let (now, directory) = (self.now(), self.state.view.directory());
        let limit_of = |bank: BankId| directory.bank(bank).and_then(|bank| bank.charter.two_person_items());
        let limited = items.iter().filter_map(|(bank, items)| Some((*bank, *items, limit_of(*bank)?)));
        let limited: Vec<(BankId, u64, u32)> = limited.collect();
        let needs_two = |(bank, items, limit): &&(BankId, u64, u32)| {
            !self.state.two_people.one_may_remove(*bank, *items, *limit, now)
        };
        if let Some(limit) = limited.iter().filter(needs_two).map(|(.., limit)| *limit).min() {
            return self.check_second(write, &person, limit, items.into_keys());
        }
        if !limited.is_empty() {
            let notes = Arc::make_mut(&mut self.state.two_people);
            limited.into_iter().for_each(|(bank, items, _)| notes.count_removed(bank, items, now));
        }
        Ok(())
    }

    /// Checks that two people request a charter that requires two people less often.
    pub(super) fn check_charter(
        &mut self,
        write: &Write,
        bank: BankId,
        charter: &Charter,
    ) -> Result<(), Error> {
        let Some(person) = self.person(write)? else { return Ok(()) };
        let present = self.state.view.directory().bank(bank).and_then(|bank| bank.charter.two_person_items());
        let Some(limit) = present else { return Ok(()) };
        let is_weaker = charter.two_person_items().is_none_or(|new| new > limit);
        if is_weaker { self.check_second(write, &person, limit, [bank]) } else { Ok(()) }
    }

    /// Checks that another principal of the member has made the same request for the same banks, which may
    /// have been renamed since.
    fn check_second(
        &mut self,
        write: &Write,
        person: &Principal,
        limit: u32,
        banks: impl IntoIterator<Item = BankId>,
    ) -> Result<(), Error> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&vigie_log::Write::digest(write)).update(&person.member.0.to_be_bytes());
        for bank in banks {
            hasher.update(&bank.0.to_be_bytes());
        }
        let known_at = |at: UnixMillis| {
            let keys_are_older = match &person.credential {
                Credential::ApiKeys(keys) => keys.iter().all(|key| key.created_at <= at),
                Credential::Certificate(_) | Credential::Token(_) => true,
            };
            person.created_at <= at && keys_are_older
        };
        let (request, now) = (hasher.finalize().into(), self.now());
        let notes = Arc::make_mut(&mut self.state.two_people);
        let is_second = notes.is_second(request, person.id, known_at, now);
        if is_second { Ok(()) } else { Err(Error::SecondPerson { limit }) }
    }

    /// Returns the principal that asks; `None` if there are no members, so that people cannot be
    /// distinguished.
    fn person(&self, write: &Write) -> Result<Option<Principal>, Error> {
        let admitted = write.by.admitted(&self.state.view, self.now())?;
        Ok(admitted.principal().cloned())
    }
}
