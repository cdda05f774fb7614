//! The one binary: the whole cluster in one process, one role of it, or a client of it.
//!
//! The library behind `main.rs` holds what the tests need too: [`local_cluster`] runs every role in this
//! process.
//!
//! Reading order: `cli` (what can be typed), `config` (defaults, file, environment, arguments), `output`
//! (lines for people, JSON for scripts, exit codes), `hash_file`, `traces`, `open_files`, [`local_cluster`],
//! then `commands`, a file for each.

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

/// Of every program that the crate is part of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
