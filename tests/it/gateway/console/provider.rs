//! Signing in at an identity provider.

mod stand_in;

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::time::Instant;
use url::Url;
use vigie_credentials::IssuerConfig;
use vigie_harness::in_process::Cluster;

use crate::gateway::client::{Http, cluster_with};
use crate::gateway::console::browser::{Browser, Shown};
use crate::gateway::console::provider::stand_in::{Answers, CLIENT, StandIn, query};

/// The time limit for the gateway to follow the directory.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);
/// The path that begins a sign-in.
const BEGIN: &str = "/console/sign-in/provider?next=%2Fconsole%2F%3Fx%3D1";

/// A cluster whose console uses the provider. The console accepts tokens for this audience.
async fn cluster_of(provider: &StandIn, audience: &str) -> Cluster {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), format!("{}\n", CLIENT.1)).unwrap();
    let issuer = provider.issuer();
    let entry = json!({ "issuer": issuer, "audience": audience, "jwks_url": format!("{issuer}/keys") });
    let entry: IssuerConfig = serde_json::from_value(entry).unwrap();
    cluster_with(|config| {
        config.bank.access.credentials.issuers = vec![entry.clone()];
        config.frontend.access.credentials.issuers = vec![entry.clone()];
        let oidc = &mut config.gateway.console.oidc;
        oidc.issuer = Some(issuer.to_owned());
        oidc.client_id = Some(CLIENT.0.to_owned());
        oidc.client_secret_file = Some(secret.path().to_owned());
        oidc.scopes = vec!["groups".to_owned()];
    })
    .await
}

/// Turns members on, with a member whose principal `ada` has a subject at the provider.
async fn with_ada(cluster: &Cluster, provider: &StandIn, audience: &str) {
    let nobody = Http::new(cluster);
    let first = json!({ "roles": ["operator", "auditor"], "turn_on": true });
    let made = nobody.post("/v1/principals", &first).await.body(201);
    let operator = nobody.with_key(made["api_key"].as_str().unwrap());
    until_known(&operator).await;
    operator.post("/v1/members", &json!({ "name": "acme" })).await.body(201);
    let issuers = json!({ "token_issuers": [provider.issuer()] });
    operator.patch("/v1/members/acme", &issuers).await.body(200);
    let token = json!({ "token": { "issuer": provider.issuer(), "subject": "ada" } });
    let ada = json!({ "member": "acme", "roles": ["administrator"], "credential": token });
    operator.post("/v1/principals", &ada).await.body(201);
    until_known(&nobody.with_key(&provider.token("ada", audience))).await;
}

