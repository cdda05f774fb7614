//! Decides which calls get a slot, and when.
//!
//! Refusing is better than queueing: the caller learns in microseconds that it should go elsewhere or come
//! back later, and the accepted calls keep their latency. A call passes these files in this order:
//!
//! 1. `call/in_flight` asks [`slots`] for a slot. `slots` is the shell of this folder: it has the lock, the
//!    clock and the waiting; everything below it is synchronous and gets the time as a parameter.
//! 2. [`gate`] decides. Interactive calls get a slot within the limit, and a little beyond it for clients
//!    with less than their share; bulk calls get only the first three quarters; bulk work of streams may
//!    wait, in a bounded queue.
//! 3. To decide, `gate` asks [`shares`] for the client's fair share, and [`limit`] how many calls may be in
//!    flight: a number from the configuration, or the one that [`adaptive`] has learned.
//! 4. A call that gets no slot is answered by `refusal`: `RESOURCE_EXHAUSTED`, with the time after which to
//!    retry.
//! 5. When the call ends, its slot returns through `slots` and `gate`, and its latency goes to [`adaptive`].
//!    That compares the latencies of calls with those on an idle server (`measures`), in windows of some
//!    dozen calls, and moves the limit by the rule of `tuning`, which holds every constant.
//!
//! Bytes, of requests and of answers alike, take another path: [`budget`] is the shell, and [`ledger`]
//! decides by the same fair shares.
//!
//! `simulation` runs all of this against a server with workers and queues, event by event, for the tests of
//! `gate` and `adaptive`.

pub(crate) mod slots;
pub(crate) mod gate;
pub(crate) mod shares;
pub(crate) mod limit;
pub(crate) mod adaptive;
pub(crate) mod budget;
pub(crate) mod ledger;
mod measures;
mod tuning;
mod refusal;
#[cfg(test)]
mod simulation;
