//! What is true of questions and answers, and whether a run was good enough.
//!
//! Reading order: [`truth`] (questions, and what is true of each), [`ledger`] (what this run has written), [`oracle`] (judges an
//! answer), [`evidence`] and [`videos`] (the same of videos), [`threshold`] (what has to hold of a run), [`judgement`] (whether it does).

pub(crate) mod truth;
pub(crate) mod ledger;
pub(crate) mod oracle;
pub(crate) mod evidence;
pub(crate) mod videos;
pub(crate) mod threshold;
pub(crate) mod judgement;
