//! The creation of members, their principals and their banks, before there are faults.

use anyhow::Context as _;
use vigie_clients::{BankClient, ConsortiumClient, IdempotencyKey, MemberWords, Network};
use vigie_consortium::{Charter, CharterDraft, MemberName, Role};

use crate::cluster::{BANK, elapsed};
use crate::members::Consortium;
use crate::members::credentials::{Credential, Team, new_principal};
use crate::members::history::Change;
use crate::members::material::{CONFIRMATIONS_MIN, MEMBERS, OWNERS};
use crate::network::{endpoint, network};

impl Consortium {
    /// Creates the operator, the members, their principals and their banks.
    pub(super) async fn prepare(&self) -> anyhow::Result<()> {
        let operator = self.create(&network(), None, Role::Operator).await?.network;
        let operator = self.operator.get_or_init(|| operator).clone();
        let members = ConsortiumClient::among(&[endpoint(BANK)], &operator)?;
        for member in 0..MEMBERS.len() {
            let (name, key) =
                (&self.material.member(member), IdempotencyKey::named(format_args!("member {member}")));
            let words = MemberWords::default();
            let made = self
                .until_answered(|deadline| members.create_member(name, &words, key.clone(), deadline))
                .await?;
            let id = made.value.id;
            let administrator =
                self.create(&operator, Some(name.clone()), Role::Administrator).await?.network;
            let contributor = self.create(&administrator, None, Role::Contributor).await?.network;
            let reviewer = self.create(&administrator, None, Role::Reviewer).await?.network;
            let matcher = self.create(&administrator, None, Role::Matcher).await?;
            self.teams().push(Team { administrator, contributor, reviewer, id, matcher });
        }
        for (bank, owner) in OWNERS.into_iter().enumerate() {
            let administrator = self.teams()[owner].administrator.clone();
            let banks = BankClient::new_on(&endpoint(BANK), &administrator)?;
            let (name, key) = (self.material.bank(bank), IdempotencyKey::named(format_args!("bank {bank}")));
            self.until_answered(|deadline| banks.create_bank(&name, key.clone(), deadline)).await?;
            let confirmations_min = u32::try_from(CONFIRMATIONS_MIN[bank])?;
            let charter = Charter::try_from(CharterDraft { confirmations_min, ..CharterDraft::default() })?;
            let members = ConsortiumClient::among(&[endpoint(BANK)], &administrator)?;
            let (name, key) = (name.into(), IdempotencyKey::random());
            self.until_answered(|deadline| {
                members.set_charter(&name, charter.clone(), key.clone(), deadline)
            })
            .await?;
        }
        Ok(())
    }

    /// Creates a principal while there are no faults, so that its key arrives.
    async fn create(
        &self,
        by: &Network,
        member: Option<MemberName>,
        role: Role,
    ) -> anyhow::Result<Credential> {
        let members = ConsortiumClient::among(&[endpoint(BANK)], by)?;
        let new = new_principal(member, role);
        let (sent, key) = (elapsed(), IdempotencyKey::random());
        let made =
            self.until_answered(|deadline| members.create_principal(new.clone(), key.clone(), deadline));
        let made = made.await?;
        let credential =
            Credential::of(&made.value)?.context("the key was lost before anything went wrong")?;
        let mut history = self.history();
        let change = history.send(sent, Change::Principal { id: credential.id.0, is_living: true });
        history.acknowledge(change, elapsed(), made.sequence);
        Ok(credential)
    }
}
