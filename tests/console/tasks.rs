//! What an analyst does every day takes at most four clicks or keys each.

use std::time::Duration;

use serde_json::json;

use crate::gateway::filled::Filled;
use crate::node::Node;
use crate::pages::described;

#[tokio::test(flavor = "multi_thread")]
async fn each_task_of_an_analyst_takes_at_most_four_clicks_or_keys() {
    let Some(node) = Node::open() else { return };
    let filled = Filled::plain().await;
    let mut asked = described(&filled, &filled.everything);
    asked["steps_max"] = json!(4);
    println!("{}", node.run("tasks.mjs", &asked, Duration::from_secs(120)).await);
    filled.cluster.stop().await.unwrap();
}
