//! `vigie config`: checks configurations, and shows all keys.

use crate::cli::{ConfigCheckArgs, ConfigCommand, RoleName};
use crate::commands::cluster::config_show::{markdown, toml};
use crate::config::names::{BANK, CLASSIFIER, COORDINATOR, EXCHANGE, FRONTEND, GATEWAY, MATCHER};
use crate::config::{self, reference};
use crate::output::{Exit, Output, counted};

pub(crate) fn run(command: ConfigCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Check(args) => check(&args, output),
        ConfigCommand::Schema { role } | ConfigCommand::Show { role, schema: true, .. } => {
            let schema = reference::schema(role.map(name));
            output.object(&schema)?;
            output.say(serde_json::to_string_pretty(&schema)?)?;
            Ok(Exit::Done)
        }
        ConfigCommand::Show { role, markdown: as_tables, schema: false } => {
            let sections: Vec<&reference::Section> = match role.map(name) {
                Some(role) => reference::of_role(role).collect(),
                None => reference::sections().iter().collect(),
            };
            for key in sections.iter().flat_map(|section| &section.keys) {
                output.object(key)?;
            }
            if as_tables {
                output.say(markdown(&sections).trim_end())?;
            } else {
                output.say(toml(role.map(name), &sections).trim_end())?;
            }
            Ok(Exit::Done)
        }
    }
}

const fn name(role: RoleName) -> &'static str {
    match role {
        RoleName::Bank => BANK,
        RoleName::Matcher => MATCHER,
        RoleName::Coordinator => COORDINATOR,
        RoleName::Frontend => FRONTEND,
        RoleName::Gateway => GATEWAY,
        RoleName::Exchange => EXCHANGE,
        RoleName::Classifier => CLASSIFIER,
    }
}

fn check(args: &ConfigCheckArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let faults = config::check(args.file.as_deref(), &args.set)?;
    output.object(&serde_json::json!({ "file": args.file, "faults": faults }))?;
    let checked =
        args.file.as_ref().map_or("the configuration".to_owned(), |file| file.display().to_string());
    if faults.is_empty() {
        output.say(format!("{checked}: no faults"))?;
        return Ok(Exit::Done);
    }
    for fault in &faults {
        output.say(fault.to_string())?;
    }
    output.say(format!("{checked}: {}", counted(faults.len() as u64, "fault")))?;
    Ok(Exit::Failed)
}
