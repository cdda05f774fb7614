//! Commands for decisions of which there are records.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use vigie_consortium::cases::{Action, Basis, Complaint, MediaKind, Review};

use super::BankAddressArgs;
use super::cases::{Fragment, decision_id, word};
use super::when::Since;

/// Arguments of `vigie explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The decision's id, 32 hexadecimal digits: `decision_id` of an answer
    #[arg(value_name = "DECISION", value_parser = decision_id)]
    pub(crate) id: [u8; 16],
    /// Check whether the decision was about this image, which is hashed here; only digests of its hashes are
    /// sent
    #[arg(long, value_name = "FILE", conflicts_with_all = ["hashes", "format"])]
    pub(crate) image: Option<PathBuf>,
    /// Check whether the decision was about content with this hash, such as 64 hexadecimal digits of PDQ, or
    /// TYPE:HASH; may be given again
    #[arg(long = "hash", value_name = "HASH", conflicts_with = "format")]
    pub(crate) hashes: Vec<String>,
    /// Print instead the part of a report to an authority that it fills: json, which also names what is
    /// missing; or xml, the fileDetails of a CyberTipline report
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Fragment>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// The subcommands of `vigie decision`.
#[derive(Debug, Subcommand)]
pub(crate) enum DecisionCommand {
    /// List the recorded decisions of your member, the oldest first
    List {
        /// The time
        #[command(flatten)]
        time: DecisionTimeArgs,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Set the outcome of a decision; parts that are not named stay as they are
    ///
    /// Each part is counted once in the statistics, whatever is set later. An upheld complaint also puts a
    /// negative opinion of your member on each recorded item that counted and on which you may put opinions,
    /// unless your people have put one already. A later outcome does not withdraw it.
    Outcome(DecisionOutcomeArgs),
    /// Write statements of reasons for the DSA Transparency Database, of decisions on which your member acted
    ///
    /// Prints the bodies of `POST /api/v1/statements`, one to a line, each with at most 100 statements. A
    /// decision whose statement would not be valid is left out and named, with each fault, on standard error;
    /// the command then ends with code 3.
    Statements(StatementsArgs),
}

/// A time in which decisions were taken.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DecisionTimeArgs {
    /// List only decisions of this moment or later: how long ago (12h, 30d), or a date or moment in UTC
    #[arg(long, value_name = "WHEN")]
    pub(crate) from: Option<Since>,
    /// List only decisions before this moment
    #[arg(long, value_name = "WHEN")]
    pub(crate) before: Option<Since>,
}

/// Arguments of `vigie decision outcome`.
#[derive(Debug, Args)]
pub(crate) struct DecisionOutcomeArgs {
    /// The decision's id, 32 hexadecimal digits
    #[arg(value_name = "DECISION", value_parser = decision_id)]
    pub(crate) id: [u8; 16],
    /// The action taken on the content
    #[arg(long, value_name = "ACTION", value_parser = word(Action::ALL, Action::name))]
    pub(crate) action: Option<Action>,
    /// Whether a person looked at the whole content before that
    #[arg(long, value_name = "true|false")]
    pub(crate) person_looked: Option<bool>,
    /// The result of a later review
    #[arg(long, value_name = "REVIEW", value_parser = word(Review::ALL, Review::name))]
    pub(crate) review: Option<Review>,
    /// The state of a complaint by the user
    #[arg(long, value_name = "STATE", value_parser = word(Complaint::ALL, Complaint::name))]
    pub(crate) complaint: Option<Complaint>,
    /// How the content was found
    #[arg(long, value_name = "BASIS", value_parser = word(Basis::ALL, Basis::name))]
    pub(crate) basis: Option<Basis>,
    /// The kind of the content [default: that of the query]
    #[arg(long, value_name = "KIND", value_parser = word(MediaKind::ALL, MediaKind::name))]
    pub(crate) media: Option<MediaKind>,
    /// When your member began to host the content: how long ago, or a date or moment in UTC
    #[arg(long, value_name = "WHEN")]
    pub(crate) hosted_since: Option<Since>,
    /// When your member acted: how long ago, or a date or moment in UTC [default: when the decision was
    /// taken, if its verdict blocks, or else now]
    #[arg(long, value_name = "WHEN")]
    pub(crate) acted: Option<Since>,
    /// Clear the parts that are not named
    #[arg(long)]
    pub(crate) anew: bool,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie decision statements`.
#[derive(Debug, Args)]
pub(crate) struct StatementsArgs {
    /// The file with the parts that all statements of your member share: TOML, or JSON if its name ends with
    /// .json; at most 1 MiB
    #[arg(long, value_name = "FILE")]
    pub(crate) template: PathBuf,
    /// Write only statements of decisions on which your member acted at this moment or later: how long ago
    /// (12h, 30d), or a date or moment in UTC
    #[arg(long, value_name = "WHEN")]
    pub(crate) acted_from: Option<Since>,
    /// Write only statements of decisions on which it acted before this moment, so that adjacent periods have
    /// each decision once
    #[arg(long, value_name = "WHEN")]
    pub(crate) acted_before: Option<Since>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::Cli;

    #[test]
    fn decisions_are_typed_in_one_way() {
        let id = "0f".repeat(16);
        let check = |line: &str| {
            let line = line.replace("ID", &id);
            Cli::command().try_get_matches_from(line.split(' ')).map(drop)
        };
        for good in [
            "vigie explain ID",
            "vigie explain ID --image a.jpg",
            "vigie explain ID --hash md5:00 --hash md5:01",
            "vigie explain ID --format xml",
            "vigie decision list --from 30d --before 2026-11-01",
            "vigie decision outcome ID --action removed --person-looked true --hosted-since 2026-01-02",
            "vigie decision outcome ID --complaint upheld --review overturned",
            "vigie decision statements --template t.toml --acted-from 2026-11-01 --acted-before 2026-11-02",
        ] {
            assert!(check(good).is_ok(), "{good}: {}", check(good).unwrap_err());
        }
        for (bad, expected) in [
            ("vigie explain 12", "32 hexadecimal digits"),
            ("vigie explain ID --image a.jpg --format xml", "cannot be used"),
            ("vigie decision outcome ID --action burned", "removed"),
            ("vigie decision outcome ID --hosted-since never", "how long ago"),
            ("vigie decision statements", "--template"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }
}
