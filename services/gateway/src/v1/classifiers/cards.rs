//! `/v1/classifiers`: the cards of the models that the operator supplies.

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use vigie_clients::{ModelClass, ModelSummary};

use crate::problem::Problem;
use crate::v1::request::{Call, In};

/// The models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClassifiersObject {
    /// Ordered by name, at most 64.
    classifiers: Vec<ClassifierObject>,
    /// The answer is as of this change.
    sequence: u64,
}

/// A summary of the newest card of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClassifierObject {
    /// The name of the model.
    name: String,
    /// The newest version of its card.
    version: u32,
    /// The content that it reads: `image` or `conversation`.
    kind: String,
    /// `shadow`: scores are counted and never returned; `active`: scores are returned.
    mode: String,
    /// `in_use` or `retired`.
    state: String,
    /// The classes, in the order of the card.
    classes: Vec<ModelClassObject>,
}

/// A class of a model.
#[derive(Debug, Serialize, ToSchema)]
struct ModelClassObject {
    /// Its name.
    class: String,
    /// The corresponding class of a taxonomy, `taxonomy/dimension=value`; `null` for none.
    stands_for: Option<String>,
    /// The threshold; `null` where none was chosen.
    threshold: Option<f32>,
    /// The N of the rate by which the threshold was chosen: at most one in N other contents is above it.
    at_most_one_in: Option<u64>,
}

/// The options of a request for a card.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CardOptions {
    /// The version; the newest one where it is not given.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// A version of a card.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CardObject {
    /// The name of the model.
    name: String,
    /// The version.
    version: u32,
    /// The newest version.
    newest_version: u32,
    /// The card, as the operator wrote it: source, input, classes, licence, approver, test vector,
    /// calibration and thresholds.
    #[schema(value_type = Object)]
    card: Value,
    /// The answer is as of this change.
    sequence: u64,
}

impl From<ModelSummary> for ClassifierObject {
    fn from(model: ModelSummary) -> Self {
        let ModelSummary { name, version, kind, mode, state, classes } = model;
        let class = |class: ModelClass| ModelClassObject {
            class: class.name,
            stands_for: class.stands_for,
            threshold: class.threshold.map(|(threshold, _)| threshold),
            at_most_one_in: class.threshold.map(|(_, one_in)| one_in),
        };
        Self { name, version, kind, mode, state, classes: classes.into_iter().map(class).collect() }
    }
}

/// Lists the classifiers
///
/// Classifiers are models that the operator supplies. Their scores are likelihoods, never verdicts.
#[utoipa::path(
    get, path = "/classifiers", tag = "state",
    responses((status = 200, description = "A summary of each model's newest card", body = ClassifiersObject))
)]
pub(crate) async fn list_classifiers(call: Call) -> Result<Json<ClassifiersObject>, Problem> {
    let listed = call.caller.model_cards().list(call.deadline()).await?;
    let classifiers = listed.value.into_iter().map(ClassifierObject::from).collect();
    Ok(Json(ClassifiersObject { classifiers, sequence: listed.sequence.0 }))
}

/// Shows a card of a classifier
#[utoipa::path(
    get, path = "/classifiers/{classifier}", tag = "state",
    params(("classifier" = String, Path, description = "The name of the model"), CardOptions),
    responses((status = 200, description = "The card", body = CardObject))
)]
pub(crate) async fn show_classifier(
    call: Call<CardOptions>,
    In(name): In<String>,
) -> Result<Json<CardObject>, Problem> {
    let version = call.options.version.unwrap_or(0);
    let read = call.caller.model_cards().get(&name, version, call.deadline()).await?;
    let card = &read.value.card;
    Ok(Json(CardObject {
        name: card.name().to_owned(),
        version: card.version(),
        newest_version: read.value.newest_version,
        // A card that was read is always a JSON document.
        card: serde_json::from_str(card.document()).unwrap_or_default(),
        sequence: read.sequence.0,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_is_shown_with_its_thresholds_and_without_those_that_were_not_chosen() {
        let class = |name: &str, stands_for: Option<&str>, threshold| ModelClass {
            name: name.into(),
            stands_for: stands_for.map(Into::into),
            threshold,
        };
        let model = ModelSummary {
            name: "nsfw".into(),
            version: 3,
            kind: "image".into(),
            mode: "active".into(),
            state: "in_use".into(),
            classes: vec![
                class("nude", Some("local/kind=nude"), Some((0.5, 10_000))),
                class("other", None, None),
            ],
        };
        let expected = json!({
            "name": "nsfw", "version": 3, "kind": "image", "mode": "active", "state": "in_use", "classes": [
                { "class": "nude", "stands_for": "local/kind=nude", "threshold": 0.5, "at_most_one_in": 10_000 },
                { "class": "other", "stands_for": null, "threshold": null, "at_most_one_in": null },
            ]
        });
        assert_eq!(serde_json::to_value(ClassifierObject::from(model)).unwrap(), expected);
    }
}
