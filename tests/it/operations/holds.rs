//! Held items, and undoing what a member did: the commands of the README.

use std::time::Duration;

use time::OffsetDateTime;
use vigie_harness::binary::Finished;
use vigie_pictures::{draw, encode_jpeg};

use super::members::{Deployment, is_known, is_not_known, text};

/// Returns the item number that `vigie item add` printed.
fn item_of(finished: &Finished) -> String {
    let line = &finished.lines[0];
    let number = line.split("item ").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    number.unwrap_or_else(|| panic!("no item in {line}")).to_owned()
}

fn picture(deployment: &Deployment, number: u64) -> String {
    let path = deployment.folder.path().join(format!("{number}.jpg"));
    std::fs::write(&path, encode_jpeg(&draw(number, 320, 240), 90)).unwrap();
    text(&path).to_owned()
}

/// Waits for the next full second, and returns it in the form that a user types.
fn next_second() -> String {
    let now = OffsetDateTime::now_utc();
    let next = now.replace_nanosecond(0).unwrap() + Duration::from_secs(1);
    std::thread::sleep((next - now).unsigned_abs());
    let (date, time) = (next.date(), next.time());
    let (hour, minute, second) = time.as_hms();
    format!("{date}T{hour:02}:{minute:02}:{second:02}")
}

#[test]
fn a_held_item_matches_for_nobody_until_it_is_lifted_or_its_hold_ends() {
    let deployment = Deployment::start();
    let file = picture(&deployment, 1);
    deployment.done("", &["bank", "create", "known"]);
    let item = item_of(&deployment.done("", &["item", "add", "known", &file]));
    deployment.until("", &["match", &file], is_known);

    deployment.done("", &["item", "hold", &item]);
    deployment.until("", &["match", &file], is_not_known);
    let shown = deployment.done("", &["item", "show", &item]);
    assert!(shown.lines.iter().any(|line| line.contains("held by the owner")), "{:?}", shown.lines);
    let shown = deployment.done("", &["--json", "item", "show", &item]).json().unwrap();
    assert_eq!(shown[0]["holds"][0]["by"].as_str(), Some("owner"));
    deployment.done("", &["item", "lift", &item]);
    deployment.until("", &["match", &file], is_known);

    deployment.done("", &["item", "hold", &item, "--until", "8s"]);
    deployment.until("", &["match", &file], is_not_known);
    deployment.until("", &["match", &file], is_known);
    deployment.refused("", &["item", "hold", &item, "--until", "2020-01-01"], "--until is in the past");
    deployment.refused("", &["item", "hold", "999"], "there is no item 999");
}

#[test]
fn what_a_member_did_since_a_moment_is_undone() {
    let deployment = Deployment::start();
    deployment.principal("", "operator", &["--role", "operator", "--turn-on"]);
    for member in ["hive", "acme"] {
        deployment.done("operator", &["member", "add", member]);
        let administrator = format!("{member}-admin");
        let roles = ["--member", member, "--role", "administrator"];
        deployment.principal("operator", &administrator, &roles);
        deployment.principal(&administrator, member, &["--role", "contributor"]);
    }
    deployment.done("hive-admin", &["bank", "create", "known"]);
    deployment.done("hive-admin", &["grant", "put", "known", "acme", "--allow", "contribute,match"]);
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|number| picture(&deployment, number));
    let add = |key: &str, bank: &str, file: &str| {
        item_of(&deployment.done(key, &["item", "add", bank, file, "--sync"]))
    };
    // Before that moment: an item that acme removes later, and one of hive.
    let before = add("acme", "hive/known", &first);
    add("hive", "known", &second);
    let since = next_second();
    let mine = add("acme", "hive/known", &third);
    let shared = add("acme", "hive/known", &fourth);
    assert_eq!(add("hive", "known", &fourth), shared);
    deployment.done("acme", &["item", "remove", &before]);
    // Items that acme both added and removed after that moment were not there before it.
    let passing = add("acme", "hive/known", &picture(&deployment, 5));
    deployment.done("acme", &["item", "remove", &passing]);
    deployment.until("hive", &["match", &third], is_known);

    let revert = ["--json", "item", "revert", "known", "--member", "acme", "--since", &since];
    let numbers = |value: &serde_json::Value| {
        value.as_array().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let shown = deployment.done("hive-admin", &[&revert[..], &["--dry-run"]].concat()).json().unwrap();
    let parts = ["added", "shared", "removed", "restored"].map(|part| numbers(&shown[0][part]));
    assert_eq!(parts, [vec![mine.clone()], vec![shared.clone()], vec![before.clone()], vec![]]);
    deployment.done("acme", &["match", &third]);

    let undone = deployment.done("hive-admin", &revert).json().unwrap();
    assert_eq!((numbers(&undone[0]["added"]), numbers(&undone[0]["restored"]).len()), (vec![mine], 1));
    deployment.until("hive", &["match", &third], is_not_known);
    for file in [&first, &second, &fourth] {
        deployment.until("hive", &["match", file], is_known);
    }
    let again = deployment.done("hive-admin", &revert).json().unwrap();
    for part in ["added", "removed", "restored"] {
        assert!(numbers(&again[0][part]).is_empty(), "{again:?}");
    }
}
