//! Plans changes of exchanges: adding, pausing, fetching, removing.

use std::sync::Arc;

use vigie_consortium::{Exchange, ExchangeId, ExchangeName, ExchangeStatus, MemberId};
use vigie_model::{BankId, BankRef, Sequence};
use vigie_proto::bank::LogChange;

use super::write::{ExchangeAction, NewExchange};
use crate::error::Error;
use crate::plan::answer::Answer;
use crate::plan::write::Author;
use crate::plan::{Planner, State};
use crate::store::to_model;

impl State {
    /// Returns the exchange with an id.
    pub(in crate::plan) fn exchange(&self, id: ExchangeId) -> Result<&Exchange, Error> {
        self.exchanges.get(&id).ok_or(Error::NoExchange(id))
    }

    /// Returns a member's exchange with a name.
    fn exchange_called(&self, owner: MemberId, name: &ExchangeName) -> Option<&Exchange> {
        self.exchanges.values().find(|exchange| exchange.owner == owner && exchange.name == *name)
    }
}

impl Planner<'_> {
    pub(in crate::plan) fn change_exchanges(
        &mut self,
        by: Author,
        action: &ExchangeAction,
    ) -> Result<Answer, Error> {
        match action {
            ExchangeAction::Add(new) => self.add_exchange(by, new),
            ExchangeAction::SetEnabled { name, enabled } => {
                let exchange = self.own_exchange(by, name)?;
                self.answer_exchange(Exchange { enabled: *enabled, ..exchange })
            }
            ExchangeAction::FetchNow { name } => {
                let exchange = self.own_exchange(by, name)?;
                if !exchange.enabled {
                    return Err(Error::ExchangePaused(exchange.name));
                }
                let requested_rounds = exchange.requested_rounds.saturating_add(1);
                self.answer_exchange(Exchange { requested_rounds, ..exchange })
            }
            ExchangeAction::Remove { name } => {
                let exchange = self.own_exchange(by, name)?;
                let sequence = self.remove_exchange(exchange.id)?;
                Ok(Answer::ExchangeRemoved { sequence })
            }
            ExchangeAction::Apply(page) => self.apply_page(by, page),
            ExchangeAction::Report { exchange, status } => self.report(by, *exchange, status),
        }
    }

    fn add_exchange(&mut self, by: Author, new: &NewExchange) -> Result<Answer, Error> {
        let bank = {
            let admitted = by.admitted(&self.state.view, self.now())?;
            Arc::clone(admitted.bank(&new.bank)?)
        };
        if self.state.exchange_called(bank.owner, &new.name).is_some() {
            return Err(Error::ExchangeNameTaken(new.name.clone()));
        }
        if self.state.exchanges.len() >= Exchange::COUNT_MAX {
            return Err(Error::TooManyExchanges);
        }
        let exchange = Exchange {
            id: ExchangeId(self.draft.last().next().0),
            name: new.name.clone(),
            api: new.api.clone(),
            bank: bank.id,
            owner: bank.owner,
            config: new.config.clone(),
            interval_seconds: new.interval_seconds,
            enabled: true,
            created_at: self.stamp(),
            requested_rounds: 0,
            cursor: Box::default(),
            status: ExchangeStatus::default(),
        };
        self.answer_exchange(exchange)
    }

    fn report(&mut self, by: Author, id: ExchangeId, status: &ExchangeStatus) -> Result<Answer, Error> {
        by.admitted(&self.state.view, self.now())?;
        let exchange = self.state.exchange(id)?.clone();
        if exchange.status == *status {
            let sequence = to_model(self.draft.last());
            return Ok(Answer::Exchange { exchange: Box::new(exchange), sequence });
        }
        self.answer_exchange(Exchange { status: status.clone(), ..exchange })
    }

    /// Returns the exchange that a caller names, if the caller may call this method on the exchange's bank.
    fn own_exchange(&self, by: Author, name: &ExchangeName) -> Result<Exchange, Error> {
        let admitted = by.admitted(&self.state.view, self.now())?;
        let owner = admitted.member().ok_or(Error::Broken)?.id;
        let exchange = self.state.exchange_called(owner, name);
        let exchange = exchange.ok_or_else(|| Error::ExchangeNotFound(name.clone()))?;
        let bank = self.state.view.directory().bank(exchange.bank).ok_or(Error::Broken)?;
        admitted.bank(&BankRef { owner: None, name: bank.name.clone() })?;
        Ok(exchange.clone())
    }

    fn answer_exchange(&mut self, exchange: Exchange) -> Result<Answer, Error> {
        let sequence = self.put_exchange(exchange.clone())?;
        Ok(Answer::Exchange { exchange: Box::new(exchange), sequence })
    }

    /// Sets an exchange and logs it.
    pub(super) fn put_exchange(&mut self, exchange: Exchange) -> Result<Sequence, Error> {
        let sequence = self.append(LogChange::Exchange(Box::new(exchange.clone())))?;
        self.exchanges.insert(exchange.id, Some(exchange.clone()));
        Arc::make_mut(&mut self.state.exchanges).insert(exchange.id, exchange);
        Ok(sequence)
    }

    fn remove_exchange(&mut self, id: ExchangeId) -> Result<Sequence, Error> {
        let sequence = self.append(LogChange::ExchangeRemoved(id))?;
        self.exchanges.insert(id, None);
        Arc::make_mut(&mut self.state.exchanges).remove(&id);
        Ok(sequence)
    }

    /// Removes the exchanges of a deleted bank.
    pub(in crate::plan) fn remove_exchanges_of(&mut self, bank: BankId) -> Result<(), Error> {
        let of_bank = self.state.exchanges.values().filter(|exchange| exchange.bank == bank);
        let ids: Vec<ExchangeId> = of_bank.map(|exchange| exchange.id).collect();
        ids.into_iter().try_for_each(|id| self.remove_exchange(id).map(drop))
    }
}
