//! The arguments of `vigie opinion` and `vigie dispute`.

use std::fmt;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Subcommand};
use vigie_consortium::{Class, OpinionReason, Resolution};
use vigie_model::{BankRef, Hash, HashError, HashType, UnknownHashType};

use super::{BankAddressArgs, HashTypeName};

/// The subcommands of `vigie opinion`.
#[derive(Debug, Subcommand)]
pub(crate) enum OpinionCommand {
    /// Put an opinion of your member on items, all of them or none; the newest one on an item, or on one of
    /// its hashes, counts
    Put(Box<OpinionPutArgs>),
    /// Withdraw all opinions of your member on items: on all of these items, or on none
    Withdraw {
        /// The items' ids
        #[arg(required = true)]
        items: Vec<u64>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// List opinions on items of a bank, as a feed: all if the bank is your member's; otherwise its own, and
    /// those on items that it contributed
    List {
        /// The bank's name
        bank: BankRef,
        /// List only your member's own opinions
        #[arg(long)]
        mine: bool,
        /// List only opinions on items that changed after this sequence; each list ends with the one to
        /// continue from
        #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "SEQUENCE")]
        after: u64,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

/// Arguments of `vigie opinion put`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("kind").required(true).args(["positive", "negative", "seen"]))]
pub(crate) struct OpinionPutArgs {
    /// The ids of the items
    #[arg(required = true, value_name = "ITEM")]
    pub(crate) items: Vec<u64>,
    /// A person saw a match, and the content is what the item says
    #[arg(long)]
    pub(crate) positive: bool,
    /// A person saw a match, and the content is something else
    #[arg(long)]
    pub(crate) negative: bool,
    /// The item matched, and nobody has looked at the content
    #[arg(long)]
    pub(crate) seen: bool,
    /// The reason, with --negative
    #[arg(long, value_name = "WORD", conflicts_with_all = ["positive", "seen"], value_parser = reason())]
    pub(crate) reason: Option<OpinionReason>,
    /// Ask the owner of the bank to look again, with --negative
    #[arg(long, conflicts_with_all = ["positive", "seen"])]
    pub(crate) dispute: bool,
    /// The class that you think is right: TAXONOMY/DIMENSION=VALUE, such as iwf/category=A
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub(crate) proposed: Option<Class>,
    /// The hash of the item that the opinion is about [default: the whole item]
    #[arg(long, value_name = "TYPE:HEX")]
    pub(crate) hash: Option<HashText>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// The subcommands of `vigie dispute`.
#[derive(Debug, Subcommand)]
pub(crate) enum DisputeCommand {
    /// List the disputes about items of your member's banks, and those that your member opened; those that
    /// are due first come first
    List {
        /// List resolved disputes instead of open ones
        #[arg(long)]
        resolved: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Resolve the dispute about an item of your member's bank: the charter's hold ends, and earlier negative
    /// opinions no longer count for another dispute
    Resolve {
        /// The item's id
        item: u64,
        /// The outcome
        #[arg(value_parser = outcome())]
        outcome: Resolution,
        /// With `reclassified`, a new class, in place of those before; may be given again
        #[arg(long = "class", value_name = "CLASS", value_parser = class)]
        classes: Vec<Class>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

fn reason() -> impl TypedValueParser<Value = OpinionReason> {
    let names = PossibleValuesParser::new(OpinionReason::ALL.map(OpinionReason::name));
    let of = |name: String| OpinionReason::ALL.into_iter().find(|one| one.name() == name);
    names.try_map(move |name| of(name).ok_or("is not known"))
}

fn outcome() -> impl TypedValueParser<Value = Resolution> {
    let names = PossibleValuesParser::new(Resolution::ALL.map(Resolution::name));
    let of = |name: String| Resolution::ALL.into_iter().find(|one| one.name() == name);
    names.try_map(move |name| of(name).ok_or("is not known"))
}

/// Reads a class in its three parts.
pub(crate) fn class(text: &str) -> Result<Class, String> {
    let parts = text.split_once('/').and_then(|(taxonomy, rest)| Some((taxonomy, rest.split_once('=')?)));
    let (taxonomy, (dimension, value)) = parts.ok_or("is not TAXONOMY/DIMENSION=VALUE")?;
    Class::new(taxonomy, dimension, value).map_err(|error| error.to_string())
}

/// A hash behind the name of its type, which may be a declared one.
#[derive(Clone)]
pub(crate) struct HashText {
    /// The type.
    pub(crate) name: HashTypeName,
    digits: Box<str>,
}

impl HashText {
    /// The hash, of the type that the name is of.
    pub(crate) fn of(&self, hash_type: HashType) -> Result<Hash, HashError> {
        Hash::from_text(hash_type, &self.digits)
    }
}

/// A hash is sensitive: the type alone is shown.
impl fmt::Debug for HashText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashText").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FromStr for HashText {
    type Err = String;

    /// Checks the hash where the type is known already.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digits) =
            text.split_once(':').ok_or("is not TYPE:HEX, such as md5:d41d8cd98f00b204e9800998ecf8427e")?;
        let name: HashTypeName = name.parse().map_err(|error: UnknownHashType| error.to_string())?;
        let read = Self { name, digits: digits.into() };
        if let Ok(hash_type) = read.name.resolve() {
            read.of(hash_type).map_err(|error| error.to_string())?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::Cli;

    #[test]
    fn opinions_are_typed_in_one_way() {
        let check = |line: &str| Cli::command().try_get_matches_from(line.split(' ')).map(drop);
        for good in [
            "vigie opinion put 7 8 --positive",
            "vigie opinion put 7 --negative --reason poor-hash --dispute --proposed iwf/category=A",
            "vigie opinion put 7 --seen --hash md5:d41d8cd98f00b204e9800998ecf8427e",
            "vigie opinion withdraw 7",
            "vigie opinion list acme/known --mine --after 12",
            "vigie dispute list --resolved",
            "vigie dispute resolve 7 reclassified --class iwf/category=B --class ncmec/classification=A1",
            "vigie item hold 7 --here",
            "vigie item lift 7 --here",
            "vigie item held --here",
        ] {
            assert!(check(good).is_ok(), "{good}: {}", check(good).unwrap_err());
        }
        for (bad, expected) in [
            ("vigie opinion put 7", "--positive"),
            ("vigie opinion put --seen", "ITEM"),
            ("vigie opinion put 7 --positive --negative", "cannot be used with"),
            ("vigie opinion put 7 --positive --dispute", "cannot be used with"),
            ("vigie opinion put 7 --seen --reason other", "cannot be used with"),
            ("vigie opinion put 7 --negative --reason ugly", "different-content"),
            ("vigie opinion put 7 --negative --proposed iwf", "TAXONOMY/DIMENSION=VALUE"),
            ("vigie opinion put 7 --seen --hash d41d", "TYPE:HEX"),
            ("vigie dispute resolve 7 forgotten", "reclassified"),
            ("vigie item hold 7 --here --until 12h", "cannot be used with"),
            ("vigie item held", "--here"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }
}
