//! What each call passes, in this order: `observed` and `methods` (how it went), `absent` (methods of other roles), `in_flight` (a
//! slot or a refusal), `handle` (what a handler sees of it), `message_limit` (bytes) and `pace` (how fast they arrive), `inflate`
//! (compressed messages), `answers` (bytes of what is sent), `deadline`, and `health_watch` (the end of health streams).
//! `long_streams` bounds those that a handler keeps open; `answered` is the future of layers that answer by themselves.

pub(crate) mod observed;
pub(crate) mod methods;
pub(crate) mod absent;
pub(crate) mod in_flight;
pub(crate) mod handle;
pub(crate) mod message_limit;
pub(crate) mod pace;
pub(crate) mod answers;
pub(crate) mod inflate;
pub mod deadline;
pub(crate) mod long_streams;
pub(crate) mod health_watch;
mod answered;
