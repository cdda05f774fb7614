//! The arguments of commands that read and write files of hashes.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use thiserror::Error;
use vigie_formats::files::Format;
use vigie_model::BankRef;

use super::{BankAddressArgs, HashTypeName};

/// How a file of hashes is read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HashFileArgs {
    /// The file's format [default: detected from its beginning]
    #[arg(long, requires = "hashes", value_name = "FORMAT", value_parser = format_parser(Format::all()))]
    pub(crate) format: Option<Format>,
    /// The type of hashes whose type the file does not name, such as pdq or sha256
    #[arg(long = "type", requires = "hashes", value_name = "TYPE")]
    pub(crate) hash_type: Option<HashTypeName>,
    /// The names of a table's columns, if it has no header or in place of it: hash types, labels,
    /// external_reference, file, quality, hash and type; `-` for a column to leave out
    #[arg(long, requires = "hashes", value_name = "NAME,NAME,...", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// Skip hash types and columns that are not known, and count them
    #[arg(long, requires = "hashes")]
    pub(crate) ignore_unknown: bool,
    /// Write every bad line to this file, as CSV: number, reason, text
    #[arg(long, requires = "hashes", value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
}

/// Arguments of `vigie bank sync`.
#[derive(Debug, Args)]
pub(crate) struct BankSyncArgs {
    /// The bank's name
    pub(crate) bank: BankRef,
    /// The file of hashes, in any format that `item add --hashes` reads
    #[arg(id = "hashes", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How the file is read
    #[command(flatten)]
    pub(crate) reading: HashFileArgs,
    /// A label for each item that is added; may be given again
    #[arg(long = "label", value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// The programme that the items come from; without one they are the bank's own, which others may follow
    #[arg(long, value_name = "NAME")]
    pub(crate) programme: Option<String>,
    /// The case that the items belong to [default: `file` where no programme is named]
    #[arg(long, value_name = "CASE")]
    pub(crate) case: Option<String>,
    /// Show what would be added and removed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse to remove more than this share of the bank's items, so that a truncated file removes nothing
    #[arg(long, value_name = "PERCENT", default_value = "10%")]
    pub(crate) remove_max: Percent,
    /// Continue although the file has bad lines, and remove items that only those lines may hold
    #[arg(long)]
    pub(crate) ignore_bad: bool,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie bank export`.
#[derive(Debug, Args)]
pub(crate) struct BankExportArgs {
    /// The bank's name
    pub(crate) bank: BankRef,
    /// The file's format
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = format_parser(Format::writable()))]
    pub(crate) format: Format,
    /// Write only hashes of this type; required for the formats of lists
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) hash_type: Option<HashTypeName>,
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

fn format_parser(formats: impl Iterator<Item = Format>) -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(formats.map(Format::name)).try_map(|name| name.parse::<Format>())
}

/// A share, 0% to 100%.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percent(u8);

/// The text is not a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("use 0% to 100%")]
pub(crate) struct NoPercent;

impl Percent {
    /// Whether a part of a whole is more than the share.
    pub(crate) fn is_exceeded(self, part: u64, whole: u64) -> bool {
        u128::from(part) * 100 > u128::from(whole) * u128::from(self.0)
    }
}

impl FromStr for Percent {
    type Err = NoPercent;

    fn from_str(text: &str) -> Result<Self, NoPercent> {
        let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
        number.filter(|number| *number <= 100).map(Self).ok_or(NoPercent)
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_with_its_sign_or_without_and_is_at_most_the_whole() {
        assert_eq!(("10%".parse(), "100".parse()), (Ok(Percent(10)), Ok(Percent(100))));
        for bad in ["101%", "-1", "", "%", "10%%", "0.5"] {
            assert_eq!(bad.parse::<Percent>(), Err(NoPercent), "{bad}");
        }
        let tenth = Percent(10);
        assert!(!tenth.is_exceeded(1, 10) && tenth.is_exceeded(2, 10) && tenth.is_exceeded(1, 9));
        assert!(!tenth.is_exceeded(0, 0) && Percent(0).is_exceeded(1, u64::MAX));
    }
}
