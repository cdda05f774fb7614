//! The seeds of a test: a few, as many as `VIGIE_SEEDS` says, or the one of `VIGIE_SEED`.

#![allow(clippy::print_stdout, reason = "seeds are printed")]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs each seed, on as many threads as there are processors, and fails if one failed. Returns the results
/// of the seeds.
pub(crate) fn over<T: fmt::Display + Send>(
    short: u64,
    run: impl Fn(u64) -> anyhow::Result<T> + Sync,
) -> Vec<T> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("VIGIE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("VIGIE_SEEDS").unwrap_or(short),
    };
    let (left, failed, ended) = (Mutex::new(seeds.clone()), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(seed) = locked(&left).next() else { break };
                    let fault = match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                        Ok(Ok(ran)) => {
                            println!("VIGIE_SEED={seed}: {ran}");
                            locked(&ended).push(ran);
                            continue;
                        }
                        Ok(Err(error)) => format!("{error:#}"),
                        Err(_) => "it panicked".to_owned(),
                    };
                    println!("VIGIE_SEED={seed}: FAILED: {fault}");
                    locked(&failed).push(seed);
                }
            });
        }
    });
    let failed = std::mem::take(&mut *locked(&failed));
    assert!(failed.is_empty(), "these of {} seeds failed: {failed:?}", seeds.end - seeds.start);
    std::mem::take(&mut *locked(&ended))
}

/// Locks a mutex; a panic elsewhere leaves no incomplete state in it.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
