//! `vigie completions` and `vigie man`: generate shell completions and manual pages from the command line's
//! definition.

use std::io;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::output::{Exit, Output};

/// Prints the script that completes the command line in a shell.
pub(crate) fn completions(args: &CompletionsArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vigie", &mut script);
    let script = String::from_utf8(script).context("the script is not UTF-8")?;
    output.say(script.trim_end())?;
    output.object(&serde_json::json!({ "shell": args.shell.to_string(), "script": script }))?;
    Ok(Exit::Done)
}

/// Writes a manual page for each command.
pub(crate) fn man(args: &ManArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut command = Cli::command();
    // After this, the name of each page contains the names of its parent commands.
    command.build();
    let pages =
        pages(command, folder).with_context(|| format!("cannot write pages to {}", folder.display()))?;
    output.say(format!(
        "wrote {pages} pages to {}; `man -l {}/vigie.1` shows the first",
        folder.display(),
        folder.display()
    ))?;
    output.object(&serde_json::json!({ "folder": folder, "pages": pages }))?;
    Ok(Exit::Done)
}

fn pages(command: clap::Command, folder: &std::path::Path) -> io::Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-");
    let inner: Vec<clap::Command> = command
        .get_subcommands()
        .filter(|one| !one.is_hide_set() && one.get_name() != "help")
        .cloned()
        .collect();
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    std::fs::write(folder.join(format!("{name}.1")), page)?;
    inner.into_iter().try_fold(1, |written, one| Ok(written + pages(one, folder)?))
}
