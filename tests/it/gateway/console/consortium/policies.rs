//! Policies: as text with its faults, on trial beside the deciding one, and on an example.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::members::{invited, new_key, operator, person};
use crate::gateway::client::{Http, cluster};
use crate::gateway::console::browser::Browser;

/// The time limit for frontends to follow the directory, and to report their counts.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(60);
const POLICY: &str = "/console/policy";
const TRY: &str = "/console/policy/try";

const BLOCK: &str = "[[rule]]\r\nname = \"near\"\r\nwhen = '''\r\nmatches.size() > 0 &&\r\n  matches.exists(m, m.distance <= 10)'''\r\nverdict = \"BLOCK\"\r\n";

fn lookup() -> Value {
    json!({ "queries": [{ "hashes": [{ "type": "md5", "hash": "01".repeat(16) }] }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_set_and_one_that_does_not_fit_is_shown_with_its_fault() {
    let cluster = cluster().await;
    let (http, mut browser) = (Http::new(&cluster), Browser::new(&cluster));
    let page = browser.get(POLICY).await.ok();
    assert!(page.text().contains("There is no policy yet"), "{}", page.text());
    let set = browser.send(&page, POLICY, &[("text", BLOCK), ("how", "decide")]).await.ok();
    assert!(set.text().contains("Version 1 decides") && set.text().contains("The new version decides."));
    let stored = http.get("/v1/policy").await.body(200)["policy"]["rule"][0].clone();
    // Lines are stored with `\n`, whatever the browser sends.
    assert_eq!(stored["when"], "matches.size() > 0 &&\n  matches.exists(m, m.distance <= 10)");
    assert_eq!((&stored["name"], &stored["verdict"]), (&json!("near"), &json!("BLOCK")));

    let two =
        format!("{BLOCK}\n[[rule]]\nname = \"second\"\nwhen = \"matches.size() > <b>\"\nverdict = \"LOG\"\n");
    for (text, words) in [
        (two.replace("<b>", "nothing"), "Line 8: rule[1].when: rule second:"),
        (two.replace("\"LOG\"", "\"STOP\""), "Line 8: rule[1].verdict:"),
        (BLOCK.replace("verdict", "verdct"), "Line 6:"),
        (BLOCK.replace("[[rule]]", "[[rule]"), "Line 1:"),
    ] {
        let refused = browser.send(&set, POLICY, &[("text", &text), ("how", "decide")]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text());
        assert!(refused.text().contains(words), "{words}: {}", refused.text());
        assert!(refused.text().contains("nothing was changed"));
        // The form keeps the text, escaped.
        let kept = text.replace("\r\n", "\n");
        let kept = kept
            .trim()
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        assert!(refused.html.contains(&kept), "{}\n{}", kept, refused.html);
        assert!(!refused.html.contains("> <b>"));
    }
    let shown = http.get("/v1/policy").await.body(200);
    assert_eq!((&shown["version"], &shown["newest_version"]), (&json!(1), &json!(1)));

    // A page older than the newest version changes nothing.
    http.put("/v1/policy", &json!({})).await.body(200);
    let stale = browser.send(&set, POLICY, &[("text", BLOCK), ("how", "decide")]).await;
    assert_eq!(stale.status, StatusCode::BAD_REQUEST, "{}", stale.text());
    assert_eq!(http.get("/v1/policy").await.body(200)["newest_version"], 2);
    let old = browser.get("/console/policy?version=1").await.ok();
    assert!(
        old.text().contains("Version 1 ") && old.html.contains("name = &quot;near&quot;"),
        "{}",
        old.html
    );
    assert_eq!(browser.get("/console/policy?version=9").await.status, StatusCode::NOT_FOUND);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_counted_beside_the_policy_that_decides_and_ends() {
    let cluster = cluster().await;
    let (http, mut browser) = (Http::new(&cluster), Browser::new(&cluster));
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let item = json!({ "items": [{ "hashes": [{ "type": "md5", "hash": "01".repeat(16) }] }] });
    http.post("/v1/banks/known/items", &item).await.body(201);
    let page = browser.get(POLICY).await.ok();
    let set = browser.send(&page, POLICY, &[("text", BLOCK), ("how", "decide")]).await.ok();
    let log = BLOCK.replace("BLOCK", "LOG");
    let tried = browser.send(&set, POLICY, &[("text", &log), ("how", "trial")]).await.ok();
    assert!(tried.text().contains("Version 1 decides") && tried.text().contains("Version 2 is tried"));
    assert!(tried.text().contains("No decision has been counted yet."), "{}", tried.text());

    // Both versions give other content the same verdict.
    let same = json!({ "queries": [{ "hashes": [{ "type": "md5", "hash": "77".repeat(16) }] }] });
    let begun = Instant::now();
    let compared = loop {
        http.post("/v1/match", &lookup()).await.body(200);
        http.post("/v1/match", &same).await.body(200);
        let shown = browser.get(POLICY).await.ok();
        let text = shown.text();
        if text.contains("BLOCK it is stopped LOG it is counted milder") && text.contains("the same") {
            break shown;
        }
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "{text}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let text = compared.text();
    // Differences come first.
    assert!(text.find("milder").unwrap() < text.find("the same").unwrap(), "{text}");
    assert!(text.contains("decisions would have another verdict. Counted since"), "{text}");
    let decided = http.post("/v1/match", &lookup()).await.body(200)["results"][0]["decision"].clone();
    assert_eq!((&decided["verdict"], &decided["policy_version"]), (&json!("BLOCK"), &json!(1)));

    let expected = [("step", "stop")];
    let stopped = browser.send(&compared, "/console/policy/trial", &expected).await.ok();
    assert!(!stopped.text().contains("is tried"), "{}", stopped.text());
    let now = http.get("/v1/policy").await.body(200);
    assert_eq!((&now["version"], &now["trial_version"]), (&json!(3), &Value::Null));
    assert_eq!(now["policy"]["rule"][0]["verdict"], "BLOCK");
    let tried = browser.send(&stopped, POLICY, &[("text", &log), ("how", "trial")]).await.ok();
    browser.send(&tried, "/console/policy/trial", &[("step", "decide")]).await.ok();
    let now = http.get("/v1/policy").await.body(200);
    assert_eq!((&now["version"], &now["trial_version"]), (&json!(5), &Value::Null));
    assert_eq!(now["policy"]["rule"][0]["verdict"], "LOG");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_example_shows_the_verdict_its_rule_and_why() {
    let cluster = cluster().await;
    let mut browser = Browser::new(&cluster);
    let page = browser.get(POLICY).await.ok();
    let set = browser.send(&page, POLICY, &[("text", BLOCK), ("how", "decide")]).await.ok();
    let empty = browser.get(TRY).await.ok();
    let example = [("bank", "known"), ("hash_type", "pdq"), ("distance", "4"), ("kind", "image")];
    let answer = browser.send(&empty, TRY, &example).await.ok();
    assert!(answer.text().contains("BLOCK it is stopped By the rule near Version 1"), "{}", answer.text());
    assert!(answer.text().contains("rule near: holds, BLOCK"), "{}", answer.text());
    assert!(answer.html.contains("value=\"known\""));
    // Without a match, and with a match that is too distant.
    assert!(
        browser.send(&empty, TRY, &[]).await.ok().text().contains("ALLOW nothing happens By the rule none")
    );
    let far = [("bank", "known"), ("hash_type", "pdq"), ("distance", "20")];
    assert!(browser.send(&empty, TRY, &far).await.ok().text().contains("REVIEW a person has to look"));

    // A text is tried before it is set.
    let opened = browser.post(TRY, &[("content-type", "application/x-www-form-urlencoded")], {
        let token = super::members::csrf_of(&set);
        let fields = [("csrf", token.as_str()), ("step", "open"), ("text", BLOCK)];
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    });
    let opened = opened.await.ok();
    assert!(opened.html.contains("name = &quot;near&quot;"), "{}", opened.html);
    let opinion =
        "[[rule]]\nname = \"two\"\nwhen = \"matches.exists(m, m.positives >= 2)\"\nverdict = \"ESCALATE\"\n";
    let example =
        [("bank", "known"), ("hash_type", "pdq"), ("positives", "2"), ("which", "text"), ("text", opinion)];
    let answer = browser.send(&opened, TRY, &example).await.ok();
    assert!(answer.text().contains("ESCALATE"), "{}", answer.text());
    let score = "[[score]]\nname = \"nude\"\nmodel = \"nsfw\"\nclass = \"nude\"\n";
    let scored = [("scores", "nsfw/nude=0.97"), ("which", "text"), ("text", score)];
    let answer = browser.send(&opened, TRY, &scored).await.ok();
    // There is no card of the model, so its scores count for nothing.
    assert!(
        answer.text().contains("score rule nude: not compared, nsfw/nude: the model has no card"),
        "{}",
        answer.text()
    );
    for (name, value, words) in [
        ("scores", "nsfw=0.97", "a score is written as in"),
        ("scores", "nsfw/nude=1.5", "a score is written as in"),
        ("scores", "NSFW/nude=0.5", "a score is written as in"),
        ("scores", "nsfw/nude=0.5, nsfw/nude=0.6", "a score is written as in"),
        ("distance", "near", "no number that fits"),
        ("bank", "a b", "a bank is called"),
        ("which", "trial", "no version is tried"),
        (
            "text",
            "[[rule]]\nname = \"a\"\nwhen = \"nothing\"\nverdict = \"LOG\"",
            "Line 1: rule[0].when: rule a:",
        ),
    ] {
        let mut fields = example.to_vec();
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
        let refused = browser.send(&opened, TRY, &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{words}: {}", refused.text());
        assert!(refused.text().contains(words), "{words}: {}", refused.text());
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_read_by_reviewers_set_by_administrators_and_not_there_for_others() {
    let cluster = cluster().await;
    let mut operator = operator(&cluster).await;
    let mut acme = invited(&cluster, &mut operator, "acme").await;
    let page = acme.get(POLICY).await.ok();
    acme.send(&page, POLICY, &[("text", BLOCK), ("how", "decide")]).await.ok();
    let mut reviewer = person(&cluster, &new_key(&mut acme, &["reviewer"]).await).await;
    let shown = reviewer.get(POLICY).await.ok();
    assert!(!shown.has_form(POLICY) && shown.html.contains("name = &quot;near&quot;"), "{}", shown.html);
    reviewer.get(TRY).await.ok();
    let mut auditor = person(&cluster, &new_key(&mut acme, &["auditor"]).await).await;
    assert!(!auditor.get(POLICY).await.ok().html.contains(TRY));
    let mut matcher = person(&cluster, &new_key(&mut acme, &["matcher"]).await).await;
    let missing = matcher.get("/console/nothing").await.text();
    for (path, browser) in [(POLICY, &mut matcher), (TRY, &mut auditor), (POLICY, &mut operator)] {
        let shown = browser.get(path).await;
        assert_eq!((shown.status, shown.text()), (StatusCode::NOT_FOUND, missing.clone()), "{path}");
    }
    let token = super::members::csrf_of(&shown);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let sent = reviewer.post(POLICY, &form, format!("csrf={token}&text=&how=decide")).await;
    assert_eq!((sent.status, sent.text()), (StatusCode::NOT_FOUND, missing));
    cluster.stop().await.unwrap();
}
