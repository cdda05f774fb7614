//! One request from its caller to its answer: rights, room, search, and the form in which the answer is sent.

pub(crate) mod answering;
pub(crate) mod meters;
pub(crate) mod alarms;
mod of_member;
pub(crate) mod rights;
pub(crate) mod protection;
pub(crate) mod rooms;
pub(crate) mod streaming;

#[cfg(test)]
mod extraction;
