//! The proof of the audit: that the signed checkpoint is consistent with the one that the person kept, and
//! that the entries which the person may read are those of the checkpoint.
//!
//! A request reads at most [`ENTRIES_MAX`] entries, or asks for [`PROOFS_MAX`] proofs, and takes about
//! [`TIME_MAX`]. The next one continues. The state between requests is in the page only: a person who changes
//! it deceives only themselves.

use std::time::Duration;

use data_encoding::BASE64;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;
use vigie_audit::checkpoint::{Checkpoint, OpenError};
use vigie_audit::note::{KeyKind, KnownKeys, VerifierKey};
use vigie_audit::tree::{
    Frontier, LeafIndex, NodeHash, ProofError, Size, TreeHead, check_consistency, check_inclusion,
};
use vigie_clients::{AuditLeaf, Code};
use vigie_consortium::rights::Method;
use vigie_consortium::{MemberId, Role};
use vigie_model::UnixMillis;

use crate::console::page::Failed;
use crate::console::pages::cases::audit::kept::Kept;
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The most entries that one request reads.
pub(super) const ENTRIES_MAX: u64 = 20_000;
/// The most proofs of single entries that one request asks for.
pub(super) const PROOFS_MAX: u16 = 200;
/// The time for which one request reads; the call that is running then is completed.
const TIME_MAX: Duration = Duration::from_secs(5);
/// The most entries of one call.
const PAGE: u16 = 1_000;
/// The most concurrent requests for proofs.
const PROOFS_AT_ONCE: usize = 8;

/// The request for a proof.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The earlier checkpoint: pasted, or remembered by the browser.
    kept: Option<Kept>,
    /// The name of the log in a checkpoint that was pasted.
    kept_origin: Option<String>,
    /// The public key of the log.
    key: Option<VerifierKey>,
    /// The state of an earlier request.
    begun: Option<Begun>,
}

/// The state that an earlier request left in the page.
#[derive(Debug)]
struct Begun {
    /// The signed checkpoint to which the state belongs.
    note: String,
    /// The tree over the entries read so far, if the person may read every entry.
    frontier: Frontier,
    /// The first entry that is not yet proven, and the number proven, if single entries are proven.
    from: LeafIndex,
    proven: u64,
}

/// The result of a successful proof.
#[derive(Debug)]
pub(super) struct Proven {
    /// The tree head of the log's newest checkpoint.
    pub(super) tree: TreeHead,
    /// The name of the log.
    pub(super) origin: String,
    /// Whether the checkpoint has a valid signature by the key that the person named.
    pub(super) is_signed: bool,
    /// The earlier checkpoint with which the log is consistent, and the time of its last entry.
    pub(super) old: Option<(Kept, Option<UnixMillis>)>,
    /// The entries that were compared.
    pub(super) entries: Entries,
    /// The form fields for the next request; `None` if the proof is complete.
    pub(super) rest: Option<Vec<(&'static str, String)>>,
}

/// The entries that were compared with the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entries {
    /// The first N entries of the log.
    Every(u64),
    /// N of the entries that the person may read.
    Own(u64),
    /// The person may read no entry.
    None,
}

/// The reason that the audit is wrong or cannot be proven.
#[derive(Debug)]
pub(super) enum Broken {
    /// The bank signs no checkpoints.
    NotSigned,
    /// The checkpoint is invalid, or not signed by the named key.
    Checkpoint(OpenError),
    /// The checkpoint belongs to another log than the kept one.
    AnotherLog { kept: String, given: String },
    /// The log has fewer entries than before.
    Shrunk { old: Size, new: Size },
    /// The log is not an extension of its earlier state.
    Changed { old: TreeHead, new: TreeHead, why: ProofError },
    /// An entry is missing, or has the wrong index.
    Missing { index: LeafIndex },
    /// The entries do not give the root hash of the checkpoint.
    Entries { tree: TreeHead, computed: NodeHash },
    /// An entry is not in the checkpoint's log.
    Entry { index: LeafIndex },
}

