//! Tests of the audit of members: the calls that add entries, the readers of entries, and the proofs.

use sqlx::Connection as _;
use vigie_access::ClusterKey;
use vigie_audit::checkpoint::Checkpoint;
use vigie_audit::note::{KeyKind, KnownKeys, SignerKey};
use vigie_audit::tree::{LeafIndex, NodeHash, Size, TreeHead, check_consistency, check_inclusion};
use vigie_proto::pb::consortium::v1 as members;

use crate::tests::failures::faulty::{Fault, Faulty};
use crate::tests::members::{By, Consortium, hashes};
use crate::tests::*;
use crate::{VerifyError, verify};

on_both_stores! {
    whatever_members_do_leaves_an_entry,
    entries_are_listed_and_proven_to_those_who_may_know_of_them,
    a_checkpoint_is_signed_and_the_next_one_continues_it,
    processes_report_calls_once,
    refused_calls_are_counted,
    an_altered_audit_is_found_and_the_entry_named,
    without_members_nothing_is_recorded,
}

/// The method, member, principal, banks, first item, items and sequence of an entry.
type Figures = (String, u32, u64, Vec<u32>, u64, u64, u64);

fn figures(entry: &members::AuditEntry) -> Figures {
    let action = entry.action.rsplit('/').next().unwrap().to_owned();
    let members::AuditEntry { member_id, principal_id, first_item_id, item_count, sequence, .. } = *entry;
    (action, member_id, principal_id, entry.bank_ids.clone(), first_item_id, item_count, sequence)
}

async fn whatever_members_do_leaves_an_entry(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, auditor, .. } = &consortium;
    let created = administrator.create_bank("known").await.unwrap();
    let added = contributor.add("known", items(0..3)).await.unwrap();
    assert_eq!(contributor.list_items("known").await.unwrap(), 3);
    contributor.remove(vec![added[1]]).await.unwrap();
    refused(contributor.create_bank("other").await, Code::PermissionDenied, "");
    // A repeated request is done and recorded once.
    for _ in 0..2 {
        let request = pb::DeleteBankRequest { name: "known".into(), idempotency_key: "deletes".into() };
        let mut client = BankServiceClient::new(administrator.0.clone());
        client.delete_bank(administrator.carried(request)).await.unwrap();
    }

    let entries = auditor.entries().await;
    let first = |number: usize| figures(&entries[number]);
    assert_eq!(first(0), ("CreatePrincipal".into(), 1, 0, vec![], 0, 0, 1));
    assert_eq!(first(1), ("CreateMember".into(), 1, 1, vec![], 0, 0, 2));
    assert_eq!(first(4), ("CreatePrincipal".into(), 2, 3, vec![], 0, 0, 5));
    let done: Vec<Figures> = entries[Consortium::BEGUN..].iter().map(figures).collect();
    let expected: Vec<Figures> = vec![
        ("CreateBank".into(), 2, 3, vec![1], 0, 0, created),
        // Three items, and their records.
        ("AddItems".into(), 2, 4, vec![1], added[0], 3, added[2] + 3),
        ("ListItems".into(), 2, 4, vec![1], added[0], 3, 0),
        ("RemoveItems".into(), 2, 4, vec![1], added[1], 1, added[2] + 4),
        ("DeleteBank".into(), 2, 3, vec![1], 0, 2, added[2] + 5),
    ];
    assert_eq!(done, expected);
    for (index, entry) in (0..).zip(&entries) {
        assert_eq!((entry.index, entry.at_unix_ms, entry.code, entry.calls), (index, NOW, 0, 1));
        assert_eq!(entry.salt.len(), 16);
    }
    consortium.served.stop().await;
    // The refused call and the read of the audit were recorded at the end.
    assert_eq!(verify(&bed.config()).await.unwrap().audited, entries.len() as u64 + 2);
}

