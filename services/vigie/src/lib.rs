//! The `vigie` program: runs a whole cluster in one process, runs one role of a cluster, or is a client of
//! one.
//!
//! The library behind `main.rs` also contains what tests need: [`local_cluster`] runs every role in this
//! process.
//!
//! Reading order: `cli` (the command line), `config` (defaults, file, environment, arguments), `output`
//! (lines for people, JSON for scripts, exit codes), `hash_file`, `traces`, `open_files`, [`local_cluster`],
//! then `commands`, with one file for each command.

mod cli;
mod config;
mod output;
mod hash_file;
mod traces;
mod open_files;
pub mod local_cluster;
mod commands;

pub use cli::Cli;
pub use commands::run;
pub use config::init_logs;
pub use open_files::raise_open_files;
pub use output::{Exit, Output};

/// The memory allocator of every program that links this crate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
