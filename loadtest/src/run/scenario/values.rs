//! Checks the values of a scenario and reports all mistakes at once.

use std::time::Duration;

use crate::data::videos::{FRAMES_LEAST, FRAMES_MOST};
use crate::run::scenario::{Arrivals, Scenario};

impl Scenario {
    /// Returns every mistake in the values, each as `key: what is wrong`.
    #[must_use]
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut check = |holds: bool, mistake: &str| {
            if !holds {
                mistakes.push(mistake.to_owned());
            }
        };
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let rate = |value: f64| (0.0..=10_000_000.0).contains(&value);
        let Arrivals { rate: steady, stages, trace, closed, .. } = &self.arrivals;
        let said = [steady.is_some(), !stages.is_empty(), trace.is_some(), closed.is_some()];
        check(
            said.into_iter().filter(|said| *said).count() == 1,
            "arrivals: needs exactly one of rate, stages, trace and closed",
        );
        check(
            closed.is_none_or(|closed| closed >= u32::from(self.drive.lanes) && closed <= 100_000),
            "arrivals.closed: must be at least drive.lanes, and at most 100000",
        );
        let rates = stages.iter().flat_map(|stage| [Some(stage.rate), stage.to]).chain([*steady]);
        check(rates.flatten().all(rate), "arrivals: each rate must be 0 to 10000000 per second");
        check(
            stages.iter().all(|stage| !stage.over.0.is_zero()),
            "arrivals.stages: over must be above 0 in each stage",
        );
        check(self.data.hashes >= 1, "data.hashes: must be at least 1");
        let questions = &self.questions;
        check(questions.pool >= 2, "questions.pool: must be at least 2");
        check(
            share(questions.matching) && share(questions.live),
            "questions: matching and live must be 0 to 1",
        );
        check(!questions.distances.is_empty(), "questions.distances: must not be empty");
        check(
            questions.distances.iter().all(|&bits| bits <= 256),
            "questions.distances: each must be 0 to 256",
        );
        check(questions.max_distance <= 64, "questions.max_distance: must be 0 to 64");
        check((1..=1_000).contains(&questions.limit), "questions.limit: must be 1 to 1000");
        let sides = &questions.image_sides;
        check(
            !sides.is_empty() && sides.iter().all(|side| (64..=8_192).contains(side)),
            "questions.image_sides: each must be 64 to 8192",
        );
        let mix = &self.mix;
        let weights = mix.weights();
        check(
            weights.iter().any(|&weight| weight > 0) && weights.iter().all(|&weight| weight <= 1_000_000),
            "mix: at least one weight must be above 0, and each at most 1000000",
        );
        check((1..=256).contains(&mix.batch_size), "mix.batch_size: must be 1 to 256");
        check(mix.image == 0 || self.data.pictures >= 1, "mix.image: needs data.pictures");
        check(mix.image == 0 || questions.images >= 2, "questions.images: must be at least 2");
        check(mix.video == 0 || self.data.videos >= 1, "mix.video: needs data.videos");
        check(mix.video == 0 || questions.videos >= 2, "questions.videos: must be at least 2");
        check(
            (FRAMES_LEAST..=FRAMES_MOST).contains(&self.data.video_frames),
            "data.video_frames: must be 8 to 2048",
        );
        let rules = &questions.video_rules;
        let each_once = rules.iter().enumerate().all(|(at, rule)| !rules[..at].contains(rule));
        check(!rules.is_empty() && each_once, "questions.video_rules: must not be empty or repeat a rule");
        check(mix.remove == 0 || mix.add > 0, "mix.remove: needs mix.add, whose items it removes");
        let drive = &self.drive;
        check(!drive.duration.0.is_zero() || !stages.is_empty(), "drive.duration: must be above 0");
        check(drive.duration.0 <= Duration::from_secs(7 * 86_400), "drive.duration: must be at most 168h");
        check(drive.warm_up.0.subsec_nanos() == 0, "drive.warm_up: must be whole seconds");
        check(
            (Duration::from_millis(1)..=Duration::from_secs(120)).contains(&drive.deadline.0),
            "drive.deadline: must be 1ms to 120s",
        );
        check(drive.lanes >= 1, "drive.lanes: must be at least 1");
        check(drive.connections >= u32::from(drive.lanes), "drive.connections: must be at least drive.lanes");
        check(
            drive.in_flight_max >= u32::from(drive.lanes),
            "drive.in_flight_max: must be at least drive.lanes",
        );
        check(share(drive.min_coverage), "drive.min_coverage: must be 0 to 1");
        if let Some(probes) = &self.probes {
            check(!probes.every.0.is_zero() && !probes.within.0.is_zero(), "probes: times must be above 0");
        }
        let cluster = &self.cluster;
        check(
            (1..=256).contains(&cluster.shards)
                && (1..=16).contains(&cluster.replicas)
                && (1..=64).contains(&cluster.frontends),
            "cluster: shards must be 1 to 256, replicas 1 to 16, frontends 1 to 64",
        );
        check(
            cluster.shards_served >= 1 && cluster.shards.is_multiple_of(cluster.shards_served),
            "cluster.shards_served: must be a divisor of shards",
        );
        if let Some(consortium) = &self.consortium {
            mistakes.extend(consortium.mistakes(self.drive.connections));
        }
        if let Some(name) = &self.data.bank
            && let Err(error) = name.parse::<vigie_model::BankName>()
        {
            mistakes.push(format!("data.bank: {error}"));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_reported_with_their_keys() {
        let text = "name = 'x'\n[arrivals]\nrate = 5\nstages = [{ over = '0s', rate = -1 }]\n[mix]\nimage = 1\nremove = 1\n[drive]\nlanes = 9\ndeadline = '0s'\n";
        let error = Scenario::parse(text).unwrap_err().to_string();
        let closed =
            Scenario::parse("name = 'x'\n[arrivals]\nrate = 5\nclosed = 0\n").unwrap_err().to_string();
        assert!(
            closed.contains("arrivals: needs exactly one") && closed.contains("arrivals.closed"),
            "{closed}"
        );
        for key in [
            "arrivals: needs exactly one",
            "arrivals: each rate",
            "arrivals.stages",
            "mix.image",
            "mix.remove",
            "drive.deadline",
            "drive.connections",
        ] {
            assert!(error.contains(key), "{key} in {error}");
        }
    }
}
