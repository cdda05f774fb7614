//! The arguments of `vigie match`.

use std::path::PathBuf;

use clap::Args;
use vigie_model::{BankRef, VideoRuleKind};

use crate::cli::classifiers::conversation::classifier;
use crate::cli::{FrontendArgs, policy};

/// Arguments of `vigie match`.
#[derive(Debug, Args)]
pub(crate) struct MatchArgs {
    /// Image and video files; folders of them, in which other files are counted and are no failures; hashes,
    /// such as 64 hexadecimal digits (searched as every type that is written so) or md5:DIGEST; or `-` for
    /// standard input: text is read as a hash a line (or the JSON of `vigie hash`), anything else as one
    /// image or video
    #[arg(required = true, value_name = "FILE|DIR|HASH|-")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Search this bank only; may be given again
    #[arg(long = "bank", value_name = "BANK")]
    pub(crate) banks: Vec<BankRef>,
    /// The largest distance of a match, in bits, for PDQ and for frames of videos, 0 to 64 [default: 31]
    #[arg(long, value_name = "BITS")]
    pub(crate) max_distance: Option<u32>,
    /// Compare vectors one by one, so that none is missed
    #[arg(long)]
    pub(crate) exact: bool,
    /// The bank to ask for declared hash types, such as that of clip:BASE64, or several on one database,
    /// separated by commas: the serving one is asked
    #[arg(long = "bank-url", env = "VIGIE_BANK", value_name = "URL", value_delimiter = ',')]
    pub(crate) bank_urls: Vec<String>,
    /// The rule by which a video matches: clip_of_known, contains_known or threatexchange; may be given again
    /// [default: the first two]
    #[arg(long = "video-rule", value_name = "RULE")]
    pub(crate) video_rules: Vec<VideoRuleKind>,
    /// Items to show for each image, the nearest first, 1 to 1000
    #[arg(long, default_value_t = 100, allow_negative_numbers = true)]
    pub(crate) limit: i64,
    /// Wait until the answer includes the change with this sequence of the bank's log
    #[arg(long, default_value_t = 0, value_name = "SEQUENCE")]
    pub(crate) min_sequence: u64,
    /// Accept an answer from at least this share of the shards, 0.0 to 1.0
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    pub(crate) min_coverage: f64,
    /// Warn if an answer is older than this many seconds, so that it may lack newer changes; 0 for never
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) warn_age: u64,
    /// Where the content comes from, for the rules of a policy, such as `avatar`: at most 64 bytes
    #[arg(long, default_value = "", hide_default_value = true, value_name = "WORD", value_parser = policy::surface)]
    pub(crate) surface: Box<str>,
    /// Ask this classifier about the first frame of each image, by the name of its model; may be given again
    #[arg(long = "classifier", value_name = "NAME", value_parser = classifier)]
    pub(crate) classifiers: Vec<Box<str>>,
    /// Exit with 10 when anything matched, whatever else happened
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// The frontend to ask
    #[command(flatten)]
    pub(crate) frontend: FrontendArgs,
}
