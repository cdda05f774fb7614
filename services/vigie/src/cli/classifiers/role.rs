//! The arguments of `vigie classifier`: those of the role, or a command about cards.

use clap::Args;

use crate::cli::{ClassifierCommand, RoleArgs};

/// Arguments of `vigie classifier`.
#[derive(Debug, Args)]
pub(crate) struct ClassifierArgs {
    /// Run a classifier with this configuration
    #[command(flatten)]
    pub(crate) role: RoleArgs,
    /// Or do this with the cards of models
    #[command(subcommand)]
    pub(crate) command: Option<ClassifierCommand>,
}