async fn until_known(http: &Http) {
    let begun = Instant::now();
    while http.get("/v1/whoami").await.status != 200 {
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "the credential is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Goes to the provider and signs in there. Returns the console's path to which the provider redirects the
/// browser.
async fn signed_in_there(browser: &mut Browser, provider: &StandIn, subject: &str) -> String {
    let (status, there) = browser.lead(BEGIN, &[]).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{there}");
    provider.sign_in(&there, subject)
}

/// Asserts that a page has this text, and that the browser has no session.
#[track_caller]
fn assert_refused(shown: &Shown, status: u16, says: &str) {
    assert_eq!(shown.status.as_u16(), status, "{}", shown.text());
    assert!(shown.text().contains(says), "{}", shown.text());
    assert!(shown.has_form("/console/sign-in"), "{}", shown.html);
}

async fn assert_signed_out(browser: &mut Browser) {
    let shown = browser.get("/console/").await;
    assert!(shown.path.starts_with("/console/sign-in?next="), "{}", shown.path);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_the_provider_and_out_here() {
    let provider = StandIn::start(false, "unused").await;
    let cluster = cluster_of(&provider, CLIENT.0).await;
    with_ada(&cluster, &provider, CLIENT.0).await;

    let mut browser = Browser::new(&cluster);
    let page = browser.get("/console/?x=1").await.ok();
    assert_eq!(page.path, "/console/sign-in?next=%2Fconsole%2F%3Fx%3D1");
    // The provider's button comes first, then the form for keys.
    let (button, form) = (page.html.find(BEGIN).unwrap(), page.html.find("name=\"key\"").unwrap());
    assert!(button < form && page.text().contains("Sign in at 127.0.0.1"), "{}", page.text());

    let before = browser.cookies["vigie-session"].clone();
    let back = signed_in_there(&mut browser, &provider, "ada").await;
    assert!(browser.cookies["vigie-sign-in"].len() > 100);
    let replayed = browser.clone();
    // The request headers of a link from another site.
    let elsewhere =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let (status, next) = browser.lead(&back, &elsewhere).await;
    assert_eq!((status, next.as_str()), (StatusCode::SEE_OTHER, "/console/?x=1"));
    // The session is new, and the sign-in's cookie is deleted.
    assert_ne!(browser.cookies["vigie-session"], before);
    assert_eq!(browser.cookies["vigie-sign-in"], "");
    let shown = browser.get(&next).await.ok();
    assert!(shown.html.contains(">acme<"), "{}", shown.html);

    // The provider's answer is valid once: a second use fails, even in a browser that kept its cookie.
    let again = browser.get(&back).await;
    assert_refused(&again, 400, "not a sign-in that this browser has just begun");
    let mut replayed = replayed;
    let again = replayed.get(&back).await;
    assert_refused(&again, 403, "refused the sign-in (invalid_grant)");
    assert!(!again.html.contains("not for"), "the provider's own words: {}", again.html);
    assert_signed_out(&mut replayed).await;

    let out = browser.send(&shown, "/console/sign-out", &[]).await.ok();
    assert_eq!(out.path, "/console/sign-in");
    assert_signed_out(&mut browser).await;
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_does_not_prove_signs_nobody_in() {
    let provider = StandIn::start(true, "unused").await;
    let cluster = cluster_of(&provider, CLIENT.0).await;
    with_ada(&cluster, &provider, CLIENT.0).await;

    for (answers, status, says) in [
        (Answers::WithOtherNonce, 502, "does not prove who you are"),
        (Answers::TooLate, 502, "does not prove who you are"),
        (Answers::ByOtherKey, 502, "does not prove who you are"),
        (Answers::ToOtherClient, 502, "does not prove who you are"),
        (Answers::ForLong, 502, "longer than an hour"),
        (Answers::AtLength, 502, "too long for a session"),
    ] {
        let mut browser = Browser::new(&cluster);
        let back = signed_in_there(&mut browser, &provider, "ada").await;
        provider.answer(answers);
        let shown = browser.get(&back).await;
        provider.answer(Answers::Well);
        assert_refused(&shown, status, says);
        assert_signed_out(&mut browser).await;
    }

    // No principal has the subject: the page shows what an administrator needs to create one.
    let mut browser = Browser::new(&cluster);
    let back = signed_in_there(&mut browser, &provider, "eve <b>").await;
    let shown = browser.get(&back).await;
    assert_refused(&shown, 403, "no principal here has this subject");
    assert!(
        shown.text().contains(&format!("Issuer {} Subject eve <b>", provider.issuer())),
        "{}",
        shown.text()
    );
    assert!(!shown.html.contains("<b>"), "{}", shown.html);

    // The state of another sign-in, no state, and another issuer.
    let mut other = Browser::new(&cluster);
    let elsewhere = signed_in_there(&mut other, &provider, "ada").await;
    let mut browser = Browser::new(&cluster);
    let own = signed_in_there(&mut browser, &provider, "ada").await;
    for wrong in [
        elsewhere.as_str(),
        "/console/sign-in/callback",
        own.split("&state").next().unwrap(),
        &own.replace("&iss=http", "&iss=https"),
    ] {
        let mut browser = browser.clone();
        assert_refused(&browser.get(wrong).await, 400, "not a sign-in that this browser has just begun");
        assert_signed_out(&mut browser).await;
    }
    // The code of another browser; PKCE binds it to that browser.
    let at = |path: &str| Url::parse(&format!("http://x{path}")).unwrap();
    let (mine, theirs) = (query(&at(&own)), query(&at(&elsewhere)));
    let stolen = own.replace(&mine["code"], &theirs["code"]);
    assert_refused(&browser.clone().get(&stolen).await, 403, "refused the sign-in (invalid_grant)");
    // The provider refuses. The page shows nothing else from the link.
    let no = |code: &str| format!("/console/sign-in/callback?state={}&error={code}", mine["state"]);
    assert_refused(&browser.clone().get(&no("access_denied")).await, 403, "(access_denied)");
    assert_refused(&browser.clone().get(&no("Call%20555")).await, 403, "(server_error)");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_describe_itself_costs_little_and_is_asked_again() {
    let provider = StandIn::start(false, "unused").await;
    let cluster = cluster_of(&provider, CLIENT.0).await;
    let mut browser = Browser::new(&cluster);
    provider.answer(Answers::Never);
    let begun = Instant::now();
    assert_refused(&browser.get(BEGIN).await, 503, "does not answer now");
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    // The next sign-in does not wait.
    let again = Instant::now();
    assert_refused(&browser.get(BEGIN).await, 503, "does not answer now");
    assert!(again.elapsed() < Duration::from_secs(2), "{:?}", again.elapsed());

    provider.answer(Answers::TooMuch);
    let shown = until_not(&mut browser, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(shown, StatusCode::BAD_GATEWAY);
    provider.answer(Answers::Well);
    let begun = Instant::now();
    while browser.lead(BEGIN, &[]).await.0 != StatusCode::SEE_OTHER {
        assert!(begun.elapsed() < FOLLOWED_WITHIN);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.stop().await.unwrap();
}

async fn until_not(browser: &mut Browser, status: StatusCode) -> StatusCode {
    let begun = Instant::now();
    loop {
        let (now, _) = browser.lead(BEGIN, &[]).await;
        if now != status {
            return now;
        }
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "{now}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_for_this_deployment_is_the_credential_where_it_has_a_name_of_its_own() {
    let provider = StandIn::start(true, "vigie").await;
    let cluster = cluster_of(&provider, "vigie").await;
    with_ada(&cluster, &provider, "vigie").await;
    let mut browser = Browser::new(&cluster);
    let back = signed_in_there(&mut browser, &provider, "ada").await;
    assert_eq!(browser.lead(&back, &[]).await, (StatusCode::SEE_OTHER, "/console/?x=1".to_owned()));
    assert!(browser.get("/console/").await.ok().html.contains(">acme<"));
    cluster.stop().await.unwrap();

    // Without a provider, neither the pages nor the button exist.
    let cluster = cluster_with(|_| {}).await;
    let mut browser = Browser::new(&cluster);
    for path in [BEGIN, "/console/sign-in/callback?code=a&state=b"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND);
    }
    assert!(!browser.get("/console/sign-in").await.ok().html.contains("sign-in/provider"));
    cluster.stop().await.unwrap();
}
