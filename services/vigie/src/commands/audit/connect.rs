//! A client of the bank's audit, for the audit commands.

use anyhow::{Context as _, anyhow, bail, ensure};
use vigie_audit::checkpoint::Checkpoint;
use vigie_audit::tree::{LeafIndex, NodeHash, Size, TreeHead, check_inclusion};
use vigie_clients::{AuditClient, AuditLeaf, AuditPage, CallError, Code, Deadline};
use vigie_consortium::MemberName;

use crate::cli::BankAddressArgs;
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::Output;

/// Maximum number of entries in one page.
pub(super) const PAGE: u16 = 500;

/// A client of the bank's audit, with the timeout of the command.
#[derive(Debug)]
pub(super) struct Audit {
    client: AuditClient,
    timeout_ms: u64,
}

/// A checkpoint whose signatures have not been verified.
#[derive(Debug)]
pub(super) struct Unverified {
    /// The text of the signed note, as the bank sent it.
    pub(super) note: String,
    /// The checkpoint that the note contains.
    pub(super) checkpoint: Checkpoint,
}

impl Audit {
    pub(super) fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<Self> {
        let network = network(address, output)?;
        let client = AuditClient::among(&address.bank_urls, &network)?.with_patience(patience(address));
        Ok(Self { client, timeout_ms: address.timeout_ms })
    }

    fn deadline(&self) -> Deadline {
        deadline(self.timeout_ms)
    }

    /// Returns a page of entries, in the order of their indexes.
    pub(super) async fn page(
        &self,
        from: LeafIndex,
        size: u16,
        member: Option<&MemberName>,
    ) -> anyhow::Result<AuditPage> {
        let page = self.client.list_entries(from, size, member, self.deadline()).await?;
        let indexes: Vec<LeafIndex> = page.leaves.iter().map(|leaf| leaf.entry.index).collect();
        let in_order = indexes.is_sorted_by(|one, next| one < next);
        let after_the_call = indexes.first().is_none_or(|first| *first >= from);
        let before_the_next = page.next.is_none_or(|next| next > from && indexes.last() < Some(&next));
        ensure!(
            in_order && after_the_call && before_the_next,
            "the bank listed entries from {from} on out of order"
        );
        Ok(page)
    }

    /// Reads an entry, and returns it with the number of entries in the log. The entry is `None` if it does
    /// not exist or the caller may not read it.
    pub(super) async fn entry(&self, index: LeafIndex) -> anyhow::Result<(Option<AuditLeaf>, Size)> {
        let mut from = index;
        loop {
            let AuditPage { leaves, next, tree_size } = self.page(from, 1, None).await?;
            let first = leaves.into_iter().next();
            match next {
                Some(next) if first.is_none() && next <= index => from = next,
                _ => return Ok((first.filter(|leaf| leaf.entry.index == index), tree_size)),
            }
        }
    }

    /// Returns the newest checkpoint as a signed note, as the bank sent it.
    pub(super) async fn note(&self) -> anyhow::Result<String> {
        let note = self.client.get_checkpoint(self.deadline()).await;
        note.map_err(|error| {
            if !matches!(error.code(), Code::FailedPrecondition | Code::Unimplemented) {
                return error.into();
            }
            // This is not returned as a call error: the hint of one would send the reader to another address.
            anyhow!("the bank signs no checkpoints, because it has no key for that or is too old: {error}")
        })
    }

    /// Returns the newest checkpoint without verifying it, for a file that is verified later.
    pub(super) async fn checkpoint(&self) -> anyhow::Result<Unverified> {
        let note = self.note().await?;
        let checkpoint =
            Checkpoint::unverified(note.as_bytes()).context("the bank's newest checkpoint cannot be read")?;
        Ok(Unverified { note, checkpoint })
    }

    /// Returns the proof that an entry is in a tree, after verifying the proof.
    pub(super) async fn inclusion(&self, leaf: &AuditLeaf, tree: &TreeHead) -> anyhow::Result<Vec<NodeHash>> {
        let (index, hash) = (leaf.entry.index, leaf.hash());
        let proof = self.client.prove_inclusion(index, Some(tree.size), self.deadline()).await?;
        if proof.leaf != hash {
            bail!(
                "the bank lists entry {index}, whose hash is {hash}, and proves another one, whose hash is {}",
                proof.leaf
            );
        }
        check_inclusion(&proof.path, index, &hash, tree)
            .with_context(|| format!("entry {index} is not in the tree that the bank has signed"))?;
        Ok(proof.path)
    }

    /// Returns the proof that the tree of size `new` continues the tree of size `old`.
    pub(super) async fn consistency(&self, old: Size, new: Size) -> Result<Vec<NodeHash>, CallError> {
        Ok(self.client.prove_consistency(old, Some(new), self.deadline()).await?.path)
    }
}
