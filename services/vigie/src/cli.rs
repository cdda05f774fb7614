//! The commands and arguments of `vigie`, with their help texts.

mod setup;
mod items;
mod opinions;
mod files;
mod hash;
mod matching;
mod members;
/// Hash types of vectors, which a deployment declares.
mod vectors {
    pub(super) mod hash_types;
}
/// Classifiers: their role and their cards.
mod classifiers {
    pub(super) mod conversation;
    pub(super) mod cards;
    pub(super) mod role;
}
mod policy;
mod exchange;
mod cases;
mod decisions;
mod audit;
mod statistics;
mod when;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vigie_model::{BankName, BankRef};
use vigie_net::TlsArgs;

use crate::local_cluster::HttpAt;

pub(crate) use audit::{
    AuditCommand, AuditCosignArgs, AuditExportArgs, AuditKeyCommand, AuditListArgs, AuditProveArgs,
    AuditVerifyArgs, KeyArg, LogArgs, of_kind,
};
pub(crate) use cases::{
    Fragment, IncidentAddArgs, IncidentCommand, ReferralAddArgs, ReferralCommand, ReportCommand,
    ReportReviewArgs, ReportSubmitArgs, decision_id,
};
pub(crate) use classifiers::cards::{
    ClassifierAddArgs, ClassifierCalibrateArgs, ClassifierCommand, ClassifierShowArgs,
    ClassifierThresholdArgs, OneClassifierArgs,
};
pub(crate) use classifiers::conversation::{ConversationCommand, ConversationScoreArgs};
pub(crate) use classifiers::role::ClassifierArgs;
pub(crate) use decisions::{
    DecisionCommand, DecisionOutcomeArgs, DecisionTimeArgs, ExplainArgs, StatementsArgs,
};
pub(crate) use exchange::{ExchangeAddArgs, ExchangeCommand, ExchangeFetchArgs, OneExchangeArgs};
pub(crate) use files::{BankExportArgs, BankSyncArgs, HashFileArgs};
pub(crate) use hash::HashArgs;
pub(crate) use items::{DetailsArgs, ItemAddArgs, ItemCommand, ItemFindArgs, ItemRevertArgs, OriginArgs};
pub(crate) use matching::MatchArgs;
pub(crate) use members::{
    CharterCommand, CharterSetArgs, GrantCommand, MemberCommand, MemberWordsArgs, NewKeyArgs, OneMemberArgs,
    PrincipalAddArgs, PrincipalCommand, QuotaCommand, QuotaSetArgs, listed,
};
pub(crate) use opinions::{DisputeCommand, OpinionCommand, OpinionPutArgs, class};
pub(crate) use policy::{PolicyCommand, PolicySetArgs, PolicyTryArgs};
pub(crate) use setup::{
    CompletionsArgs, ConfigCheckArgs, ConfigCommand, DescriptorsArgs, DevCaArgs, ManArgs, RoleName,
    TlsCommand,
};
pub(crate) use statistics::{StatisticsArgs, StatisticsForm};
pub(crate) use vectors::hash_types::{HashTypeCommand, HashTypeDeclareArgs, HashTypeName};
pub(crate) use when::When;

/// Vigie recognises known images, exactly.
///
/// Vigie compares fingerprints (PDQ, MD5, SHA-256) that trusted organisations share, and never keeps an
/// image. Start with `vigie demo`, then `vigie up`.
#[derive(Debug, Parser)]
#[command(name = "vigie", version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Print JSON, one object a line, for scripts
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
    /// Levels to log at, such as `info` or `warn,vigie_matcher=debug` [default: `info` for a role, `warn` for
    /// `vigie up`, or else `error`]
    #[arg(long, global = true, help_heading = GLOBAL, env = "VIGIE_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// The format of log lines
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        env = "VIGIE_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    pub(crate) log_format: LogFormat,
    /// The command
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The heading in `--help` of the options that every command has.
const GLOBAL: &str = "Global options";

const EXIT_CODES: &str = "Exit codes:
  0   done
  1   refused or failed; trying again would not help: a wrong configuration,
      a certificate that is not accepted, an unknown bank
  2   the command line is wrong
  3   done, but some of the inputs could not be used; each is reported
  4   the cluster is not reachable or too busy, or an answer does not cover
      all of it: try again
  10  with `match --exit-code`: something matched, whatever else happened
  130 stopped by Ctrl-C; what was done is reported

