//! Banks that members share with each other, and the charters of banks.

use http::StatusCode;
use serde_json::json;

use super::members::{http, invited, new_key, operator};
use crate::gateway::client::cluster;

const SHARING: &str = "/console/banks/known/sharing";
const THEIRS: &str = "/console/banks/acme%2Fknown/sharing";

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_is_shared_named_and_shared_no_more() {
    let cluster = cluster().await;
    let mut operator = operator(&cluster).await;
    let mut acme = invited(&cluster, &mut operator, "acme").await;
    let mut umbra = invited(&cluster, &mut operator, "umbra").await;
    let owner = http(&cluster, &new_key(&mut acme, &["administrator"]).await).await;
    let other = http(&cluster, &new_key(&mut umbra, &["administrator"]).await).await;
    owner.post("/v1/banks", &json!({ "name": "known" })).await.body(201);

    // A bank that is not shared is answered as not found.
    let [hidden, never] = [umbra.get(THEIRS).await, umbra.get("/console/banks/acme%2Fnever/sharing").await];
    assert_eq!((hidden.status, never.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(hidden.text(), never.text());
    // Operators share no banks.
    assert_eq!(operator.get(SHARING).await.text(), hidden.text());
    let received = umbra.get("/console/sharing").await.ok();
    assert!(received.text().contains("No member shares a bank"), "{}", received.text());

    let page = acme.get(SHARING).await.ok();
    assert!(page.text().contains("not shared with anybody"), "{}", page.text());
    for (member, capability, expires, words) in [
        ("never", "match", "", "there is no member called never"),
        ("<b>", "match", "", "a member"),
        ("umbra", "king", "", "tick at least one right"),
        ("umbra", "match", "2001-01-01", "not after today"),
    ] {
        let fields = [("member", member), ("capabilities", capability), ("expires", expires)];
        let refused = acme.send(&page, SHARING, &fields).await;
        assert!(
            refused.status.is_client_error() && refused.text().contains(words),
            "{words}: {}",
            refused.text()
        );
        let kept = member.replace('<', "&lt;").replace('>', "&gt;");
        assert!(refused.html.contains(&format!("value=\"{kept}\"")), "{}", refused.html);
    }
    assert_eq!(owner.get("/v1/banks/known/grants").await.body(200)["grants"], json!([]));

    let fields = [
        ("member", "umbra"),
        ("capabilities", "match"),
        ("capabilities", "see-details"),
        ("expires", "2099-12-31"),
    ];
    let shared = acme.send(&page, SHARING, &fields).await.ok();
    assert!(shared.text().contains("umbra search, see details 2099-12-31"), "{}", shared.text());
    let grant = owner.get("/v1/banks/known/grants").await.body(200)["grants"][0].clone();
    assert_eq!(
        (&grant["member"], &grant["capabilities"], &grant["expires_at_unix_ms"]),
        (&json!("umbra"), &json!(["match", "see-details"]), &json!(4_102_358_400_000_u64))
    );
    // The form of a change begins with the present grant.
    let change = acme.get(&format!("{SHARING}?member=umbra")).await.ok();
    assert!(change.html.contains("value=\"2099-12-31\"") && change.text().contains("What umbra may do"));

    // The other member sees the bank, but not its other grants, and sets an alias.
    let theirs = umbra.get(THEIRS).await.ok();
    assert!(!theirs.has_form(THEIRS) && !theirs.has_form("/console/banks/acme%2Fknown/charter"));
    assert!(theirs.text().contains("Days to resolve a dispute 14"), "{}", theirs.text());
    let received = umbra.get("/console/sharing").await.ok();
    assert!(received.text().contains("acme/known"), "{}", received.text());
    let alias = [("bank", "acme/known"), ("alias", "no name")];
    let refused = umbra.send(&received, "/console/sharing", &alias).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.html.contains("value=\"no name\""), "{}", refused.html);
    let named =
        umbra.send(&received, "/console/sharing", &[("bank", "acme/known"), ("alias", "theirs")]).await;
    assert!(named.ok().text().contains("a name of your own now"));
    assert_eq!(other.get("/v1/grants").await.body(200)["grants"][0]["alias"], "theirs");
    let named = umbra.get("/console/sharing").await.ok();
    umbra.send(&named, "/console/sharing", &[("bank", "theirs"), ("alias", "")]).await.ok();
    assert_eq!(other.get("/v1/grants").await.body(200)["grants"][0]["alias"], json!(null));

    let ended = acme.send(&change, &format!("{SHARING}/end"), &[("member", "umbra")]).await.ok();
    assert!(ended.text().contains("not shared with anybody"), "{}", ended.text());
    assert_eq!(owner.get("/v1/banks/known/grants").await.body(200)["grants"], json!([]));
    assert_eq!(umbra.get(THEIRS).await.text(), never.text());
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charter_is_set_as_a_whole() {
    let cluster = cluster().await;
    let mut operator = operator(&cluster).await;
    let mut acme = invited(&cluster, &mut operator, "acme").await;
    let api = http(&cluster, &new_key(&mut acme, &["administrator"]).await).await;
    api.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let allowed = api.post("/v1/banks", &json!({ "name": "news" })).await.body(201)["bank_id"].clone();
    let charter = "/console/banks/known/charter";
    let page = acme.get(SHARING).await.ok();
    let fields = [
        ("taxonomies", "iwf, ncmec"),
        ("confirmations_min", "2"),
        ("hold_on_negatives", "3"),
        ("dispute_days", "7"),
        ("two_person_items", "50"),
        ("purge_hours", "24"),
        ("match_record_days", "30"),
        ("shadow", "yes"),
        ("frames_answer_images", "yes"),
        ("suppresses", "news\r\n"),
        ("vector_distances", ""),
    ];
    let set = acme.send(&page, charter, &fields).await.ok();
    assert!(set.text().contains("The charter was set.") && set.html.contains("value=\"24\""), "{}", set.html);
    let read = api.get("/v1/banks/known/charter").await.body(200)["charter"].clone();
    let expected = json!({
        "taxonomies": ["iwf", "ncmec"], "two_person_items": 50, "purge_hours": 24, "confirmations_min": 2,
        "hold_on_negatives": 3, "shadow": true, "suppresses_bank_ids": [allowed], "dispute_days": 7,
        "match_record_days": 30, "frames_answer_images": true, "images_answer_videos": false,
    });
    assert_eq!(read, expected);
    for (at, wrong, words) in [
        (0, "<b>bold</b>", "taxonomy"),
        (3, "91", "at most 90"),
        (5, "never", "whole number"),
        (9, "no-such-bank", "there is no bank called no-such-bank"),
        (10, "nowhere 0.25", "nowhere is no hash type that is declared here"),
    ] {
        let mut fields = fields;
        fields[at].1 = wrong;
        let refused = acme.send(&set, charter, &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(refused.text().contains(words), "{wrong}: {}", refused.text());
        assert!(!refused.html.contains("<b>bold"), "{wrong}");
    }
    // A form that omits a term would lift it.
    let refused = acme.send(&set, charter, &fields[2..]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text());
    assert_eq!(api.get("/v1/banks/known/charter").await.body(200)["charter"], expected);
    cluster.stop().await.unwrap();
}
