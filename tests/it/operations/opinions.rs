//! Opinions, probation, disputes and holds for one member: the commands of the README.

use std::fs;

use super::members::{Deployment, is_known, is_not_known, text};

const HASH: &str = "md5:0cc175b9c0f1b6a831c399e269772661";

#[test]
fn members_confirm_items_dispute_them_and_hold_them_for_themselves() {
    let deployment = Deployment::start();
    deployment.principal("", "operator", &["--role", "operator", "--turn-on"]);
    for member in ["acme", "umbrella", "hive"] {
        deployment.done("operator", &["member", "add", member]);
        let admin = format!("{member}-admin");
        deployment.principal("operator", &admin, &["--member", member, "--role", "administrator"]);
        deployment.principal(&admin, member, &["--role", "contributor,reviewer,matcher"]);
    }
    deployment.done("acme-admin", &["bank", "create", "known"]);
    let terms =
        ["--confirmations", "2", "--hold-on-negatives", "2", "--dispute-days", "7", "--record-days", "30"];
    deployment.done("acme-admin", &[&["bank", "charter", "set", "known"][..], &terms].concat());
    deployment.done("acme-admin", &["bank", "create", "allowed"]);
    deployment.done("acme-admin", &["bank", "charter", "set", "allowed", "--suppresses", "known"]);
    let shown = deployment.done("acme", &["bank", "charter", "show", "allowed"]);
    assert!(shown.lines.iter().any(|line| line.ends_with("known")), "{:?}", shown.lines);
    let charter = deployment.done("acme", &["--json", "bank", "charter", "show", "known"]).json().unwrap();
    assert_eq!(
        (charter[0]["hold_on_negatives"].as_u64(), charter[0]["match_record_days"].as_u64()),
        (Some(2), Some(30))
    );
    for member in ["umbrella", "hive"] {
        let allow = ["grant", "put", "known", member, "--allow", "match,see-hashes,see-details,opine"];
        deployment.done("acme-admin", &allow);
    }
    let file = deployment.folder.path().join("one.csv");
    fs::write(&file, format!("md5,labels\n{},example\n", &HASH[4..])).unwrap();
    deployment.done("acme", &["item", "add", "known", "--hashes", text(&file)]);
    let listed = deployment.done("acme", &["--json", "item", "list", "known"]).json().unwrap();
    let item = listed[0]["item_id"].to_string();

    // An item in probation matches for no other member until one of them confirms it.
    deployment.until("umbrella", &["match", HASH], is_not_known);
    deployment.done("hive", &["opinion", "put", &item, "--positive"]);
    deployment.until("umbrella", &["match", HASH], is_known);

    // Two negative opinions hold it.
    let negative = ["opinion", "put", &item, "--negative", "--reason", "poor-hash", "--dispute"];
    deployment.done("umbrella", &negative);
    deployment.done("hive", &["opinion", "put", &item, "--negative"]);
    deployment.until("umbrella", &["match", HASH], is_not_known);
    let shown = deployment.done("acme", &["item", "show", &item]).lines.join("\n");
    for part in ["held by the charter", "0 positive, 2 negative", "disputed since"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert_eq!(deployment.done("acme", &["opinion", "list", "known"]).lines.len(), 2);
    deployment.refused("acme", &["opinion", "list", "nowhere"], "nowhere");
    deployment.done("umbrella-admin", &["member", "edit", "umbrella", "--named", "yes"]);
    let disputes = deployment.done("acme", &["dispute", "list"]).lines;
    assert!(disputes.len() == 1 && disputes[0].contains("by umbrella"), "{disputes:?}");

    deployment.done("hive", &["opinion", "put", &item, "--positive"]);
    deployment.refused("umbrella", &["dispute", "resolve", &item, "kept"], "another member's");
    deployment.done("acme", &["dispute", "resolve", &item, "kept"]);
    deployment.refused("acme", &["dispute", "resolve", &item, "kept"], "dispute");
    deployment.until("hive", &["match", HASH], is_known);
    assert_eq!(deployment.done("umbrella", &["dispute", "list", "--resolved"]).lines.len(), 1);

    // A hold for one member only.
    deployment.done("umbrella", &["item", "hold", &item, "--here"]);
    assert_eq!(deployment.done("umbrella", &["item", "held", "--here"]).lines.len(), 1);
    assert_eq!(deployment.done("hive", &["item", "held", "--here"]).lines.len(), 0);
    deployment.done("umbrella", &["item", "lift", &item, "--here"]);
    assert_eq!(deployment.done("umbrella", &["item", "held", "--here"]).lines.len(), 0);
    deployment.done("umbrella", &["opinion", "withdraw", &item]);
    let mine = deployment.done("umbrella", &["opinion", "list", "acme/known", "--mine"]).lines;
    assert!(mine[0].ends_with("umbrella: taken back"), "{mine:?}");
}
