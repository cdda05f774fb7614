//! Opinions that result from cases. Each has a mark that names its case, by which it is found again.

use vigie_consortium::{Method, Opinion, OpinionReason, OpinionWords, Text};
use vigie_model::{BankId, ItemId, OpinionKind};

use crate::error::Error;
use crate::plan::Planner;
use crate::plan::beside::opinion_write::NewOpinion;
use crate::plan::write::Author;
use crate::store::to_model;

/// The mark of opinions from upheld complaints. It is the same for all: the id of a decision is published in
/// statements of reasons, and would identify the member's statement to readers of the opinion.
pub(super) const APPEAL: &str = "appeal";
/// The prefix of marks of opinions from reviews of reports.
pub(super) const REPORT: &str = "report ";

fn is_mark(word: &str) -> bool {
    word == APPEAL || word.starts_with(REPORT)
}

/// The text in an opinion that marks it as that of a case.
pub(super) type Mark = Text<{ OpinionWords::FOREIGN_LEN_MAX }>;

impl Planner<'_> {
    /// Puts a negative opinion of the caller's member on an item of a case. Returns whether it was put. It is
    /// not put if the item is gone, if the item is not shared with the member for opinions, or if the
    /// member's people have a negative opinion on it already, which stays unchanged.
    pub(super) fn put_marked(
        &mut self,
        by: Author,
        (item, bank): (ItemId, BankId),
        reason: OpinionReason,
        mark: &Mark,
    ) -> Result<bool, Error> {
        let by = Author { method: Method::PutOpinions, ..by };
        if !self.may_opine(by, item, bank) {
            return Ok(false);
        }
        let (member, placement) = self.word_on(by, item)?;
        let has_one = self.record_of(&placement).opinions.iter().any(|one| {
            let is_of_people = one.member == member && one.hash.is_none() && !one.of_programme;
            is_of_people && one.kind == Some(OpinionKind::Negative) && !is_mark(one.words.foreign.as_str())
        });
        if has_one {
            return Ok(false);
        }
        let words = OpinionWords { reason: Some(reason), foreign: mark.clone(), ..OpinionWords::default() };
        let opinion = NewOpinion { item, hash: None, kind: OpinionKind::Negative, words };
        match self.put_opinions(by, &[opinion]) {
            Ok(_) => Ok(true),
            Err(Error::TooManyOpinions(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Withdraws the opinion that a case put on an item.
    pub(super) fn withdraw_marked(
        &mut self,
        by: Author,
        (item, bank): (ItemId, BankId),
        mark: &Mark,
    ) -> Result<(), Error> {
        let by = Author { method: Method::WithdrawOpinions, ..by };
        if !self.may_opine(by, item, bank) {
            return Ok(());
        }
        let at = self.now();
        let sequence = to_model(self.draft.last().next());
        let (member, placement) = self.word_on(by, item)?;
        let mut record = self.record_of(&placement);
        let put = record.opinions.iter().find(|one| {
            one.member == member
                && one.hash.is_none()
                && !one.of_programme
                && one.kind.is_some()
                && one.words.foreign == *mark
        });
        let Some(put) = put.cloned() else { return Ok(()) };
        let taken_back = Opinion { kind: None, words: OpinionWords::default(), at, sequence, ..put };
        record.opinions = record.opinions.with(taken_back).map_err(|_| Error::TooManyOpinions(item))?;
        self.put_if_new(&placement, record).map(drop)
    }

    /// Returns whether the item is in the bank of its case, and the caller may give an opinion on it.
    fn may_opine(&self, by: Author, item: ItemId, bank: BankId) -> bool {
        let is_there = self.living(item).is_some_and(|placement| placement.bank == bank);
        is_there && self.word_on(by, item).is_ok()
    }
}
