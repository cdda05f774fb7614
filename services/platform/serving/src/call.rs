//! The layers of each call, in this order: `observed` and `methods` (records how calls ended), `absent`
//! (methods of other roles), `in_flight` (a slot or a refusal), `handle` (the call as its handler sees it),
//! `message_limit` (bytes) and `pace` (the rate at which they arrive), `inflate` (compressed messages),
//! `answers` (bytes of answers) and `aside` (threads for large ones), `deadline`, and `health_watch` (the end
//! of health streams). `long_streams` bounds the streams that a handler keeps open; `answered` is the future
//! of layers that answer by themselves.

pub(crate) mod observed;
pub(crate) mod methods;
pub(crate) mod absent;
pub(crate) mod in_flight;
pub(crate) mod handle;
pub(crate) mod message_limit;
pub(crate) mod pace;
pub(crate) mod answers;
pub mod aside;
pub(crate) mod inflate;
pub mod deadline;
pub(crate) mod long_streams;
pub(crate) mod health_watch;
mod answered;
