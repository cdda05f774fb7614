//! `/m/compare`: how far two hashes of a type are apart.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::Request;
use serde_json::{Map, Value, json};

use crate::hma::json;
use crate::hma::refusal::Refusal;
use crate::hma::signals::{hash, type_named};
use crate::shared::Shared;

/// The most types of one comparison.
const TYPES_MAX: usize = 64;

/// Compares two hashes of each type that is named.
pub(crate) async fn compare(
    State(shared): State<Shared>,
    request: Request<Body>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let Value::Object(pairs) = json::value(&shared, request).await? else {
        return Err(Refusal::bad("the body is no object"));
    };
    if pairs.len() > TYPES_MAX {
        return Err(Refusal::bad(format!("at most {TYPES_MAX} types are compared at once")));
    }
    let compared = pairs.into_iter().map(|(name, pair)| {
        let verdict = compare_two(&name, &pair)?;
        Ok((name, verdict))
    });
    Ok(Json(compared.collect::<Result<_, Refusal>>()?))
}

fn compare_two(name: &str, pair: &Value) -> Result<Value, Refusal> {
    let hash_type = type_named(name)?;
    let two = pair.as_array().filter(|pair| pair.len() == 2);
    let two = two.ok_or_else(|| Refusal::bad("each type needs a list of exactly two signals"))?;
    let read = |one: &Value| {
        let text = one.as_str().ok_or_else(|| Refusal::bad("a signal is a text"))?;
        hash(hash_type, text)
    };
    let (one, other) = (read(&two[0])?, read(&two[1])?);
    let distance = one.distance(&other);
    let is_match = distance.is_some_and(|distance| distance <= hash_type.distance_default());
    let distance = distance.map_or(Value::Null, |distance| distance.0.into());
    Ok(json!([is_match, { "distance": distance }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hashes_match_up_to_31_bits() {
        let zero = "0".repeat(64);
        let with = |bits: u32| format!("{:064x}", (1_u128 << bits) - 1);
        let compared = |bits| compare_two("pdq", &json!([zero, with(bits)])).unwrap();
        assert_eq!(compared(31), json!([true, { "distance": 31 }]));
        assert_eq!(compared(32), json!([false, { "distance": 32 }]));
        assert!(compare_two("pdq", &json!([zero])).is_err());
        assert!(compare_two("pdq", &json!([zero, "x"])).is_err());
        assert!(compare_two("nope", &json!([zero, zero])).is_err());
        let md5 = "a".repeat(32);
        assert_eq!(compare_two("video_md5", &json!([md5, md5])).unwrap()[0], true);
    }
}
