//! Tests of both indexes as a whole: against the oracle, and while other threads write.

mod agreement;
mod cancelling;
mod concurrency;
mod damage;
mod life;