Colours: on terminals, unless NO_COLOR is set; CLICOLOR_FORCE=1 forces them everywhere.
`vigie config show` lists every key of a configuration.";

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For a person at a terminal
    Text,
    /// A JSON object on each line
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a demonstration: start a cluster, bank drawn pictures, and recognise altered copies of them
    Demo(DemoArgs),
    /// Run a whole cluster in this process: bank, matchers, coordinator, frontend, gateway
    Up(UpArgs),
    /// Ask the cluster whether images or hashes are known
    Match(MatchArgs),
    /// Compute fingerprints of images, here, without a cluster
    Hash(HashArgs),
    /// Run a bank (--config), look after its store, or create, list, show, change and delete banks
    #[command(args_conflicts_with_subcommands = true)]
    Bank(BankArgs),
    /// Add, show, list and remove items of a bank
    #[command(subcommand)]
    Item(ItemCommand),
    /// Say whether items are right or wrong, and read what other members say of yours
    #[command(subcommand)]
    Opinion(OpinionCommand),
    /// List and resolve disputes: items that members ask the owner of a bank to look at again
    #[command(subcommand)]
    Dispute(DisputeCommand),
    /// Show the member and principal that calls are made as, with their roles and limits
    Whoami(BankAddressArgs),
    /// Manage members: the organisations that share a deployment
    #[command(subcommand)]
    Member(MemberCommand),
    /// Manage principals: the machines and people of a member, with their credentials and roles
    #[command(subcommand)]
    Principal(PrincipalCommand),
    /// Share banks with other members
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Set and show the limits of members
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// Declare and list hash types of vectors: embeddings, which a model computes elsewhere
    #[command(subcommand)]
    HashType(HashTypeCommand),
    /// Run a classifier (--config), or manage the cards of your models, whose scores are never verdicts
    #[command(args_conflicts_with_subcommands = true)]
    Classifier(ClassifierArgs),
    /// Ask classifiers about a conversation
    #[command(subcommand)]
    Conversation(ConversationCommand),
    /// Set, show and try the policy: rules from matches to a verdict
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Run the process that follows hash-sharing programmes, or manage the exchanges that it follows
    #[command(subcommand)]
    Exchange(ExchangeCommand),
    /// Send reports of suspected material to the reviewers, and decide on them
    #[command(subcommand)]
    Report(ReportCommand),
    /// Explain a recorded decision: its items, banks, policy rule and version, and the opinions of that time
    Explain(ExplainArgs),
    /// List recorded decisions, set their outcomes, and write statements of reasons
    #[command(subcommand)]
    Decision(DecisionCommand),
    /// Track referrals and removal orders of authorised bodies to their outcomes
    #[command(subcommand)]
    Referral(ReferralCommand),
    /// Open and close incidents, each with a bank that its subscribers search at once
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Read and check the audit: the record of who did what, in which any later change is detected
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the published statistics of a period: counts by month, bank, class, member and verdict
    ///
    /// Numbers of other members below 10, and what would reveal them, are suppressed.
    Statistics(StatisticsArgs),
    /// Show which parts answer, the topology, the sequence that each part has reached, and the banked hashes
    Status(StatusArgs),
    /// Test a running cluster: add a drawn picture, match it, remove it, and check that it no longer matches
    ///
    /// The trial's bank and item are removed when it succeeds, fails or is stopped (Ctrl-C, SIGTERM). A trial
    /// that is killed (SIGKILL) leaves its bank, with one item of a drawn picture; a later trial deletes it,
    /// 15 seconds after the --timeout-ms of the killed one is over.
    Try(TryArgs),
    /// Ask a running role whether it is ready, as a health check of its container does
    Health(HealthArgs),
    /// Run one matcher
    Matcher(RoleArgs),
    /// Run a coordinator
    Coordinator(RoleArgs),
    /// Run a frontend
    Frontend(RoleArgs),
    /// Run a gateway: HTTP for clients that do not speak gRPC
    Gateway(RoleArgs),
    /// Check configurations, and show every key
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make certificates for development
    #[command(subcommand)]
    Tls(TlsCommand),
    /// Print the completion script for a shell
    Completions(CompletionsArgs),
    /// Write manual pages
    Man(ManArgs),
    /// Write the protobuf descriptors of all services, from which clients in other languages are generated
    Descriptors(DescriptorsArgs),
}

