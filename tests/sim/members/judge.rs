//! The conditions after all faults have ended, and the check of all earlier answers.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail, ensure};
use rand::rngs::SmallRng;
use tokio::sync::RwLockWriteGuard;
use vigie_clients::{BankClient, ConsortiumClient, Deadline, GivenGrant};
use vigie_model::{LogHead, MemberId, ReplicaDescription, Sequence, SetDigest, ShardIdentity};

use crate::cluster::BANK;
use crate::members::material::{MEMBERS, OWNERS};
use crate::members::readers::Searching;
use crate::members::{Consortium, REST};
use crate::network::endpoint;

/// The page size with which all grants of a bank fit on a page.
const PAGE: u16 = 100;

impl Consortium {
    /// Waits for the writes that are under way, and prevents new ones.
    pub(crate) async fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.writing.write().await
    }

    /// Ends curators and readers.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Returns the head of the log, as the operator.
    pub(crate) async fn head(&self) -> anyhow::Result<LogHead> {
        let bank = BankClient::new_on(&endpoint(BANK), &self.operator()?)?;
        self.until_answered(|deadline| bank.log_head(deadline)).await
    }

    /// Compares a complete cluster that has applied the log up to `head` with everything that was
    /// acknowledged, while nothing is written. Each member's searches are recorded, and checked in the same
    /// way by [`Self::check`].
    pub(crate) async fn compare(
        &self,
        head: &LogHead,
        replicas: &[ReplicaDescription],
        rng: &mut SmallRng,
    ) -> anyhow::Result<()> {
        for replica in replicas {
            let expected = self.digest(replica.shards.whole());
            let (shards, digest) = (replica.shards, replica.digest);
            ensure!(digest == expected, "shard {shards} holds {digest}, and {expected} was acknowledged");
        }
        let living = self.history().living().count() as u64;
        ensure!(
            (head.items, head.hashes) == (living, living),
            "the bank counts {} items, and {living} were acknowledged and not removed",
            head.items
        );
        self.compare_grants().await?;
        for member in 0..MEMBERS.len() {
            let searching = Searching::by(self.teams()[member].matcher.clone())?;
            for hash in 0..self.material.count() {
                self.search_at_last(&searching, member, hash, head.sequence, rng).await?;
            }
        }
        Ok(())
    }

    /// Checks every answer and every refusal of the run against the history.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.history().check(&self.material)
    }

    /// Repeats a search until it is decided by a directory that includes all changes.
    async fn search_at_last(
        &self,
        searching: &Searching,
        member: usize,
        hash: usize,
        head: Sequence,
        rng: &mut SmallRng,
    ) -> anyhow::Result<()> {
        let give_up = Deadline::now() + self.whole_within;
        loop {
            let directory = self.search(searching, member, hash, None, head, rng).await?;
            if directory.is_ok_and(|directory| directory >= self.history().newest_change()) {
                return Ok(());
            }
            if Deadline::now() > give_up {
                bail!("a cluster that is whole does not answer {}: {directory:?}", MEMBERS[member]);
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// Compares the bank's grants with those that were acknowledged.
    async fn compare_grants(&self) -> anyhow::Result<()> {
        for (bank, owner) in OWNERS.into_iter().enumerate() {
            let administrator = self.teams()[owner].administrator.clone();
            let client = ConsortiumClient::among(&[endpoint(BANK)], &administrator)?;
            let name = self.material.name_for(owner, bank);
            let listed = self.until_answered(|deadline| client.list_grants_of(&name, None, PAGE, deadline));
            let mut has = BTreeSet::new();
            for GivenGrant { grant, member } in listed.await?.value {
                let to = member.context("a grant of nobody")?.as_str().to_owned();
                has.insert((to, grant.expiry.moment()));
            }
            let grant = |with: usize| {
                Some((MEMBERS[with].to_owned(), self.history().grant(bank, with, Sequence(u64::MAX))?))
            };
            let expected: BTreeSet<_> = (0..MEMBERS.len()).filter_map(grant).collect();
            ensure!(has == expected, "{name} is shared with {has:?}, and {expected:?} was acknowledged");
        }
        Ok(())
    }

    /// Returns the digest of the live items of a shard.
    fn digest(&self, shard: ShardIdentity) -> SetDigest {
        let ids: Vec<MemberId> = self.teams().iter().map(|team| team.id).collect();
        let mut digest = SetDigest::EMPTY;
        for banked in self.history().living() {
            if let Some(item) = banked.item.filter(|item| shard.holds(*item)) {
                digest += SetDigest::of_item(item, &[self.material.hash(banked.hash)]);
                if banked.is_held() {
                    digest += SetDigest::of_hold(item);
                }
                digest += banked.standing(item, &ids);
            }
        }
        digest
    }
}