async fn entries_are_listed_and_proven_to_those_who_may_know_of_them(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, auditor, operator, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let leaves = auditor.leaves(2).await;
    assert_eq!(leaves.len(), Consortium::BEGUN + 1);
    let own = administrator.entries().await;
    assert_eq!(own.iter().map(|entry| entry.index).collect::<Vec<_>>(), [4, 5]);
    let request = |member: &str| members::ListEntriesRequest { member: member.into(), ..Default::default() };
    let named = auditor.audit().list_entries(auditor.carried(request("acme"))).await.unwrap().into_inner();
    assert_eq!((named.entries.len(), named.next_index, named.tree_size), (2, 0, 6));
    let mut audit = administrator.audit();
    // Another member, and one that never existed.
    for name in ["local", "nobody"] {
        let refusal = audit.list_entries(administrator.carried(request(name))).await;
        refused(refusal, Code::NotFound, &format!("no member called {name}"));
    }
    for by in [operator, contributor] {
        let refusal = by.audit().list_entries(by.carried(request(""))).await;
        refused(refusal, Code::PermissionDenied, "");
    }

    let mut tree = vigie_audit::tree::Frontier::empty();
    let roots: Vec<NodeHash> = leaves
        .iter()
        .map(|leaf| {
            tree.append(leaf).unwrap();
            tree.root()
        })
        .collect();
    let head = |size: u64| {
        let root = roots[usize::try_from(size).unwrap() - 1];
        TreeHead { size: Size::new(size).unwrap(), root }
    };
    let prove = |index, tree_size| members::ProveInclusionRequest { index, tree_size };
    for (index, leaf) in (0..).zip(&leaves) {
        for size in index + 1..=leaves.len() as u64 {
            let request = auditor.carried(prove(index, size));
            let proof = auditor.audit().prove_inclusion(request).await.unwrap().into_inner();
            let leaf_hash = NodeHash::of_entry(leaf);
            assert_eq!((&proof.leaf_hash[..], proof.tree_size), (&leaf_hash.0[..], size));
            check_inclusion(&hashes(proof.path), LeafIndex(index), &leaf_hash, &head(size)).unwrap();
        }
    }
    for old in 1..=6 {
        for new in old..=6 {
            let path = administrator.consistency(old, new).await.unwrap();
            check_consistency(&path, &head(old), &head(new)).unwrap();
        }
    }
    refused(
        administrator.consistency(0, 6).await,
        Code::InvalidArgument,
        "old_size: is 0; it must be 1 to 6",
    );
    refused(administrator.consistency(7, 6).await, Code::InvalidArgument, "old_size: is 7");
    refused(
        administrator.consistency(1, 7).await,
        Code::InvalidArgument,
        "new_size: is 7; the audit has 6 entries",
    );
    // The member's own entry, another's, and one that does not exist yet.
    let mut prove_own =
        async |index| audit.prove_inclusion(administrator.carried(prove(index, 6))).await.map(drop);
    prove_own(5).await.unwrap();
    for index in [0, 6] {
        refused(prove_own(index).await, Code::NotFound, &format!("entry {index}"));
    }
    consortium.served.stop().await;
}

