//! `vigie descriptors`: writes the descriptors of the gRPC services to a file, from which clients are
//! generated.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, ensure};

use crate::cli::DescriptorsArgs;
use crate::output::{Exit, Output, PrintError};

pub(crate) fn run(args: &DescriptorsArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let descriptors = vigie_proto::DESCRIPTORS;
    if let Some(file) = &args.file {
        std::fs::write(file, descriptors).with_context(|| format!("cannot write {}", file.display()))?;
        output.say(format!("{}: {} bytes of descriptors", file.display(), descriptors.len()))?;
        output.object(&serde_json::json!({ "file": file, "bytes": descriptors.len() }))?;
        return Ok(Exit::Done);
    }
    let mut stdout = std::io::stdout();
    ensure!(!stdout.is_terminal(), "the descriptors are not text: name a file, or send them to one");
    stdout.write_all(descriptors).and_then(|()| stdout.flush()).map_err(PrintError::from)?;
    Ok(Exit::Done)
}
