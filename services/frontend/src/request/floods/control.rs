//! Reports floods to the bank, in the background.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tonic::Code;
use vigie_clients::{EndpointError, Network, OpinionClient};
use vigie_model::Sequence;

use super::tracked::PairKey;
use super::{Counted, Flood, Floods};

/// The interval between checks of items that match often.
const EVERY: Duration = Duration::from_secs(1);
/// The longest time that a report may take.
const REPORT_MAX: Duration = Duration::from_secs(3);
/// The longest pause after a report that failed. The first pause is `EVERY`, and each further one doubles.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The most floods that wait for the bank: as many as one report may hold. Further floods are found later.
const PENDING_MAX: usize = 1_000;

/// The metrics of flood control.
#[derive(Debug, Clone, Default)]
pub(crate) struct FloodMetrics {
    held: Counter,
    pending: Gauge,
    pairs: Gauge,
    dropped: Counter,
}

impl FloodMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "vigie_frontend_floods",
            "Items that matched far too often at one member, and are held for that member since they were reported to the bank",
            metrics.held.clone(),
        );
        registry.register(
            "vigie_frontend_floods_pending",
            "Items that match far too often at one member, and are not held yet because the bank has not answered",
            metrics.pending.clone(),
        );
        registry.register(
            "vigie_frontend_floods_pairs",
            "Pairs of members and items whose matches are counted, for which memory is taken",
            metrics.pairs.clone(),
        );
        registry.register(
            "vigie_frontend_floods_pairs_dropped",
            "Pairs of members and items whose count was dropped within the window because there were too many",
            metrics.dropped.clone(),
        );
        metrics
    }

    /// Logs and counts the bank's answer to a flood.
    fn note_reported(&self, flood: &Flood, is_held: bool) {
        let Flood { member, item, count, median } = *flood;
        if is_held {
            self.held.inc();
            tracing::warn!(
                member = member.0,
                item = item.0,
                count,
                median,
                "an item matches far too often at a member: it is held there until the member lifts that"
            );
        } else {
            tracing::info!(
                member = member.0,
                item = item.0,
                count,
                median,
                "an item matches far too often at a member, and is not held there: it is gone, or the member has lifted such a hold within the window"
            );
        }
    }
}

/// The flood control of one frontend.
#[derive(Debug)]
pub(crate) struct FloodControl {
    /// `None` if flood control is off, or no bank is configured.
    of: Option<(Arc<Counted>, OpinionClient)>,
    /// Floods that the bank has not confirmed.
    pending: BTreeMap<PairKey, Flood>,
    /// The pause after the last report, if it failed.
    pause: Option<Duration>,
    not_before: Instant,
    metrics: FloodMetrics,
}

impl FloodControl {
    /// Creates the flood control, which reports what `floods` counts to the banks at these endpoints.
    pub(crate) fn new(
        floods: &Floods,
        banks: &[String],
        network: &Network,
        metrics: FloodMetrics,
    ) -> Result<Self, EndpointError> {
        let counted = floods.0.as_ref().filter(|_| !banks.is_empty());
        let of = counted.map(|counted| {
            let bank = OpinionClient::among(banks, network)?;
            Ok((Arc::clone(counted), bank))
        });
        Ok(Self {
            of: of.transpose()?,
            pending: BTreeMap::new(),
            pause: None,
            not_before: Instant::now(),
            metrics,
        })
    }

