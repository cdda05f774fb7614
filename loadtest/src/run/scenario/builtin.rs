//! The scenarios that come with the program.

use anyhow::Context as _;

/// Name, a line of description, and text of each scenario, in the order of the listing.
const ALL: [(&str, &str, &str); 11] = [
    ("smoke", "every kind of request for ten seconds", include_str!("../../../scenarios/smoke.toml")),
    (
        "steady",
        "lookups at one rate: an ordinary day of uploads",
        include_str!("../../../scenarios/steady.toml"),
    ),
    (
        "ramp",
        "a rising rate: where does latency begin to rise?",
        include_str!("../../../scenarios/ramp.toml"),
    ),
    (
        "overload",
        "far too much for ten seconds, then as before",
        include_str!("../../../scenarios/overload.toml"),
    ),
    (
        "rolling-restart",
        "matchers restart one by one: none may be missed",
        include_str!("../../../scenarios/rolling-restart.toml"),
    ),
    ("lost-shard", "a shard is lost, and comes back", include_str!("../../../scenarios/lost-shard.toml")),
    (
        "slow-replica",
        "a replica is slow, another stands still",
        include_str!("../../../scenarios/slow-replica.toml"),
    ),
    (
        "bulk-import",
        "200,000 items are imported during lookups",
        include_str!("../../../scenarios/bulk-import.toml"),
    ),
    (
        "consortium",
        "as members with policies and opinions",
        include_str!("../../../scenarios/consortium.toml"),
    ),
    ("images", "JPEG files: decoding, hashing, search", include_str!("../../../scenarios/images.toml")),
    ("videos", "videos by the hashes of their frames", include_str!("../../../scenarios/videos.toml")),
];

/// Returns the scenario of that name, if there is one.
pub(crate) fn table(name: &str) -> Option<anyhow::Result<toml::Table>> {
    let (_, _, text) = ALL.iter().find(|(known, ..)| *known == name)?;
    Some(text.parse().with_context(|| format!("the scenario {name} is not TOML")))
}

/// Returns a line for each scenario, for help and errors.
pub(crate) fn listing() -> String {
    let lines = ALL.iter().map(|(name, line, _)| format!("  {name:<17}{line}\n"));
    let lines: String = lines.collect();
    format!("Scenarios that come with the program:\n{lines}Your own scenario is a TOML file; give its path.")
}

/// A name that is neither a file nor a built-in scenario, or no name. The error text lists the scenarios.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownScenario(pub(crate) Option<String>);

impl std::fmt::Display for UnknownScenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(name) => writeln!(f, "`{name}` is neither a file nor a scenario of the program\n")?,
            None => writeln!(f, "name a scenario, such as `vigie-loadtest run smoke`\n")?,
        }
        f.write_str(&listing())
    }
}

impl std::error::Error for UnknownScenario {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::scenario::Scenario;

    #[test]
    fn every_scenario_is_one_and_bears_its_name() {
        for (name, _, text) in ALL {
            let scenario = Scenario::parse(text).unwrap();
            assert_eq!(scenario.name, name);
            assert!(!scenario.about.is_empty() && !scenario.thresholds.is_empty(), "{name}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_listed_in_one_line_of_a_terminal() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort_unstable();
        let mut listed: Vec<&str> = ALL.iter().map(|(name, ..)| *name).collect();
        listed.sort_unstable();
        assert_eq!(files, listed);
        let listing = listing();
        assert!(listing.lines().all(|line| line.len() <= 72), "{listing}");
        assert!(ALL.iter().all(|(name, line, _)| listing.contains(&format!("  {name:<17}{line}\n"))));
    }
}
