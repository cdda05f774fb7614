//! An analyst's daily tasks take at most four clicks or keys each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use vigie_pictures::{draw, encode_png};

use crate::gateway::filled::Filled;
use crate::node::Node;
use crate::pages::{WITHIN, described};

/// Adds a picture to `acme/known`, and gives it to the script with others that are in no bank.
pub(crate) async fn pictures(filled: &Filled, asked: &mut Value) {
    let picture = |seed: u64| encode_png(&draw(seed, 320, 240));
    let http = &filled.everything.http;
    let headers = [("content-type", "image/png")];
    let hashed = http.send(Method::POST, "/v1/hash", &headers, picture(1)).await.body(200);
    let hash = json!({ "type": "pdq", "hash": hashed["pdq"] });
    let item = json!({ "items": [{ "hashes": [hash], "labels": ["terror"], "external_reference": "case-picture" }] });
    let sequence = http.post("/v1/banks/known/items", &item).await.body(201)["sequence"].clone();
    // Waits until the picture is searched.
    let lookup = json!({ "queries": [{ "hashes": [hash] }], "min_sequence": sequence });
    http.post("/v1/match", &lookup).await.body(200);
    asked["picture"] = json!(STANDARD.encode(picture(1)));
    asked["pictures"] = (2..5).map(|seed| json!(STANDARD.encode(picture(seed)))).collect();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_task_of_an_analyst_takes_at_most_four_clicks_or_keys() {
    let Some(node) = Node::open() else { return };
    let filled = Filled::plain().await;
    let mut asked = described(&filled, &filled.everything);
    asked["steps_max"] = json!(4);
    pictures(&filled, &mut asked).await;
    println!("{}", node.run("tasks.mjs", &asked, WITHIN).await);
    filled.cluster.stop().await.unwrap();
}
