//! Checks statements against the attributes that the database requires.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use vigie_consortium::Text;
use vigie_model::{BankId, UnixMillis};

use super::*;

const TEMPLATE: &str = r#"
facts = "The content was compared with known material when it was uploaded, and it matched."
territorial_scope = ["FR", "DE"]
content_type_other = "A document"

[ground]
kind = "illegal"
legal_ground = "Directive 2011/93/EU, Article 5"
explanation = "The content is known child sexual abuse material."

[actions.removed]
visibility = ["DECISION_VISIBILITY_CONTENT_REMOVED"]
account = "DECISION_ACCOUNT_SUSPENDED"

[[categories]]
class_prefix = "iwf/"
category = "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"
specification = ["KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"]

[[categories]]
class_prefix = "gifct-2025/"
category = "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY"
specification = ["KEYWORD_TERRORIST_CONTENT"]

[[categories]]
class_prefix = "iwf/self-generated/"
category = "STATEMENT_CATEGORY_CYBER_VIOLENCE"
"#;

fn template() -> Template {
    toml::from_str(TEMPLATE).unwrap()
}

/// Returns a decision on a picture that was blocked on 2026-11-09 and at which nobody looked.
fn record() -> DecisionRecord {
    DecisionRecord {
        id: [0xab; 16],
        // The action was on the day after the decision.
        at: UnixMillis(1_794_182_400_000 - 86_400_000),
        hosted_since: Some(UnixMillis(1_794_100_000_000)),
        bank: BankId(7),
        class: Text::new("iwf/category/A").unwrap(),
        verdict: Text::new("block").unwrap(),
        rule: "near-and-confirmed".to_owned(),
        media: MediaKind::Image,
        person_looked: Some(false),
        action: Some(Action::Removed),
        acted_at: Some(UnixMillis(1_794_182_400_000)),
        basis: Some(Basis::Own),
        is_reinstated: false,
        matches_elsewhere: 0,
    }
}

fn private() -> PrivateWords {
    PrivateWords::new(["csam-hotline", "near-and-confirmed"])
}

fn only(record: DecisionRecord, template: &Template) -> Value {
    let prepared = prepare(&[record], template, &private());
    assert_eq!((&prepared.rejected[..], prepared.statements.len()), (&[][..], 1));
    Value::Object(prepared.statements[0].attributes().clone())
}

/// Returns the attributes with faults in the one rejected decision.
fn at_fault(record: DecisionRecord, template: &Template) -> Vec<String> {
    let prepared = prepare(&[record], template, &private());
    assert!(prepared.statements.is_empty());
    prepared.rejected[0].faults.iter().map(|fault| fault.attribute.clone()).collect()
}

fn golden() -> Value {
    json!({
        "puid": "abababababababababababababababab",
        "decision_visibility": ["DECISION_VISIBILITY_CONTENT_REMOVED"],
        "decision_account": "DECISION_ACCOUNT_SUSPENDED",
        "decision_ground": "DECISION_GROUND_ILLEGAL_CONTENT",
        "illegal_content_legal_ground": "Directive 2011/93/EU, Article 5",
        "illegal_content_explanation": "The content is known child sexual abuse material.",
        "category": "STATEMENT_CATEGORY_PROTECTION_OF_MINORS",
        "category_specification": ["KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"],
        "content_type": ["CONTENT_TYPE_IMAGE"],
        "content_date": "2026-11-08",
        "application_date": "2026-11-09",
        "territorial_scope": ["FR", "DE"],
        "decision_facts": "The content was compared with known material when it was uploaded, and it matched.",
        "source_type": "SOURCE_VOLUNTARY",
        "automated_detection": "Yes",
        "automated_decision": "AUTOMATED_DECISION_FULLY",
    })
}

fn faults(value: &Value) -> Vec<Fault> {
    Statement::new(value.as_object().unwrap().clone()).validate(&private())
}

