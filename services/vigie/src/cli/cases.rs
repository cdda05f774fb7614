//! Commands for reports, referrals and incidents.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use vigie_consortium::cases::{
    CaseNote, CaseReference, Ground, IncidentType, IncidentWords, IssuingState, MeasureOutcome, Priority,
    ReportOutcome,
};
use vigie_consortium::{MemberName, OpinionReason, Text, Verdict};
use vigie_model::{BankName, BankRef};

use super::when::{Since, When};
use super::{BankAddressArgs, DetailsArgs, HashTypeName};

/// The subcommands of `vigie report`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Send a report of suspected material to the reviewers of the host; no content goes with it
    Submit(Box<ReportSubmitArgs>),
    /// List reports: those of your member, or for the host all; waiting ones come first, urgent ones before
    /// others
    List {
        /// List only reports that wait for a review
        #[arg(long)]
        waiting: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Show a report, or the part of a report to an authority that it fills
    Show {
        /// The report's number
        number: u64,
        /// Print only that part: json, which also names what is missing; or xml, the fileDetails of a
        /// CyberTipline report
        #[arg(long, value_enum, value_name = "FORMAT")]
        format: Option<Fragment>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Decide on a report; the member reads the outcome and the reason (for reviewers of the host)
    Review(ReportReviewArgs),
    /// Count outcomes by member and bank, with the share of founded and forwarded reports among those decided
    Accuracy(BankAddressArgs),
}

/// A fragment of a report to an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fragment {
    /// All that is known, with the fields that the platform has to add
    Json,
    /// `fileDetails` of a CyberTipline report
    Xml,
}

