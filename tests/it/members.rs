//! Several members on one cluster: what each sees, and how long a revoked right still works.

mod as_functions;
mod audit;
mod cost;
mod extraction;
mod floods;
mod incidents;
mod isolation;
mod packed;
mod policies;
mod policy_cost;
mod decisions;
mod revocation;
mod served;

use vigie_clients::{
    BankClient, BankLabel, ConsortiumClient, IdempotencyKey, MatchAnswer, MatchClient, MemberWords, Network,
    NewCredential, NewPrincipal,
};
use vigie_consortium::{Capability, Expiry, Flags, MemberName, PrincipalId, Role, Roles, Text};
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_model::{Content, Hash, ItemId, MatchCall, SearchOptions, Sequence};
use vigie_net::Bearer;
use vigie_tests::material::{hashed, item};

/// A cluster with members, and its operator.
struct Consortium {
    cluster: Cluster,
    operator: Client,
}

/// The clients of a principal.
#[derive(Clone)]
struct Client {
    id: PrincipalId,
    network: Network,
    members: ConsortiumClient,
    bank: BankClient,
    matching: MatchClient,
}

impl Client {
    fn new(cluster: &Cluster, id: PrincipalId, key: &str) -> Self {
        let network = cluster.callers().clone().bearing(Some(Bearer::new(key, "a test").unwrap()));
        Self::on(cluster, id, network)
    }

    fn on(cluster: &Cluster, id: PrincipalId, network: Network) -> Self {
        Self {
            id,
            members: ConsortiumClient::among(&[cluster.bank_url()], &network).unwrap(),
            bank: BankClient::new_on(&cluster.bank_url(), &network).unwrap(),
            matching: MatchClient::new_on(&[cluster.frontend_url()], &network).unwrap(),
            network,
        }
    }

    /// Creates a principal with a key, and returns its clients.
    async fn create(&self, cluster: &Cluster, member: Option<&str>, roles: &[Role]) -> Self {
        let new = NewPrincipal {
            member: member.map(|name| name.parse().unwrap()),
            roles: Roles::new(roles.iter().copied()).unwrap(),
            credential: NewCredential::ApiKey,
            expiry: Expiry::NEVER,
            note: Text::default(),
        };
        let made = self.members.create_principal(new, IdempotencyKey::random(), soon()).await.unwrap();
        let key = made.value.key.unwrap().reveal();
        Self::new(cluster, made.value.principal.id, &key)
    }

    async fn create_bank(&self, name: &impl BankLabel) -> Sequence {
        self.bank.create_bank(name, IdempotencyKey::random(), soon()).await.unwrap().sequence
    }

    /// Adds an item with one hash.
    async fn add(&self, bank: &impl BankLabel, hash: Hash) -> (ItemId, Sequence) {
        let items = vec![item([hash]).unwrap()];
        let added = self.bank.add_items(bank, items, IdempotencyKey::random(), soon()).await.unwrap();
        (added.value[0], added.sequence)
    }

    async fn share(&self, bank: &str, with: &str, capabilities: &[Capability]) -> Sequence {
        let capabilities = Flags::new(capabilities.iter().copied()).unwrap();
        let (bank, with) = (bank.parse().unwrap(), with.parse::<MemberName>().unwrap());
        let key = IdempotencyKey::random();
        let put = self.members.put_grant(&bank, &with, capabilities, Expiry::NEVER, key, soon()).await;
        put.unwrap().sequence
    }

    async fn ask(&self, hash: Hash, options: SearchOptions) -> Result<MatchAnswer, vigie_clients::CallError> {
        let contents: Vec<Content> = vec![hashed([hash])];
        let call = MatchCall {
            contents,
            options,
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        self.matching.match_content(call, soon()).await
    }

    /// Returns the banks in which a hash is found as of a sequence, by the caller's names for them.
    async fn finds(&self, hash: Hash, sequence: Sequence) -> Vec<String> {
        let answer = self.ask(hash, as_of(sequence)).await.unwrap();
        let matched = answer.results[0].as_ref().unwrap();
        let mut banks: Vec<_> = matched.found.matches.iter().map(|one| one.bank_name.to_string()).collect();
        banks.sort();
        banks
    }
}

impl Consortium {
    /// Starts a cluster with these members in addition to the host.
    async fn start(members: &[&str]) -> Self {
        Self::on(Cluster::start_with(|config| config.shard_count = 2).await.unwrap(), members).await
    }

    /// Turns members on in a cluster.
    async fn on(cluster: Cluster, members: &[&str]) -> Self {
        let nobody = Client::on(&cluster, PrincipalId(0), cluster.callers().clone());
        let operator = nobody.create(&cluster, None, &[Role::Operator]).await;
        for name in members {
            let (name, key) = (name.parse().unwrap(), IdempotencyKey::random());
            operator.members.create_member(&name, &MemberWords::default(), key, soon()).await.unwrap();
        }
        Self { cluster, operator }
    }

    /// Creates an administrator of a member, and a worker who contributes and matches.
    async fn team(&self, member: &str) -> (Client, Client) {
        let administrator = self.operator.create(&self.cluster, Some(member), &[Role::Administrator]).await;
        let worker = administrator.create(&self.cluster, None, &[Role::Contributor, Role::Matcher]).await;
        (administrator, worker)
    }
}

/// Waits until the frontend's directory includes the change at `sequence`, which is a change of the
/// directory.
async fn until_known(client: &Client, sequence: Sequence) {
    let probe = Hash::md5([255; 16]);
    for _ in 0..200 {
        if client.ask(probe.clone(), as_of(sequence)).await.is_ok_and(|answer| answer.directory >= sequence) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the frontend's directory does not come to {sequence}");
}
