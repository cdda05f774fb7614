//! Curators: they bank and hold items, record opinions on items of others, set policies, share banks, revoke
//! grants, replace keys, and suspend members.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use vigie_clients::{
    BankClient, ConsortiumClient, IdempotencyKey, NewOpinion, OpinionClient, PolicyClient, PolicySource,
    Written,
};
use vigie_consortium::{
    BankRef, Capability, Expiry, Flags, MemberName, MemberState, OpinionWords, PrincipalId, Role,
};
use vigie_model::{ItemContent, ItemId, OpinionKind, Sequence, UnixMillis};
use vigie_tests::material::item;

use crate::cluster::{BANK, elapsed, now};
use crate::members::credentials::{Credential, Team, new_principal};
use crate::members::history::Change;
use crate::members::material::{MEMBERS, OWNERS};
use crate::members::{Consortium, REST, words};
use crate::network::endpoint;

/// Items are removed only while the bank has more than this many.
const LIVING_MIN: usize = 8;

/// The curators of one member.
struct Curator<'a> {
    consortium: &'a Consortium,
    member: usize,
    members: ConsortiumClient,
    contributor: BankClient,
    /// A client of the same bank for the administrator.
    holder: BankClient,
    rng: SmallRng,
    /// The live items, by number.
    living: Vec<usize>,
    opinions: OpinionClient,
    policies: PolicyClient,
    /// The version of the member's policy.
    version: u32,
}

impl Consortium {
    /// Creates the members, and then suspends, quarantines and readmits them until the run is over.
    pub(crate) async fn operate(&self, mut rng: SmallRng) -> anyhow::Result<()> {
        self.prepare().await?;
        let members = ConsortiumClient::among(&[endpoint(BANK)], &self.operator()?)?;
        self.is_prepared.store(true, Ordering::Relaxed);
        while !self.is_over() {
            tokio::time::sleep(Duration::from_millis(rng.random_range(1_000..8_000))).await;
            let writing = self.writing.read().await;
            if self.is_over() {
                break;
            }
            let member = rng.random_range(0..MEMBERS.len());
            let state = if rng.random() { MemberState::Suspended } else { MemberState::Quarantined };
            self.set_state(&members, member, state).await?;
            tokio::time::sleep(Duration::from_millis(rng.random_range(500..9_000))).await;
            self.set_state(&members, member, MemberState::Active).await?;
            drop(writing);
        }
        Ok(())
    }

    async fn set_state(
        &self,
        members: &ConsortiumClient,
        member: usize,
        state: MemberState,
    ) -> anyhow::Result<()> {
        let (name, key) = (&self.material.member(member), IdempotencyKey::random());
        let change = self.history().send(elapsed(), Change::State { member, state });
        let set =
            self.until_answered(|deadline| members.set_member_state(name, state, key.clone(), deadline));
        let sequence = set.await?.sequence;
        self.history().acknowledge(change, elapsed(), sequence);
        Ok(())
    }

    /// Banks, shares, revokes and replaces keys for one member until the run is over.
    pub(crate) async fn curate(&self, member: usize, rng: SmallRng) -> anyhow::Result<()> {
        self.prepared().await;
        let Team { administrator, contributor, reviewer, .. } = self.teams()[member].clone();
        let members = ConsortiumClient::among(&[endpoint(BANK)], &administrator)?;
        let holder = BankClient::new_on(&endpoint(BANK), &administrator)?;
        let contributor = BankClient::new_on(&endpoint(BANK), &contributor)?;
        let opinions = OpinionClient::among(&[endpoint(BANK)], &reviewer)?;
        let policies = PolicyClient::among(&[endpoint(BANK)], &administrator)?;
        let mut curator = Curator {
            consortium: self,
            member,
            members,
            contributor,
            holder,
            rng,
            living: Vec::new(),
            opinions,
            policies,
            version: 0,
        };
        while !self.is_over() {
            let writing = self.writing.read().await;
            if self.is_over() {
                break;
            }
            match curator.rng.random_range(0..22) {
                0..4 => curator.add().await?,
                4 | 5 => curator.remove().await?,
                12..15 => curator.hold().await?,
                6..9 => curator.share().await?,
                9 | 10 => curator.take_back().await?,
                15..20 => curator.opine().await?,
                20 | 21 => curator.set_policy().await?,
                _ => curator.replace_key().await?,
            }
            drop(writing);
            tokio::time::sleep(REST).await;
        }
        Ok(())
    }
}

