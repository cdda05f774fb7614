//! `vigie config check`: every fault of a configuration file.

use crate::cli::ConfigCommand;
use crate::config;
use crate::output::{Exit, Output};

pub(crate) fn run(command: ConfigCommand, output: &mut Output) -> anyhow::Result<Exit> {
    let ConfigCommand::Check { file } = command;
    let faults = config::check(&file)?;
    output.object(&serde_json::json!({ "file": file, "faults": faults }))?;
    if faults.is_empty() {
        output.say(format!("{}: no faults", file.display()))?;
        return Ok(Exit::Done);
    }
    for fault in &faults {
        output.say(format!("{}: {fault}", file.display()))?;
    }
    Ok(Exit::Failed)
}
