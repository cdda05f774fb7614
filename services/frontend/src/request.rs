//! One request from its caller to its answer: rights, room, search, what classifiers say beside it, the
//! verdict of its member's policy, and the form in which the answer is sent.

pub(crate) mod answering;
pub(crate) mod meters;
pub(crate) mod alarms;
mod of_member;
mod deciding;
/// Classifiers: which are asked, and what becomes of what they say.
pub(crate) mod classifying {
    pub(crate) mod plan;
    pub(crate) mod said;
    mod breaker;
    pub(crate) mod metrics;
    pub(crate) mod asking;
    pub(crate) mod telling;
    pub(crate) mod rules;
    #[cfg(test)]
    mod cards;
}
pub(crate) mod floods;
pub(crate) mod policies;
pub(crate) mod reports;
pub(crate) mod rights;
/// Vectors: how far they may lie in banks.
mod vectors {
    pub(super) mod thresholds;
}
pub(crate) mod protection;
pub(crate) mod rooms;
pub(crate) mod streaming;
pub(crate) mod uploads;

#[cfg(test)]
mod extraction;