impl Asked {
    /// Parses the form, with the checkpoint that the browser remembers.
    ///
    /// # Errors
    ///
    /// A field is invalid; the error names it.
    pub(super) fn read(visit: &Visit, posted: &Posted, remembered: Option<Kept>) -> Result<Self, Problem> {
        let key = match posted.field("key") {
            "" => None,
            text => {
                let key: VerifierKey = text.parse().map_err(|why| Problem::field("key", why))?;
                if key.kind() != KeyKind::Log {
                    return Err(Problem::field("key", visit.t("audit.no_log_key")));
                }
                Some(key)
            }
        };
        let mut asked = Self { key, begun: Begun::read(posted), ..Self::default() };
        match (posted.field("old"), posted.field("kept")) {
            ("", "") => asked.kept = remembered,
            // A later request uses the earlier checkpoint of the first one.
            ("", "none") => {}
            ("", kept) => asked.kept = Kept::parse(kept),
            (old, _) => match Kept::parse(old) {
                Some(kept) => asked.kept = Some(kept),
                None => {
                    let checkpoint = pasted(old, asked.key.as_ref()).map_err(|why| {
                        Problem::field("old", visit.fill("audit.no_checkpoint", &[("why", &why)]))
                    })?;
                    asked.kept = Some(Kept::new(*checkpoint.tree()));
                    asked.kept_origin = Some(checkpoint.origin().to_owned());
                }
            },
        }
        Ok(asked)
    }
}

/// The checkpoint of a pasted text, whose line endings may have been changed.
fn pasted(text: &str, key: Option<&VerifierKey>) -> Result<Checkpoint, OpenError> {
    opened(&(text.replace("\r\n", "\n") + "\n"), key)
}

/// Parses the checkpoint of a note, and verifies its signature if a key is given.
fn opened(note: &str, key: Option<&VerifierKey>) -> Result<Checkpoint, OpenError> {
    let Some(key) = key else { return Checkpoint::unverified(note.as_bytes()) };
    let known = KnownKeys::new([key.clone()]).unwrap_or_default();
    Ok(Checkpoint::open(note.as_bytes(), key.name(), &known)?.checkpoint)
}

impl Begun {
    /// Parses the state in a page's fields; `None` if it cannot be used.
    fn read(posted: &Posted) -> Option<Self> {
        let bytes = |name: &str| BASE64.decode(posted.field(name).as_bytes()).ok();
        let note = String::from_utf8(bytes("note")?).ok().filter(|note| !note.is_empty())?;
        Some(Self {
            note,
            frontier: Frontier::decode(&bytes("frontier")?).ok()?,
            from: LeafIndex(posted.number("from").ok()?),
            proven: posted.number("proven").ok()?,
        })
    }

    fn fields(self, asked: &Asked) -> Vec<(&'static str, String)> {
        let kept = asked.kept.map_or_else(|| "none".to_owned(), Kept::text);
        vec![
            ("note", BASE64.encode(self.note.as_bytes())),
            ("frontier", BASE64.encode(&self.frontier.encode())),
            ("from", self.from.to_string()),
            ("proven", self.proven.to_string()),
            ("kept", kept),
            ("key", asked.key.as_ref().map(ToString::to_string).unwrap_or_default()),
        ]
    }
}