/// The address of the frontend.
#[derive(Debug, Clone, Args)]
pub(crate) struct FrontendArgs {
    /// The frontend to ask
    #[arg(long, env = "VIGIE_FRONTEND", default_value = "http://127.0.0.1:7740", value_name = "URL")]
    pub(crate) frontend: String,
    /// How long a call may take, in milliseconds
    #[arg(long, default_value_t = 30_000, value_name = "MS")]
    pub(crate) timeout_ms: u64,
    /// How it is reached
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// The address of the bank.
#[derive(Debug, Clone, Args)]
pub(crate) struct BankAddressArgs {
    /// The bank to call, or several on one database, separated by commas: the serving one is called
    #[arg(
        long = "bank-url",
        env = "VIGIE_BANK",
        default_value = "http://127.0.0.1:7742",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub(crate) bank_urls: Vec<String>,
    /// How long a call may take, retries included, in milliseconds
    #[arg(long, default_value_t = 30_000, value_name = "MS")]
    pub(crate) timeout_ms: u64,
    /// How long to keep trying to connect, in milliseconds
    #[arg(long, default_value_t = 2_000, value_name = "MS")]
    pub(crate) connect_timeout_ms: u64,
    /// How it is reached
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// Arguments of `vigie demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Pictures to bank; each is then sent in every alteration
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) pictures: u16,
    /// Unrelated pictures to send
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub(crate) unrelated: u16,
    /// Leave the cluster running, and the pictures in a folder to try commands on
    #[arg(long)]
    pub(crate) keep: bool,
    /// Send copies that are harder to recognise instead, and show which of them are missed
    #[arg(long)]
    pub(crate) recall: bool,
}

/// Arguments of `vigie up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where the bank keeps its data [default: the platform's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Make the cluster one of several members: create an operator, if there is none yet, and write its API
    /// key to operator.key in the data folder. From then on every call needs a credential
    #[arg(long)]
    pub(crate) consortium: bool,
    /// Shards, each with a matcher of this process, 1 to 256; one is the fastest, more are for experiments
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) shards: u16,
    /// First of the loopback ports, for the frontend; the coordinator, the bank and a classifier use the
    /// ports 1, 2 and 6 after it, and matchers those from 10 after it on. 0 uses any free ports
    #[arg(long, default_value_t = 7740)]
    pub(crate) port: u16,
    /// The address for HTTP (HMA's REST API and Vigie's own), or `off` [default: the port 40 after --port,
    /// 127.0.0.1:7780]
    #[arg(long, value_parser = http_at, value_name = "ADDRESS:PORT|off")]
    pub(crate) http: Option<HttpAt>,
    /// Allow clients to have pictures fetched (`url=`) from this host, even if its address is of this machine
    /// or of a local network; may be given again. Hosts of the public network are always allowed
    #[arg(long, value_name = "HOST")]
    pub(crate) fetch_private: Vec<String>,
    /// Accept this host name from HTTP clients without a credential, beside localhost and IP addresses; may
    /// be given again
    #[arg(long, value_name = "HOST")]
    pub(crate) http_host: Vec<String>,
    /// Credentials of hash-sharing programmes: a folder with a file for each exchange or interface,
    /// `field=value` a line; a field that is in no file is read from the variable
    /// VIGIE_EXCHANGE_<EXCHANGE>_<FIELD> [default: credentials in the data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) exchange_credentials: Option<PathBuf>,
    /// The folder of the files that exchanges may follow [default: none]
    #[arg(long, value_name = "DIR")]
    pub(crate) exchange_files: Option<PathBuf>,
    /// Allow exchanges to fetch from this origin, beside those of the programmes, such as
    /// https://mirror.example; may be given again
    #[arg(long, value_name = "URL")]
    pub(crate) exchange_origin: Vec<String>,
    /// Run the classifiers of this file, TOML with a table [classifier], beside the other roles
    #[arg(long, value_name = "FILE")]
    pub(crate) classifiers: Option<PathBuf>,
    /// Address for the metrics and probes of all roles, by plain HTTP, such as 127.0.0.1:9464 [default: none]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) telemetry_listen: Option<SocketAddr>,
    /// Send every trace to this collector, by OTLP over gRPC, such as http://127.0.0.1:4317
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub(crate) otlp_endpoint: String,
}

fn http_at(text: &str) -> Result<HttpAt, String> {
    match text {
        "off" => Ok(HttpAt::Off),
        _ => text.parse().map(HttpAt::Address).map_err(|_| "is neither ADDRESS:PORT nor `off`".to_owned()),
    }
}

