//! Commands for the audit: the record of who did what, which others can check.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use vigie_audit::note::{KeyError, KeyKind, VerifierKey};
use vigie_consortium::MemberName;

use super::BankAddressArgs;

/// The subcommands of `vigie audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List the entries that the caller may read, the oldest first
    List(AuditListArgs),
    /// Write a proof that an entry is in the audit, as a file that `verify` checks without the bank
    Prove(AuditProveArgs),
    /// Write every entry that the caller may read, as a file that `verify` checks without the bank
    Export(AuditExportArgs),
    /// Check an export or a proof, without the bank
    Verify(AuditVerifyArgs),
    /// Sign as a witness that the newest checkpoint continues the last one that this witness signed
    Cosign(AuditCosignArgs),
    /// Make keys of logs and of witnesses, and show their public keys
    #[command(subcommand)]
    Key(AuditKeyCommand),
}

/// Arguments of `vigie audit list`.
#[derive(Debug, Args)]
pub(crate) struct AuditListArgs {
    /// List the entries of this member only [default: all that the caller may read]
    #[arg(long, value_name = "MEMBER")]
    pub(crate) member: Option<MemberName>,
    /// Begin at the entry with this index
    #[arg(long, default_value_t = 0, value_name = "INDEX")]
    pub(crate) from: u64,
    /// Maximum number of entries
    #[arg(long, default_value_t = 1_000)]
    pub(crate) limit: usize,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie audit prove`.
#[derive(Debug, Args)]
pub(crate) struct AuditProveArgs {
    /// The entry's index
    pub(crate) index: u64,
    /// The file to write, a C2SP tlog-proof, or `-` for standard output [default: INDEX.tlog-proof]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie audit export`.
#[derive(Debug, Args)]
pub(crate) struct AuditExportArgs {
    /// The file to write
    pub(crate) file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie audit verify`.
#[derive(Debug, Args)]
pub(crate) struct AuditVerifyArgs {
    /// The file, written by `export` or `prove`
    pub(crate) file: PathBuf,
    /// The log
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// The public key of a witness that must have signed the checkpoint, or a file with it; may be given
    /// again
    #[arg(long = "witness", value_name = "KEY|FILE", value_parser = witness_key)]
    pub(crate) witnesses: Vec<KeyArg>,
    /// How many of these witnesses must have signed [default: all of them]
    #[arg(long, value_name = "COUNT", requires = "witnesses")]
    pub(crate) witnesses_min: Option<usize>,
}

/// Arguments of `vigie audit cosign`.
#[derive(Debug, Args)]
pub(crate) struct AuditCosignArgs {
    /// The file with the witness's private key, which `vigie audit key new --kind witness` makes
    #[arg(long, value_name = "FILE")]
    pub(crate) witness_key: PathBuf,
    /// The file with the last checkpoint that this witness signed; made the first time, and replaced each
    /// time
    #[arg(long, value_name = "FILE")]
    pub(crate) state: PathBuf,
    /// The log
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// The file for the signed checkpoint, which is replaced if it is there [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// The log whose checkpoints are accepted.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The log's public key, NAME+ID+KEY, or a file with it; given twice while the log's key is being
    /// replaced
    #[arg(long = "log-key", required = true, value_name = "KEY|FILE", value_parser = log_key)]
    pub(crate) log_keys: Vec<KeyArg>,
    /// The log's name, in the first line of its checkpoints [default: the name of its key]
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<String>,
}

/// The subcommands of `vigie audit key`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditKeyCommand {
    /// Make an Ed25519 key: the private key goes to a file, the public key to standard output
    New {
        /// The use of the key
        #[arg(long, value_enum)]
        kind: KeyKindName,
        /// The key's name, such as vigie.example/audit: no space and no plus, at most 255 bytes
        name: String,
        /// The file to write the private key to, which must not exist yet; only its owner may read it
        file: PathBuf,
    },
    /// Print the public key of a private key
    Show {
        /// The file with the private key
        file: PathBuf,
    },
}

/// The use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyKindName {
    /// To sign the checkpoints of a log
    Log,
    /// To sign, as a witness, that each checkpoint continues the one before
    Witness,
}

impl From<KeyKindName> for KeyKind {
    fn from(name: KeyKindName) -> Self {
        match name {
            KeyKindName::Log => Self::Log,
            KeyKindName::Witness => Self::Witness,
        }
    }
}

/// A public key, as text or in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyArg {
    /// The key.
    Key(VerifierKey),
    /// The file that holds it.
    File(PathBuf),
}

fn log_key(text: &str) -> Result<KeyArg, KeyError> {
    key(text, KeyKind::Log)
}

fn witness_key(text: &str) -> Result<KeyArg, KeyError> {
    key(text, KeyKind::Witness)
}

/// Reads a public key. A text that is not of its form is the name of a file.
fn key(text: &str, kind: KeyKind) -> Result<KeyArg, KeyError> {
    match VerifierKey::from_str(text) {
        Ok(key) => of_kind(key, kind).map(KeyArg::Key),
        Err(KeyError::PublicForm) => Ok(KeyArg::File(PathBuf::from(text))),
        Err(error) => Err(error),
    }
}

/// Returns the key if it is of this kind.
pub(crate) fn of_kind(key: VerifierKey, kind: KeyKind) -> Result<VerifierKey, KeyError> {
    if key.kind() == kind {
        return Ok(key);
    }
    Err(KeyError::WrongKind { name: key.name().to_owned(), kind: key.kind() })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use vigie_audit::note::SignerKey;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn keys_and_arguments_of_the_audit_are_checked() {
        let key = |kind| SignerKey::from_seed("a.example", kind, [1; 32]).unwrap().public().to_string();
        let (log, witness) = (key(KeyKind::Log), key(KeyKind::Witness));
        let check = |line: &str| {
            let line = line.replace("WITNESS", &witness).replace("LOG", &log);
            Cli::command().try_get_matches_from(line.split(' ')).map(drop)
        };
        for good in [
            "vigie audit list",
            "vigie audit list --member acme --from 7 --limit 10",
            "vigie audit prove 7 --output -",
            "vigie audit export all.txt --force",
            "vigie audit verify all.txt --log-key LOG --log-key log.pub --witness WITNESS --witnesses-min 1",
            "vigie audit cosign --witness-key w.key --state w.state --log-key LOG --key tls.key --certificate tls.crt",
            "vigie audit key new --kind witness acme.example/witness w.key",
            "vigie audit key show w.key",
        ] {
            assert!(check(good).is_ok(), "{good}: {}", check(good).unwrap_err());
        }
        for (bad, expected) in [
            ("vigie audit list --member Acme", "begins with a letter"),
            ("vigie audit prove", "INDEX"),
            ("vigie audit prove -1", "-1"),
            ("vigie audit verify all.txt", "--log-key"),
            ("vigie audit verify all.txt --log-key WITNESS", "is a key of a witness"),
            ("vigie audit verify all.txt --log-key LOG --witness LOG", "is a key of a log"),
            ("vigie audit verify all.txt --log-key LOG --witnesses-min 1", "--witness"),
            ("vigie audit verify all.txt --log-key aLOG", "one of them was changed"),
            ("vigie audit cosign --log-key LOG", "--witness-key"),
            ("vigie audit key new a.example w.key", "--kind"),
            ("vigie audit key new --kind bank a.example w.key", "log, witness"),
        ] {
            let refused = check(bad).unwrap_err().to_string();
            assert!(refused.contains(expected), "{bad}: {refused}");
        }
    }
}
