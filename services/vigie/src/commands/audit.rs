//! `vigie audit`: reads and verifies the bank's audit.
//!
//! Reading order: `connect` (the bank's service), `keys`, `lines` (the printed form of entries), then `list`,
//! `prove`, `export_file` and `order` (the format of an export, and its verification), `export`, `verify`,
//! `cosign`, `key`.

mod connect;
mod keys;
mod lines;
mod list;
mod prove;
mod export_file;
mod order;
mod export;
mod verify;
mod cosign;
mod key;
#[cfg(test)]
mod mutations;

use crate::cli::AuditCommand;
use crate::output::{Exit, Output};

pub(crate) async fn run(command: AuditCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        AuditCommand::List(args) => list::run(args, output).await,
        AuditCommand::Prove(args) => prove::run(args, output).await,
        AuditCommand::Export(args) => export::run(args, output).await,
        AuditCommand::Verify(args) => verify::run(&args, output),
        AuditCommand::Cosign(args) => cosign::run(args, output).await,
        AuditCommand::Key(command) => key::run(command, output),
    }
}