async fn a_checkpoint_is_signed_and_the_next_one_continues_it(bed: Bed) {
    let folder = tempfile::tempdir().unwrap();
    let key = SignerKey::generate("vigie.example/audit", KeyKind::Log).unwrap();
    let path = folder.path().join("audit.key");
    std::fs::write(&path, key.to_secret_text()).unwrap();
    let known = KnownKeys::new([key.public().clone()]).unwrap();
    let open =
        |note: &str| Checkpoint::open(note.as_bytes(), "vigie.example/audit", &known).unwrap().checkpoint;

    let mut config = bed.config();
    let unsigned = Consortium::start(config.clone()).await;
    refused(unsigned.auditor.checkpoint().await, Code::FailedPrecondition, "`audit.signing_keys` names none");
    let keys = [&unsigned.operator, &unsigned.auditor].map(|by| by.1.clone());
    unsigned.served.stop().await;

    config.audit = crate::AuditConfig { signing_keys: vec![path], checkpoint_seconds: 1 };
    let served = Served::start(config).await;
    let [operator, auditor] = keys.map(|key| By(served.channel.clone(), key));
    let first = open(&auditor.checkpoint().await.unwrap());
    let size = |checkpoint: &Checkpoint| checkpoint.tree().size.get();
    assert_eq!(size(&first), Consortium::BEGUN as u64);
    let [extension] = first.extensions() else { panic!("{:?}", first.extensions()) };
    let words: Vec<&str> = extension.split(' ').collect();
    assert_eq!((words[0], words[1].len(), words[2], words[3].len()), ("bank", 32, "5", 64));
    operator.member("other").await;
    // No new checkpoint is signed within a second.
    let begun = tokio::time::Instant::now();
    let next = loop {
        let next = open(&auditor.checkpoint().await.unwrap());
        if size(&next) > size(&first) {
            break next;
        }
        assert_eq!(next, first);
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let path = auditor.consistency(size(&first), size(&next)).await.unwrap();
    check_consistency(&path, first.tree(), next.tree()).unwrap();
    served.stop().await;
}

async fn processes_report_calls_once(bed: Bed) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.key");
    std::fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
    let mut config = bed.config();
    config.processes.cluster_key = Some(path.clone());
    let consortium = Consortium::start(config).await;
    let bearer = ClusterKey::read(&path).unwrap().bearer(vigie_consortium::Process::Frontend);
    let frontend = By(consortium.served.channel.clone(), bearer.to_string());
    let counted = |method: &str, calls| members::CountedCalls {
        member_id: 2,
        principal_id: 4,
        method: method.into(),
        calls,
        item_count: 9,
        since_unix_ms: NOW - 5,
        ..Default::default()
    };
    let report = async |by: &By, calls: Vec<members::CountedCalls>, key: &str| {
        let request = members::RecordCallsRequest { calls, idempotency_key: key.into() };
        by.audit().record_calls(by.carried(request)).await.map(|answer| answer.into_inner().tree_size)
    };
    let searches = || vec![counted("/vigie.matching.v1.MatchService/Match", 1_000)];
    for _ in 0..2 {
        assert_eq!(report(&frontend, searches(), "k").await.unwrap(), Consortium::BEGUN as u64 + 1);
    }
    let entries = consortium.auditor.entries().await;
    let entry = &entries[Consortium::BEGUN];
    assert_eq!(figures(entry), ("Match".into(), 2, 4, vec![], 0, 9, 0));
    assert_eq!((entry.calls, entry.since_unix_ms, entry.code), (1_000, NOW - 5, 0));

    refused(report(&consortium.operator, searches(), "").await, Code::PermissionDenied, "");
    // A matcher may not name members, because it does not know them.
    let bearer = ClusterKey::read(&path).unwrap().bearer(vigie_consortium::Process::Matcher);
    let matcher = By(consortium.served.channel.clone(), bearer.to_string());
    let of_nobody = |code: Code| members::CountedCalls {
        member_id: 0,
        principal_id: 0,
        code: code.into(),
        ..counted("/vigie.matcher.v1.MatcherService/Search", 3)
    };
    for calls in
        [searches(), vec![of_nobody(Code::Ok)], vec![of_nobody(Code::Unauthenticated), searches().remove(0)]]
    {
        refused(report(&matcher, calls, "").await, Code::InvalidArgument, "a matcher knows no members");
    }
    report(&matcher, vec![of_nobody(Code::Unauthenticated)], "").await.unwrap();
    let bad = [
        (Vec::new(), "calls: has 0 counts; it must have 1 to 1000"),
        (vec![counted("/x.Y/Z", 1)], "calls[0].method: is \"/x.Y/Z\", which is no method and no alarm"),
        (vec![counted("/vigie.matching.v1.MatchService/Match", 0)], "calls[0].calls: is 0"),
    ];
    for (calls, text) in bad {
        refused(report(&frontend, calls, "").await, Code::InvalidArgument, text);
    }
    consortium.served.stop().await;
}

