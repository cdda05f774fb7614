//! Every page that links lead to, as seen by the persons with the most rights.

use std::env;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::filled::{Filled, HOSTILE, Person};
use crate::node::Node;
use crate::tasks::pictures;

/// The time limit of a script: a busy machine with two cores needs several times as long as an idle one.
pub(crate) const WITHIN: Duration = Duration::from_secs(300);

/// The description of a cluster that a script needs.
pub(crate) fn described(filled: &Filled, person: &Person) -> Value {
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/gateway/src/console/text/en");
    let names = std::fs::read_dir(texts).unwrap().map(|file| file.unwrap().path());
    let names: Vec<String> =
        names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    json!({
        "origin": filled.cluster.http_url().unwrap(), "key": person.key, "operator": filled.operator.key,
        "host": filled.host.key, "items": filled.items, "texts": names, "special": filled.special_pages(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_no_barrier_and_stays_at_home() {
    let Some(node) = Node::open() else { return };
    let filled = Filled::plain().await;
    let mut asked = described(&filled, &filled.everything);
    // Screenshots take as long as the rest.
    asked["screenshots"] = json!(env::var("VIGIE_SCREENSHOTS").ok());
    println!("{}", node.run("pages.mjs", &asked, WITHIN).await);
    filled.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_bank_or_a_person_becomes_markup() {
    let Some(node) = Node::open() else { return };
    let filled = Filled::with(HOSTILE, 20).await;
    let mut asked = described(&filled, &filled.everything);
    asked["hostile"] = json!(HOSTILE);
    println!("{}", node.run("hostile.mjs", &asked, WITHIN).await);
    filled.cluster.stop().await.unwrap();
}

/// Serves a console with content on every page until interrupted, and prints its address and a key.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "does not end; for people who look at the pages, and for those who write scripts"]
async fn serve_a_filled_console() {
    let filled = Filled::plain().await;
    let mut asked = described(&filled, &filled.everything);
    pictures(&filled, &mut asked).await;
    println!("{asked}");
    std::future::pending::<()>().await;
}
