//! Plans incidents: their banks, the members that these are shared with, and their end.

use vigie_consortium::cases::{CaseNote, IncidentType, IncidentTypes, IncidentWords};
use vigie_consortium::change::bounds::GRANTS_PER_BANK_MAX;
use vigie_consortium::{
    Capabilities, Capability, Change, DocumentKey, DocumentKind, Expiry, Grant, MemberId,
};
use vigie_model::{BankId, BankName, ChangeKind, MatchRatio};
use vigie_proto::bank::LogChange;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_statistics::Measure;

use super::known::{decode, subscription_id};
use super::stage::Stage;
use crate::error::{CaseError, Error};
use crate::plan::Planner;
use crate::plan::answer::{Answer, CaseAnswer};
use crate::plan::beside::counters::Of;
use crate::plan::write::Author;

const KIND: DocumentKind = DocumentKind::Incident;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// The capabilities that a subscription grants.
const GIVEN: [Capability; 2] = [Capability::Match, Capability::SeeDetails];

impl Planner<'_> {
    /// Opens an incident in one write: creates its bank and shares it with every member that subscribes to
    /// its type. The default charter asks for no confirmations, so an item matches as soon as it is added.
    pub(super) fn open_incident(
        &mut self,
        by: Author,
        words: &IncidentWords,
        name: Option<&BankName>,
    ) -> Result<Answer, Error> {
        let host = by.admitted(&self.state.view, self.now())?.host()?;
        if self.open_incidents().count() >= usize::from(IncidentWords::OPEN_MAX) {
            return Err(CaseError::TooManyIncidents.into());
        }
        let number = self.draft.last().next().0;
        let name = match name {
            Some(name) => name.clone(),
            None => format!("incident-{number}").parse().map_err(|_| Error::Broken)?,
        };
        // The sequence of the bank's creation is the incident's number. A refusal leaves nothing done.
        let (bank, _) = self.begin_bank(host, &name, MatchRatio::ALWAYS)?;
        let incident = pb::Incident {
            number,
            incident_type: words.of.to_string(),
            title: words.title.to_string(),
            opened_at_unix_ms: self.now().0,
            opened_reason: words.reason.to_string(),
            ..Default::default()
        };
        let stored = pb::StoredIncident { incident: Some(incident), bank_id: bank.id.0 };
        self.put_case(KIND, Stage::First.key(number), &stored)?;
        self.count_up(&Of::member_and_bank(host, bank.id), Measure::IncidentsOpened, 1)?;
        let mut count = 0;
        for member in self.subscribers(&words.of).into_iter().filter(|member| *member != host) {
            count += u32::from(self.give(bank.id, member));
        }
        Ok(self.case_answer(CaseAnswer {
            number,
            count,
            bank: Some(bank.id),
            name: Some(name),
            ..CaseAnswer::default()
        }))
    }

    /// Closes an incident: from this write on its bank is not searched.
    pub(super) fn close_incident(
        &mut self,
        by: Author,
        number: u64,
        reason: &CaseNote,
        keep_days: u16,
    ) -> Result<Answer, Error> {
        by.admitted(&self.state.view, self.now())?.host()?;
        let key = Stage::First.key(number);
        let found = self.first_document::<pb::StoredIncident>(&[(KIND, key.clone())]);
        let (_, mut stored) = found.ok_or(CaseError::NoOpenIncident(number))?;
        let bank = BankId(stored.bank_id);
        let (now, incident) = (self.now().0, stored.incident.get_or_insert_default());
        let until = now.saturating_add(u64::from(keep_days) * DAY_MS);
        incident.closed_at_unix_ms = now;
        incident.closed_reason = reason.to_string();
        incident.bank_until_unix_ms = until;
        // An administrator may have deleted or disabled the bank before.
        if self.state.banks.get(&bank).is_some_and(|bank| bank.enabled) {
            self.log(ChangeKind::BankEnabledSet { bank, enabled: false })?;
            self.touch(bank, |bank| bank.enabled = false)?;
        }
        let grants = self.state.view.directory().grants_of(bank);
        let members: Vec<MemberId> = grants.iter().map(|grant| grant.member).collect();
        for member in &members {
            self.append(LogChange::Directory(Change::GrantRevoked { bank, member: *member }))?;
        }
        self.move_case(KIND, key, Stage::Second.key_until(until, number), &stored)?;
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        Ok(self.case_answer(CaseAnswer { number, count, bank: Some(bank), ..CaseAnswer::default() }))
    }

    /// Deletes the bank of a closed incident, as decided when the incident was closed. Does nothing if the
    /// incident's document no longer exists.
    pub(super) fn end_incident(&mut self, key: &DocumentKey) -> Result<Answer, Error> {
        let found = self.first_document::<pb::StoredIncident>(&[(KIND, key.clone())]);
        let Some((_, mut stored)) = found else { return Ok(self.case_answer(CaseAnswer::default())) };
        let (bank, incident) = (BankId(stored.bank_id), stored.incident.get_or_insert_default());
        let number = incident.number;
        incident.bank_deleted = true;
        if let Some(living) = self.state.banks.get(&bank).cloned() {
            incident.item_count = living.item_count;
            self.drop_bank(&living)?;
        }
        self.move_case(KIND, key.clone(), Stage::Third.key(number), &stored)?;
        Ok(self.case_answer(CaseAnswer { number, bank: Some(bank), ..CaseAnswer::default() }))
    }

    /// Sets the subscription of the caller's member, and shares the banks of open incidents with it
    /// accordingly.
    pub(super) fn subscribe(&mut self, by: Author, types: &IncidentTypes) -> Result<Answer, Error> {
        let member = self.own_member(by)?;
        let (kind, key) = subscription_id(member);
        let is_none = matches!(types, IncidentTypes::Only(types) if types.is_empty());
        let is_there = self.document(&(kind, key.clone())).is_some();
        match (is_none, is_there) {
            (true, false) => {}
            (true, true) => self.take_document(kind, key)?,
            (false, _) => self.put_case(kind, key, &pb::StoredIncidentSubscription::from(types.clone()))?,
        }
        let mut count = 0;
        for (bank, of) in self.open_incidents().collect::<Vec<_>>() {
            if types.contain(&of) {
                count += u32::from(self.give(bank, member));
            } else {
                self.take_back(bank, member)?;
            }
        }
        Ok(self.case_answer(CaseAnswer { count, ..CaseAnswer::default() }))
    }

    /// Returns the banks and types of open incidents.
    fn open_incidents(&self) -> impl Iterator<Item = (BankId, IncidentType)> {
        let open = self.documents_of(KIND).filter(|one| Stage::of(&one.key) == Some(Stage::First));
        open.filter_map(|document| {
            let stored = decode::<pb::StoredIncident>(document)?;
            let of = IncidentType::new(&stored.incident?.incident_type).ok()?;
            Some((BankId(stored.bank_id), of))
        })
    }

    /// Returns the members that subscribe to a type, at most as many as a bank may be shared with.
    fn subscribers(&self, of: &IncidentType) -> Vec<MemberId> {
        let subscribed = self.documents_of(DocumentKind::IncidentSubscription).filter_map(|document| {
            let types = IncidentTypes::try_from(decode::<pb::StoredIncidentSubscription>(document)?).ok()?;
            let member = MemberId(u32::try_from(document.key.number(0)).ok()?);
            types.contain(of).then_some(member)
        });
        subscribed.take(GRANTS_PER_BANK_MAX).collect()
    }

    /// Shares a bank with a subscriber, in addition to the capabilities that it has. Returns whether the
    /// member may search the bank. The owner always may; if the directory is full of grants, no grant is
    /// added.
    fn give(&mut self, bank: BankId, member: MemberId) -> bool {
        let directory = self.state.view.directory();
        let Some(owned) = directory.bank(bank) else { return false };
        if owned.owner == member {
            return true;
        }
        let before = directory.grant(bank, member);
        let of_before = before.into_iter().flat_map(|grant| grant.capabilities.iter());
        let Ok(capabilities) = Capabilities::new(of_before.chain(GIVEN)) else { return false };
        let alias = before.and_then(|grant| grant.alias.clone());
        let grant = Grant { bank, member, capabilities, alias, expiry: Expiry::NEVER };
        if before.is_some_and(|before| **before == grant) {
            return true;
        }
        self.append(LogChange::Directory(Change::GrantPut(grant))).is_ok()
    }

    /// Revokes the capabilities that a subscription gives a member. Other capabilities, granted by the host,
    /// stay.
    fn take_back(&mut self, bank: BankId, member: MemberId) -> Result<(), Error> {
        let Some(before) = self.state.view.directory().grant(bank, member).cloned() else { return Ok(()) };
        let rest = before.capabilities.iter().filter(|one| !GIVEN.contains(one));
        let change = match Capabilities::new(rest) {
            Ok(rest) if rest == before.capabilities => return Ok(()),
            Ok(capabilities) => Change::GrantPut(Grant { capabilities, ..Grant::clone(&before) }),
            Err(_) => Change::GrantRevoked { bank, member },
        };
        self.append(LogChange::Directory(change)).map(drop)
    }
}
