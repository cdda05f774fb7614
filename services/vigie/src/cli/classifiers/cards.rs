//! The arguments of `vigie classifier`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use vigie_classifiers::Name;
use vigie_net::TlsArgs;

use crate::cli::BankAddressArgs;

/// The subcommands of `vigie classifier`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClassifierCommand {
    /// Set the card of a model from a file, as a new version; for operators
    ///
    /// A card is a JSON document: which model it is, how a picture or a conversation becomes its input, its
    /// classes, licence and approver, and an input whose scores are known. A model begins in shadow: its
    /// scores are counted, but returned to nobody.
    Add(ClassifierAddArgs),
    /// List the models: versions, modes and thresholds
    List(BankAddressArgs),
    /// Show the card of a model: its source, classes, thresholds and calibration
    #[command(disable_version_flag = true)]
    Show(ClassifierShowArgs),
    /// Measure a model on labelled content, and put the calibration into its card; for operators
    ///
    /// Each sub-folder of FOLDER that has the name of a class holds content of that class, and any other
    /// sub-folder content of no class: images, or conversations as JSON
    /// (`{"messages": [{"role": "a", "text": "..."}]}`). Every file is sent to a frontend, which keeps
    /// nothing of it. A content counts once. Thresholds of an earlier calibration are dropped, and so the
    /// model is in shadow.
    Calibrate(ClassifierCalibrateArgs),
    /// Choose the threshold of a class by the rate of false positives that its calibration supports; for
    /// operators
    Threshold(ClassifierThresholdArgs),
    /// Return the scores of a model to callers; it must have a threshold; for operators
    Activate(OneClassifierArgs),
    /// Count the scores of a model, but return them to nobody; for operators
    Shadow(OneClassifierArgs),
    /// Stop running a model; its cards stay, because answers name them, and another card starts it again; for
    /// operators
    Retire(OneClassifierArgs),
}

/// Arguments of `vigie classifier add`.
#[derive(Debug, Args)]
pub(crate) struct ClassifierAddArgs {
    /// The card, a JSON file of at most 256 KiB; its `version` is ignored, because the bank numbers versions
    #[arg(long, value_name = "FILE")]
    pub(crate) card: PathBuf,
    /// Refuse unless this is the newest version of the model's card; 0 for none
    #[arg(long, value_name = "N")]
    pub(crate) expected_version: Option<u32>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// A model.
#[derive(Debug, Args)]
pub(crate) struct OneClassifierArgs {
    /// The name of the model
    pub(crate) name: Name,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie classifier show`.
#[derive(Debug, Args)]
pub(crate) struct ClassifierShowArgs {
    /// The model
    #[command(flatten)]
    pub(crate) one: OneClassifierArgs,
    /// The version of its card [default: the newest]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) version: Option<u32>,
}

/// Arguments of `vigie classifier threshold`.
#[derive(Debug, Args)]
pub(crate) struct ClassifierThresholdArgs {
    /// The model
    #[command(flatten)]
    pub(crate) one: OneClassifierArgs,
    /// The class
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Name,
    /// The rate: with a confidence of 95 %, at most one in this many contents that are not of the class is
    /// above the threshold, 2 to 1000000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) at_most_one_in: u32,
}

/// Arguments of `vigie classifier calibrate`.
#[derive(Debug, Args)]
pub(crate) struct ClassifierCalibrateArgs {
    /// The model
    #[command(flatten)]
    pub(crate) one: OneClassifierArgs,
    /// The folder of labelled content
    pub(crate) folder: PathBuf,
    /// Measure this class alone; may be given again [default: every class of the model]
    #[arg(long = "class", value_name = "CLASS")]
    pub(crate) classes: Vec<Name>,
    /// A description of the content and who labelled it, at most 256 bytes [default: the folder's name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) source: Option<String>,
    /// Put the calibration although files could not be read or scored; they are named and left out
    #[arg(long)]
    pub(crate) skip_failed: bool,
    /// The frontend that is asked for scores
    #[arg(long, env = "VIGIE_FRONTEND", default_value = "http://127.0.0.1:7740", value_name = "URL")]
    pub(crate) frontend: String,
}

impl ClassifierCalibrateArgs {
    /// How the frontend is reached: as the bank is.
    pub(crate) const fn tls(&self) -> &TlsArgs {
        &self.one.address.tls
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::Cli;

    #[test]
    fn classifiers_are_named_and_their_rates_are_bounded() {
        let check = |line: &str| Cli::command().try_get_matches_from(line.split(' ')).map(drop);
        for good in [
            "vigie classifier add --card nsfw.json --expected-version 0",
            "vigie classifier list",
            "vigie classifier show nsfw --version 3",
            "vigie classifier calibrate nsfw labelled --class nude --class gore --source drawn --skip-failed",
            "vigie classifier threshold nsfw --class nude --at-most-one-in 10000",
            "vigie classifier activate nsfw",
            "vigie classifier shadow nsfw",
            "vigie classifier retire nsfw",
        ] {
            check(good).unwrap();
        }
        for (bad, says) in [
            ("vigie classifier add", "--card"),
            ("vigie classifier show Nsfw", "1 to 64 of a-z 0-9 - _"),
            ("vigie classifier show nsfw --version 0", "--version"),
            ("vigie classifier threshold nsfw --class nude --at-most-one-in 1", "2..=1000000"),
            ("vigie classifier threshold nsfw --class nude --at-most-one-in 1000001", "2..=1000000"),
            ("vigie classifier threshold nsfw --at-most-one-in 10", "--class"),
            ("vigie classifier calibrate nsfw", "FOLDER"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
