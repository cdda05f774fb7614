//! The arguments of `vigie item`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use vigie_consortium::MemberName;
use vigie_model::BankRef;

use super::BankAddressArgs;
use super::files::HashFileArgs;
use super::when::{Since, When};

/// The subcommands of `vigie item`.
#[derive(Debug, Subcommand)]
pub(crate) enum ItemCommand {
    /// Add items to a bank: images and videos, which are hashed here and never sent, or a file of hashes
    Add(Box<ItemAddArgs>),
    /// Show an item: hashes, details, submissions, holds and opinions
    Show {
        /// The item's id
        item: u64,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// List the items of a bank: id, when it was added (UTC), hash types, external reference, labels
    List {
        /// The bank's name
        bank: BankRef,
        /// Maximum number of items
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
        /// Begin after the item with this id
        #[arg(long, default_value_t = 0, value_name = "ITEM")]
        after: u64,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Find items by a hash, an external reference or a label
    Find(ItemFindArgs),
    /// Change an item: the given classes, countries, note and metadata replace all of these, and clear those
    /// that are not given; labels replace all labels
    Update {
        /// The item's id
        item: u64,
        /// The new details; if only labels are given, the details stay
        #[command(flatten)]
        details: DetailsArgs,
        /// A label, in place of the item's present labels; may be given again
        #[arg(long = "label", value_name = "LABEL")]
        labels: Vec<String>,
        /// Remove all labels
        #[arg(long, conflicts_with = "labels")]
        no_labels: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// List the removed items of a bank that can be restored: id, when and by whom it was removed, until when
    Removed {
        /// The bank's name
        bank: BankRef,
        /// List only items that this member removed
        #[arg(long, value_name = "MEMBER")]
        by: Option<String>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Hold items, all of them or none: they match for nobody, and are otherwise unchanged
    Hold {
        /// The items' ids
        #[arg(required = true)]
        items: Vec<u64>,
        /// When the holds end by themselves: a duration (12h, 30d), a date or moment in UTC (2027-01-31,
        /// 2027-01-31T18:00), or never
        #[arg(long, value_name = "WHEN", default_value = "never")]
        until: When,
        /// Hold them only for your member, where they match too often; they still match for others
        #[arg(long, conflicts_with = "until")]
        here: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Lift your holds of items, all of them or none: items that nobody else holds match again
    Lift {
        /// The items' ids
        #[arg(required = true)]
        items: Vec<u64>,
        /// Lift the holds that are only for your member
        #[arg(long)]
        here: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// List the items that are held only for your member: by `vigie item hold --here`, or because they
    /// matched far too often there
    Held {
        /// List the holds that are only for your member; required
        #[arg(long, required = true)]
        here: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Undo what a member has added to a bank of yours and removed from it since a moment
    Revert(ItemRevertArgs),
    /// Restore removed items, all of them or none: under new ids, or as the items that were added again since
    Restore {
        /// The items' former ids
        #[arg(required = true)]
        items: Vec<u64>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Remove items, all of them or none; from another member's bank, withdraw your member's submissions
    Remove {
        /// The items' ids
        #[arg(required = true)]
        items: Vec<u64>,
        /// Withdraw only the submissions of this programme, --reference and --case; an item is removed with
        /// its last one
        #[arg(long, value_name = "NAME")]
        programme: Option<String>,
        /// The key of the submissions to withdraw
        #[arg(long = "reference", value_name = "KEY")]
        reference: Option<String>,
        /// The case of the submissions to withdraw
        #[arg(long, value_name = "CASE")]
        case: Option<String>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

/// Arguments of `vigie item add`.
#[derive(Debug, Args)]
pub(crate) struct ItemAddArgs {
    /// The bank's name
    pub(crate) bank: BankRef,
    /// Image and video files, files of the frames of a video as the tools of vPDQ write them, or folders of
    /// these, in which other files are counted and left out. Videos need the program `ffmpeg`
    #[arg(value_name = "FILE|DIR", required_unless_present = "hashes", conflicts_with = "hashes")]
    pub(crate) paths: Vec<PathBuf>,
    /// A file of hashes, or `-` for standard input. Its format is recognised: tables with a header of hash
    /// types, labels and external_reference; JSON Lines, also as `vigie hash --json` and
    /// `vigie item list --json` print them; lists of hashes of one type; and what md5sum, the PDQ tool, the
    /// tools of vPDQ, ThreatExchange, tx, HMA, StopNCII and NCMEC write
    #[arg(long, value_name = "FILE")]
    pub(crate) hashes: Option<PathBuf>,
    /// How the file is read
    #[command(flatten)]
    pub(crate) reading: HashFileArgs,
    /// Read the file, print what it holds, and add nothing
    #[arg(long, requires = "hashes")]
    pub(crate) dry_run: bool,
    /// Refuse the whole file, before anything is added, if any of its lines is bad
    #[arg(long, requires = "hashes")]
    pub(crate) strict: bool,
    /// Skip the lines of the file (of a document, the records) up to this one, to continue an import that
    /// stopped
    #[arg(long, requires = "hashes", default_value_t = 0, hide_default_value = true, value_name = "LINE")]
    pub(crate) after_line: u64,
    /// A label for each item; may be given again
    #[arg(long = "label", value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// The origin of the items
    #[command(flatten)]
    pub(crate) origin: OriginArgs,
    /// The details of each item
    #[command(flatten)]
    pub(crate) details: DetailsArgs,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// The origin of items. With one of these, an item whose external reference the bank has from that origin is
/// not added again.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OriginArgs {
    /// Skip items that the bank has under the same external reference (a file's name, or that of the line)
    #[arg(long)]
    pub(crate) sync: bool,
    /// The programme that the items come from; implies --sync
    #[arg(long, value_name = "NAME")]
    pub(crate) programme: Option<String>,
    /// The case that the items belong to; implies --sync
    #[arg(long, value_name = "CASE")]
    pub(crate) case: Option<String>,
}

/// The details of an item.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DetailsArgs {
    /// A class: TAXONOMY/DIMENSION=VALUE, such as iwf/category=A; may be given again
    #[arg(long = "class", value_name = "CLASS")]
    pub(crate) classes: Vec<String>,
    /// A country (two capital letters) for which the classification holds; may be given again
    #[arg(long = "country", value_name = "COUNTRY")]
    pub(crate) countries: Vec<String>,
    /// A note for those who read the item
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// An object of JSON for your own systems
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
}

/// Arguments of `vigie item revert`.
#[derive(Debug, Args)]
pub(crate) struct ItemRevertArgs {
    /// The bank's name
    pub(crate) bank: BankRef,
    /// The member
    #[arg(long, value_name = "MEMBER")]
    pub(crate) member: MemberName,
    /// The moment: how long ago (90m, 12h, 2d), or a date or moment in UTC (2027-01-31, 2027-01-31T18:00)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Since,
    /// Show what would be undone, and undo nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie item find`.
#[derive(Debug, Args)]
pub(crate) struct ItemFindArgs {
    /// A complete hash, which finds equal hashes of any type; or a complete external reference or label
    #[arg(value_name = "HASH|REFERENCE|LABEL")]
    pub(crate) what: String,
    /// Look in this bank only
    #[arg(long, value_name = "BANK")]
    pub(crate) bank: Option<BankRef>,
    /// Maximum number of items
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Begin after the item with this id
    #[arg(long, default_value_t = 0, value_name = "ITEM")]
    pub(crate) after: u64,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}
