//! Makes the members of a run in a cluster of its own, and puts their opinions while it runs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use tokio_util::sync::CancellationToken;
use vigie_clients::{
    BankClient, Bearer, ConsortiumClient, IdempotencyKey, MemberWords, Network, NewCredential, NewOpinion,
    NewPrincipal, OpinionClient, PolicyClient, PolicySource,
};
use vigie_consortium::{
    BankRef, Capability, Expiry, Flags, MemberName, OpinionWords, Policy, PolicyDraft, Role, Roles, Text,
    Verdict, VerdictRuleDraft,
};
use vigie_model::{BankName, ItemId, OpinionKind};

use crate::run::scenario::consortium::ConsortiumPlan;
use crate::run::target::Searching;

/// How long one call to the bank may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Items that opinions are put on.
const ITEMS: u16 = 1_000;

/// The members of a run, and the host that owns the banks.
#[derive(Debug, Clone)]
pub(super) struct Consortium {
    /// The network on which the host's own calls go.
    pub(super) host: Network,
    /// Those that search, and which of them have a policy.
    pub(super) searching: Vec<Searching>,
    reviewers: Vec<OpinionClient>,
    items: Vec<ItemId>,
    names: Vec<MemberName>,
    administrator: ConsortiumClient,
    opinions_per_s: f64,
}

/// What became of the opinions of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) put: u64,
    pub(super) failed: u64,
}

/// Settings of a cluster whose processes trust each other by the key in a folder, which is written there.
pub(crate) fn settings(folder: &Path) -> anyhow::Result<Vec<String>> {
    let key = folder.join("cluster-key");
    std::fs::write(&key, hex(&rand::rng().random::<[u8; 32]>())).context("cannot write a cluster key")?;
    let roles = ["bank", "matcher", "coordinator", "frontend"];
    Ok(roles.map(|role| format!("{role}.processes.cluster_key={}", key.display())).into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn soon() -> vigie_clients::Deadline {
    (Instant::now() + WITHIN).into()
}

/// A principal of the caller's member, or of another; gives the network on which it calls.
async fn principal(
    by: &ConsortiumClient,
    on: &Network,
    member: Option<&MemberName>,
    roles: &[Role],
) -> anyhow::Result<Network> {
    let new = NewPrincipal {
        member: member.cloned(),
        roles: Roles::new(roles.iter().copied())?,
        credential: NewCredential::ApiKey,
        expiry: Expiry::NEVER,
        note: Text::default(),
    };
    let made = by.create_principal(new, IdempotencyKey::random(), soon()).await?;
    let key = made.value.key.context("a principal has no key")?;
    let bearer = Bearer::new(&key.reveal(), "a member of the run")?;
    Ok(on.clone().bearing(Some(bearer)))
}

/// What a member of the run decides by: whatever matches is for a person at least.
fn policy() -> anyhow::Result<Policy> {
    let rule = |name: &str, condition: &str, verdict| VerdictRuleDraft {
        name: name.to_owned(),
        condition: condition.to_owned(),
        verdict,
        shadow: false,
    };
    let rules = vec![
        rule("doubted", "matches.exists(m, m.negatives > m.positives)", Verdict::Review),
        rule("confirmed", "matches.exists(m, m.positives >= 2 && m.distance <= 10)", Verdict::Escalate),
        rule("known", "matches.size() > 0", Verdict::Block),
    ];
    Ok(Policy::try_from(PolicyDraft { rules, ..PolicyDraft::default() })?)
}

impl Consortium {
    /// Turns members on in a deployment that has none, whose banks are the host's from then on.
    pub(super) async fn found(
        bank_url: &str,
        network: &Network,
        plan: &ConsortiumPlan,
        data: &BankName,
    ) -> anyhow::Result<Self> {
        let among = |network: &Network| ConsortiumClient::among(&[bank_url], network);
        let operator = principal(&among(network)?, network, None, &[Role::Operator]).await;
        let operator = among(&operator.context("cannot make the first operator")?)?;
        let host = principal(&operator, network, None, &[Role::Administrator]).await?;
        let administrator = among(&host)?;
        // What an administrator may do with items, a contributor of the host may as well, and read them.
        let keeper = [Role::Administrator, Role::Contributor];
        let host = principal(&administrator, network, None, &keeper).await?;
        let (mut searching, mut reviewers, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..plan.members {
            let name: MemberName = format!("member-{number}").parse()?;
            let key = IdempotencyKey::random();
            operator.create_member(&name, &MemberWords::default(), key, soon()).await?;
            let of_member = principal(&operator, network, Some(&name), &[Role::Administrator]).await?;
            let own = among(&of_member)?;
            let has_policy = number < plan.policies;
            if has_policy {
                let policies = PolicyClient::among(&[bank_url], &of_member)?;
                let (policy, key) = (policy()?, IdempotencyKey::random());
                policies.set_policy(PolicySource::Given(&policy), None, false, key, soon()).await?;
            }
            let network_of = principal(&own, network, None, &[Role::Matcher]).await?;
            searching.push(Searching { network: network_of, has_policy });
            let reviewer = principal(&own, network, None, &[Role::Reviewer]).await?;
            reviewers.push(OpinionClient::among(&[bank_url], &reviewer)?);
            names.push(name);
        }
        let banks = BankClient::new_on(bank_url, &host)?;
        let listed = banks.list_items(data, None, ITEMS, soon()).await?;
        let items: Vec<ItemId> = listed.items.iter().map(|item| item.id).collect();
        ensure!(!items.is_empty(), "there is no item to say anything of");
        let opinions_per_s = plan.opinions;
        Ok(Self { host, searching, reviewers, items, names, administrator, opinions_per_s })
    }

    /// Shares a bank of the host with every member.
    pub(super) async fn share(&self, bank: &BankName) -> anyhow::Result<()> {
        let bank: BankRef = bank.clone().into();
        let capabilities = [Capability::Match, Capability::SeeDetails, Capability::Opine];
        for name in &self.names {
            let (capabilities, key) = (Flags::new(capabilities)?, IdempotencyKey::random());
            let put = self.administrator.put_grant(&bank, name, capabilities, Expiry::NEVER, key, soon());
            put.await.with_context(|| format!("cannot share {bank} with {name}"))?;
        }
        Ok(())
    }

    /// Puts opinions at the plan's rate until the run is over.
    pub(super) async fn opine(self, until: CancellationToken) -> Said {
        let mut said = Said::default();
        if self.opinions_per_s <= 0.0 {
            return said;
        }
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / self.opinions_per_s));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while until.run_until_cancelled(ticks.tick()).await.is_some() {
            let (reviewer, opinion) = {
                let mut rng = rand::rng();
                let kinds = [OpinionKind::Positive, OpinionKind::Negative, OpinionKind::Seen];
                let (Some(reviewer), Some(item), Some(kind)) =
                    (self.reviewers.choose(&mut rng), self.items.choose(&mut rng), kinds.choose(&mut rng))
                else {
                    return said;
                };
                let words = OpinionWords::default();
                (reviewer, NewOpinion { item: *item, hash: None, kind: *kind, words })
            };
            match reviewer.put_opinions(vec![opinion], IdempotencyKey::random(), soon()).await {
                Ok(_) => said.put += 1,
                Err(_) => said.failed += 1,
            }
        }
        said
    }
}
