//! Commands that prepare: configurations, certificates, completion, manual pages.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;

/// The subcommands of `vigie config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report every fault of a configuration: of a file, of VIGIE__... variables, and of --set arguments
    Check(ConfigCheckArgs),
    /// Show every key, with default, unit, accepted values and comment: a file to begin with
    Show {
        /// The role whose keys to show [default: all]
        #[arg(value_enum, value_name = "ROLE")]
        role: Option<RoleName>,
        /// Print tables of Markdown
        #[arg(long)]
        markdown: bool,
        /// Print a JSON Schema, like `vigie config schema`
        #[arg(long, conflicts_with = "markdown")]
        schema: bool,
    },
    /// Print the JSON Schema of a configuration file, for editors and checks
    Schema {
        /// The role whose table the file must have [default: none is required]
        #[arg(value_enum, value_name = "ROLE")]
        role: Option<RoleName>,
    },
}

/// Arguments of `vigie config check`.
#[derive(Debug, Args)]
pub(crate) struct ConfigCheckArgs {
    /// The file; without it, the variables and arguments alone
    pub(crate) file: Option<PathBuf>,
    /// Set a key of the file, as the command of a role does; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// Stores all items and members durably
    Bank,
    /// Serves a replica of one shard
    Matcher,
    /// Asks the matchers, and merges their answers
    Coordinator,
    /// Serves clients: decodes, hashes and searches
    Frontend,
    /// Serves HTTP
    Gateway,
    /// Follows hash-sharing programmes
    Exchange,
    /// Runs the classifiers that an operator supplies
    Classifier,
}

/// The subcommands of `vigie tls`.
#[derive(Debug, Subcommand)]
pub(crate) enum TlsCommand {
    /// Make an authority for development, and certificates that it signs; an authority that exists is kept
    DevCa(DevCaArgs),
}

/// Arguments of `vigie tls dev-ca`.
#[derive(Debug, Args)]
pub(crate) struct DevCaArgs {
    /// The folder of the authority and its certificates; made if it is missing
    pub(crate) folder: PathBuf,
    /// A server to make a certificate for: a DNS name or an address, or several of one server, separated by
    /// commas; may be given again
    #[arg(long = "name", value_name = "HOST", default_value = "localhost,127.0.0.1,::1")]
    pub(crate) names: Vec<String>,
    /// A client to make a certificate for, with the name spiffe://vigie.dev/NAME; may be given again
    #[arg(long = "client", value_name = "NAME")]
    pub(crate) clients: Vec<String>,
}

/// Arguments of `vigie completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Arguments of `vigie descriptors`.
#[derive(Debug, Args)]
pub(crate) struct DescriptorsArgs {
    /// The file to write, a google.protobuf.FileDescriptorSet [default: standard output]
    pub(crate) file: Option<PathBuf>,
}

/// Arguments of `vigie man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder for the pages, one for each command; made if it is missing
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