    /// Finds and reports floods repeatedly, for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.judge();
            if Instant::now() >= self.not_before {
                self.report(Instant::now() + REPORT_MAX).await;
            }
        }
    }

    /// Reports the remaining floods, once.
    pub(crate) async fn finish(&mut self) {
        self.judge();
        self.report(Instant::now() + REPORT_MAX).await;
        if !self.pending.is_empty() {
            tracing::warn!(
                floods = self.pending.len(),
                "floods were not reported to the bank before the end"
            );
        }
    }

    fn judge(&mut self) {
        let Some((counted, _)) = &self.of else { return };
        let floods = counted.take_floods(PENDING_MAX.saturating_sub(self.pending.len()));
        self.pending.extend(floods.into_iter().map(|flood| ((flood.member, flood.item), flood)));
        let (pairs, dropped) = {
            let mut tracked = counted.tracked();
            (tracked.len(), tracked.take_dropped())
        };
        self.metrics.pairs.set(pairs.try_into().unwrap_or(i64::MAX));
        self.metrics.dropped.inc_by(dropped);
        self.metrics.pending.set(self.pending.len().try_into().unwrap_or(i64::MAX));
    }

    async fn report(&mut self, deadline: Instant) {
        let Some((counted, bank)) = &self.of else { return };
        if self.pending.is_empty() {
            return;
        }
        let floods: Vec<PairKey> = self.pending.keys().copied().collect();
        match bank.report_floods(&floods, counted.limits.window, deadline).await {
            Ok(held) => {
                let sequence = held.sequence;
                let held: BTreeSet<PairKey> = held.value.into_iter().collect();
                for (key, flood) in std::mem::take(&mut self.pending) {
                    counted.begin_anew(key, sequence);
                    self.metrics.note_reported(&flood, held.contains(&key));
                }
                self.pause = None;
            }
            // A bank of an older version holds nothing. Floods that it will never accept must not delay the
            // rest.
            Err(error) if matches!(error.code(), Code::InvalidArgument | Code::Unimplemented) => {
                let floods = self.pending.len();
                tracing::warn!(%error, floods, "the bank refuses floods, which are dropped");
                std::mem::take(&mut self.pending)
                    .into_keys()
                    .for_each(|key| counted.begin_anew(key, Sequence::default()));
                self.pause = None;
            }
            Err(error) => {
                if self.pause.is_none() {
                    let floods = self.pending.len();
                    tracing::warn!(%error, floods, "floods cannot be reported to the bank; they are kept and reported later");
                }
                let pause = self.pause.map_or(EVERY, |pause| (pause * 2).min(PAUSE_MAX));
                self.pause = Some(pause);
                self.not_before = Instant::now() + pause;
            }
        }
        self.metrics.pending.set(self.pending.len().try_into().unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{ItemId, MemberId};

    use super::*;
    use crate::request::floods::limits::FloodLimits;

    const LIMITS: FloodLimits =
        FloodLimits { matches_min: 5, median_factor: 2, window: Duration::from_secs(600), pairs_max: 10 };

    fn matched(floods: &Floods, times: u32) {
        let mut tracked = floods.0.as_ref().unwrap().tracked();
        (0..times).for_each(|_| tracked.count((MemberId(2), ItemId(9)), Sequence(1), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_kept_while_the_bank_is_away_and_asked_for_less_and_less_often() {
        let floods = Floods::new(Some(LIMITS));
        // Nothing listens on this port.
        let banks = ["http://127.0.0.1:1".to_owned()];
        let metrics = FloodMetrics::default();
        let mut control = FloodControl::new(&floods, &banks, &Network::tcp(), metrics.clone()).unwrap();
        matched(&floods, 5);
        control.judge();
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            control.report(Instant::now() + REPORT_MAX).await;
            assert_eq!(control.pause, Some(Duration::from_secs(pause)));
            assert!(control.not_before > Instant::now());
            // The flood is not reported twice.
            matched(&floods, 50);
            control.judge();
            assert_eq!((control.pending.len(), metrics.pending.get()), (1, 1));
        }
        assert_eq!((metrics.held.get(), metrics.pairs.get()), (0, 1));
    }

    #[test]
    fn what_the_bank_passed_over_does_not_count_as_held() {
        let metrics = FloodMetrics::default();
        let flood = |item| Flood { member: MemberId(2), item: ItemId(item), count: 5, median: 0 };
        metrics.note_reported(&flood(1), false);
        assert_eq!(metrics.held.get(), 0);
        metrics.note_reported(&flood(2), true);
        assert_eq!(metrics.held.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frontend_without_a_bank_or_without_flood_control_reports_nothing() {
        for (floods, banks) in
            [(Floods::new(Some(LIMITS)), vec![]), (Floods::new(None), vec!["http://127.0.0.1:1".to_owned()])]
        {
            let mut control =
                FloodControl::new(&floods, &banks, &Network::tcp(), FloodMetrics::default()).unwrap();
            control.judge();
            control.report(Instant::now() + REPORT_MAX).await;
            control.finish().await;
            assert!(control.of.is_none() && control.pending.is_empty());
        }
    }
}
