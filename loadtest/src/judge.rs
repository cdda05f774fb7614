//! The right answers to questions, the check of each answer, and the check of a whole run.
//!
//! Reading order: [`truth`] (questions and their right answers), [`ledger`] (the writes of this run),
//! [`oracle`] (judges an answer), [`evidence`] and [`videos`] (the same for videos), [`threshold`] (the
//! conditions of a run), [`judgement`] (whether they hold).

pub(crate) mod truth;
pub(crate) mod ledger;
pub(crate) mod oracle;
pub(crate) mod evidence;
pub(crate) mod videos;
pub(crate) mod threshold;
pub(crate) mod judgement;
