//! The audit of a whole cluster: the bank records what members do at any server, and proves it to readers
//! with the log's key.

use vigie_audit::checkpoint::Checkpoint;
use vigie_audit::note::{KnownKeys, SignerKey};
use vigie_audit::tree::{check_consistency, check_inclusion};
use vigie_clients::{AuditClient, AuditEntry, Code, MatcherClient};
use vigie_consortium::{MemberId, Role};
use vigie_harness::in_process::{Calls, Cluster};
use vigie_model::{BankRef, Hash, SearchOptions};

use super::{Client, Consortium, soon, until_known};

/// Returns all entries that a client may list.
async fn entries(audit: &AuditClient) -> Vec<AuditEntry> {
    let (mut entries, mut from) = (Vec::new(), Some(vigie_audit::tree::LeafIndex(0)));
    while let Some(index) = from {
        let page = audit.list_entries(index, 100, None, soon()).await.unwrap();
        entries.extend(page.leaves.into_iter().map(|leaf| leaf.entry));
        from = page.next;
    }
    entries
}

/// Returns the last word of a method's path.
fn method(entry: &AuditEntry) -> &str {
    entry.action.rsplit('/').next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_members_do_at_any_server_is_recorded_and_proven() {
    for calls in [Calls::OverSockets, Calls::AsFunctions] {
        Box::pin(is_recorded_and_proven(calls)).await;
    }
}

/// Runs the test with a frontend that is called in this way.
async fn is_recorded_and_proven(calls: Calls) {
    let data = tempfile::tempdir().unwrap();
    let start = || {
        Cluster::start_with(|config| {
            (config.shard_count, config.calls) = (1, calls);
            config.data = data.path().to_owned();
        })
    };
    let consortium = Consortium::on(start().await.unwrap(), &["acme"]).await;
    let cluster = &consortium.cluster;
    let (administrator, worker) = consortium.team("acme").await;
    let auditor = consortium.operator.create(cluster, None, &[Role::Auditor]).await;
    let audit = AuditClient::among(&[cluster.bank_url()], &auditor.network).unwrap();
    let stranger_key = vigie_net::Bearer::new("no-key", "a test").unwrap();
    let stranger = Client::on(
        cluster,
        vigie_consortium::PrincipalId(0),
        cluster.callers().clone().bearing(Some(stranger_key)),
    );

    let hash = Hash::md5([7; 16]);
    let bank: BankRef = "known".parse().unwrap();
    let created = administrator.create_bank(&bank).await;
    let (_, sequence) = worker.add(&bank, hash.clone()).await;
    until_known(&worker, created).await;
    assert_eq!(worker.finds(hash.clone(), sequence).await, ["known"]);
    // An administrator may not search, and a caller without a key may do nothing.
    for refused in [&administrator, &stranger] {
        refused.ask(hash.clone(), SearchOptions::default()).await.unwrap_err();
    }

    // A matcher serves only processes of the cluster.
    let matcher = MatcherClient::new_on(&cluster.matcher_url(0), &stranger.network).unwrap();
    matcher.describe(soon()).await.unwrap_err();

    // Refusals at the frontend and at the matcher reach the bank within seconds.
    let begun = tokio::time::Instant::now();
    let refusals = loop {
        let entries = entries(&audit).await;
        let refusals: Vec<_> = entries.into_iter().filter(|entry| entry.code != Code::Ok).collect();
        if refusals.len() >= 3 {
            break refusals;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{refusals:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let of = |name: &str, code| {
        let is_it = |entry: &&AuditEntry| (method(entry), entry.code) == (name, code);
        refusals.iter().find(is_it).unwrap_or_else(|| panic!("no {name} in {refusals:?}"))
    };
    let denied = of("Match", Code::PermissionDenied);
    let who = (denied.member, denied.principal, method(denied), denied.calls);
    assert_eq!(who, (Some(MemberId(2)), Some(administrator.id), "Match", 1));
    for name in ["Match", "Describe"] {
        let unknown = of(name, Code::Unauthenticated);
        assert_eq!((unknown.member, unknown.principal, unknown.calls), (None, None, 1));
    }

    // The checkpoint is signed by the cluster's key, and later ones extend it.
    let key: SignerKey =
        std::fs::read_to_string(data.path().join("audit.key")).unwrap().trim().parse().unwrap();
    let known = KnownKeys::new([key.public().clone()]).unwrap();
    let open =
        |note: &str| Checkpoint::open(note.as_bytes(), key.public().name(), &known).unwrap().checkpoint;
    let first = open(&audit.get_checkpoint(soon()).await.unwrap());
    let added = entries(&audit).await.into_iter().find(|entry| method(entry) == "AddItems").unwrap();
    assert_eq!((added.principal, added.item_count, added.sequence), (Some(worker.id), 1, Some(sequence)));
    let proof = audit.prove_inclusion(added.index, Some(first.tree().size), soon()).await.unwrap();
    check_inclusion(&proof.path, added.index, &proof.leaf, first.tree()).unwrap();
    let same = audit.prove_consistency(first.tree().size, None, soon()).await.unwrap();
    check_consistency(&same.path, first.tree(), first.tree()).unwrap();

    // Searches are counted, and reported when the frontend ends at the latest.
    consortium.cluster.stop().await.unwrap();
    let cluster = start().await.unwrap();
    let audit = AuditClient::among(&[cluster.bank_url()], &auditor.network).unwrap();
    let entries = entries(&audit).await;
    let searches: Vec<_> = entries
        .iter()
        .filter(|entry| method(entry) == "Match" && entry.code == Code::Ok)
        .map(|entry| (entry.principal, entry.calls >= 1, entry.item_count >= 1))
        .collect();
    assert_eq!(searches, [(Some(worker.id), true, true)]);
    cluster.stop().await.unwrap();
}
