//! `vigie audit verify`: verifies an export or a proof, without the bank.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use vigie_audit::checkpoint::{Checkpoint, Cosignature, Opened};
use vigie_audit::files::{FILE_BYTES_MAX, InclusionFile};
use vigie_audit::note::{KeyKind, KnownKeys};
use vigie_clients::AuditLeaf;

use crate::cli::AuditVerifyArgs;
use crate::commands::audit::export_file::{ExportFile, Kind, PROOF};
use crate::commands::audit::keys::{Log, public_keys};
use crate::commands::audit::lines::{CheckpointObject, EntryObject, short, signed_at};
use crate::commands::date::date;
use crate::output::{Exit, Output, counted_as};

/// The log and the witnesses that the caller trusts.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) origin: String,
    pub(super) keys: KnownKeys,
    /// Names of the trusted witnesses.
    pub(super) witnesses: BTreeSet<String>,
    /// Minimum number of them that must have signed.
    pub(super) witnesses_min: usize,
}

/// The result of a successful verification.
#[derive(Debug)]
pub(super) enum Proven {
    /// The entries of an export, with their number.
    Entries { kind: Kind, count: u64 },
    /// A single entry, by its proof of inclusion.
    Entry(AuditLeaf),
}

pub(super) fn run(args: &AuditVerifyArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let trusted = Trusted::named(args)?;
    let (proven, opened) =
        verify(&args.file, &trusted).with_context(|| format!("{} is not proven", args.file.display()))?;
    print(&proven, &opened, &trusted, output)
}

impl Trusted {
    fn named(args: &AuditVerifyArgs) -> anyhow::Result<Self> {
        let log = Log::named(&args.log)?;
        let witnesses = public_keys(&args.witnesses, KeyKind::Witness)?;
        let keys = log.known_with(&witnesses)?;
        let witnesses: BTreeSet<String> = witnesses.iter().map(|key| key.name().to_owned()).collect();
        let witnesses_min = args.witnesses_min.unwrap_or(witnesses.len());
        let (named, most) = (witnesses_min, witnesses.len());
        ensure!(named <= most, "--witnesses-min is {named}, but only {most} witnesses are named");
        Ok(Self { origin: log.origin, keys, witnesses, witnesses_min })
    }

    /// Returns the trusted witnesses that have not signed.
    fn missing(&self, cosignatures: &[Cosignature]) -> Vec<&str> {
        let signed: BTreeSet<&str> = cosignatures.iter().map(|one| one.name.as_str()).collect();
        self.witnesses.iter().map(String::as_str).filter(|name| !signed.contains(name)).collect()
    }

    fn check_witnesses(&self, cosignatures: &[Cosignature]) -> anyhow::Result<()> {
        let missing = self.missing(cosignatures);
        let signed = self.witnesses.len() - missing.len();
        ensure!(
            signed >= self.witnesses_min,
            "{signed} of the named witnesses have signed the checkpoint, and {} have to; without a signature: {}",
            self.witnesses_min,
            missing.join(", ")
        );
        Ok(())
    }
}

/// Verifies a file, which may be an export or a proof of one entry.
pub(super) fn verify(file: &Path, trusted: &Trusted) -> anyhow::Result<(Proven, Opened)> {
    let mut begin = Vec::new();
    let line = u64::try_from(PROOF.len() + 1)?;
    let mut from = File::open(file).context("cannot read the file")?;
    (&mut from).take(line).read_to_end(&mut begin).context("cannot read the file")?;
    if begin.strip_suffix(b"\n") == Some(PROOF.as_bytes()) {
        // Reading one byte more than allowed detects a file that is too long.
        let rest = u64::try_from(FILE_BYTES_MAX + 1)?;
        from.take(rest).read_to_end(&mut begin).context("cannot read the file")?;
        return verify_proof(&begin, trusted);
    }
    let export = ExportFile::open(file)?;
    let opened = Checkpoint::open(export.note().as_bytes(), &trusted.origin, &trusted.keys)?;
    // Base64 has spare bits that no signature covers, so the note must be encoded exactly as it was signed.
    ensure!(
        opened.note.to_string() == export.note(),
        "the text of the checkpoint differs from the signed one"
    );
    trusted.check_witnesses(&opened.cosignatures)?;
    let count = export.check(opened.checkpoint.tree())?;
    Ok((Proven::Entries { kind: export.kind(), count }, opened))
}

fn verify_proof(file: &[u8], trusted: &Trusted) -> anyhow::Result<(Proven, Opened)> {
    let mut proof = InclusionFile::parse(file)?;
    let index = proof.index;
    let entry = proof.extra.take().context("the proof has no line `extra` with the entry")?;
    let opened = proof
        .verify(&entry, &trusted.origin, &trusted.keys)
        .with_context(|| format!("nothing proves entry {index}"))?;
    trusted.check_witnesses(&opened.cosignatures)?;
    let leaf = AuditLeaf::try_from(entry).with_context(|| format!("entry {index} cannot be read"))?;
    ensure!(leaf.entry.index == index, "entry {index} of the log has the number {} in it", leaf.entry.index);
    Ok((Proven::Entry(leaf), opened))
}

fn print(proven: &Proven, opened: &Opened, trusted: &Trusted, output: &mut Output) -> anyhow::Result<Exit> {
    let Opened { checkpoint, cosignatures, .. } = opened;
    let mut object = serde_json::to_value(CheckpointObject::new(checkpoint, cosignatures))?;
    object["proven"] = true.into();
    match proven {
        Proven::Entries { kind, count } => {
            object["kind"] = kind.name().into();
            object["entries"] = (*count).into();
            let entries = counted_as(*count, "entry", "entries");
            output.say(match kind {
                Kind::Complete => format!("proven      {entries}: all of the log up to the checkpoint"),
                Kind::Proven => format!(
                    "proven      {entries}: each is in the log; that none of the caller's is left out is not proven"
                ),
            })?;
        }
        Proven::Entry(leaf) => {
            object["kind"] = "entry".into();
            object["entry"] = serde_json::to_value(EntryObject::from(leaf))?;
            let entry = &leaf.entry;
            output.say(format!("proven      entry {} is in the log", entry.index))?;
            output.say(format!("entry       {}", sentence(leaf)))?;
        }
    }
    output.object(&object)?;
    output.say(format!("log         {}", checkpoint.origin()))?;
    output.say(format!("checkpoint  {}", counted_as(checkpoint.tree().size.get(), "entry", "entries")))?;
    output.say(format!("root        {}", checkpoint.tree().root))?;
    for one in cosignatures {
        output.say(format!("witness     {} at {} UTC", one.name, signed_at(one)))?;
    }
    for name in trusted.missing(cosignatures) {
        output.say(format!("witness     {name} has not signed"))?;
    }
    Ok(Exit::Done)
}

/// Describes an entry in one sentence.
fn sentence(leaf: &AuditLeaf) -> String {
    let entry = &leaf.entry;
    let mut text =
        format!("{} UTC, {}, {}", date(entry.at), short(&entry.action), vigie_rpc::code::word(entry.code));
    if let Some(member) = entry.member {
        text.push_str(&format!(", for member {member}"));
    }
    if let Some(principal) = entry.principal {
        text.push_str(&format!(", by principal {principal}"));
    }
    if entry.calls > 1 {
        text.push_str(&format!(", {} calls", entry.calls));
    }
    text
}