/// Arguments of `vigie report submit`.
#[derive(Debug, Args)]
pub(crate) struct ReportSubmitArgs {
    /// Fill the report from this file, or from `-`: JSON as `vigie match --json` prints it for one image or
    /// hash, or as `vigie report show --format json` does. Other options override the file
    #[arg(long, value_name = "FILE")]
    pub(crate) decision: Option<PathBuf>,
    /// The bank that matched
    #[arg(long, value_name = "BANK", required_unless_present_any = ["decision", "decision_id"])]
    pub(crate) bank: Option<BankRef>,
    /// The item that matched
    #[arg(long, value_name = "ITEM")]
    pub(crate) item: Option<u64>,
    /// The id of the decision, 32 hexadecimal digits. Where nothing else names the bank, the report is filled
    /// from the record of the decision, which reviewers and administrators may read
    #[arg(long, value_name = "ID", value_parser = decision_id)]
    pub(crate) decision_id: Option<[u8; 16]>,
    /// A class of the material: TAXONOMY/DIMENSION=VALUE; may be given again
    #[arg(long = "class", value_name = "CLASS")]
    pub(crate) classes: Vec<String>,
    /// The type of the hash that matched, such as pdq
    #[arg(long, value_name = "TYPE")]
    pub(crate) hash_type: Option<HashTypeName>,
    /// The distance at which it matched, in bits
    #[arg(long, value_name = "BITS")]
    pub(crate) distance: Option<u32>,
    /// The verdict: allow, log, review, block or escalate
    #[arg(long, value_name = "VERDICT")]
    pub(crate) verdict: Option<Verdict>,
    /// Whether a person looked at the whole content; a match alone does not count
    #[arg(long, value_name = "true|false")]
    pub(crate) person_looked: Option<bool>,
    /// Mark the report as urgent: there is an imminent threat to life or safety
    #[arg(long)]
    pub(crate) urgent: bool,
    /// The legal basis, at most 64 bytes
    #[arg(long, value_name = "TEXT", value_parser = text::<64>, default_value = "", hide_default_value = true)]
    pub(crate) legal_basis: CaseReference,
    /// The number of a report about the same content in a third country, such as a CyberTipline id, at most
    /// 64 bytes
    #[arg(long, value_name = "NUMBER", value_parser = text::<64>, default_value = "", hide_default_value = true)]
    pub(crate) third_country_reference: CaseReference,
    /// A note for the reviewers, at most 512 bytes, without personal data
    #[arg(long, value_name = "TEXT", value_parser = text::<512>, default_value = "", hide_default_value = true)]
    pub(crate) note: CaseNote,
    /// An earlier report of your member that this one adds to
    #[arg(long, value_name = "REPORT")]
    pub(crate) adds_to: Option<u64>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie report review`.
#[derive(Debug, Args)]
pub(crate) struct ReportReviewArgs {
    /// The report's number
    pub(crate) number: u64,
    /// The outcome
    #[arg(value_parser = word(ReportOutcome::ALL, ReportOutcome::name))]
    pub(crate) outcome: ReportOutcome,
    /// The reason, for the member, at most 512 bytes; required for `unfounded` and `more-information`
    #[arg(long, value_name = "TEXT", value_parser = text::<512>, default_value = "", hide_default_value = true)]
    pub(crate) reason: CaseNote,
    /// Why the item is wrong, for the host's opinion on it; only with `unfounded` [default: other]
    #[arg(long, value_name = "REASON", value_parser = word(&OpinionReason::ALL, OpinionReason::name))]
    pub(crate) opinion_reason: Option<OpinionReason>,
    /// The member must not inform the user before this moment, at most 550 days from now
    #[arg(long, value_name = "WHEN")]
    pub(crate) do_not_tell_until: Option<When>,
    /// The member must not remove the content before this moment, at most 550 days from now
    #[arg(long, value_name = "WHEN")]
    pub(crate) do_not_remove_until: Option<When>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// The subcommands of `vigie referral`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReferralCommand {
    /// Add a referral of an authorised body, or a removal order (for reviewers and administrators of the
    /// host)
    Add(Box<ReferralAddArgs>),
    /// List referrals with their outcomes: those addressed to your member, or for the host all; open ones
    /// come first
    #[command(group = ArgGroup::new("which").args(["open", "overdue"]))]
    List {
        /// List only referrals with a pending outcome
        #[arg(long)]
        open: bool,
        /// List only removal orders whose hour is over and whose outcome is pending
        #[arg(long)]
        overdue: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Set what your member did about a referral
    Outcome {
        /// The referral's number
        number: u64,
        /// The outcome
        #[arg(value_parser = word(MeasureOutcome::ALL, MeasureOutcome::name))]
        outcome: MeasureOutcome,
        /// Why an order cannot be carried out; only with `not-possible`
        #[arg(long, value_name = "GROUND", value_parser = word(Ground::ALL, Ground::name))]
        ground: Option<Ground>,
        /// Details for the body, at most 512 bytes; required for `declined`
        #[arg(long, value_name = "TEXT", value_parser = text::<512>, default_value = "", hide_default_value = true)]
        details: CaseNote,
        /// When the measure was taken: how long ago (10m), or a moment in UTC [default: now]
        #[arg(long, value_name = "WHEN")]
        taken: Option<Since>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

/// Arguments of `vigie referral add`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["url", "hash"]))]
pub(crate) struct ReferralAddArgs {
    /// The authorised body, such as "Europol EU IRU"
    #[arg(long, value_name = "NAME", value_parser = text::<128>)]
    pub(crate) body: Text<128>,
    /// The URL that the referral is about, or `-` to read it from standard input, so that no list of
    /// processes shows it
    #[arg(long, value_name = "URL|-")]
    pub(crate) url: Option<String>,
    /// The hash that the referral is about, such as 64 hexadecimal digits of PDQ, or TYPE:HASH
    #[arg(long, value_name = "HASH")]
    pub(crate) hash: Option<String>,
    /// Mark the referral as a removal order with this reference number, due one hour after receipt
    #[arg(long, value_name = "NUMBER", value_parser = text::<64>, requires = "issuing_state")]
    pub(crate) order: Option<CaseReference>,
    /// When the order was received: how long ago (10m), or a moment in UTC [default: now]
    #[arg(long, value_name = "WHEN", requires = "order")]
    pub(crate) received: Option<Since>,
    /// The member state that issued the order, such as FR
    #[arg(long, value_name = "STATE", requires = "order", value_parser = issuing_state)]
    pub(crate) issuing_state: Option<IssuingState>,
    /// The legal basis, at most 64 bytes
    #[arg(long, value_name = "TEXT", value_parser = text::<64>, default_value = "", hide_default_value = true)]
    pub(crate) legal_basis: CaseReference,
    /// The priority
    #[arg(long, default_value = "normal", value_parser = word(Priority::ALL, Priority::name))]
    pub(crate) priority: Priority,
    /// A member that the referral is addressed to; may be given again [default: every active member but the
    /// host]
    #[arg(long = "member", value_name = "MEMBER")]
    pub(crate) members: Vec<MemberName>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// The subcommands of `vigie incident`.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Open an incident with a bank of its own, which subscribers search at once (for administrators of the
    /// host)
    Open {
        /// The incident's type: 1 to 64 of a-z 0-9 -, such as perpetrator-content or crisis-protocol
        #[arg(value_name = "TYPE", value_parser = incident_type)]
        of: IncidentType,
        /// The incident's title, at most 128 bytes
        #[arg(long, value_name = "TEXT", value_parser = text::<128>, default_value = "", hide_default_value = true)]
        title: Text<128>,
        /// Why it is opened, at most 512 bytes
        #[arg(long, value_name = "TEXT", value_parser = text::<512>, default_value = "", hide_default_value = true)]
        reason: CaseNote,
        /// The name of its bank [default: incident- and its number]
        #[arg(long, value_name = "BANK")]
        bank: Option<BankName>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Add items to the bank of an open incident: images, which are hashed here and never sent, or a file of
    /// hashes
    Add(Box<IncidentAddArgs>),
    /// Close an incident: its bank is no longer searched, and is deleted after --keep-days
    Close {
        /// The incident's number
        number: u64,
        /// Why it is closed, at most 512 bytes
        #[arg(long, value_name = "TEXT", value_parser = text::<512>, default_value = "", hide_default_value = true)]
        reason: CaseNote,
        /// Days to keep its bank for the after-action report, at most 365; 0 deletes the bank at once
        /// [default: 30]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(0..=i64::from(IncidentWords::KEEP_DAYS_MAX)))]
        keep_days: Option<u16>,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// List incidents, open ones first, and what your member subscribes to
    List(BankAddressArgs),
    /// Set the types of incidents whose banks your member searches; open incidents are searched at once
    #[command(group = ArgGroup::new("types").required(true).args(["of", "every", "none"]))]
    Subscribe {
        /// The types, in place of those before
        #[arg(value_name = "TYPE")]
        of: Vec<String>,
        /// Search every type, also types of the future
        #[arg(long)]
        every: bool,
        /// Search no type
        #[arg(long)]
        none: bool,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
}

/// Arguments of `vigie incident add`.
#[derive(Debug, Args)]
pub(crate) struct IncidentAddArgs {
    /// The incident's number
    pub(crate) number: u64,
    /// Image files, or folders of them
    #[arg(value_name = "FILE|DIR", required_unless_present = "hashes", conflicts_with = "hashes")]
    pub(crate) paths: Vec<PathBuf>,
    /// A file of hashes, or `-` for standard input, in any format that `vigie item add --hashes` reads
    #[arg(long, value_name = "FILE")]
    pub(crate) hashes: Option<PathBuf>,
    /// A label for each item; may be given again
    #[arg(long = "label", value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// The details of each item
    #[command(flatten)]
    pub(crate) details: DetailsArgs,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

fn text<const MAX: usize>(text: &str) -> Result<Text<MAX>, String> {
    Text::new(text).map_err(|error| error.to_string())
}

fn issuing_state(text: &str) -> Result<IssuingState, String> {
    IssuingState::new(text).map_err(|error| error.to_string())
}

fn incident_type(text: &str) -> Result<IncidentType, String> {
    IncidentType::new(text).map_err(|error| error.to_string())
}

/// An id of 16 bytes as hexadecimal digits.
pub(crate) fn decision_id(text: &str) -> Result<[u8; 16], String> {
    let wrong = || "a decision's id is 32 hexadecimal digits".to_owned();
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex).ok_or_else(wrong)?;
    Ok(number.to_be_bytes())
}

/// Parses one of a list of words, which help and errors name.
pub(super) fn word<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names = all.iter().map(|one| name(*one));
    PossibleValuesParser::new(names)
        .try_map(move |text| all.iter().copied().find(|one| name(*one) == text).ok_or("is none of the words"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn cases_are_typed_in_one_way() {
        let check = |line: &str| Cli::command().try_get_matches_from(line.split(' ')).map(drop);
        for good in [
            "vigie report submit --bank known --item 7 --hash-type pdq --distance 3 --verdict block",
            "vigie report submit --decision -",
            "vigie report list --waiting",
            "vigie report show 7 --format xml",
            "vigie report review 7 unfounded --reason no --opinion-reason different-content",
            "vigie report accuracy",
            "vigie referral add --body IRU --url https://a --priority high --member acme",
            "vigie referral add --body IRU --hash md5:00 --order FR-1 --issuing-state FR --received 10m",
            "vigie referral list --overdue",
            "vigie referral outcome 7 not-possible --ground force-majeure",
            "vigie incident open perpetrator-content --title x --bank now",
            "vigie incident add 7 pictures",
            "vigie incident close 7 --keep-days 0",
            "vigie incident subscribe one two",
            "vigie incident subscribe --every",
        ] {
            assert!(check(good).is_ok(), "{good}: {}", check(good).unwrap_err());
        }
        for (bad, expected) in [
            ("vigie report submit", "--bank"),
            ("vigie report submit --bank a --decision-id 12", "32 hexadecimal digits"),
            ("vigie report review 7 perhaps", "more-information"),
            ("vigie referral add --body IRU", "--url"),
            ("vigie referral add --body IRU --url a --hash b", "cannot be used"),
            ("vigie referral add --body IRU --url a --order FR-1", "--issuing-state"),
            ("vigie referral list --open --overdue", "cannot be used"),
            ("vigie incident open Perpetrator", "a-z"),
            ("vigie incident close 7 --keep-days 366", "365"),
            ("vigie incident subscribe", "--every"),
            ("vigie incident add 7", "FILE"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(expected), "{bad}: {error}");
        }
        assert_eq!(decision_id(&"0f".repeat(16)), Ok([15; 16]));
        assert!(decision_id(&format!("+{}", "0".repeat(31))).is_err());
    }
}