#[test]
fn a_decision_and_a_template_are_this_statement() {
    assert_eq!(only(record(), &template()), golden());
    let from_json = json!({
        "ground": {"kind": "incompatible", "ground": "Terms, 4.2", "explanation": "No violent extremism.", "is_illegal": false},
        "facts": "It matched.", "territorial_scope": ["SE"], "content_language": "SV",
        "categories": [{"class_prefix": "", "category": "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY"}],
    });
    let changed = DecisionRecord {
        action: Some(Action::Labelled),
        basis: Some(Basis::Order),
        media: MediaKind::Video,
        ..record()
    };
    let statement = only(changed, &serde_json::from_value(from_json).unwrap());
    for (name, value) in [
        ("decision_visibility", json!(["DECISION_VISIBILITY_CONTENT_LABELLED"])),
        ("decision_ground", json!("DECISION_GROUND_INCOMPATIBLE_CONTENT")),
        ("incompatible_content_ground", json!("Terms, 4.2")),
        ("incompatible_content_explanation", json!("No violent extremism.")),
        ("incompatible_content_illegal", json!("No")),
        ("content_type", json!(["CONTENT_TYPE_VIDEO"])),
        ("content_language", json!("SV")),
        ("source_type", json!("SOURCE_TYPE_OTHER_NOTIFICATION")),
        ("automated_detection", json!("No")),
    ] {
        assert_eq!(statement[name], value, "{name}");
    }
}

/// Removes each required attribute of the schema; conditional ones together with their condition.
#[test]
fn a_statement_without_a_required_attribute_has_that_fault() {
    let required = [
        "puid",
        "decision_visibility",
        "decision_ground",
        "illegal_content_legal_ground",
        "illegal_content_explanation",
        "category",
        "content_type",
        "content_date",
        "application_date",
        "territorial_scope",
        "decision_facts",
        "source_type",
        "automated_detection",
        "automated_decision",
    ];
    assert_eq!(faults(&golden()), []);
    for name in required {
        let mut statement = golden();
        statement.as_object_mut().unwrap().remove(name);
        // Another restriction would also be enough.
        statement.as_object_mut().unwrap().remove("decision_account");
        let found = faults(&statement);
        assert_eq!(found.iter().map(|fault| fault.attribute.as_str()).collect::<Vec<_>>(), [name]);
        for empty in [json!(null), json!(""), json!([]), json!(" "), json!(7)] {
            statement[name] = empty;
            assert!(faults(&statement).iter().any(|fault| fault.attribute == name), "{statement}");
        }
    }
    for (attribute, choice, text) in [
        ("decision_visibility", json!(["DECISION_VISIBILITY_OTHER"]), "decision_visibility_other"),
        ("decision_monetary", json!("DECISION_MONETARY_OTHER"), "decision_monetary_other"),
        ("category_specification", json!(["KEYWORD_OTHER"]), "category_specification_other"),
        ("content_type", json!(["CONTENT_TYPE_OTHER"]), "content_type_other"),
    ] {
        let mut statement = golden();
        statement[attribute] = choice;
        assert_eq!(faults(&statement).into_iter().map(|fault| fault.attribute).collect::<Vec<_>>(), [text]);
        statement[text] = json!("Something else.");
        assert_eq!(faults(&statement), []);
    }
}