impl Curator<'_> {
    fn own_bank(&mut self) -> usize {
        let own = OWNERS.iter().enumerate().filter(|(_, owner)| **owner == self.member);
        let own: Vec<usize> = own.map(|(bank, _)| bank).collect();
        *own.choose(&mut self.rng).expect("every member has banks")
    }

    fn other_member(&mut self) -> usize {
        (self.member + self.rng.random_range(1..MEMBERS.len())) % MEMBERS.len()
    }

    async fn add(&mut self) -> anyhow::Result<()> {
        let (consortium, bank) = (self.consortium, self.own_bank());
        let (material, name) = (&consortium.material, consortium.material.bank(bank));
        let count = self.rng.random_range(1..5);
        let hashes: Vec<usize> = (0..count).map(|_| self.rng.random_range(0..material.count())).collect();
        let contents = hashes.iter().map(|hash| item([material.hash(*hash)]));
        let contents = contents.collect::<anyhow::Result<Vec<ItemContent>>>()?;
        let sent = elapsed();
        let numbers: Vec<usize> =
            hashes.iter().map(|hash| consortium.history().add(sent, bank, *hash)).collect();
        let (client, key) = (&self.contributor, IdempotencyKey::random());
        let added = consortium
            .until_answered(|deadline| client.add_items(&name, contents.clone(), key.clone(), deadline))
            .await?;
        ensure!(added.value.len() == numbers.len(), "an answer names other items than were sent");
        for (number, item) in numbers.iter().zip(&added.value) {
            consortium.history().added(*number, *item, elapsed(), added.sequence);
        }
        self.living.extend(numbers);
        Ok(())
    }

    async fn remove(&mut self) -> anyhow::Result<()> {
        if self.living.len() <= LIVING_MIN {
            return Ok(());
        }
        let consortium = self.consortium;
        let mut draw = || self.living.swap_remove(self.rng.random_range(0..self.living.len()));
        let numbers = [draw(), draw()];
        let items: Vec<ItemId> =
            numbers.iter().filter_map(|number| consortium.history().remove(*number, elapsed())).collect();
        let (client, key) = (&self.contributor, IdempotencyKey::random());
        let removed =
            consortium.until_answered(|deadline| client.remove_items(&items, key.clone(), deadline)).await?;
        for number in numbers {
            consortium.history().removed(number, elapsed(), removed.sequence);
        }
        Ok(())
    }

    /// Holds an item, or lifts its hold.
    async fn hold(&mut self) -> anyhow::Result<()> {
        let Some(number) = self.living.choose(&mut self.rng).copied() else { return Ok(()) };
        let consortium = self.consortium;
        let Some((item, held)) = consortium.history().hold(number, elapsed()) else { return Ok(()) };
        let (client, key) = (&self.holder, IdempotencyKey::random());
        let set = consortium.until_answered(async |deadline| {
            if held {
                client.hold_items(&[item], Expiry::NEVER, key.clone(), deadline).await
            } else {
                client.lift_holds(&[item], key.clone(), deadline).await
            }
        });
        let set = set.await?;
        ensure!(set.value == u32::from(held), "{} items are held", set.value);
        consortium.history().held(number, elapsed(), set.sequence);
        Ok(())
    }

    /// Records an opinion on another member's item, or withdraws it. The item's bank may not be shared with
    /// this member.
    async fn opine(&mut self) -> anyhow::Result<()> {
        let (consortium, member) = (self.consortium, self.member);
        let Some(at) = consortium.history().of_others(member).choose(&mut self.rng).copied() else {
            return Ok(());
        };
        let kind = match self.rng.random_range(0..4) {
            0 => None,
            1 => Some(OpinionKind::Negative),
            _ => Some(OpinionKind::Positive),
        };
        let Some(item) = consortium.history().say(at, member, kind, elapsed()) else { return Ok(()) };
        let (client, key) = (&self.opinions, IdempotencyKey::random());
        let said = consortium.until_decided(async |deadline| match kind {
            Some(kind) => {
                let (hash, words) = (None, OpinionWords::default());
                let opinions = vec![NewOpinion { item, hash, kind, words }];
                client.put_opinions(opinions, key.clone(), deadline).await
            }
            None => client.withdraw_opinions(&[item], key.clone(), deadline).await,
        });
        let sequence = said.await?.map(|said| said.sequence);
        consortium.history().said(at, member, elapsed(), sequence);
        Ok(())
    }

    /// Sets the next version of the member's policy.
    async fn set_policy(&mut self) -> anyhow::Result<()> {
        self.version += 1;
        let (consortium, member, version) = (self.consortium, self.member, self.version);
        let (policy, key) = (words::policy(version)?, IdempotencyKey::random());
        let change = consortium.history().send(elapsed(), Change::Policy { member, version });
        let client = &self.policies;
        let set = consortium.until_answered(async |deadline| {
            client.set_policy(PolicySource::Given(&policy), None, false, key.clone(), deadline).await
        });
        let set = set.await?;
        ensure!(set.value == version, "version {} was set, and it is the {version}th", set.value);
        self.acknowledge(change, set.sequence);
        Ok(())
    }

    /// Shares a bank, mostly for some seconds only.
    async fn share(&mut self) -> anyhow::Result<()> {
        let (bank, with) = (self.own_bank(), self.other_member());
        let lasts = (self.rng.random_range(0..3) > 0).then(|| self.rng.random_range(500..9_000));
        let until = lasts.map(|lasts| UnixMillis(now().0 + lasts));
        let capabilities: &[Capability] = match self.rng.random_range(0..4) {
            // A member that may see details but not record opinions gets a definite refusal, and would retry
            // without end.
            0 => &[Capability::Match, Capability::SeeDetails, Capability::Opine],
            1 => &[Capability::Match],
            _ => &[Capability::Match, Capability::Opine],
        };
        let capabilities = Flags::new(capabilities.iter().copied())?;
        let (name, to) = self.names(bank, with);
        let (members, key) = (&self.members, IdempotencyKey::random());
        let expiry = until.map_or(Expiry::NEVER, Expiry::at);
        let change = self.consortium.history().send(elapsed(), Change::Granted { bank, with, until });
        let put = self.consortium.until_answered(|deadline| {
            members.put_grant(&name, &to, capabilities, expiry, key.clone(), deadline)
        });
        self.acknowledge(change, put.await?.sequence);
        Ok(())
    }

    /// Revokes a grant, if there is one.
    async fn take_back(&mut self) -> anyhow::Result<()> {
        let (bank, with) = (self.own_bank(), self.other_member());
        if self.consortium.history().grant(bank, with, Sequence(u64::MAX)).is_none() {
            return Ok(());
        }
        let (name, to) = self.names(bank, with);
        let (members, key) = (&self.members, IdempotencyKey::random());
        let change = self.consortium.history().send(elapsed(), Change::Revoked { bank, with });
        let revoked = self
            .consortium
            .until_answered(|deadline| members.revoke_grant(&name, &to, key.clone(), deadline));
        self.acknowledge(change, revoked.await?.sequence);
        Ok(())
    }

    /// Creates a principal for the member's searches, and revokes the previous one.
    async fn replace_key(&mut self) -> anyhow::Result<()> {
        let (consortium, members) = (self.consortium, &self.members);
        let new = new_principal(None, Role::Matcher);
        let next = loop {
            let (sent, key) = (elapsed(), IdempotencyKey::random());
            let made = consortium
                .until_answered(|deadline| members.create_principal(new.clone(), key.clone(), deadline));
            let made = made.await?;
            // The lost answer contained the only copy of the key.
            let Some(credential) = Credential::of(&made.value)? else { continue };
            let mut history = consortium.history();
            let change = history.send(sent, Change::Principal { id: credential.id.0, is_living: true });
            history.acknowledge(change, elapsed(), made.sequence);
            break credential;
        };
        let before = std::mem::replace(&mut consortium.teams()[self.member].matcher, next).id;
        let change =
            consortium.history().send(elapsed(), Change::Principal { id: before.0, is_living: false });
        let sequence = self.revoke(before).await?.sequence;
        self.acknowledge(change, sequence);
        Ok(())
    }

    async fn revoke(&self, principal: PrincipalId) -> anyhow::Result<Written<()>> {
        let (members, key) = (&self.members, IdempotencyKey::random());
        self.consortium
            .until_answered(|deadline| members.revoke_principal(principal, key.clone(), deadline))
            .await
    }

    fn names(&self, bank: usize, with: usize) -> (BankRef, MemberName) {
        let material = &self.consortium.material;
        (material.name_for(self.member, bank), material.member(with))
    }

    fn acknowledge(&self, change: usize, sequence: Sequence) {
        self.consortium.history().acknowledge(change, elapsed(), sequence);
    }
}
