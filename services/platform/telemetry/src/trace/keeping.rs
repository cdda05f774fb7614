//! The selection of traces to keep, and their destination.

use std::time::Duration;

use opentelemetry::TraceId;

use super::export::Exported;

/// The settings of a tracer that is on.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) ratio: Ratio,
    /// The duration from which on a call counts as slow and is kept.
    pub(super) slow: Duration,
    pub(super) export: Exported,
}

impl Keeping {
    /// Returns whether a trace is sampled, so that it is kept whatever its outcome.
    pub(super) const fn chooses(&self, trace: TraceId) -> bool {
        self.ratio.chooses(trace)
    }
}

/// The share of traces that are sampled, by the lower seven bytes of their ids, which are random.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ratio(u64);

impl Ratio {
    const ALL: u64 = 1 << 56;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "2^56 at most"
    )]
    pub(super) fn new(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * Self::ALL as f64) as u64)
    }

    pub(super) const fn chooses(self, trace: TraceId) -> bool {
        let [_, _, _, _, _, _, _, _, _, lower @ ..] = trace.to_bytes();
        let [a, b, c, d, e, f, g] = lower;
        u64::from_be_bytes([0, a, b, c, d, e, f, g]) < self.0
    }
}
