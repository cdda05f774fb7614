//! Valid tokens, and known attacks.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};
use vigie_credentials::jwt::{Part, TokenRefused};

use crate::issuer::{ISSUER, NOW, Signer, claims, config, encode, issuers, now, verify, with, without};

/// The issuer of tests that make many attempts.
static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::new);

async fn check(claims: &Value, expected: Result<(), TokenRefused>) {
    let signer = &*SIGNER;
    let verified = verify(&signer.issuers(), &signer.sign(claims)).await;
    assert_eq!(verified.map(|_| ()), expected, "{claims}");
}

async fn check_header(header: &str, expected: Result<(), TokenRefused>) {
    let signer = &*SIGNER;
    let token = signer.sign_text(header, &claims().to_string());
    assert_eq!(verify(&signer.issuers(), &token).await.map(|_| ()), expected, "{header}");
}

fn malformed(part: Part) -> Result<(), TokenRefused> {
    Err(TokenRefused::Malformed { part })
}

fn claim(claim: &'static str) -> Result<(), TokenRefused> {
    Err(TokenRefused::ClaimMalformed { claim })
}

#[tokio::test]
async fn a_good_token_names_issuer_subject_groups_and_its_end() {
    let signer = Signer::new();
    let issuers = signer.issuers();
    issuers.fetch_keys().await;
    assert!(issuers.key_ages().all(|(issuer, age)| issuer == ISSUER && age.is_some()));
    let token = signer.sign(&with("groups", json!(["matchers", "auditors"])));
    let verified = verify(&issuers, &token).await.unwrap();
    assert_eq!((verified.issuer(), verified.subject()), (ISSUER, "uploads"));
    assert_eq!(verified.groups(), ["matchers", "auditors"]);
    assert_eq!(verified.expires(), now() + Duration::from_secs(660));
    let before = verified.expires() - Duration::from_millis(1);
    assert!(issuers.verify(&token, before).await.is_ok());
    assert_eq!(issuers.verify(&token, verified.expires()).await, Err(TokenRefused::Expired));
}

#[tokio::test]
async fn times_fit_within_a_minute_and_a_token_lives_an_hour_at_most() {
    for (name, value, expected) in [
        ("exp", json!(NOW - 59), Ok(())),
        ("exp", json!(NOW - 60), Err(TokenRefused::Expired)),
        ("exp", json!(0), Err(TokenRefused::Expired)),
        ("nbf", json!(NOW + 60), Ok(())),
        ("nbf", json!(NOW + 61), Err(TokenRefused::NotYetValid)),
        ("nbf", json!(NOW as f64 + 60.5), Err(TokenRefused::NotYetValid)),
        ("iat", json!(NOW + 60), Ok(())),
        ("iat", json!(NOW + 61), Err(TokenRefused::IssuedInFuture)),
        ("exp", json!(NOW + 3_600), Ok(())),
        ("exp", json!(NOW as f64 + 3_599.5), Ok(())),
        (
            "exp",
            json!(NOW + 3_601),
            Err(TokenRefused::LifetimeTooLong { seconds: 3_601, max_seconds: 3_600 }),
        ),
        ("iat", json!(0), Err(TokenRefused::LifetimeTooLong { seconds: NOW + 600, max_seconds: 3_600 })),
        ("exp", json!("1800000600"), claim("exp")),
        ("exp", json!(-1), claim("exp")),
        ("exp", json!(1e300), claim("exp")),
        ("exp", json!(u64::MAX), claim("exp")),
        ("exp", json!(null), claim("exp")),
        ("exp", json!([NOW + 600]), claim("exp")),
        ("nbf", json!(false), claim("nbf")),
        ("nbf", json!(null), claim("nbf")),
        ("iat", json!("now"), claim("iat")),
    ] {
        check(&with(name, value), expected).await;
    }
    for name in ["exp", "iat", "sub", "aud", "iss"] {
        check(&without(name), Err(TokenRefused::ClaimMissing { claim: name })).await;
    }
    check(&without("nbf"), Ok(())).await;
}

