//! Prepares statements from decisions and a template.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use vigie_consortium::cases::Basis;

use super::privacy::PrivateWords;
use super::record::{Automation, DecisionRecord, content_type, visibility};
use super::template::{Ground, Template};
use super::validate::{Fault, Statement};
use crate::month::Day;

/// The result of preparing statements from decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prepared {
    /// The statements without a fault, in the order of the decisions.
    pub statements: Vec<Statement>,
    /// The number of decisions without an action, which need no statement.
    pub without_action: u64,
    /// The number of decisions after an order under Article 9, which need no statement.
    pub after_order: u64,
    /// The decisions whose statements have faults.
    pub rejected: Vec<Rejected>,
}

/// A decision whose statement has faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The id of the decision.
    pub id: [u8; 16],
    /// The faults.
    pub faults: Vec<Fault>,
}

/// Prepares a statement for each decision on which the platform acted, and validates it.
#[must_use]
pub fn prepare(records: &[DecisionRecord], template: &Template, private: &PrivateWords) -> Prepared {
    let mut prepared = Prepared::default();
    let mut ids = BTreeSet::new();
    for record in records {
        if record.action.is_none() {
            prepared.without_action += 1;
            continue;
        }
        if record.basis == Some(Basis::Article9Order) {
            prepared.after_order += 1;
            continue;
        }
        let (statement, mut faults) = statement(record, template);
        // A more exact fault that is known here replaces "is required".
        let known: BTreeSet<String> = faults.iter().map(|fault| fault.attribute.clone()).collect();
        faults.extend(
            statement.validate(private).into_iter().filter(|fault| !known.contains(&fault.attribute)),
        );
        if !ids.insert(record.id) {
            faults.push(fault("puid", "is the id of another decision too"));
        }
        if faults.is_empty() {
            prepared.statements.push(statement);
        } else {
            prepared.rejected.push(Rejected { id: record.id, faults });
        }
    }
    prepared
}

fn fault(attribute: &str, reason: &str) -> Fault {
    Fault { attribute: attribute.to_owned(), reason: reason.to_owned() }
}

fn statement(record: &DecisionRecord, template: &Template) -> (Statement, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut attributes = Map::new();
    let mut set = |name: &str, value: Value| {
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !is_empty {
            attributes.insert(name.to_owned(), value);
        }
    };
    set("puid", json!(record.id_text()));
    restrictions(record, template, &mut set);
    ground(template, &mut set);
    if record.matches_elsewhere > 0 {
        let reason =
            format!("rests on {} more matches of which there is no record", record.matches_elsewhere);
        faults.push(fault("category", &reason));
    }
    match template.category(record.class.as_str()) {
        Some(rule) => {
            set("category", json!(rule.category));
            set("category_addition", json!(rule.addition));
            set("category_specification", json!(rule.specification));
            set("category_specification_other", json!(rule.specification_other));
        }
        None => faults.push(fault("category", "the template has none for the class of the decision")),
    }
    let content_types = template.content_types.get(&record.media).cloned();
    let content_types = content_types.unwrap_or_else(|| vec![content_type(record.media).to_owned()]);
    if content_types.iter().any(|one| one == "CONTENT_TYPE_OTHER") {
        set("content_type_other", json!(template.content_type_other));
    }
    set("content_type", json!(content_types));
    match record.hosted_since.map(Day::of) {
        Some(Ok(day)) => set("content_date", json!(day.to_string())),
        Some(Err(_)) | None => {
            faults.push(fault("content_date", "the platform did not say since when it hosts the content"));
        }
    }
    match record.acted_at.map(Day::of) {
        Some(Ok(day)) => set("application_date", json!(day.to_string())),
        Some(Err(_)) | None => {
            faults.push(fault("application_date", "the platform did not say when it acted"))
        }
    }
    if record.hosted_since.zip(record.acted_at).is_some_and(|(hosted, acted)| hosted > acted) {
        faults.push(fault("content_date", "is after the restriction began"));
    }
    if record.is_reinstated {
        let reason = "the content was reinstated after a complaint, and since when is not known";
        faults.push(fault("end_date_visibility_restriction", reason));
    }
    set("territorial_scope", json!(template.territorial_scope));
    set("content_language", json!(template.content_language));
    set("decision_facts", json!(template.facts));
    match record.basis {
        Some(basis) => {
            set("source_type", json!(source_type(basis)));
            // Content that a notice or an order names was not found by the match that followed it.
            set("automated_detection", json!(if basis == Basis::Own { "Yes" } else { "No" }));
        }
        None => faults.push(fault("source_type", "the platform did not say what the content was found by")),
    }
    match Automation::of(record.person_looked, record.verdict_acts()) {
        Ok(automation) => set("automated_decision", json!(automation.word())),
        Err(reason) => faults.push(fault("automated_decision", reason)),
    }
    (Statement::new(attributes), faults)
}

fn restrictions(record: &DecisionRecord, template: &Template, set: &mut impl FnMut(&str, Value)) {
    let Some(action) = record.action else { return };
    match template.actions.get(&action) {
        Some(restriction) => {
            set("decision_visibility", json!(restriction.visibility));
            set("decision_visibility_other", json!(restriction.visibility_other));
            set("decision_monetary", json!(restriction.monetary));
            set("decision_monetary_other", json!(restriction.monetary_other));
            set("decision_provision", json!(restriction.provision));
            set("decision_account", json!(restriction.account));
        }
        None => set("decision_visibility", json!([visibility(action)])),
    }
    set("account_type", json!(template.account_type));
}

fn ground(template: &Template, set: &mut impl FnMut(&str, Value)) {
    set("decision_ground_reference_url", json!(template.ground_reference_url));
    match &template.ground {
        Ground::Illegal { legal_ground, explanation } => {
            set("decision_ground", json!("DECISION_GROUND_ILLEGAL_CONTENT"));
            set("illegal_content_legal_ground", json!(legal_ground));
            set("illegal_content_explanation", json!(explanation));
        }
        Ground::Incompatible { ground, explanation, is_illegal } => {
            set("decision_ground", json!("DECISION_GROUND_INCOMPATIBLE_CONTENT"));
            set("incompatible_content_ground", json!(ground));
            set("incompatible_content_explanation", json!(explanation));
            set("incompatible_content_illegal", json!(is_illegal.map(|is| if is { "Yes" } else { "No" })));
        }
    }
}

const fn source_type(basis: Basis) -> &'static str {
    match basis {
        Basis::Own => "SOURCE_VOLUNTARY",
        Basis::TrustedFlagger => "SOURCE_TRUSTED_FLAGGER",
        Basis::Notice => "SOURCE_ARTICLE_16",
        Basis::Order | Basis::Article9Order => "SOURCE_TYPE_OTHER_NOTIFICATION",
    }
}
