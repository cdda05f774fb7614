//! Who gets a slot for a call, and when.
//!
//! `slots` (the shell, with clock and waiting), `gate` (who gets a slot), `limit` (how many there are), `shares` (fair shares of
//! clients), `refusal` (the answer to a call that gets none).

pub(crate) mod slots;
pub(crate) mod gate;
pub(crate) mod limit;
pub(crate) mod shares;
mod refusal;
#[cfg(test)]
mod simulation;