#[test]
fn wrong_values_are_named_with_their_attributes() {
    for (name, value) in [
        ("puid", json!("a b")),
        ("puid", json!("a".repeat(501))),
        ("puid", json!("csam-hotline-1")),
        ("decision_visibility", json!("DECISION_VISIBILITY_CONTENT_REMOVED")),
        (
            "decision_visibility",
            json!(["DECISION_VISIBILITY_CONTENT_REMOVED", "DECISION_VISIBILITY_CONTENT_REMOVED"]),
        ),
        ("decision_ground_reference_url", json!("ftp://example.org")),
        ("illegal_content_legal_ground", json!("x".repeat(501))),
        ("illegal_content_explanation", json!("x ".repeat(1_001))),
        ("decision_facts", json!("x ".repeat(2_501))),
        ("decision_facts", json!("It is on the list csam-hotline.")),
        ("decision_facts", json!("See https://example.org/post/1.")),
        ("decision_facts", json!("Digest d41d8cd98f00b204e9800998ecf8427e.")),
        ("illegal_content_explanation", json!("Sent by someone@example.org.")),
        ("incompatible_content_ground", json!("Terms")),
        ("incompatible_content_illegal", json!("Yes")),
        ("category", json!("STATEMENT_CATEGORY_ANYTHING")),
        ("content_date", json!("1999-12-31")),
        ("content_date", json!("2038-01-02")),
        ("content_date", json!("2026-02-30")),
        ("application_date", json!("2019-12-31")),
        ("application_date", json!("2026-11-09 10:00:00")),
        ("end_date_visibility_restriction", json!("2026-11-08")),
        ("territorial_scope", json!(["US"])),
        ("territorial_scope", json!(["fr"])),
        ("content_language", json!("fr")),
        ("content_id", json!({"EAN-13": "4006381333931"})),
        ("source_identity", json!("A hotline")),
        ("automated_detection", json!(true)),
        ("automated_decision", json!("AUTOMATED_DECISION")),
    ] {
        let mut statement = golden();
        statement[name] = value;
        let found: Vec<String> = faults(&statement).into_iter().map(|fault| fault.attribute).collect();
        assert_eq!(found, [name], "{statement}");
    }
}

/// A large platform sent the opposite of `automated_detection` for years.
#[test]
fn polarity_of_the_automated_attributes() {
    let of = |verdict: &str, person_looked| {
        let verdict = Text::new(verdict).unwrap();
        let prepared =
            prepare(&[DecisionRecord { verdict, person_looked, ..record() }], &template(), &private());
        prepared.statements.first().map(|one| {
            let attributes = one.attributes();
            assert_eq!(attributes["automated_detection"], "Yes");
            assert_eq!(attributes["application_date"], "2026-11-09");
            attributes["automated_decision"].as_str().unwrap().to_owned()
        })
    };
    for verdict in ["block", "escalate"] {
        assert_eq!(of(verdict, Some(false)).unwrap(), "AUTOMATED_DECISION_FULLY");
        assert_eq!(of(verdict, Some(true)).unwrap(), "AUTOMATED_DECISION_PARTIALLY");
        assert_eq!(of(verdict, None), None);
    }
    for verdict in ["allow", "log", "review"] {
        assert_eq!(of(verdict, Some(true)).unwrap(), "AUTOMATED_DECISION_NOT_AUTOMATED");
        assert_eq!((of(verdict, Some(false)), of(verdict, None)), (None, None));
    }
    assert_eq!(
        at_fault(DecisionRecord { person_looked: None, ..record() }, &template()),
        ["automated_decision"]
    );
}

#[test]
fn what_the_platform_did_not_say_is_at_fault_and_nothing_is_invented() {
    assert_eq!(at_fault(DecisionRecord { hosted_since: None, ..record() }, &template()), ["content_date"]);
    assert_eq!(at_fault(DecisionRecord { acted_at: None, ..record() }, &template()), ["application_date"]);
    assert_eq!(
        at_fault(DecisionRecord { basis: None, ..record() }, &template()),
        ["source_type", "automated_detection"]
    );
    let late = DecisionRecord { hosted_since: Some(UnixMillis(1_795_000_000_000)), ..record() };
    assert_eq!(at_fault(late, &template()), ["content_date"]);
    let reinstated = DecisionRecord { is_reinstated: true, ..record() };
    assert_eq!(at_fault(reinstated, &template()), ["end_date_visibility_restriction"]);
    let elsewhere = DecisionRecord { matches_elsewhere: 1, ..record() };
    assert_eq!(at_fault(elsewhere, &template()), ["category"]);
    // Content that others found was not found by the match: every basis except the platform's own.
    for basis in Basis::ALL.iter().filter(|basis| ![Basis::Own, Basis::Article9Order].contains(basis)) {
        let statement = only(DecisionRecord { basis: Some(*basis), ..record() }, &template());
        assert_eq!(statement["automated_detection"], "No", "{basis}");
    }
    let class = Text::new("ncmec/classification/A1").unwrap();
    assert_eq!(at_fault(DecisionRecord { class, ..record() }, &template()), ["category"]);
    let other = DecisionRecord { action: Some(Action::Other), ..record() };
    assert_eq!(at_fault(other, &template()), ["decision_visibility_other"]);
    let named = Template { facts: "Found by near-and-confirmed.".to_owned(), ..template() };
    assert_eq!(at_fault(record(), &named), ["decision_facts"]);
    // The longest prefix applies, and another kind of content has the template's description.
    let class = Text::new("iwf/self-generated/yes").unwrap();
    let statement = only(DecisionRecord { class, media: MediaKind::Other, ..record() }, &template());
    assert_eq!(statement["category"], "STATEMENT_CATEGORY_CYBER_VIOLENCE");
    assert_eq!(statement["content_type_other"], "A document");
}

