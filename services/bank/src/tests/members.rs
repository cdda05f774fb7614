//! A bank with members, and callers with API keys, for tests.

use prost::Message as _;
use tonic::Request;
use vigie_audit::tree::NodeHash;
use vigie_credentials::api_key::ApiKey;
use vigie_proto::pb::consortium::v1 as members;
use vigie_proto::pb::consortium::v1::audit_service_client::AuditServiceClient;
use vigie_proto::pb::consortium::v1::consortium_service_client::ConsortiumServiceClient;

use crate::tests::*;

/// A caller with its channel and its API key.
#[derive(Clone)]
pub(super) struct By(pub(super) Channel, pub(super) String);

impl By {
    pub(super) fn carried<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.1.is_empty() {
            request.metadata_mut().insert("authorization", format!("Bearer {}", self.1).parse().unwrap());
        }
        request
    }

    pub(super) async fn principal(&self, member: &str, role: members::Role) -> Self {
        let credential = Some(members::create_principal_request::Credential::NewApiKey(true));
        let request = members::CreatePrincipalRequest {
            member: member.into(),
            roles: vec![role.into()],
            credential,
            ..Default::default()
        };
        let mut client = ConsortiumServiceClient::new(self.0.clone());
        let made = client.create_principal(self.carried(request)).await.unwrap().into_inner();
        Self(self.0.clone(), made.api_key)
    }

    pub(super) async fn member(&self, name: &str) {
        let request = members::CreateMemberRequest { name: name.into(), ..Default::default() };
        let mut client = ConsortiumServiceClient::new(self.0.clone());
        client.create_member(self.carried(request)).await.unwrap();
    }

    pub(super) async fn create_bank(&self, name: &str) -> Result<u64, Status> {
        let request = pb::CreateBankRequest { name: name.into(), ..Default::default() };
        let mut client = BankServiceClient::new(self.0.clone());
        Ok(client.create_bank(self.carried(request)).await?.into_inner().sequence)
    }

    pub(super) async fn add(&self, bank: &str, items: Vec<pb::ItemContent>) -> Result<Vec<u64>, Status> {
        let request = pb::AddItemsRequest { bank: bank.into(), items, ..Default::default() };
        let mut client = BankServiceClient::new(self.0.clone());
        Ok(client.add_items(self.carried(request)).await?.into_inner().item_ids)
    }

    pub(super) async fn remove(&self, item_ids: Vec<u64>) -> Result<(), Status> {
        let request = pb::RemoveItemsRequest { item_ids, ..Default::default() };
        BankServiceClient::new(self.0.clone()).remove_items(self.carried(request)).await.map(drop)
    }

    /// Withdraws the submission of an item from an origin.
    pub(super) async fn withdraw(&self, item: u64, origin: Option<pb::Origin>) -> Result<(), Status> {
        let request = pb::RemoveItemsRequest { item_ids: vec![item], origin, ..Default::default() };
        BankServiceClient::new(self.0.clone()).remove_items(self.carried(request)).await.map(drop)
    }

    /// Replaces the details of an item by a note.
    pub(super) async fn update(&self, item_id: u64, note: &str) -> Result<(), Status> {
        let details = Some(pb::ItemDetails { note: note.into(), ..Default::default() });
        let request = pb::UpdateItemRequest { item_id, details, ..Default::default() };
        BankServiceClient::new(self.0.clone()).update_item(self.carried(request)).await.map(drop)
    }

    /// Replaces the labels of an item.
    pub(super) async fn relabel(&self, item_id: u64, labels: &[&str]) -> Result<(), Status> {
        let labels = Some(item_labels(labels));
        let request = pb::UpdateItemRequest { item_id, labels, ..Default::default() };
        BankServiceClient::new(self.0.clone()).update_item(self.carried(request)).await.map(drop)
    }

    pub(super) async fn item(&self, item_id: u64) -> Result<pb::Item, Status> {
        let request = self.carried(pb::GetItemRequest { item_id });
        let answer = BankServiceClient::new(self.0.clone()).get_item(request).await?.into_inner();
        Ok(answer.item.unwrap())
    }

    pub(super) async fn listed(&self, bank: &str) -> Vec<pb::Item> {
        let request = pb::ListItemsRequest { bank: bank.into(), ..Default::default() };
        let mut client = BankServiceClient::new(self.0.clone());
        client.list_items(self.carried(request)).await.unwrap().into_inner().items
    }

    pub(super) async fn share(&self, bank: &str, member: &str, capabilities: &[members::Capability]) {
        let capabilities = capabilities.iter().map(|one| (*one).into()).collect();
        let (bank, member) = (bank.into(), member.into());
        let request = members::PutGrantRequest { bank, member, capabilities, ..Default::default() };
        let mut client = ConsortiumServiceClient::new(self.0.clone());
        client.put_grant(self.carried(request)).await.unwrap();
    }

    pub(super) async fn two_people(&self, bank: &str, two_person_items: u32) -> Result<(), Status> {
        let charter = Some(members::Charter { two_person_items, ..Default::default() });
        let request = members::SetCharterRequest { bank: bank.into(), charter, ..Default::default() };
        ConsortiumServiceClient::new(self.0.clone()).set_charter(self.carried(request)).await.map(drop)
    }

    pub(super) async fn delete_bank(&self, bank: &str) -> Result<(), Status> {
        let request = pb::DeleteBankRequest { name: bank.into(), ..Default::default() };
        BankServiceClient::new(self.0.clone()).delete_bank(self.carried(request)).await.map(drop)
    }

    pub(super) async fn restore(&self, item_ids: Vec<u64>) -> Result<Vec<u64>, Status> {
        let request = pb::RestoreItemsRequest { item_ids, ..Default::default() };
        let mut client = BankServiceClient::new(self.0.clone());
        Ok(client.restore_items(self.carried(request)).await?.into_inner().item_ids)
    }

    pub(super) async fn removed(&self, bank: &str) -> Result<Vec<pb::RemovedItem>, Status> {
        let request = pb::ListRemovedItemsRequest { bank: bank.into(), ..Default::default() };
        let mut client = BankServiceClient::new(self.0.clone());
        Ok(client.list_removed_items(self.carried(request)).await?.into_inner().items)
    }

    pub(super) async fn rename(&self, name: &str, new_name: &str) {
        let (name, new_name) = (name.into(), new_name.into());
        let request = pb::RenameBankRequest { name, new_name, ..Default::default() };
        BankServiceClient::new(self.0.clone()).rename_bank(self.carried(request)).await.unwrap();
    }

    pub(super) async fn quota(&self, member: &str, quota: members::Quota) {
        let request =
            members::SetQuotaRequest { member: member.into(), quota: Some(quota), ..Default::default() };
        let mut client = ConsortiumServiceClient::new(self.0.clone());
        client.set_quota(self.carried(request)).await.unwrap();
    }

    pub(super) async fn charter(&self, bank: &str, taxonomies: &[&str]) {
        let taxonomies = taxonomies.iter().map(|name| (*name).to_owned()).collect();
        let charter = Some(members::Charter { taxonomies, ..Default::default() });
        let request = members::SetCharterRequest { bank: bank.into(), charter, ..Default::default() };
        let mut client = ConsortiumServiceClient::new(self.0.clone());
        client.set_charter(self.carried(request)).await.unwrap();
    }

    pub(super) async fn list_items(&self, bank: &str) -> Result<usize, Status> {
        let request = pb::ListItemsRequest { bank: bank.into(), ..Default::default() };
        let mut client = BankServiceClient::new(self.0.clone());
        Ok(client.list_items(self.carried(request)).await?.into_inner().items.len())
    }

    pub(super) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.0.clone())
    }

    /// Returns all leaves that the caller may list, `page_size` at a time.
    pub(super) async fn leaves(&self, page_size: i32) -> Vec<Vec<u8>> {
        let (mut leaves, mut from_index) = (Vec::new(), 0);
        loop {
            let request = members::ListEntriesRequest { from_index, page_size, member: String::new() };
            let page = self.audit().list_entries(self.carried(request)).await.unwrap().into_inner();
            leaves.extend(page.entries);
            from_index = page.next_index;
            if from_index == 0 {
                return leaves;
            }
        }
    }

    pub(super) async fn entries(&self) -> Vec<members::AuditEntry> {
        let read = |leaf: &Vec<u8>| members::AuditEntry::decode(&leaf[..]).unwrap();
        self.leaves(0).await.iter().map(read).collect()
    }

    pub(super) async fn checkpoint(&self) -> Result<String, Status> {
        let request = self.carried(members::GetCheckpointRequest {});
        Ok(self.audit().get_checkpoint(request).await?.into_inner().signed_note)
    }

    pub(super) async fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<NodeHash>, Status> {
        let request = self.carried(members::ProveConsistencyRequest { old_size, new_size });
        Ok(hashes(self.audit().prove_consistency(request).await?.into_inner().path))
    }
}