/// Arguments of `vigie bank`.
#[derive(Debug, Args)]
pub(crate) struct BankArgs {
    /// Run a bank with this configuration
    #[command(flatten)]
    pub(crate) role: RoleArgs,
    /// Or do this with banks
    #[command(subcommand)]
    pub(crate) command: Option<BankCommand>,
}

/// The subcommands of `vigie bank`.
#[derive(Debug, Subcommand)]
pub(crate) enum BankCommand {
    /// Create an empty bank
    Create(OneBankArgs),
    /// List all banks
    List(BankAddressArgs),
    /// Show one bank
    Show(OneBankArgs),
    /// Give a bank another name
    Rename {
        /// The bank's name
        name: BankRef,
        /// The bank's new name
        new_name: BankName,
        /// The bank to call
        #[command(flatten)]
        address: BankAddressArgs,
    },
    /// Include a bank in searches again
    Enable(OneBankArgs),
    /// Exclude a bank from searches; it keeps its items
    Disable(OneBankArgs),
    /// Delete a bank and every item in it
    Delete {
        /// The bank
        #[command(flatten)]
        one: OneBankArgs,
        /// Delete it even though it holds items
        #[arg(long)]
        with_items: bool,
    },
    /// Make a bank equal to a file of hashes: add what it lacks, keep what is there, remove what the file
    /// does not hold
    ///
    /// Items are the same if they have the same hashes and, where the file names items, the same external
    /// reference. Items are added before others are removed. A sync that was stopped continues when it is run
    /// again. It is for the bank's owner: another member removes only its own submissions. Canaries stay.
    Sync(BankSyncArgs),
    /// Write the items of a bank to a file of hashes
    Export(BankExportArgs),
    /// Show or change a bank's demands on contributors and its terms
    #[command(subcommand)]
    Charter(CharterCommand),
    /// Create the store of a configuration, or bring its schema up to date; a bank does so itself when it
    /// starts
    Migrate(StoreArgs),
    /// Prove that the store of a configuration holds what its log says; the bank may be running
    Verify(StoreArgs),
    /// Copy the embedded store of a configuration, as of one moment and verified, to a new file; the bank may
    /// be running
    Backup {
        /// The file
        file: PathBuf,
        /// The store
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Create the embedded store of a configuration, which must not exist yet, from a file that `backup`
    /// wrote
    Restore {
        /// The file
        file: PathBuf,
        /// The store
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// The store of a bank, by its configuration.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The configuration file of the bank
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set a key of the file, such as `bank.store=sqlite:bank.db`; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// A bank by name.
#[derive(Debug, Args)]
pub(crate) struct OneBankArgs {
    /// The bank's name: 1 to 255 of A-Z a-z 0-9 . _ -; for another member's bank, OWNER/NAME or an alias
    pub(crate) name: BankRef,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The coordinator to ask
    #[arg(long, env = "VIGIE_COORDINATOR", default_value = "http://127.0.0.1:7741", value_name = "URL")]
    pub(crate) coordinator: String,
    /// The frontend to ask which content it decodes
    #[arg(long, env = "VIGIE_FRONTEND", default_value = "http://127.0.0.1:7740", value_name = "URL")]
    pub(crate) frontend: String,
    /// The bank to ask
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie try`.
#[derive(Debug, Args)]
pub(crate) struct TryArgs {
    /// The frontend to ask
    #[arg(long, env = "VIGIE_FRONTEND", default_value = "http://127.0.0.1:7740", value_name = "URL")]
    pub(crate) frontend: String,
    /// The bank to use; one that the trial creates is deleted after it [default: a new one]
    #[arg(long, value_name = "BANK")]
    pub(crate) bank: Option<BankRef>,
    /// The bank to write to
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of a role.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RoleArgs {
    /// The configuration file, in TOML: required, unless --listen and --set (or VIGIE__... variables) set
    /// every key
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen on, in place of the file's `listen`
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Set a key of the file, such as `matcher.shard=2`; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// The role to ask.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The role's probe: /readyz, /livez or /startupz at the address of its `telemetry.listen`
    #[arg(long, env = "VIGIE_HEALTH", default_value = "http://127.0.0.1:9464/readyz", value_name = "URL")]
    pub(crate) url: String,
    /// How long the role may take to answer, in milliseconds
    #[arg(long, default_value_t = 2_000, value_name = "MS")]
    pub(crate) timeout_ms: u64,
}
