//! Plans changes of banks: creation, settings, deletion.

use vigie_model::{Bank, BankId, BankName, BankRef, ChangeKind, MatchRatio, MemberId, Sequence};
use vigie_proto::bank::LogChange;

use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;
use crate::plan::purge::Removed;
use crate::plan::write::{Author, Write};

impl Planner<'_> {
    pub(in crate::plan) fn create_bank(
        &mut self,
        by: Author,
        name: &BankRef,
        ratio: MatchRatio,
    ) -> Result<Answer, Error> {
        let owner = by.admitted(&self.state.view, self.now())?.new_bank(name)?;
        let (bank, sequence) = self.begin_bank(owner, &name.name, ratio)?;
        Ok(Answer::Bank { bank, sequence })
    }

    /// Creates a bank of a member.
    pub(in crate::plan) fn begin_bank(
        &mut self,
        owner: MemberId,
        name: &BankName,
        ratio: MatchRatio,
    ) -> Result<(Bank, Sequence), Error> {
        if self.state.banks.len() >= self.banks_max {
            return Err(Error::TooManyBanks(self.banks_max));
        }
        let id = BankId(self.state.counts.next_bank);
        let bank = Bank {
            id,
            owner,
            name: name.clone(),
            enabled: true,
            created_at: self.now(),
            item_count: 0,
            hash_count: 0,
            match_ratio: ratio,
        };
        // 4,294,967,295 banks in the lifetime of a log: one each second for 136 years.
        let next = id.0.checked_add(1).ok_or(Error::Broken)?;
        let (name, created_at) = (bank.name.clone(), bank.created_at);
        let mut sequence = self.log(ChangeKind::BankCreated { bank: id, owner, name, created_at })?;
        if ratio != MatchRatio::ALWAYS {
            sequence = self.append(LogChange::MatchRatio(id, ratio))?;
        }
        self.state.counts.next_bank = next;
        self.state.banks.insert(id, bank.clone());
        self.touched.insert(id);
        Ok((bank, sequence))
    }

    pub(in crate::plan) fn rename_bank(
        &mut self,
        by: Author,
        name: &BankRef,
        new_name: &BankName,
    ) -> Result<Answer, Error> {
        let id = self.state.id_of(by, name, self.now())?;
        let sequence = self.log(ChangeKind::BankRenamed { bank: id, name: new_name.clone() })?;
        let bank = self.touch(id, |bank| bank.name = new_name.clone())?;
        Ok(Answer::Bank { bank, sequence })
    }

    pub(in crate::plan) fn set_bank_enabled(
        &mut self,
        by: Author,
        name: &BankRef,
        enabled: bool,
    ) -> Result<Answer, Error> {
        let id = self.state.id_of(by, name, self.now())?;
        let sequence = self.log(ChangeKind::BankEnabledSet { bank: id, enabled })?;
        let bank = self.touch(id, |bank| bank.enabled = enabled)?;
        Ok(Answer::Bank { bank, sequence })
    }

    pub(in crate::plan) fn set_bank_match_ratio(
        &mut self,
        by: Author,
        name: &BankRef,
        ratio: MatchRatio,
    ) -> Result<Answer, Error> {
        let id = self.state.id_of(by, name, self.now())?;
        let sequence = self.append(LogChange::MatchRatio(id, ratio))?;
        let bank = self.touch(id, |bank| bank.match_ratio = ratio)?;
        Ok(Answer::Bank { bank, sequence })
    }

    pub(in crate::plan) fn delete_bank(&mut self, write: &Write, name: &BankRef) -> Result<Answer, Error> {
        let id = self.state.id_of(write.by, name, self.now())?;
        let bank = self.state.banks.get(&id).ok_or(Error::Broken)?.clone();
        self.check_removals(write, [(id, bank.item_count)].into())?;
        let sequence = self.drop_bank(&bank)?;
        Ok(Answer::BankDeleted { sequence, item_count: bank.item_count })
    }

    /// Deletes a living bank.
    pub(in crate::plan) fn drop_bank(&mut self, bank: &Bank) -> Result<Sequence, Error> {
        self.forget_digests(bank)?;
        self.purge(Removed::Bank(bank.id), bank.id);
        self.remove_exchanges_of(bank.id)?;
        let sequence = self.log(ChangeKind::BankDeleted { bank: bank.id })?;
        self.state.banks.remove(&bank.id);
        self.state.lists_mut().of.remove(&bank.id);
        self.state.counts.items -= bank.item_count;
        self.state.counts.hashes -= bank.hash_count;
        self.touched.insert(bank.id);
        Ok(sequence)
    }
}