/// Proves the audit.
///
/// # Errors
///
/// A call failed. A failed proof is not an error but an outcome.
pub(super) async fn verify(visit: &Visit, mut asked: Asked) -> Result<Result<Proven, Broken>, Failed> {
    let mut begun = match asked.begun.take() {
        Some(begun) => begun,
        None => match visit.caller.audit().get_checkpoint(visit.deadline()).await {
            Ok(note) => Begun { note, frontier: Frontier::empty(), from: LeafIndex(0), proven: 0 },
            Err(error) if matches!(error.code(), Code::FailedPrecondition | Code::Unimplemented) => {
                return Ok(Err(Broken::NotSigned));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let checkpoint = match opened(&begun.note, asked.key.as_ref()) {
        Ok(checkpoint) => checkpoint,
        Err(why) => return Ok(Err(Broken::Checkpoint(why))),
    };
    let (tree, origin) = (*checkpoint.tree(), checkpoint.origin().to_owned());
    if let Some(kept) = asked.kept_origin.as_ref().filter(|kept| **kept != origin) {
        return Ok(Err(Broken::AnotherLog { kept: kept.clone(), given: origin }));
    }
    if let Some(kept) = asked.kept
        && let Err(broken) = goes_on(visit, kept.tree(), tree).await?
    {
        return Ok(Err(broken));
    }
    let (entries, is_complete) = match read(visit, tree, &mut begun).await? {
        Ok(read) => read,
        Err(broken) => return Ok(Err(broken)),
    };
    let old = match asked.kept {
        Some(kept) => Some((kept, last_of(visit, kept.tree()).await?)),
        None => None,
    };
    let rest = (!is_complete).then(|| begun.fields(&asked));
    Ok(Ok(Proven { tree, origin, is_signed: asked.key.is_some(), old, entries, rest }))
}

/// Checks that the new tree is consistent with the old one.
async fn goes_on(visit: &Visit, old: TreeHead, new: TreeHead) -> Result<Result<(), Broken>, Failed> {
    if old.size > new.size {
        return Ok(Err(Broken::Shrunk { old: old.size, new: new.size }));
    }
    // Trees of equal size are compared by their root hashes, and every tree is consistent with the empty one.
    let path = match old.size == new.size || old.size == Size::ZERO {
        true => Vec::new(),
        false => {
            let audit = visit.caller.audit();
            audit.prove_consistency(old.size, Some(new.size), visit.deadline()).await?.path
        }
    };
    Ok(check_consistency(&path, &old, &new).map_err(|why| Broken::Changed { old, new, why }))
}

/// The time of a tree's last entry, for persons who may read every entry.
async fn last_of(visit: &Visit, tree: TreeHead) -> Result<Option<UnixMillis>, Failed> {
    let Some(last) = tree.size.get().checked_sub(1).filter(|_| reads_every_entry(visit)) else {
        return Ok(None);
    };
    let page = visit.caller.audit().list_entries(LeafIndex(last), 1, None, visit.deadline()).await?;
    Ok(page.leaves.first().filter(|leaf| leaf.entry.index.0 == last).map(|leaf| leaf.entry.at))
}

/// Whether the bank lists every entry to the person: to auditors of the host, and to everybody while members
/// are off.
fn reads_every_entry(visit: &Visit) -> bool {
    visit.who.as_ref().is_some_and(|who| {
        let is_auditor =
            who.principal.as_ref().is_none_or(|principal| principal.roles.contains(Role::Auditor));
        who.member.id == MemberId::HOST && is_auditor
    })
}

/// Compares entries with the checkpoint. Returns the number compared, and whether none is left.
async fn read(
    visit: &Visit,
    tree: TreeHead,
    begun: &mut Begun,
) -> Result<Result<(Entries, bool), Broken>, Failed> {
    if !visit.may(Method::ListEntries) {
        return Ok(Ok((Entries::None, true)));
    }
    match reads_every_entry(visit) {
        true => read_every(visit, tree, begun).await,
        false => read_own(visit, tree, begun).await,
    }
}

/// Reads entries in order, and compares the root hash once all are read.
async fn read_every(
    visit: &Visit,
    tree: TreeHead,
    begun: &mut Begun,
) -> Result<Result<(Entries, bool), Broken>, Failed> {
    let (began, frontier) = (Instant::now(), &mut begun.frontier);
    let stop = frontier.size().get().saturating_add(ENTRIES_MAX).min(tree.size.get());
    while frontier.size().get() < stop && began.elapsed() < TIME_MAX {
        // Each call has the deadline of a new request.
        visit.caller.begin_anew();
        let from = LeafIndex(frontier.size().get());
        let page = visit.caller.audit().list_entries(from, PAGE, None, visit.deadline()).await?;
        if let Err(index) = append(frontier, &page.leaves, tree) {
            return Ok(Err(Broken::Missing { index }));
        }
    }
    let read = frontier.size();
    if read == tree.size && frontier.root() != tree.root {
        return Ok(Err(Broken::Entries { tree, computed: frontier.root() }));
    }
    Ok(Ok((Entries::Every(read.get()), read == tree.size)))
}

/// Appends a page of entries, whose first must be the next one. The error is the index of a missing entry.
fn append(frontier: &mut Frontier, leaves: &[AuditLeaf], tree: TreeHead) -> Result<(), LeafIndex> {
    let before = frontier.size();
    // Entries after the checkpoint are not compared with it.
    for leaf in leaves.iter().filter(|leaf| leaf.entry.index.0 < tree.size.get()) {
        let next = LeafIndex(frontier.size().get());
        if leaf.entry.index != next || frontier.append(&leaf.bytes).is_err() {
            return Err(next);
        }
    }
    if frontier.size() == before { Err(LeafIndex(before.get())) } else { Ok(()) }
}

/// Asks for the proofs of the entries that the person may read.
async fn read_own(
    visit: &Visit,
    tree: TreeHead,
    begun: &mut Begun,
) -> Result<Result<(Entries, bool), Broken>, Failed> {
    visit.caller.begin_anew();
    let audit = visit.caller.audit();
    let page = audit.list_entries(begun.from, PROOFS_MAX, None, visit.deadline()).await?;
    let leaves: Vec<AuditLeaf> =
        page.leaves.into_iter().filter(|leaf| leaf.entry.index.0 < tree.size.get()).collect();
    let deadline = visit.deadline();
    let mut proofs = stream::iter(leaves)
        .map(|leaf| {
            let audit = audit.clone();
            async move {
                let proof = audit.prove_inclusion(leaf.entry.index, Some(tree.size), deadline).await;
                proof.map(|proof| (leaf, proof)).map_err(Failed::from)
            }
        })
        .buffered(PROOFS_AT_ONCE);
    while let Some((leaf, proof)) = proofs.try_next().await? {
        let (index, hash) = (leaf.entry.index, leaf.hash());
        if proof.leaf != hash || check_inclusion(&proof.path, index, &hash, &tree).is_err() {
            return Ok(Err(Broken::Entry { index }));
        }
        begun.proven += 1;
    }
    let next = page.next.filter(|next| next.0 < tree.size.get() && *next > begun.from);
    begun.from = next.unwrap_or(LeafIndex(tree.size.get()));
    Ok(Ok((Entries::Own(begun.proven), next.is_none())))
}

#[cfg(test)]
mod tests {
    use vigie_audit::note::SignerKey;

    use super::*;

    /// The entries and tree head of a log with `count` entries.
    fn log(count: u64) -> (Vec<AuditLeaf>, TreeHead) {
        let (mut frontier, mut leaves) = (Frontier::empty(), Vec::new());
        for index in 0..count {
            let bytes = format!("entry {index}").into_bytes();
            frontier.append(&bytes).unwrap();
            let entry = vigie_clients::AuditEntry {
                index: LeafIndex(index),
                at: UnixMillis(1),
                member: None,
                principal: None,
                action: String::new(),
                code: Code::Ok,
                banks: Vec::new(),
                first_item: None,
                item_count: 0,
                sequence: None,
                calls: 1,
                since: None,
                model: None,
            };
            leaves.push(AuditLeaf { bytes, entry });
        }
        (leaves, TreeHead { size: frontier.size(), root: frontier.root() })
    }

    #[test]
    fn entries_are_taken_in_order_up_to_the_checkpoint() {
        let (leaves, tree) = log(7);
        let mut frontier = Frontier::empty();
        append(&mut frontier, &leaves[..3], tree).unwrap();
        append(&mut frontier, &leaves[3..], tree).unwrap();
        assert_eq!((frontier.size(), frontier.root()), (tree.size, tree.root));
        // Entries newer than the checkpoint are skipped; a page without the next entry is an error.
        let (_, smaller) = log(5);
        let mut frontier = Frontier::empty();
        append(&mut frontier, &leaves, smaller).unwrap();
        assert_eq!((frontier.size(), frontier.root()), (smaller.size, smaller.root));
        for wrong in [&leaves[1..], &[]] {
            assert_eq!(append(&mut Frontier::empty(), wrong, tree), Err(LeafIndex(0)));
        }
    }

    #[test]
    fn a_checkpoint_that_was_pasted_is_read_as_a_browser_sends_it() {
        let key = SignerKey::generate("vigie.example/audit", KeyKind::Log).unwrap();
        let (_, tree) = log(3);
        let note =
            Checkpoint::new("vigie.example/audit", tree, &[]).unwrap().sign(&[&key]).unwrap().to_string();
        let sent = note.replace('\n', "\r\n");
        let read = pasted(sent.trim(), Some(key.public())).unwrap();
        assert_eq!(read.tree(), &tree);
        let forged = sent.replace("\r\n3\r\n", "\r\n4\r\n");
        assert!(pasted(forged.trim(), Some(key.public())).is_err());
        assert_eq!(pasted(forged.trim(), None).unwrap().tree().size.get(), 4);
        assert!(pasted("nothing", None).is_err());
    }
}
