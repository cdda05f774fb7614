//! Computes the right answers to the questions of a scenario.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::judge::truth::Truth;
use crate::run::say::say;
use crate::run::scenario::Scenario;

/// The interval of progress reports.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// Computes the right answers, and reports progress while it takes long.
pub(crate) async fn establish(scenario: &Scenario) -> anyhow::Result<Arc<Truth>> {
    say(&format!("{}: computing the right answers to {} questions", scenario.name, scenario.questions.pool));
    let scenario = scenario.clone();
    let truth = tokio::task::spawn_blocking(move || {
        let data = &scenario.data;
        let rows = f64::from(data.hashes) + f64::from(data.pictures) + f64::from(data.videos);
        let reported = std::sync::Mutex::new(Instant::now());
        Truth::establish(&scenario, |compared| {
            // A thread that finds the lock taken does not report.
            if let Ok(mut reported) = reported.try_lock()
                && reported.elapsed() > SAY_EVERY
            {
                *reported = Instant::now();
                say(&format!("{:.0} % of {rows} items compared", f64::from(compared) / rows * 100.0));
            }
        })
    });
    Ok(Arc::new(truth.await??))
}
