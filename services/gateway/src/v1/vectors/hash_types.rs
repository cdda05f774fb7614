//! `/v1/hash-types`: the hash types of this version, and the types that the deployment declares.

use axum::Json;
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;
use vigie_model::{Declaration, HashType, Metric};

use crate::problem::Problem;
use crate::v1::request::Call;
use crate::v1::values::distance_number;

/// The hash types that may be banked and looked up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HashTypesObject {
    /// Ordered by number: the types of the table, then declared vectors.
    hash_types: Vec<HashTypeObject>,
}

/// A hash type.
#[derive(Debug, Serialize, ToSchema)]
struct HashTypeObject {
    /// Its name.
    name: &'static str,
    /// Its permanent number.
    number: u16,
    /// The metric of two hashes: `hamming` for differing bits, `equality`, `frames` for the frames of videos;
    /// for vectors `cosine` (one minus the cosine of their angle) or `l2` (the Euclidean distance).
    metric: &'static str,
    /// The form of a vector's elements, `f32` or `u8`; left out for other types.
    #[serde(skip_serializing_if = "Option::is_none")]
    element: Option<&'static str>,
    /// Elements of each vector; left out for other types.
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<u16>,
    /// The default distance of a lookup, in the form of its `max_distance`: bits, or for vectors a number in
    /// their metric.
    #[schema(value_type = f64)]
    distance_default: Number,
    /// The largest distance that a lookup may name, in the same form.
    #[schema(value_type = f64)]
    distance_max: Number,
}

impl HashTypeObject {
    /// Returns the object of a hash type; `None` for a type without a name.
    fn of(hash_type: HashType) -> Option<Self> {
        let row = hash_type.row()?;
        let declaration = Declaration::of(hash_type);
        let class = hash_type.vector_class();
        Some(Self {
            name: hash_type.name()?,
            number: hash_type.number(),
            metric: match row.metric {
                Metric::Hamming => "hamming",
                Metric::Equality => "equality",
                Metric::Frames => "frames",
                Metric::Vector => class.map_or("vector", |class| class.metric.name()),
            },
            element: class.map(|class| class.element.name()),
            elements: declaration.map(|declaration| declaration.elements),
            distance_default: distance_number(hash_type, row.distance_default),
            distance_max: distance_number(hash_type, row.distance_max),
        })
    }
}

/// Lists the hash types
///
/// A type that the deployment declares is listed once this gateway has read its declaration.
#[utoipa::path(
    get, path = "/hash-types", tag = "state",
    responses((status = 200, description = "The hash types that may be banked and looked up", body = HashTypesObject))
)]
pub(crate) async fn list_hash_types(call: Call) -> Result<Json<HashTypesObject>, Problem> {
    call.caller.members().who_am_i(call.deadline()).await?;
    Ok(Json(HashTypesObject { hash_types: HashType::known().filter_map(HashTypeObject::of).collect() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vigie_model::vectors::VectorClass;
    use vigie_model::{Distance, declared};

    use super::*;

    #[test]
    fn a_type_is_shown_with_its_metric_and_its_distances_as_a_lookup_has_them() {
        let hash_type = VectorClass::ALL[2].hash_type(61);
        let declaration = Declaration {
            hash_type,
            name: "gateway_listed".into(),
            elements: 96,
            distance_default: Distance(150_000),
            distance_max: Distance(500_000),
        };
        declared::register(&declaration).unwrap();
        let shown = |hash_type| serde_json::to_value(HashTypeObject::of(hash_type)).unwrap();
        let (number, element) = (hash_type.number(), "u8");
        let expected = json!({
            "name": "gateway_listed", "number": number, "metric": "cosine", "element": element, "elements": 96,
            "distance_default": 0.15, "distance_max": 0.5
        });
        assert_eq!(shown(hash_type), expected);
        let pdq = json!({ "name": "pdq", "number": 1, "metric": "hamming", "distance_default": 31, "distance_max": 64 });
        assert_eq!(shown(HashType::PDQ), pdq);
        assert_eq!(shown(VectorClass::ALL[2].hash_type(62)), serde_json::Value::Null);
        assert_eq!(
            (shown(HashType::MD5)["metric"].as_str(), shown(HashType::VPDQ)["metric"].as_str()),
            (Some("equality"), Some("frames"))
        );
    }
}
