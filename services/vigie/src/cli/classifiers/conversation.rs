//! The arguments of `vigie conversation`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::FrontendArgs;

/// The subcommands of `vigie conversation`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConversationCommand {
    /// Ask classifiers about a conversation. Nothing of it is kept
    Score(ConversationScoreArgs),
}

/// Arguments of `vigie conversation score`.
#[derive(Debug, Args)]
pub(crate) struct ConversationScoreArgs {
    /// The conversation in JSON: {"messages": [{"role": "a", "text": "..."}], "language": "de"}; `-` for
    /// standard input
    #[arg(value_name = "FILE.json")]
    pub(crate) file: PathBuf,
    /// The name of a model that is asked; may be given again, 1 to 16 in all
    #[arg(long = "classifier", value_name = "NAME", required = true, value_parser = classifier)]
    pub(crate) classifiers: Vec<Box<str>>,
    /// The frontend to ask
    #[command(flatten)]
    pub(crate) frontend: FrontendArgs,
}

/// Reads the name of a classifier.
pub(crate) fn classifier(text: &str) -> Result<Box<str>, String> {
    let name: Result<vigie_classifiers::Name, _> = text.parse();
    name.map(|name| name.as_str().into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn classifiers_are_named_and_a_conversation_has_one_at_least() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        for line in [
            "vigie conversation score c.json --classifier talk",
            "vigie conversation score - --classifier talk --classifier other-2",
            "vigie match a.jpg --classifier nsfw_1 --classifier weapons",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in ["vigie conversation score c.json", "vigie match a.jpg --classifier NSFW"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
