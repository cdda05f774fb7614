//! One request from its caller to its answer: rights, room, search, the verdict of its member's policy, and the form in which the answer is sent.

pub(crate) mod answering;
pub(crate) mod meters;
pub(crate) mod alarms;
mod of_member;
mod deciding;
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
