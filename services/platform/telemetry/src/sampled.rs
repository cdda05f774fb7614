//! Gauges and counters of values that are kept elsewhere, read at each scrape: the length of a queue, the
//! size of an index.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// Registers a gauge whose value `read` returns at each scrape. `read` has to be quick.
pub fn register_gauge(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> f64 + Send + Sync + 'static,
) {
    register_optional_gauge(registry, name, help, move || Some(read()));
}

/// Registers a gauge that may have no value.
pub fn register_optional_gauge(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> Option<f64> + Send + Sync + 'static,
) {
    let read = Box::new(move || read().map(|value| ("", value)).into_iter().collect());
    registry.register_collector(Box::new(Sampled { name, help, kind: MetricType::Gauge, label: "", read }));
}

/// Registers a gauge with a label. `read` returns each value of the label once.
pub fn register_gauges(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: impl Fn() -> Vec<(&'static str, f64)> + Send + Sync + 'static,
) {
    let kind = MetricType::Gauge;
    registry.register_collector(Box::new(Sampled { name, help, kind, label, read: Box::new(read) }));
}

/// Registers counters with a label. `_total` is added to the name.
pub fn register_counters(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: impl Fn() -> Vec<(&'static str, f64)> + Send + Sync + 'static,
) {
    let kind = MetricType::Counter;
    registry.register_collector(Box::new(Sampled { name, help, kind, label, read: Box::new(read) }));
}

struct Sampled {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    /// Empty if there is no label.
    label: &'static str,
    read: Box<dyn Fn() -> Vec<(&'static str, f64)> + Send + Sync>,
}

impl fmt::Debug for Sampled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sampled").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Sampled {
    fn encode_figure(&self, sample: &mut MetricEncoder<'_>, figure: f64) -> fmt::Result {
        if matches!(self.kind, MetricType::Counter) {
            return sample.encode_counter::<NoLabelSet, _, f64>(&figure, None);
        }
        sample.encode_gauge(&figure)
    }
}

impl Collector for Sampled {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = format!("{}.", self.help);
        let mut metric = encoder.encode_descriptor(self.name, &help, None, self.kind)?;
        for (value, figure) in (self.read)() {
            if self.label.is_empty() {
                self.encode_figure(&mut metric, figure)?;
            } else {
                self.encode_figure(&mut metric.encode_family(&[(self.label, value)])?, figure)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::telemetry::Telemetry;

    #[test]
    fn a_gauge_reports_what_is_there_at_each_scrape() {
        let (telemetry, length) = (Telemetry::default(), Arc::new(AtomicU32::new(3)));
        let read = Arc::clone(&length);
        telemetry.register(|registry| {
            register_gauge(registry, "queue", "Waiting", move || read.load(Ordering::Relaxed).into());
            register_gauges(registry, "replicas", "By state", "state", || {
                vec![("ready", 2.0), ("lost", 1.0)]
            });
            register_optional_gauge(registry, "end", "Of nothing", || None);
            register_counters(registry, "reloads", "By outcome", "outcome", || vec![("ok", 5.0)]);
        });
        assert!(
            telemetry.exposition().unwrap().contains("# HELP queue Waiting.\n# TYPE queue gauge\nqueue 3")
        );
        length.store(4, Ordering::Relaxed);
        let text = telemetry.exposition().unwrap();
        for line in ["queue 4", "replicas{state=\"ready\"} 2", "replicas{state=\"lost\"} 1"] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.contains("# TYPE reloads counter\nreloads_total{outcome=\"ok\"} 5"), "{text}");
        // The metric is described, and has no value.
        assert!(text.contains("# TYPE end gauge\n") && !text.contains("\nend "), "{text}");
    }
}