pub(super) fn hashes(path: Vec<Vec<u8>>) -> Vec<NodeHash> {
    path.into_iter().map(|hash| NodeHash(hash.try_into().unwrap())).collect()
}

/// A bank with an operator, an auditor of the host, and the member `acme` with an administrator and a
/// contributor.
pub(super) struct Consortium {
    pub(super) served: Served,
    pub(super) operator: By,
    pub(super) auditor: By,
    pub(super) administrator: By,
    pub(super) contributor: By,
}

impl Consortium {
    pub(super) async fn start(config: Config) -> Self {
        let served = Served::start(config).await;
        Self::on(served).await
    }

    pub(super) async fn on(served: Served) -> Self {
        let nobody = By(served.channel.clone(), String::new());
        let operator = nobody.principal("", members::Role::Operator).await;
        operator.member("acme").await;
        let auditor = operator.principal("", members::Role::Auditor).await;
        let administrator = operator.principal("acme", members::Role::Administrator).await;
        let contributor = administrator.principal("", members::Role::Contributor).await;
        Self { served, operator, auditor, administrator, contributor }
    }

    /// Makes a contributor of a new member, with which a bank of `acme` is shared for contributing.
    pub(super) async fn contributor_of(&self, member: &str, bank: &str) -> By {
        self.operator.member(member).await;
        let others = self.operator.principal(member, members::Role::Administrator).await;
        self.administrator.share(bank, member, &[members::Capability::Contribute]).await;
        others.principal("", members::Role::Contributor).await
    }

