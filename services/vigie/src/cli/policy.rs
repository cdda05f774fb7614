//! The arguments of `vigie policy`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use vigie_clients::TriedScore;

use super::BankAddressArgs;

/// The subcommands of `vigie policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Set the policy, as a new version
    Set(PolicySetArgs),
    /// Print the policy in the form of the file that `set` reads
    #[command(disable_version_flag = true)]
    Get {
        /// The version [default: the current one]
        #[arg(long, value_name = "VERSION", value_parser = version())]
        version: Option<u32>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Compare the version on trial with the current one: decisions since the trial began, by the verdicts of
    /// both
    Compare(BankAddressArgs),
    /// Show the verdict of a policy, stored or not, on given matches, and why. Nothing is changed
    #[command(disable_version_flag = true)]
    Try(PolicyTryArgs),
}

/// Arguments of `vigie policy set`.
#[derive(Debug, Args)]
pub(crate) struct PolicySetArgs {
    /// The file of the policy, in TOML, or in JSON where it begins with a brace; `-` for standard input
    #[arg(required_unless_present = "from_version", conflicts_with = "from_version")]
    pub(crate) file: Option<PathBuf>,
    /// Take the rules of an earlier version
    #[arg(long, value_name = "VERSION", value_parser = version())]
    pub(crate) from_version: Option<u32>,
    /// Put the version on trial beside the current one, which still decides
    #[arg(long)]
    pub(crate) trial: bool,
    /// Set nothing unless the newest version is this one; 0 for none yet
    #[arg(long, value_name = "VERSION")]
    pub(crate) expect: Option<u32>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie policy try`.
#[derive(Debug, Args)]
pub(crate) struct PolicyTryArgs {
    /// The file of the policy, as `set` reads it; `-` for standard input [default: the current version]
    #[arg(conflicts_with = "version")]
    pub(crate) file: Option<PathBuf>,
    /// A stored version
    #[arg(long, value_name = "VERSION", value_parser = version())]
    pub(crate) version: Option<u32>,
    /// The matches and scores, as `vigie match --json` prints them: each line is tried by itself; `-` for
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) matches: PathBuf,
    /// Where the content comes from, such as `avatar`: at most 64 bytes
    #[arg(long, default_value = "", hide_default_value = true, value_name = "WORD", value_parser = surface)]
    pub(crate) surface: Box<str>,
    /// The kind of content that was sent [default: as the line says]
    #[arg(long, value_parser = PossibleValuesParser::new(["image", "video", "hashes", "undecoded"]))]
    pub(crate) kind: Option<String>,
    /// A score of the content, 0 to 1, in the place of the line's for this class; may be given again
    #[arg(long = "score", value_name = "MODEL/CLASS=SCORE", value_parser = score)]
    pub(crate) scores: Vec<TriedScore>,
    /// PDQ's quality of the content, 0 to 100 [default: as the line says]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) quality: Option<u8>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Reads a version's number.
fn version() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

/// Reads the word for where content comes from.
pub(crate) fn surface(text: &str) -> Result<Box<str>, String> {
    vigie_proto::matching_surface(text).map_err(|invalid| invalid.reason)
}

/// Reads a score of a class of a model.
fn score(text: &str) -> Result<TriedScore, String> {
    let wanted = "a score is MODEL/CLASS=SCORE, such as nsfw/nude=0.97";
    let (of, score) = text.split_once('=').ok_or(wanted)?;
    let (model, class) = of.split_once('/').ok_or(wanted)?;
    let score = score.parse().map_err(|_| wanted)?;
    if !(0.0..=1.0).contains(&score) {
        return Err("a score is from 0 to 1".to_owned());
    }
    Ok(TriedScore { model: model.to_owned(), class: class.to_owned(), score, version: 0 })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::Cli;

    #[test]
    fn a_policy_comes_from_a_file_or_from_a_version() {
        let check = |line: &str| Cli::command().try_get_matches_from(line.split(' ')).map(drop);
        for good in [
            "vigie policy set policy.toml --trial --expect 0",
            "vigie policy set -",
            "vigie policy set --from-version 3",
            "vigie policy get --version 2",
            "vigie policy try policy.toml --matches -",
            "vigie policy try --version 2 --matches m.jsonl --surface avatar --kind hashes --quality 80",
            "vigie policy try --matches m.jsonl --score nsfw/nude=0.97 --score nsfw/neutral=0",
            "vigie match a.jpg --surface avatar",
        ] {
            assert!(check(good).is_ok(), "{good}: {}", check(good).unwrap_err());
        }
        for (bad, expected) in [
            ("vigie policy set", "FILE"),
            ("vigie policy set a --from-version 3", "cannot be used with"),
            ("vigie policy get --version 0", "1.."),
            ("vigie policy try a --version 1 --matches -", "cannot be used with"),
            ("vigie policy try a", "--matches"),
            ("vigie policy try a --matches - --kind sound", "undecoded"),
            ("vigie policy try a --matches - --quality 101", "0..=100"),
            ("vigie policy try a --matches - --score nsfw=0.5", "MODEL/CLASS=SCORE"),
            ("vigie policy try a --matches - --score nsfw/nude=x", "MODEL/CLASS=SCORE"),
            ("vigie policy try a --matches - --score nsfw/nude=NaN", "from 0 to 1"),
            (&format!("vigie match a.jpg --surface {}", "x".repeat(65)), "64 bytes"),
        ] {
            let refused = check(bad).unwrap_err().to_string();
            assert!(refused.contains(expected), "{bad}: {refused}");
        }
    }
}
