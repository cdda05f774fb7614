//! Who gets a slot for a call, and when.
//!
//! Refusing is better than queueing: the caller learns in microseconds that it should go elsewhere or come back later, and the
//! calls that were accepted keep their latency. A call passes these files in this order:
//!
//! 1. `call/in_flight` asks [`slots`] for a slot. `slots` is the shell of this folder: it has the lock, the clock and the waiting;
//!    everything below it is synchronous and is given the time.
//! 2. [`gate`] decides. Interactive calls get a slot while the limit allows it, and a little beyond for clients with less than
//!    their share; bulk calls get the first three quarters only; bulk work of streams may wait, in a bounded queue.
//! 3. For that, `gate` asks [`shares`] what the client's fair share is, and [`limit`] how many calls may be in flight: a number
//!    from the configuration, or the one that [`adaptive`] has learned.
//! 4. A call that gets no slot is answered by `refusal`: `RESOURCE_EXHAUSTED`, and when to come back.
//! 5. When the call ends, its slot comes back through `slots` and `gate`, and its latency goes to [`adaptive`]. That compares what
//!    calls take with what they take on an idle server (`measures`), in windows of some dozen calls, and moves the limit by the
//!    rule of `tuning`, where every constant is.
//!
//! Bytes go another way, those of requests and those of answers alike: [`budget`] is the shell, and [`ledger`] decides, by the same
//! fair shares.
//!
//! `simulation` runs all of this against a server with workers and queues, event by event: the tests of `gate` and `adaptive`.

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