    /// Number of audit entries that [`Self::start`] alone makes.
    pub(super) const BEGUN: usize = 5;
}

on_both_stores! {
    a_key_that_its_caller_has_made_is_one_like_any_other,
}

async fn a_key_that_its_caller_has_made_is_one_like_any_other(bed: Bed) {
    use members::create_principal_request::Credential;

    let consortium = Consortium::start(bed.config()).await;
    let By(channel, _) = &consortium.operator;
    let client = || ConsortiumServiceClient::new(channel.clone());
    let create = |key: &str, once: &str| members::CreatePrincipalRequest {
        roles: vec![members::Role::Administrator.into()],
        credential: Some(Credential::ApiKey(key.to_owned())),
        idempotency_key: once.to_owned(),
        ..Default::default()
    };
    let asked = async |request: members::CreatePrincipalRequest| {
        let created = client().create_principal(consortium.administrator.carried(request)).await;
        created.map(tonic::Response::into_inner)
    };
    let [first, second] = [(), ()].map(|()| ApiKey::generate().unwrap().reveal());
    let made = asked(create(&first, "once")).await.unwrap();
    assert_eq!(made.api_key, "", "its caller has it");
    let again = asked(create(&first, "once")).await.unwrap();
    assert_eq!(again, made);
    By(channel.clone(), first.to_string()).create_bank("own").await.unwrap();

    refused(
        asked(create(&first, "twice")).await,
        Code::AlreadyExists,
        "another principal has this credential",
    );
    for bad in [&first[..78], &first.replace("vgk_", "vgk-"), ""] {
        let error = asked(create(bad, "bad")).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(
            error.message().starts_with("api_key: ") && !error.message().contains(&first[30..40]),
            "{error}"
        );
    }

    let rotate = |key: &str| members::RotateKeyRequest {
        principal_id: made.principal.as_ref().unwrap().id,
        api_key: key.to_owned(),
        ..Default::default()
    };
    let rotated = async |key: &str| {
        let rotated = client().rotate_key(consortium.administrator.carried(rotate(key))).await;
        rotated.map(tonic::Response::into_inner)
    };
    refused(rotated(&first[..78]).await, Code::InvalidArgument, "api_key");
    assert_eq!(rotated(&second).await.unwrap().api_key, "");
    By(channel.clone(), second.to_string()).create_bank("rotated").await.unwrap();
    let old = By(channel.clone(), first.to_string()).create_bank("old").await;
    refused(old, Code::Unauthenticated, "");
    consortium.served.stop().await;
}
