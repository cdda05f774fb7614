//! Commands for several organisations on one deployment.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Subcommand};
use vigie_consortium::{
    Amount, BankRef, Capability, CredentialError, Flag, Jurisdictions, JurisdictionsError, Member,
    MemberName, Principal, Role, SpiffeId, Text, TextError,
};
use vigie_model::BankName;

use super::BankAddressArgs;
use super::when::{When, span};

/// The subcommands of `vigie member`.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Add a member, which has no principals yet (for operators)
    Add {
        /// The member's name: 1 to 32 of a-z 0-9 -, beginning with a letter
        name: MemberName,
        /// The member's settings
        #[command(flatten)]
        words: MemberWordsArgs,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// List the members that the caller may read
    List(BankAddressArgs),
    /// Show a member and its limits
    Show(OneMemberArgs),
    /// Change a member's name for people, its jurisdictions, or whether it is named; options that are not
    /// given change nothing
    #[command(group = ArgGroup::new("words").required(true).multiple(true).args(["display_name", "jurisdictions", "named"]))]
    Edit {
        /// The member's name
        name: MemberName,
        /// The member's new settings
        #[command(flatten)]
        words: MemberWordsArgs,
        /// Whether other members may see that an opinion is this member's
        #[arg(long, value_name = "yes|no", value_parser = yes_or_no("yes", "no"))]
        named: Option<bool>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Refuse a member's principals; its items still match for others (for operators)
    Suspend(OneMemberArgs),
    /// Refuse a member's principals, search its banks no longer and hold its items (for operators)
    Quarantine(OneMemberArgs),
    /// Reactivate a member that was suspended or quarantined (for operators)
    Activate(OneMemberArgs),
    /// Show the identity providers whose tokens name a member's principals, or set them (for operators)
    Issuers {
        /// The member's name
        name: MemberName,
        /// The new providers, as values of a token's `iss`, in place of those before [default: show the
        /// present ones]
        #[arg(value_name = "ISSUER")]
        issuers: Vec<String>,
        /// Remove all providers
        #[arg(long, conflicts_with = "issuers")]
        none: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

/// A member by name.
#[derive(Debug, Args)]
pub(crate) struct OneMemberArgs {
    /// The member's name
    pub(crate) name: MemberName,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// A member's settings.
#[derive(Debug, Args)]
pub(crate) struct MemberWordsArgs {
    /// The member's name for people, at most 128 bytes; "" for none
    #[arg(long, value_name = "TEXT", value_parser = text::<{ Member::DISPLAY_NAME_LEN_MAX }>)]
    pub(crate) display_name: Option<Text<{ Member::DISPLAY_NAME_LEN_MAX }>>,
    /// The countries whose law the member applies, such as FR,DE; "" for none
    #[arg(long, value_name = "COUNTRIES", value_parser = jurisdictions)]
    pub(crate) jurisdictions: Option<Jurisdictions>,
}

/// The subcommands of `vigie principal`.
#[derive(Debug, Subcommand)]
pub(crate) enum PrincipalCommand {
    /// Create a principal, with a new API key unless another credential is named; the key is shown once
    Add(PrincipalAddArgs),
    /// List the principals of a member
    List {
        /// The member [default: the caller's]
        #[arg(long, value_name = "MEMBER")]
        member: Option<MemberName>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Give a principal another API key, which is shown once; the previous key ends after an overlap
    Rotate {
        /// The principal's id
        principal: u64,
        /// How long the previous key still works, such as 12h, at most 30d; 0 refuses it at once, for a key
        /// that leaked
        #[arg(long, default_value = "24h", value_name = "DURATION", value_parser = span)]
        overlap: Duration,
        /// The destination of the key
        #[command(flatten)]
        new_key: NewKeyArgs,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Refuse a principal permanently
    Revoke {
        /// The principal's id
        principal: u64,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

/// Arguments of `vigie principal add`.
#[derive(Debug, Args)]
pub(crate) struct PrincipalAddArgs {
    /// The member that the principal acts for [default: the caller's]
    #[arg(long, value_name = "MEMBER")]
    pub(crate) member: Option<MemberName>,
    /// The principal's roles, separated by commas
    #[arg(long = "role", required = true, value_name = "ROLES", value_delimiter = ',', value_parser = word::<Role>())]
    pub(crate) roles: Vec<Role>,
    /// The name in the principal's certificate, in place of a key: spiffe://DOMAIN/member/MEMBER/WORKLOAD
    #[arg(long, value_name = "ID", conflicts_with_all = ["issuer", "key_file"], value_parser = spiffe_id)]
    pub(crate) spiffe_id: Option<SpiffeId>,
    /// The `iss` of the principal's tokens, in place of a key; with --subject
    #[arg(long, requires = "subject", conflicts_with = "key_file")]
    pub(crate) issuer: Option<String>,
    /// The `sub` of the principal's tokens; with --issuer
    #[arg(long, requires = "issuer")]
    pub(crate) subject: Option<String>,
    /// When the principal expires: a duration (12h, 30d), a date or moment in UTC (2027-01-31,
    /// 2027-01-31T18:00), or never
    #[arg(long, default_value = "never", value_name = "WHEN")]
    pub(crate) expires: When,
    /// A note for people who read the list, at most 256 bytes
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT", value_parser = text::<{ Principal::NOTE_LEN_MAX }>)]
    pub(crate) note: Text<{ Principal::NOTE_LEN_MAX }>,
    /// The destination of the key
    #[command(flatten)]
    pub(crate) new_key: NewKeyArgs,
    /// Create the first principal of the deployment, an operator: from then on every call needs a credential
    #[arg(long)]
    pub(crate) turn_on: bool,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// The destination of a new API key.
#[derive(Debug, Args)]
pub(crate) struct NewKeyArgs {
    /// The file to write the new key to, which must not exist yet; only its owner may read it [default:
    /// standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// The subcommands of `vigie grant`.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Set what another member may do with a bank of the caller's; replaces an earlier grant
    Put {
        /// The bank
        bank: BankRef,
        /// The member that it is shared with
        member: MemberName,
        /// The member's rights, separated by commas; no right includes another
        #[arg(long = "allow", required = true, value_name = "CAPABILITIES", value_delimiter = ',', value_parser = word::<Capability>())]
        capabilities: Vec<Capability>,
        /// When the right ends: a duration (12h, 30d), a date or moment in UTC (2027-01-31,
        /// 2027-01-31T18:00), or never
        #[arg(long, default_value = "never", value_name = "WHEN")]
        expires: When,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Take a grant back
    Revoke {
        /// The bank
        bank: BankRef,
        /// The member
        member: MemberName,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// List with whom a bank is shared, or without a name, what is shared with the caller's member
    List {
        /// The bank
        bank: Option<BankRef>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Set the caller's own name for a bank that is shared with its member
    Alias {
        /// The bank, as OWNER/NAME or by its present alias
        bank: BankRef,
        /// The alias
        #[arg(required_unless_present = "none")]
        alias: Option<BankName>,
        /// Remove the alias
        #[arg(long, conflicts_with = "alias")]
        none: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

/// The subcommands of `vigie quota`.
#[derive(Debug, Subcommand)]
pub(crate) enum QuotaCommand {
    /// Set limits of a member; limits that are not named stay, and 0 is no limit (for operators)
    #[command(override_usage = "vigie quota set <MEMBER> <LIMITS>...", group = ArgGroup::new("limits").required(true).multiple(true).args([
        "units_per_second", "units_burst", "units_per_day", "items_matched_per_day", "items_added_per_day",
        "near_queries_per_item_day", "images_only",
    ]))]
    Set(QuotaSetArgs),
    /// Show the limits of a member
    Show {
        /// The member [default: the caller's]
        member: Option<MemberName>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

/// Arguments of `vigie quota set`. A unit is a hash and hash type; an image is 20.
#[derive(Debug, Args)]
pub(crate) struct QuotaSetArgs {
    /// The member
    pub(crate) member: MemberName,
    /// Units of searching a second: a hash is 1 and an image 20, each times the hash types that are searched
    #[arg(long, value_name = "UNITS", value_parser = amount)]
    pub(crate) units_per_second: Option<Amount>,
    /// Units that may be spent at once; 0 for the units of one second
    #[arg(long, value_name = "UNITS", value_parser = amount)]
    pub(crate) units_burst: Option<Amount>,
    /// Units of searching a day
    #[arg(long, value_name = "UNITS", value_parser = amount)]
    pub(crate) units_per_day: Option<Amount>,
    /// Different items a day that may be matched
    #[arg(long, value_name = "ITEMS", value_parser = amount)]
    pub(crate) items_matched_per_day: Option<Amount>,
    /// Items a day that may be added
    #[arg(long, value_name = "ITEMS", value_parser = amount)]
    pub(crate) items_added_per_day: Option<Amount>,
    /// Different queries a day that may come near one item without being equal to it; 0 for the default of 32
    #[arg(long, value_name = "QUERIES")]
    pub(crate) near_queries_per_item_day: Option<u16>,
    /// Whether queries have to be images
    #[arg(long, value_name = "true|false")]
    pub(crate) images_only: Option<bool>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// The subcommands of `vigie bank charter`.
#[derive(Debug, Subcommand)]
pub(crate) enum CharterCommand {
    /// Show a bank's demands on contributors and its terms
    Show {
        /// The bank
        bank: BankRef,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Change a bank's demands and terms; those that are not named stay
    #[command(override_usage = "vigie bank charter set <BANK> <TERMS>...", group = ArgGroup::new("terms").required(true).multiple(true).args([
        "taxonomies", "two_person_items", "purge_hours", "confirmations", "hold_on_negatives", "shadow", "suppresses",
        "dispute_days", "record_days", "frames_answer_images", "images_answer_videos", "vector_distances",
    ]))]
    Set(Box<CharterSetArgs>),
}

/// Arguments of `vigie bank charter set`.
#[derive(Debug, Args)]
pub(crate) struct CharterSetArgs {
    /// The bank
    pub(crate) bank: BankRef,
    /// The taxonomies that items take their classification from, separated by commas; "" for any
    #[arg(long, value_name = "NAMES")]
    pub(crate) taxonomies: Option<String>,
    /// Number of items from which on a removal needs two people of the owner; 0 for never
    #[arg(long, value_name = "ITEMS")]
    pub(crate) two_person_items: Option<u32>,
    /// Hours until the hash of a withdrawn item is erased from all files, at most 8760; 0 for 72
    #[arg(long, value_name = "HOURS")]
    pub(crate) purge_hours: Option<u32>,
    /// Members, the contributors included, that must confirm an item before it matches for others, at most
    /// 1000; 0 for no confirmation
    #[arg(long, value_name = "MEMBERS")]
    pub(crate) confirmations: Option<u32>,
    /// Members with a negative opinion at which an item is held and a dispute opens, at most 1000; 0 for
    /// never
    #[arg(long, value_name = "MEMBERS")]
    pub(crate) hold_on_negatives: Option<u32>,
    /// Whether the bank is on trial: its matches are counted, but returned to nobody
    #[arg(long, value_name = "on|off", value_parser = yes_or_no("on", "off"))]
    pub(crate) shadow: Option<bool>,
    /// Banks, by name or id, whose matches a match of this bank suppresses, separated by commas, at most 64;
    /// "" for none
    #[arg(long, value_name = "BANKS")]
    pub(crate) suppresses: Option<String>,
    /// Days that the owner has to resolve a dispute, at most 90; 0 for 14
    #[arg(long, value_name = "DAYS")]
    pub(crate) dispute_days: Option<u32>,
    /// Days for which matches are recorded, at most 730; 0 for no records. `vigie explain` reads them
    #[arg(long, value_name = "DAYS")]
    pub(crate) record_days: Option<u32>,
    /// Whether an image that is near a frame of one of the bank's videos matches that item
    #[arg(long, value_name = "on|off", value_parser = yes_or_no("on", "off"))]
    pub(crate) frames_answer_images: Option<bool>,
    /// Whether a video with a frame that is near one of the bank's images matches that item
    #[arg(long, value_name = "on|off", value_parser = yes_or_no("on", "off"))]
    pub(crate) images_answer_videos: Option<bool>,
    /// Largest distances of matches of declared hash types, such as clip=0.25, separated by commas, at most
    /// 16; "" for the default distances of the types
    #[arg(long, value_name = "TYPE=DISTANCE,...")]
    pub(crate) vector_distances: Option<String>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Reads one of two words, of which the first is true.
fn yes_or_no(yes: &'static str, no: &'static str) -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new([yes, no]).map(move |word| word == yes)
}

/// Reads a word of a fixed list; help and completion show the list.
fn word<F: Flag + Send + Sync>() -> impl TypedValueParser<Value = F> {
    let names = PossibleValuesParser::new(F::ALL.iter().map(|flag| flag.name()));
    names.try_map(|name| F::from_name(&name).ok_or("is not known"))
}

fn text<const BYTES_MAX: usize>(text: &str) -> Result<Text<BYTES_MAX>, TextError> {
    Text::new(text)
}

fn jurisdictions(text: &str) -> Result<Jurisdictions, JurisdictionsError> {
    Jurisdictions::new(&listed(text))
}

/// The names of a list with commas, which may be empty.
pub(crate) fn listed(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

fn spiffe_id(text: &str) -> Result<SpiffeId, CredentialError> {
    text.parse()
}

fn amount(text: &str) -> Result<Amount, String> {
    let number = text.parse().map_err(|_| format!("must be a number from 0 to {}", Amount::MAX))?;
    Amount::new(number).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::Cli;

    #[test]
    fn words_and_bounds_of_the_command_line_are_checked() {
        let check = |line: &str| Cli::command().try_get_matches_from(line.split(' ')).map(drop);
        for good in [
            "vigie whoami",
            "vigie member add acme --jurisdictions FR,DE",
            "vigie member edit acme --display-name Acme",
            "vigie member issuers acme https://id.acme.example",
            "vigie principal add --role matcher,contributor --expires 30d",
            "vigie principal add --role auditor --issuer https://id --subject me",
            "vigie grant put known acme --allow match,see-details --expires 2099-01-31",
            "vigie grant alias hive/known theirs",
            "vigie grant list",
            "vigie quota set acme --units-per-second 100 --images-only true",
            "vigie bank charter set known --purge-hours 24",
            "vigie bank charter set known --confirmations 2 --hold-on-negatives 2 --shadow on --suppresses a,7",
            "vigie member edit acme --named yes",
        ] {
            assert!(check(good).is_ok(), "{good}: {}", check(good).unwrap_err());
        }
        for (bad, expected) in [
            ("vigie member add Acme", "begins with a letter"),
            ("vigie member add acme --jurisdictions fr", "ISO 3166-1"),
            ("vigie member edit acme", "--display-name"),
            ("vigie principal add", "--role"),
            ("vigie principal add --role owner", "matcher, contributor, reviewer"),
            ("vigie principal add --role auditor --issuer x", "--subject"),
            ("vigie principal add --role auditor --spiffe-id acme", "spiffe://DOMAIN/member/NAME"),
            ("vigie principal add --role auditor --expires tomorrow", "30d"),
            ("vigie grant put known acme --allow all", "match, see-details"),
            ("vigie grant put a/b/c acme --allow match", "OWNER/NAME"),
            ("vigie grant alias hive/known", "ALIAS"),
            ("vigie quota set acme", "--units-per-second"),
            ("vigie quota set acme --units-per-day 281474976710657", "at most 281474976710656"),
            ("vigie quota set acme --units-per-day many", "must be a number from 0"),
            ("vigie bank charter set known", "--purge-hours"),
        ] {
            let refused = check(bad).unwrap_err().to_string();
            assert!(refused.contains(expected), "{bad}: {refused}");
        }
    }
}