async fn refused_calls_are_counted(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { served, contributor, auditor, .. } = &consortium;
    let stranger = By(served.channel.clone(), "no key".into());
    for _ in 0..3 {
        refused(contributor.create_bank("b").await, Code::PermissionDenied, "");
        refused(contributor.list_items("nothing").await, Code::NotFound, "no bank called nothing");
        refused(stranger.create_bank("b").await, Code::Unauthenticated, "");
    }
    let begun = tokio::time::Instant::now();
    let recorded = loop {
        let recorded = auditor.entries().await.split_off(Consortium::BEGUN);
        let refusals = recorded.iter().filter(|entry| entry.code != 0).count();
        if refusals == 3 {
            break recorded;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{recorded:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let mut refusals: Vec<_> = recorded
        .iter()
        .filter(|entry| entry.code != 0)
        .map(|entry| {
            (figures(entry).0, entry.member_id, entry.principal_id, Code::from(entry.code), entry.calls)
        })
        .collect();
    refusals.sort_by_key(|refusal| refusal.3 as i32);
    assert_eq!(
        refusals,
        [
            ("ListItems".into(), 2, 4, Code::NotFound, 3),
            ("CreateBank".into(), 2, 4, Code::PermissionDenied, 3),
            ("CreateBank".into(), 0, 0, Code::Unauthenticated, 3),
        ]
    );
    assert!(recorded.iter().all(|entry| entry.since_unix_ms == NOW));
    consortium.served.stop().await;
}

async fn an_altered_audit_is_found_and_the_entry_named(bed: Bed) {
    type Named = fn(&VerifyError) -> bool;
    let altered =
        format!("UPDATE audit_entries SET payload = {} WHERE entry_index = 3", bed.altered_payload());
    let faults: [(&str, Named); 8] = [
        (&altered, |error| matches!(error, VerifyError::EntryAltered(3))),
        ("DELETE FROM audit_entries WHERE entry_index = 3", |error| {
            matches!(error, VerifyError::EntryMissing(3))
        }),
        ("DELETE FROM audit_entries WHERE entry_index = 8", |error| {
            matches!(error, VerifyError::EntryMissing(8))
        }),
        (
            "UPDATE audit_entries SET payload = (SELECT payload FROM audit_entries WHERE entry_index = 5) \
             WHERE entry_index = 2",
            |error| matches!(error, VerifyError::EntryMoved { entry: 5, place: 2 }),
        ),
        (
            "INSERT INTO audit_entries SELECT entry_index + 9, member_id, payload FROM audit_entries \
             WHERE entry_index = 0",
            // The tree has no node for it.
            |error| matches!(error, VerifyError::AuditTree(_)),
        ),
        // The node above the first two leaves.
        (
            "UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE position = 0) WHERE position = 2",
            |error| matches!(error, VerifyError::AuditTree(2)),
        ),
        ("DELETE FROM audit_hashes WHERE position = 4", |error| matches!(error, VerifyError::AuditTree(4))),
        ("UPDATE head SET audit_count = 7", |error| matches!(error, VerifyError::AuditCount(7))),
    ];
    for (statement, names) in faults {
        let bed = bed.another();
        let consortium = Consortium::start(bed.config()).await;
        for name in ["a", "b", "c", "d"] {
            consortium.administrator.create_bank(name).await.unwrap();
        }
        consortium.served.stop().await;
        assert_eq!(verify(&bed.config()).await.unwrap().audited, 9);
        bed.alter(statement).await;
        let error = verify(&bed.config()).await.unwrap_err();
        assert!(names(&error), "{statement}: {error}");
    }
}

async fn without_members_nothing_is_recorded(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..3)).await.unwrap();
    assert_eq!(served.list_items("a").await.unwrap().len(), 3);
    refused(served.list_items("b").await, Code::NotFound, "");
    served.stop().await;
    assert_eq!(verify(&bed.config()).await.unwrap().audited, 0);
}

/// A read that cannot be recorded is not answered; a record whose outcome is unknown does no harm.
#[tokio::test]
async fn hashes_are_answered_only_when_that_is_recorded() {
    let bed = Bed::sqlite();
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let consortium = Consortium::on(Served::start_on(config, store).await).await;
    let Consortium { administrator, auditor, .. } = &consortium;
    administrator.create_bank("a").await.unwrap();
    administrator.add("a", items(0..2)).await.unwrap();
    for (fault, recorded) in [(Fault::Refused, 0), (Fault::UnknownNotDone, 0), (Fault::UnknownDone, 1)] {
        let before = auditor.entries().await.len();
        gate.set(fault);
        refused(administrator.list_items("a").await, Code::Unavailable, "");
        gate.set(Fault::None);
        assert_eq!(auditor.entries().await.len(), before + recorded, "{fault:?}");
        assert_eq!(administrator.list_items("a").await.unwrap(), 2);
        assert_eq!(auditor.entries().await.len(), before + recorded + 1);
    }
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

#[tokio::test]
#[ignore = "a measurement"]
async fn the_size_of_entries_on_sqlite() {
    const ENTRIES: u32 = 4_000;
    let bed = Bed::sqlite();
    let consortium = Consortium::start(bed.config()).await;
    consortium.administrator.create_bank("known").await.unwrap();
    for _ in 0..ENTRIES / 2 {
        let added = consortium.contributor.add("known", items(0..1)).await.unwrap();
        consortium.contributor.remove(added).await.unwrap();
    }
    consortium.served.stop().await;
    let Bed::Sqlite(folder) = &bed else { unreachable!("it is SQLite") };
    let path = folder.path().join("bank.db");
    let mut file = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let sum = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name LIKE 'audit_%'";
    let bytes: i64 = sqlx::query_scalar(sum).fetch_one(&mut file).await.unwrap();
    let payloads: f64 = sqlx::query_scalar("SELECT avg(length(payload)) FROM audit_entries")
        .fetch_one(&mut file)
        .await
        .unwrap();
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM audit_entries").fetch_one(&mut file).await.unwrap();
    assert!(count >= ENTRIES.into());
    println!(
        "{count} entries: {bytes} bytes of pages, {} an entry, of which {payloads:.0} are the entry itself",
        bytes / count
    );
}
