//! The scenarios that come with the program.

use anyhow::{Context as _, bail};

/// Each scenario by its name, in the order in which they are told.
const ALL: [(&str, &str); 9] = [
    ("smoke", include_str!("../../../scenarios/smoke.toml")),
    ("steady", include_str!("../../../scenarios/steady.toml")),
    ("ramp", include_str!("../../../scenarios/ramp.toml")),
    ("overload", include_str!("../../../scenarios/overload.toml")),
    ("rolling-restart", include_str!("../../../scenarios/rolling-restart.toml")),
    ("lost-shard", include_str!("../../../scenarios/lost-shard.toml")),
    ("slow-replica", include_str!("../../../scenarios/slow-replica.toml")),
    ("bulk-import", include_str!("../../../scenarios/bulk-import.toml")),
    ("images", include_str!("../../../scenarios/images.toml")),
];

/// The scenario of that name.
pub(crate) fn table(name: &str) -> anyhow::Result<toml::Table> {
    let Some((_, text)) = ALL.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = ALL.iter().map(|(known, _)| *known).collect();
        bail!("{name} is neither a file nor a scenario; there are {}", known.join(", "));
    };
    text.parse().with_context(|| format!("the scenario {name} is not TOML"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::scenario::Scenario;

    #[test]
    fn every_scenario_is_one_and_bears_its_name() {
        for (name, text) in ALL {
            let scenario = Scenario::parse(text).unwrap();
            assert_eq!(scenario.name, name);
            assert!(!scenario.about.is_empty(), "{name}");
        }
        assert!(table("nonsense").unwrap_err().to_string().contains("smoke"));
    }
}