#[test]
fn a_template_with_an_unknown_field_is_refused() {
    for (head, tail) in [("surprise = 1\n", ""), ("", "surprise = 1\n")] {
        assert!(toml::from_str::<Template>(&format!("{head}{TEMPLATE}{tail}")).is_err());
    }
    assert!(toml::from_str::<Template>(&TEMPLATE.replace("legal_ground", "ground")).is_err());
    assert!(toml::from_str::<Template>(&TEMPLATE.replace("actions.removed", "actions.burnt")).is_err());
}

fn records() -> impl Strategy<Value = Vec<DecisionRecord>> {
    let action = prop::option::of(select(Action::ALL));
    let basis = prop::option::of(select(Basis::ALL));
    let class = select(vec!["iwf/category/A", "gifct-2025/entity/x", "local/kind/z", ""]);
    let verdict = select(vec!["allow", "log", "review", "block", "escalate"]);
    let media =
        select(vec![MediaKind::Image, MediaKind::Video, MediaKind::Text, MediaKind::Audio, MediaKind::Other]);
    let times = (
        any::<u64>(),
        prop::option::of(900_000_000_000_u64..2_200_000_000_000),
        1_500_000_000_000_u64..2_200_000_000_000,
    );
    let one = (times, action, basis, class, verdict, media, prop::option::of(any::<bool>())).prop_map(
        |((id, hosted_since, at), action, basis, class, verdict, media, person_looked)| DecisionRecord {
            id: u128::from(id % 300).to_be_bytes(),
            at: UnixMillis(at),
            acted_at: Some(UnixMillis(at)),
            hosted_since: hosted_since.map(UnixMillis),
            class: Text::new(class).unwrap(),
            verdict: Text::new(verdict).unwrap(),
            media,
            person_looked,
            action,
            basis,
            ..record()
        },
    );
    prop::collection::vec(one, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_is_one_statement_or_is_counted(records in records()) {
        let prepared = prepare(&records, &template(), &private());
        let without_action = records.iter().filter(|record| record.action.is_none()).count();
        let after_order = records.iter().filter(|record| record.action.is_some() && record.basis == Some(Basis::Article9Order)).count();
        prop_assert_eq!((prepared.without_action, prepared.after_order), (without_action as u64, after_order as u64));
        prop_assert_eq!(prepared.statements.len() + prepared.rejected.len() + without_action + after_order, records.len());
        prop_assert!(prepared.rejected.iter().all(|one| !one.faults.is_empty()));
        let mut puids: Vec<&str> = prepared.statements.iter().map(|one| one.attributes()["puid"].as_str().unwrap()).collect();
        let bodies = batches(&prepared.statements);
        let sent: Vec<&Value> = bodies.iter().flat_map(|body| body["statements"].as_array().unwrap()).collect();
        prop_assert!(bodies.iter().all(|body| (1..=BATCH_MAX).contains(&body["statements"].as_array().unwrap().len())));
        prop_assert_eq!(sent.iter().map(|one| one["puid"].as_str().unwrap()).collect::<Vec<_>>(), puids.clone());
        for one in &prepared.statements {
            prop_assert_eq!(one.validate(&private()), vec![]);
            let text = serde_json::to_string(one.attributes()).unwrap();
            prop_assert!(!text.contains("near-and-confirmed") && !text.contains("iwf"));
        }
        puids.sort_unstable();
        puids.dedup();
        prop_assert_eq!(puids.len(), prepared.statements.len());
    }
}
