//! `/m/compare`: the distance of two hashes of a type. For two videos it compares the shares of frames of
//! each that are near a frame of the other, as threatexchange does.

use std::collections::HashSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::Request;
use serde_json::{Map, Value, json};
use vigie_model::video::{VideoRule, VideoRuleKind, VideoSide};
use vigie_model::{Frame, Frames, Hash, HashType};

use crate::hma::json;
use crate::hma::refusal::Refusal;
use crate::hma::signals::{hash, percent, type_named};
use crate::problem::Problem;
use crate::shared::Shared;

/// The most types of one comparison.
const TYPES_MAX: usize = 64;

/// Compares two hashes of each named type.
pub(crate) async fn compare(
    State(shared): State<Shared>,
    request: Request<Body>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let Value::Object(pairs) = json::value(&shared, request).await? else {
        return Err(Refusal::bad("the body is not a JSON object"));
    };
    if pairs.len() > TYPES_MAX {
        return Err(Refusal::bad(format!("at most {TYPES_MAX} types are compared at once")));
    }
    // Comparing all pairs of frames of the longest videos takes some tens of milliseconds.
    let compared = tokio::task::spawn_blocking(move || {
        let compared = pairs.into_iter().map(|(name, pair)| {
            let verdict = compare_two(&name, &pair)?;
            Ok((name, verdict))
        });
        compared.collect::<Result<_, Refusal>>()
    });
    Ok(Json(compared.await.map_err(|_| Problem::busy("the server stops"))??))
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
    if hash_type == HashType::VPDQ {
        return compare_videos(&one, &other);
    }
    let distance = one.distance(&other);
    let is_match = distance.is_some_and(|distance| distance <= hash_type.distance_default());
    let distance = distance.map_or(Value::Null, |distance| distance.0.into());
    Ok(json!([is_match, { "distance": distance }]))
}

/// Compares two videos; the first is the query. Shares count distinct frame hashes of sufficient quality.
fn compare_videos(query: &Hash, item: &Hash) -> Result<Value, Refusal> {
    let (query, item) = (usable(query), usable(item));
    if query.is_empty() || item.is_empty() {
        return Err(Refusal::bad("a video has no frame of quality 50 or more, and cannot be compared"));
    }
    let side = |frames: &[Frame], others: &[Frame]| {
        let is_near = |frame: &&Frame| {
            others.iter().any(|other| frame.distance(other) <= HashType::VPDQ.distance_default().bits())
        };
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let frames_matched = count(frames.iter().filter(is_near).count());
        VideoSide { frames: count(frames.len()), frames_matched, ..VideoSide::default() }
    };
    let (query, item) = (side(&query, &item), side(&item, &query));
    let is_match = VideoRule::usual(VideoRuleKind::ThreatExchange).holds(&query, &item);
    let shares = json!({ "query_match_percent": percent(&query), "compared_match_percent": percent(&item) });
    Ok(json!([is_match, shares]))
}

/// Returns the frames of a video with sufficient quality, each hash once.
fn usable(hash: &Hash) -> Vec<Frame> {
    let mut seen = HashSet::new();
    let frames = hash.frames().into_iter().flat_map(Frames::iter);
    frames.filter(|frame| frame.is_usable() && seen.insert(frame.pdq)).collect()
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

    #[test]
    fn two_videos_match_by_four_fifths_of_the_frames_of_the_first() {
        let frame = |bits: u32, quality: u8| format!("{:064x},{quality},1.0", ((1_u128 << bits) - 1) << 1);
        let video = |frames: &[String]| serde_json::to_string(frames).unwrap();
        let far = |number: u32| format!("{},100,{number}.5", format!("{number:x}").repeat(64));
        let compared =
            |one: &[String], other: &[String]| compare_two("vpdq", &json!([video(one), video(other)]));
        let item: Vec<String> = [frame(0, 100), frame(0, 100), far(3), far(5)].to_vec();
        let shares =
            |query: f64, item: f64| json!({ "query_match_percent": query, "compared_match_percent": item });
        assert_eq!(compared(&[frame(31, 50)], &item).unwrap(), json!([true, shares(100.0, 100.0 / 3.0)]));
        assert_eq!(compared(&[frame(32, 50)], &item).unwrap(), json!([false, shares(0.0, 0.0)]));
        // A frame of low quality does not count, and neither does a repeated one.
        let query = [frame(0, 100), frame(0, 100), frame(90, 49), far(3), far(5), far(9), far(10)];
        assert_eq!(compared(&query, &item).unwrap(), json!([false, shares(60.0, 100.0)]));
        assert!(compared(&[frame(0, 49)], &item).is_err());
        assert!(compared(&[], &item).is_err());
    }
}
