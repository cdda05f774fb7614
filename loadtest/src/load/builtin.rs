//! The scenarios that come with the program.

use anyhow::{Context as _, bail};

/// Each scenario by its name, in the order in which they are told.
const ALL: [(&str, &str); 1] = [("smoke", include_str!("../../scenarios/smoke.toml"))];

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
    use crate::load::scenario::Scenario;

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
