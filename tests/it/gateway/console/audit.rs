//! The audit on pages: its entries, and its proof, which fails visibly if anything has changed.

use http::StatusCode;
use serde_json::json;
use vigie_audit::note::{KeyKind, SignerKey};
use vigie_audit::tree::{Frontier, LeafIndex, NodeHash};
use vigie_clients::{AuditClient, Bearer, Network};
use vigie_harness::in_process::soon;

use crate::gateway::client::{Http, cluster_with};
use crate::gateway::console::people::person;
use crate::gateway::v1::members::{team, turned_on};

const VERIFY: &str = "/console/audit/verify";

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_read_and_proven_and_a_forged_past_fails_loudly() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_owned();
    let cluster = cluster_with(|config| config.data = folder).await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (acme, _) = team(&operator, "acme").await;
    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let made =
        operator.post("/v1/principals", &json!({ "roles": ["auditor"], "note": "<b>n</b>" })).await.body(201);
    let key = made["api_key"].as_str().unwrap();
    let (mut auditor, http) =
        person(&cluster, &operator, json!({ "roles": ["auditor"], "note": "<i>x</i>" })).await;

    // The entries, in words, newest first, and filtered by member.
    let page = auditor.get("/console/audit").await.ok();
    for words in ["added a member", "created a bank", "created a key", "acme", "done"] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
    let own = auditor.get("/console/audit?member=acme").await.ok().text();
    assert!(own.contains("created a bank") && !own.contains("added a member"), "{own}");
    assert_eq!(auditor.get("/console/audit?member=nobody").await.status, StatusCode::NOT_FOUND);
    let entries = http.get("/v1/audit").await.body(200);
    let created = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["action"].as_str().unwrap().ends_with("/CreateBank"));
    let index = created.unwrap()["index"].as_u64().unwrap();
    let entry = auditor.get(&format!("/console/audit/{index}")).await.ok();
    for words in ["created a bank", "BankService/CreateBank", "Hash of the entry", "OK"] {
        assert!(entry.text().contains(words), "{words}: {}", entry.text());
    }
    assert_eq!(auditor.get("/console/audit/99999").await.status, StatusCode::NOT_FOUND);
    let newest = auditor.get("/console/audit?before=2").await.ok();
    assert!(newest.links().contains(&"/console/audit/1".to_owned()), "{:?}", newest.links());
    assert!(!newest.links().contains(&"/console/audit/2".to_owned()), "{:?}", newest.links());

    // Two clicks from the start page: the audit is proven, and the browser remembers the checkpoint.
    assert!(auditor.get("/console/").await.ok().links().contains(&"/console/audit".to_owned()));
    let first = auditor.send(&page, VERIFY, &[]).await.ok();
    let text = first.text();
    assert!(
        text.contains("The audit holds") && text.contains("entries are those of the signed checkpoint"),
        "{text}"
    );
    assert!(text.contains("There was no earlier checkpoint") && text.contains("was not checked"), "{text}");
    let kept = auditor.cookies["vigie-audit"].clone();
    let (size, root) = kept.split_once(':').unwrap();
    let size: u64 = size.parse().unwrap();
    assert!(text.contains(&format!("All {size} entries")) && text.contains(root), "{text}");
    let again = auditor.send(&page, VERIFY, &[]).await.ok().text();
    assert!(again.contains(&format!("Nothing of the {size} entries that were there on 20")), "{again}");

    // The signature is verified by the person's key.
    let log_key: SignerKey =
        std::fs::read_to_string(data.path().join("audit.key")).unwrap().trim().parse().unwrap();
    let signed = auditor.send(&page, VERIFY, &[("key", &log_key.public().to_string())]).await.ok();
    assert!(signed.text().contains("is signed by the key of"), "{}", signed.text());
    let other = SignerKey::generate(log_key.public().name(), KeyKind::Log).unwrap();
    let unsigned = auditor.send(&page, VERIFY, &[("key", &other.public().to_string())]).await;
    assert_eq!(unsigned.status, StatusCode::CONFLICT);
    assert!(unsigned.text().contains("The audit does NOT hold"), "{}", unsigned.text());
    let note = auditor.get("/console/audit/checkpoint").await.ok();
    assert!(note.headers["content-disposition"].to_str().unwrap().contains("checkpoint.txt"));
    let pasted = auditor.send(&page, VERIFY, &[("old", &note.html)]).await.ok();
    assert!(pasted.text().contains(&format!("Nothing of the {size} entries")), "{}", pasted.text());

    // The log is consistent with each of its earlier states, and with no other.
    let client = AuditClient::among(&[cluster.bank_url()], &Network::tcp()).unwrap();
    let client = client.bearing(Some(Bearer::new(key, "a test").unwrap()));
    let leaves = client.list_entries(LeafIndex(0), 1_000, None, soon()).await.unwrap().leaves;
    let mut frontier = Frontier::empty();
    for leaf in leaves.iter().take(3) {
        frontier.append(&leaf.bytes).unwrap();
    }
    let earlier = format!("3:{}", frontier.root());
    let held = auditor.send(&page, VERIFY, &[("old", &earlier)]).await.ok();
    assert!(held.text().contains("Nothing of the 3 entries that were there on"), "{}", held.text());
    let remembered = auditor.cookies["vigie-audit"].clone();
    for (forged, why) in [
        (format!("3:{}", NodeHash([7; 32])), "does not go on from the one of 3 entries"),
        (format!("{size}:{}", NodeHash([7; 32])), "does not go on from"),
        (format!("999999:{root}"), "The log had 999,999 entries"),
        (note.html.replacen('\n', "x\n", 1), "is of the log"),
    ] {
        let failed = auditor.send(&page, VERIFY, &[("old", &forged)]).await;
        assert_eq!(failed.status, StatusCode::CONFLICT, "{forged}");
        let text = failed.text();
        assert!(text.contains("The audit does NOT hold") && text.contains(why), "{why}: {text}");
        assert!(failed.html.contains("role=\"alert\"") && !text.contains("The audit holds"), "{text}");
        // A failed proof does not replace the remembered checkpoint.
        assert_eq!(auditor.cookies["vigie-audit"], remembered);
    }
    auditor.cookies.insert("vigie-audit".to_owned(), format!("{size}:{}", NodeHash([7; 32])));
    let failed = auditor.send(&page, VERIFY, &[]).await;
    assert_eq!(failed.status, StatusCode::CONFLICT);
    let forgotten = auditor.send(&failed, "/console/audit/forget", &[]).await.ok();
    assert!(forgotten.text().contains("remembers no earlier checkpoint"), "{}", forgotten.text());
    for (field, text) in [("old", "nothing"), ("key", "<b>no</b>")] {
        let refused = auditor.send(&page, VERIFY, &[(field, text)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text());
        assert!(refused.text().contains("Nothing was verified.") && !refused.html.contains("<b>no"));
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_proves_its_own_entries_and_others_read_none() {
    let cluster = cluster_with(|_| {}).await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (acme, _) = team(&operator, "acme").await;
    let (mut own, http) =
        person(&cluster, &acme, json!({ "roles": ["administrator"], "note": "<b>boss</b>" })).await;
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let page = own.get("/console/audit").await.ok();
    assert!(
        page.text().contains("created a bank") && !page.text().contains("added a member"),
        "{}",
        page.text()
    );
    let entries = http.get("/v1/audit").await.body(200)["entries"].as_array().unwrap().clone();
    let last =
        entries.iter().rfind(|entry| entry["action"].as_str().unwrap().ends_with("/CreateBank")).unwrap();
    let index = last["index"].as_u64().unwrap();
    let entry = own.get(&format!("/console/audit/{index}")).await.ok();
    assert!(entry.text().contains("<b>boss</b>") && !entry.html.contains("<b>boss"), "{}", entry.html);

    let proven = own.send(&page, VERIFY, &[]).await.ok().text();
    assert!(proven.contains("The audit holds") && proven.contains("that you may read"), "{proven}");
    // An entry of another member is answered as not found.
    let foreign = own.get("/console/audit/0").await;
    let nothing = own.get("/console/audit/99999").await;
    assert_eq!((foreign.status, foreign.text()), (StatusCode::NOT_FOUND, nothing.text()));

    let (mut worker, _) = person(&cluster, &acme, json!({ "roles": ["matcher", "reviewer"] })).await;
    for path in ["/console/audit", "/console/audit/0", "/console/audit/checkpoint"] {
        assert_eq!(worker.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let (mut runs, _) = person(&cluster, &operator, json!({ "roles": ["operator"] })).await;
    let page = runs.get("/console/audit").await.ok();
    assert!(!page.text().contains("created a bank"), "{}", page.text());
    let proven = runs.send(&page, VERIFY, &[]).await.ok().text();
    assert!(proven.contains("Your roles read no entries"), "{proven}");
    cluster.stop().await.unwrap();
}
