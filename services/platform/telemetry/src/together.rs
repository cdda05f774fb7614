//! Several roles in one process, served at one address.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::process;
use crate::telemetry::{Condition, Telemetry};

/// The telemetry served at one address: of one role, or of several roles of one process.
///
/// With several roles, every sample has the label `role`, and further labels if a role runs more than once;
/// the figures of the process occur once. The process is ready when all roles are.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The labels of a role in the form in which samples have them; empty for a single role.
    parts: Vec<(String, Telemetry)>,
}

impl From<Telemetry> for Shown {
    fn from(telemetry: Telemetry) -> Self {
        telemetry.register(process::register);
        Self { parts: vec![(String::new(), telemetry)] }
    }
}

impl Shown {
    /// Returns the figures of the process, without any role yet.
    #[must_use]
    pub fn of_process() -> Self {
        let process = Telemetry::default();
        process.set_condition(|| Condition::Ready);
        Self::from(process)
    }

    /// Adds a role, whose samples have these labels.
    #[must_use]
    pub fn with(mut self, labels: &[(&str, &str)], telemetry: Telemetry) -> Self {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        self.parts.push((labels.join(","), telemetry));
        self
    }

    /// Returns the condition of all roles together: the first role that is not ready is named in the reason.
    pub(crate) fn condition(&self) -> Condition {
        let (mut unready, mut standby) = (None, None);
        for (labels, telemetry) in &self.parts {
            let named = |reason: &str| match labels.as_str() {
                "" => reason.to_owned(),
                labels => format!("{}: {reason}", labels.replace('"', "")),
            };
            match telemetry.condition() {
                Condition::Ready => {}
                Condition::Standby(reason) => {
                    standby.get_or_insert_with(|| Condition::Standby(named(&reason).into()));
                }
                Condition::Starting(reason) => return Condition::Starting(named(&reason).into()),
                Condition::Unready(reason) => {
                    unready.get_or_insert_with(|| Condition::Unready(named(&reason).into()));
                }
            }
        }
        unready.or(standby).unwrap_or(Condition::Ready)
    }

    /// Returns the remarks of all roles.
    pub(crate) fn remarks(&self) -> Vec<String> {
        self.parts.iter().flat_map(|(_, telemetry)| telemetry.remarks()).collect()
    }

    /// Returns whether every role has started once.
    pub(crate) fn has_started(&self) -> bool {
        self.parts.iter().all(|(_, telemetry)| telemetry.has_started())
    }

    /// Returns every metric of all roles, in the text format of OpenMetrics 1.0.
    ///
    /// # Errors
    ///
    /// A metric cannot be written.
    pub fn exposition(&self) -> Result<String, fmt::Error> {
        if let [(labels, telemetry)] = &self.parts[..]
            && labels.is_empty()
        {
            return telemetry.exposition();
        }
        let mut families = BTreeMap::new();
        for (labels, telemetry) in &self.parts {
            collect(&telemetry.exposition()?, labels, &mut families);
        }
        let mut written = String::new();
        for Family { description, samples } in families.values() {
            write!(written, "{description}{samples}")?;
        }
        written.push_str("# EOF\n");
        Ok(written)
    }
}

/// A metric family, which is written once, however many roles have it.
#[derive(Default)]
struct Family {
    /// The lines `HELP`, `TYPE` and `UNIT` of the first role that has the family.
    description: String,
    samples: String,
}

fn collect(exposition: &str, labels: &str, families: &mut BTreeMap<String, Family>) {
    let mut name = String::new();
    let mut is_first = false;
    for line in exposition.lines().filter(|line| *line != "# EOF") {
        if let Some(description) = line.strip_prefix("# ") {
            let of = description.split(' ').nth(1).unwrap_or_default();
            if of != name {
                of.clone_into(&mut name);
                is_first = !families.contains_key(of);
            }
            let family = families.entry(name.clone()).or_default();
            if is_first {
                family.description.push_str(line);
                family.description.push('\n');
            }
        } else {
            let samples = &mut families.entry(name.clone()).or_default().samples;
            samples.push_str(&labelled(line, labels));
            samples.push('\n');
        }
    }
}

/// Adds labels to a sample.
fn labelled(sample: &str, labels: &str) -> String {
    let Some(end) = sample.find(['{', ' ']).filter(|_| !labels.is_empty()) else { return sample.to_owned() };
    let (name, rest) = sample.split_at(end);
    match rest.strip_prefix('{') {
        Some(rest) if rest.starts_with('}') => format!("{name}{{{labels}{rest}"),
        Some(rest) => format!("{name}{{{labels},{rest}"),
        None => format!("{name}{{{labels}}}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family as Labelled;

    use super::*;

    fn role(counts: u64) -> Telemetry {
        let telemetry = Telemetry::default();
        let (counter, by_code) =
            (Counter::<u64>::default(), Labelled::<Vec<(&str, &str)>, Counter>::default());
        counter.inc_by(counts);
        by_code.get_or_create(&vec![("code", "ok")]).inc();
        telemetry.register(|registry| {
            registry.register("vigie_things", "Things", counter);
            registry.register("vigie_calls", "Calls", by_code);
        });
        telemetry
    }

    #[test]
    fn a_metric_of_several_roles_is_described_once_and_its_samples_name_the_role() {
        let shown = Shown::of_process()
            .with(&[("role", "bank")], role(1))
            .with(&[("role", "matcher"), ("of_shard", "0")], role(2));
        let text = shown.exposition().unwrap();
        for line in [
            "vigie_things_total{role=\"bank\"} 1",
            "vigie_things_total{role=\"matcher\",of_shard=\"0\"} 2",
            "vigie_calls_total{role=\"bank\",code=\"ok\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
        for once in ["# TYPE vigie_things counter", "# HELP vigie_calls Calls.", "# EOF"] {
            assert_eq!(text.lines().filter(|line| line.starts_with(once)).count(), 1, "{once} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(!text.contains("process_resident_memory_bytes{"), "{text}");
        let at = |line: &str| text.find(line).unwrap();
        assert!(at("# TYPE vigie_things") < at("vigie_things_total{role=\"bank\"}"));
        assert!(
            at("# TYPE vigie_calls") < at("vigie_calls_total")
                && at("vigie_calls_total") < at("# TYPE vigie_things")
        );
    }

    #[test]
    fn they_are_ready_when_all_are_and_the_reason_names_the_role() {
        let (bank, matcher) = (Telemetry::default(), Telemetry::default());
        let shown = Shown::of_process()
            .with(&[("role", "bank")], bank.clone())
            .with(&[("role", "matcher"), ("of_shard", "1")], matcher.clone());
        bank.set_condition(|| Condition::Unready("standing by".into()));
        matcher.set_condition(|| Condition::Starting("loading".into()));
        assert_eq!(shown.condition(), Condition::Starting("role=matcher,of_shard=1: loading".into()));
        assert!(!shown.has_started());
        matcher.set_condition(|| Condition::Ready);
        assert_eq!(shown.condition(), Condition::Unready("role=bank: standing by".into()));
        assert!(shown.has_started());
        bank.set_condition(|| Condition::Ready);
        assert_eq!(shown.condition(), Condition::Ready);
    }
}
