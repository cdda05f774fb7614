//! The path of a request from its caller to its answer: rights, memory, search, the scores of classifiers,
//! the verdict of the member's policy, and the wire form of the answer.

pub(crate) mod answering;
pub(crate) mod meters;
pub(crate) mod alarms;
mod of_member;
mod deciding;
/// Classifiers: which are asked, and how their answers are used.
pub(crate) mod classifying {
    pub(crate) mod plan;
    pub(crate) mod said;
    mod breaker;
    pub(crate) mod metrics;
    pub(crate) mod asking;
    pub(crate) mod outcomes;
    pub(crate) mod rules;
    #[cfg(test)]
    mod cards;
}
pub(crate) mod floods;
pub(crate) mod policies;
pub(crate) mod reports;
pub(crate) mod rights;
/// The distances at which vectors of banks match.
mod vectors {
    pub(super) mod thresholds;
}
pub(crate) mod protection;
pub(crate) mod rooms;
pub(crate) mod streaming;
pub(crate) mod uploads;

#[cfg(test)]
mod extraction;