#[tokio::test]
async fn issuer_audience_and_subject_are_compared_byte_for_byte() {
    for (name, value, expected) in [
        ("iss", json!("https://id.example/"), Err(TokenRefused::Issuer)),
        ("iss", json!("HTTPS://id.example"), Err(TokenRefused::Issuer)),
        ("iss", json!([ISSUER]), claim("iss")),
        ("aud", json!(["vigie"]), Ok(())),
        ("aud", json!(["other", "vigie"]), Ok(())),
        ("aud", json!("other"), Err(TokenRefused::Audience)),
        ("aud", json!("vigie "), Err(TokenRefused::Audience)),
        ("aud", json!("Vigie"), Err(TokenRefused::Audience)),
        ("aud", json!(""), Err(TokenRefused::Audience)),
        ("aud", json!([]), Err(TokenRefused::Audience)),
        ("aud", json!(["other", "vigie2"]), Err(TokenRefused::Audience)),
        ("aud", json!(["vigie", 1]), claim("aud")),
        ("aud", json!([["vigie"]]), claim("aud")),
        ("aud", json!({ "vigie": true }), claim("aud")),
        ("aud", json!(null), claim("aud")),
        ("sub", json!("s".repeat(255)), Ok(())),
        ("sub", json!("s".repeat(256)), claim("sub")),
        ("sub", json!(""), claim("sub")),
        ("sub", json!("a\nb"), claim("sub")),
        ("sub", json!("a\u{0}"), claim("sub")),
        ("sub", json!(7), claim("sub")),
        ("groups", json!("one"), Ok(())),
        ("groups", json!([]), Ok(())),
        ("groups", json!(vec!["g"; 64]), Ok(())),
        ("groups", json!(vec!["g"; 65]), claim("of groups")),
        ("groups", json!(["a", 1]), claim("of groups")),
        ("groups", json!(["a\r\nb"]), claim("of groups")),
        ("groups", json!({ "a": 1 }), claim("of groups")),
        // A claim that is not configured gives no rights and is no fault.
        ("member", json!("acme"), Ok(())),
    ] {
        check(&with(name, value), expected).await;
    }
}

#[tokio::test]
async fn groups_are_read_where_a_claim_is_configured_and_nowhere_else() {
    let signer = Signer::new();
    let token = signer.sign(&with("groups", json!(["matchers"])));
    let other = issuers(config(json!({ "groups_claim": "https://id.example/groups" })), Some(signer.jwks()));
    assert_eq!(verify(&other, &token).await.unwrap().groups(), [""; 0]);
    let none = issuers(config(json!({ "groups_claim": null })), Some(signer.jwks()));
    assert_eq!(verify(&none, &token).await.unwrap().groups(), [""; 0]);
}

