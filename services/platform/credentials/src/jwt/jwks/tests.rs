use proptest::prelude::*;
use serde_json::json;

use super::*;

fn set(keys: &Value) -> JwkSet {
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn ed(kid: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": RFC_8037_KEY })
}

fn why(key: &Value) -> Option<UnusableKey> {
    set(&json!([key])).0[0].key.clone().err()
}

/// RFC 8037, appendix A.2.
const RFC_8037_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// RFC 7515, appendix A.2.
const RFC_7515_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

/// Checks the examples of the standards: RFC 7515, appendices A.2 (RS256) and A.3 (ES256), and RFC 8037,
/// appendix A.4 (EdDSA).
#[test]
fn the_signatures_of_the_standards_are_right_and_no_others() {
    let keys = set(&json!([
        { "kid": "a", "kty": "RSA", "n": RFC_7515_N, "e": "AQAB" },
        { "kid": "b", "kty": "EC", "crv": "P-256",
          "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
        ed("c"),
    ]));
    let claims =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    for (kid, algorithm, signed, signature) in [
        (
            "a",
            Algorithm::Rs256,
            format!("eyJhbGciOiJSUzI1NiJ9.{claims}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            "b",
            Algorithm::Es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{claims}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            "c",
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        let key = keys.find(Some(kid), algorithm).unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.has_signed(signed.as_bytes(), &signature), "{algorithm:?}");
        assert!(!key.has_signed(&signed.as_bytes()[1..], &signature), "{algorithm:?}");
        assert!(!key.has_signed(signed.as_bytes(), &[]), "{algorithm:?}");
        // With r and s of 0, a library without a check accepts every message (CVE-2022-21449).
        assert!(!key.has_signed(signed.as_bytes(), &vec![0; signature.len()]), "{algorithm:?}");
        for index in 0..signature.len() {
            signature[index] ^= 1;
            assert!(!key.has_signed(signed.as_bytes(), &signature), "{algorithm:?} {index}");
            signature[index] ^= 1;
        }
    }
}

#[test]
fn a_key_is_found_by_name_and_algorithm_together() {
    let two = set(&json!([ed("a"), { "kid": "b", "kty": "RSA", "n": RFC_7515_N, "e": "AQAB" }]));
    assert_eq!(two.key_ids().collect::<Vec<_>>(), ["a", "b"]);
    assert!(two.find(Some("a"), Algorithm::EdDsa).is_ok());
    assert!(two.find(Some("b"), Algorithm::Rs256).is_ok());
    assert_eq!(two.find(Some("a"), Algorithm::Rs256), Err(KeyMissing::OtherAlgorithm));
    assert_eq!(two.find(Some("b"), Algorithm::EdDsa), Err(KeyMissing::OtherAlgorithm));
    assert_eq!(two.find(Some("A"), Algorithm::EdDsa), Err(KeyMissing::Unknown));
    assert_eq!(two.find(Some(""), Algorithm::EdDsa), Err(KeyMissing::Unknown));
    assert_eq!(two.find(None, Algorithm::EdDsa), Err(KeyMissing::NotNamed));
    let one = set(&json!([ed("a")]));
    assert!(one.find(None, Algorithm::EdDsa).is_ok());
    assert_eq!(one.find(None, Algorithm::Es256), Err(KeyMissing::OtherAlgorithm));
    assert_eq!(set(&json!([])).find(None, Algorithm::EdDsa), Err(KeyMissing::NotNamed));
    assert_eq!(set(&json!([])).find(Some("a"), Algorithm::EdDsa), Err(KeyMissing::Unknown));
}

#[test]
fn a_key_that_cannot_be_used_is_kept_with_the_reason_and_the_others_work() {
    let rsa = |n: &[u8], e: &str| json!({ "kid": "w", "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": e });
    let with = |mut key: Value, name: &str, value: Value| {
        key[name] = value;
        key
    };
    // 0x7f is one bit short.
    let bits = |bytes: usize, first: u8| {
        let mut n = vec![0xff; bytes];
        n[0] = first;
        n
    };
    for (key, expected) in [
        (rsa(&bits(128, 0xff), "AQAB"), UnusableKey::RsaBits { bits: 1_024 }),
        (rsa(&bits(256, 0x7f), "AQAB"), UnusableKey::RsaBits { bits: 2_047 }),
        (rsa(&bits(1_025, 0x01), "AQAB"), UnusableKey::RsaBits { bits: 8_193 }),
        // Zeros in front do not make a key longer.
        (rsa(&[vec![0; 128], bits(128, 0xff)].concat(), "AQAB"), UnusableKey::RsaBits { bits: 1_024 }),
        (rsa(&[], "AQAB"), UnusableKey::RsaBits { bits: 0 }),
        (rsa(&bits(256, 0xff), "Aw"), UnusableKey::RsaExponent),
        (rsa(&bits(256, 0xff), "AQ"), UnusableKey::RsaExponent),
        (rsa(&bits(256, 0xff), ""), UnusableKey::RsaExponent),
        // 65,536, 65,538 and 2^33 + 1.
        (rsa(&bits(256, 0xff), "AQAA"), UnusableKey::RsaExponent),
        (rsa(&bits(256, 0xff), "AQAC"), UnusableKey::RsaExponent),
        (rsa(&bits(256, 0xff), "AgAAAAE"), UnusableKey::RsaExponent),
        (rsa(&bits(256, 0xff), "_________w"), UnusableKey::RsaExponent),
        (rsa(&bits(256, 0xff), "AQAB="), UnusableKey::Malformed),
        (json!({ "kid": "w", "kty": "oct", "k": "c2VjcmV0" }), UnusableKey::Secret),
        (with(ed("w"), "d", json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")), UnusableKey::Secret),
        (with(ed("w"), "use", json!("enc")), UnusableKey::Use),
        (with(ed("w"), "key_ops", json!(["encrypt"])), UnusableKey::Use),
        (with(ed("w"), "alg", json!("RS256")), UnusableKey::Kind),
        (with(ed("w"), "alg", json!("none")), UnusableKey::Kind),
        (with(ed("w"), "crv", json!("X25519")), UnusableKey::Kind),
        (with(ed("w"), "kty", json!("EC")), UnusableKey::Kind),
        (with(ed("w"), "x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR")), UnusableKey::Malformed),
        (with(ed("w"), "x", json!(7)), UnusableKey::Malformed),
        (json!({ "kid": "w", "kty": "EC", "crv": "P-256", "x": RFC_8037_KEY }), UnusableKey::Malformed),
        (json!({ "kid": "w" }), UnusableKey::Malformed),
        (json!("w"), UnusableKey::Malformed),
        (with(ed("w"), "kid", json!("k".repeat(257))), UnusableKey::Malformed),
    ] {
        assert_eq!(why(&key), Some(expected), "{key}");
        let keys = set(&json!([key, ed("good")]));
        assert!(keys.find(Some("good"), Algorithm::EdDsa).is_ok());
        assert_eq!(keys.unusable().map(|(_, why)| why).collect::<Vec<_>>(), [expected]);
        if key["kid"] == "w" {
            assert_eq!(keys.find(Some("w"), Algorithm::EdDsa), Err(KeyMissing::Unusable(expected)));
        }
    }
    let n = URL_SAFE_NO_PAD.decode(RFC_7515_N).unwrap();
    for good in [
        rsa(&[vec![0], n].concat(), "AAEAAQ"),
        with(ed("w"), "alg", json!("EdDSA")),
        with(ed("w"), "alg", json!("Ed25519")),
        with(with(ed("w"), "use", json!("sig")), "key_ops", json!(["verify"])),
        with(ed("w"), "x5c", json!(["ignored"])),
    ] {
        assert_eq!(why(&good), None, "{good}");
    }
}

#[test]
fn a_set_is_bounded_and_unambiguous() {
    let parse = |keys: &Value| JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).map(|_| ());
    assert_eq!(parse(&json!([ed("a"), ed("a")])), Err(JwksFault::SameName));
    // RFC 7517, section 4.5: keys of different types may have one name.
    let rsa = json!({ "kid": "a", "kty": "RSA", "n": RFC_7515_N, "e": "AQAB" });
    assert_eq!(parse(&json!([ed("a"), rsa])), Ok(()));
    let many = |count: usize| (0..count).map(|number| ed(&number.to_string())).collect::<Vec<_>>();
    assert_eq!(parse(&many(KEYS_MAX).into()), Ok(()));
    assert_eq!(parse(&many(KEYS_MAX + 1).into()), Err(JwksFault::TooManyKeys { keys: KEYS_MAX + 1 }));
    let large = vec![b' '; JWKS_BYTES_MAX + 1];
    assert_eq!(JwkSet::parse(&large).err(), Some(JwksFault::TooLarge { bytes: JWKS_BYTES_MAX + 1 }));
    for wrong in ["", "{}", "[]", r#"{"keys": {}}"#, r#"{"keys": null}"#, "<html>", r#"{"keys": []} x"#] {
        assert_eq!(JwkSet::parse(wrong.as_bytes()).err(), Some(JwksFault::Malformed), "{wrong}");
    }
    let deep = format!("{{\"keys\": {}", "[".repeat(100_000));
    assert_eq!(JwkSet::parse(deep.as_bytes()).err(), Some(JwksFault::Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes: Vec<u8>,
        kty in "(RSA|EC|OKP|oct|\\PC*)",
        crv in "(P-256|Ed25519|\\PC*)",
        n in "[A-Za-z0-9_-]{0,400}",
        e in "[A-Za-z0-9_-]{0,14}",
    ) {
        let _ = JwkSet::parse(&bytes);
        let key = json!({ "kty": kty, "crv": crv, "n": n, "e": e, "x": n, "y": n });
        let keys = set(&json!([key]));
        if let Ok(key) = keys.find(None, Algorithm::Rs256) {
            prop_assert!(!key.has_signed(b"message", &[1; 256]));
        }
    }
}