#[tokio::test]
async fn a_header_chooses_nothing_but_one_of_the_issuers_own_keys() {
    let mismatch = || Err(TokenRefused::KeyOfOtherAlgorithm { issuer: ISSUER.into() });
    let unknown = || Err(TokenRefused::KeyUnknown { issuer: ISSUER.into() });
    for (header, expected) in [
        (r#"{"alg":"EdDSA","kid":"ed"}"#, Ok(())),
        (r#"{"alg":"Ed25519","kid":"ed","typ":"application/AT+jwt"}"#, Ok(())),
        (r#"{"alg":"ES256","kid":"p256"}"#, Ok(())),
        (r#"{"alg":"ES256","kid":"ed"}"#, mismatch()),
        (r#"{"alg":"EdDSA","kid":"p256"}"#, mismatch()),
        (r#"{"alg":"RS256","kid":"ed"}"#, mismatch()),
        (r#"{"alg":"EdDSA","kid":"../../dev/null"}"#, unknown()),
        (r#"{"alg":"EdDSA","kid":"ed' OR 1=1"}"#, unknown()),
        (r#"{"alg":"EdDSA"}"#, Err(TokenRefused::KeyNotNamed { issuer: ISSUER.into() })),
        (r#"{"alg":"none","kid":"ed"}"#, Err(TokenRefused::Algorithm)),
        (r#"{"alg":"None","kid":"ed"}"#, Err(TokenRefused::Algorithm)),
        (r#"{"alg":"","kid":"ed"}"#, Err(TokenRefused::Algorithm)),
        (r#"{"alg":"eddsa","kid":"ed"}"#, Err(TokenRefused::Algorithm)),
        (r#"{"alg":"HS256","kid":"ed"}"#, Err(TokenRefused::Algorithm)),
        (r#"{"alg":"RS512","kid":"ed"}"#, Err(TokenRefused::Algorithm)),
        (r#"{"alg":"ES256K","kid":"ed"}"#, Err(TokenRefused::Algorithm)),
        (r#"{"alg":["EdDSA"],"kid":"ed"}"#, malformed(Part::Header)),
        (r#"{"kid":"ed"}"#, malformed(Part::Header)),
        (r#"{"alg":"EdDSA","kid":7}"#, malformed(Part::Header)),
        (r#"{"alg":"EdDSA","kid":null}"#, malformed(Part::Header)),
        (r#"{"alg":"EdDSA","kid":"ed","crit":["exp"]}"#, Err(TokenRefused::Critical)),
        (r#"{"alg":"EdDSA","kid":"ed","crit":[],"b64":false}"#, Err(TokenRefused::Critical)),
        (r#"{"alg":"EdDSA","kid":"ed","typ":"logout+jwt"}"#, Err(TokenRefused::Type)),
        (r#"{"alg":"EdDSA","kid":"ed","typ":"dpop+jwt"}"#, Err(TokenRefused::Type)),
        (r#"{"alg":"EdDSA","alg":"none","kid":"ed"}"#, Err(TokenRefused::NameTwice { part: Part::Header })),
        (r#"{"alg":"EdDSA","kid":"ed","kid":"ed"}"#, Err(TokenRefused::NameTwice { part: Part::Header })),
        ("[]", malformed(Part::Header)),
        ("", malformed(Part::Header)),
    ] {
        check_header(header, expected).await;
    }
}

#[tokio::test]
async fn a_key_that_the_token_brings_is_not_used() {
    let (signer, attacker) = (Signer::new(), Signer::new());
    let keys: Value = serde_json::from_slice(&attacker.jwks()).unwrap();
    let header = json!({
        "alg": "EdDSA", "kid": "ed", "jwk": keys["keys"][0], "jku": "https://evil.example/keys", "x5c": ["MIIB"],
    });
    let token = attacker.sign_text(&header.to_string(), &claims().to_string());
    let refused = Err(TokenRefused::Signature { issuer: ISSUER.into() });
    assert_eq!(verify(&signer.issuers(), &token).await, refused);
}

#[tokio::test]
async fn a_public_key_is_no_secret_of_hmac() {
    let signer = Signer::new();
    let keys: Value = serde_json::from_slice(&signer.jwks()).unwrap();
    let x = keys["keys"][0]["x"].as_str().unwrap();
    let raw = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(x).unwrap();
    for secret in [&raw[..], x.as_bytes(), &signer.jwks(), b""] {
        for algorithm in ["HS256", "EdDSA", "RS256"] {
            let header = json!({ "alg": algorithm, "kid": "ed" }).to_string();
            let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            let token = format!("{signed}.{}", encode(tag));
            assert!(verify(&signer.issuers(), &token).await.is_err(), "{algorithm}");
        }
    }
}

#[tokio::test]
async fn an_issuer_may_be_held_to_fewer_algorithms() {
    let signer = Signer::new();
    let only = issuers(config(json!({ "algorithms": ["ES256"] })), Some(signer.jwks()));
    assert_eq!(verify(&only, &signer.sign(&claims())).await, Err(TokenRefused::Algorithm));
    let token = signer.sign_text(r#"{"alg":"ES256","kid":"p256"}"#, &claims().to_string());
    assert!(verify(&only, &token).await.is_ok());
}

#[tokio::test]
async fn a_claim_that_is_there_twice_is_refused() {
    let signer = Signer::new();
    let good = claims().to_string();
    for twice in [
        r#"{"sub":"admin","#.to_owned() + &good[1..],
        good[..good.len() - 1].to_owned() + r#","sub":"admin"}"#,
        good[..good.len() - 1].to_owned() + r#","\u0073ub":"admin"}"#,
        good[..good.len() - 1].to_owned() + r#","exp":9999999999}"#,
        good[..good.len() - 1].to_owned() + r#","unread":1,"unread":2}"#,
    ] {
        let token = signer.sign_text(r#"{"alg":"EdDSA","kid":"ed"}"#, &twice);
        let refused = Err(TokenRefused::NameTwice { part: Part::Claims });
        assert_eq!(verify(&signer.issuers(), &token).await, refused, "{twice}");
    }
}

#[tokio::test]
async fn the_form_has_one_spelling_and_a_bound() {
    let signer = Signer::new();
    let issuers = signer.issuers();
    let token = signer.sign(&claims());
    assert!(verify(&issuers, &token).await.is_ok());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    // The last character of 64 bytes has four unused bits.
    let spelled = |last: char| format!("{signed}.{}{last}", &signature[..signature.len() - 1]);
    let right = signature.chars().next_back().unwrap();
    for last in ('A'..='Z').chain('a'..='z').chain('0'..='9').filter(|last| *last != right) {
        assert!(verify(&issuers, &spelled(last)).await.is_err(), "{last}");
    }
    for (wrong, part) in [
        (String::new(), Part::Form),
        ("a".to_owned(), Part::Form),
        (signed.to_owned(), Part::Form),
        (format!("{token}.{signature}"), Part::Form),
        (format!("{token}."), Part::Form),
        (format!("{token}="), Part::Signature),
        (format!("{header}=.{payload}.{signature}"), Part::Header),
        (format!("{header}.{payload}=.{signature}"), Part::Claims),
        (format!("{header}..{signature}"), Part::Claims),
        ("..".to_owned(), Part::Header),
    ] {
        let found = verify(&issuers, &wrong).await.map(|_| ());
        assert_eq!(found, malformed(part), "{wrong}");
    }
    let padded = signer.sign(&with("padding", "x".repeat(8 << 10)));
    let bytes = padded.len();
    assert_eq!(verify(&issuers, &padded).await, Err(TokenRefused::TooLong { bytes, max: 8 << 10 }));
    let huge = "a".repeat(100 << 20);
    assert_eq!(verify(&issuers, &huge).await, Err(TokenRefused::TooLong { bytes: 100 << 20, max: 8 << 10 }));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_checked_is_not_called_wrong() {
    let signer = Signer::new();
    let away = issuers(config(json!({})), None);
    let refused = verify(&away, &signer.sign(&claims())).await.unwrap_err();
    assert_eq!(refused, TokenRefused::NoKeys { issuer: ISSUER.into() });
    // A token that is wrong in itself is refused without any key.
    assert_eq!(verify(&away, &signer.sign(&with("iss", "x"))).await, Err(TokenRefused::Issuer));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_refused_without_a_panic(
        text in "\\PC{0,200}",
        header in "(\\{\"alg\":\"EdDSA\",\"kid\":\"ed\"\\}|\\PC{0,40})",
        claims in "(\\{\"iss\":\"https://id.example\"\\}|\\PC{0,80})",
        flipped in 0..1_000_usize,
        bit in 0..7_u32,
    ) {
        let signer = &*SIGNER;
        let issuers = signer.issuers();
        let token = signer.sign(&crate::issuer::claims());
        let mut bytes = token.clone().into_bytes();
        let index = flipped % bytes.len();
        bytes[index] ^= 1 << bit;
        let changed = String::from_utf8(bytes).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            assert!(verify(&issuers, &token).await.is_ok());
            for wrong in [&text, &format!("{text}.{text}.{text}"), &signer.sign_text(&header, &claims), &changed] {
                assert!(verify(&issuers, wrong).await.is_err(), "{wrong}");
            }
        });
    }
}
