//! Package `vigie.matching.v1`: the public services of a frontend.

pub(crate) mod classification;
pub(crate) mod conversation;
mod packed;

use std::collections::BTreeMap;

use vigie_model::{
    Content, Decided, Decoded, DecodedVideo, FrameFingerprint, Hash, HashType, HashTypeSearch,
    ImageFingerprint, MatchCall, Matched, PictureFingerprint, PictureHashes, Quality, Query, QueryHash,
    QueryMatches, SkipReason, Source, Variant, VideoPartial,
};

use crate::cost::{check_cost, count_types};
use crate::invalid::{Invalid, check_len, each};
use crate::model::search_options::{check_answers, search_options};
use crate::model::{Sender, distance, hash, hash_type, hash_type_number, left_out, query_hashes};
use crate::pb::matching::v1 as pb;

impl From<Content> for pb::MatchQuery {
    fn from(content: Content) -> Self {
        use pb::match_query::Content as Wire;
        let content = match content {
            Content::Image(bytes) => Wire::Image(bytes),
            Content::Video(bytes) => Wire::Video(bytes),
            Content::Hashed { hashes, pdq_quality } => Wire::Hashed(pb::HashedContent {
                hashes: hashes.into_iter().map(Into::into).collect(),
                pdq_quality: pdq_quality.map(|quality| quality.get().into()),
            }),
        };
        Self { content: Some(content) }
    }
}

impl TryFrom<pb::MatchQuery> for Content {
    type Error = Invalid;

    fn try_from(message: pb::MatchQuery) -> Result<Self, Invalid> {
        use pb::match_query::Content as Wire;
        match message.content {
            Some(Wire::Image(bytes)) => Ok(Self::Image(bytes)),
            Some(Wire::Video(bytes)) => Ok(Self::Video(bytes)),
            Some(Wire::Hashed(hashed)) => {
                let within = |invalid: Invalid| invalid.within("hashed");
                Ok(Self::Hashed {
                    hashes: query_hashes(hashed.hashes, Sender::Client).map_err(within)?,
                    pdq_quality: quality("pdq_quality", hashed.pdq_quality).map_err(within)?,
                })
            }
            None => Err(Invalid::new("content", "is missing; send an image, a video or its hashes")),
        }
    }
}

fn quality(field: &str, score: Option<u32>) -> Result<Option<Quality>, Invalid> {
    score.map(|score| Quality::new(score.into()).map_err(|error| Invalid::new(field, error))).transpose()
}

impl From<MatchCall> for pb::MatchRequest {
    fn from(call: MatchCall) -> Self {
        Self {
            queries: call.contents.into_iter().map(Into::into).collect(),
            options: Some(call.options.into()),
            quality_floor: call.quality_floor.map(|floor| floor.get().into()),
            surface: call.surface.into(),
            classifiers: call.classifiers.into_iter().map(Into::into).collect(),
            packed: None,
        }
    }
}

impl TryFrom<pb::MatchRequest> for MatchCall {
    type Error = Invalid;

    fn try_from(message: pb::MatchRequest) -> Result<Self, Invalid> {
        if message.packed.is_none() {
            check_len("queries", message.queries.len(), 1, Query::BATCH_MAX)?;
        } else if !message.queries.is_empty() {
            return Err(Invalid::new("packed", "comes with `queries`; a request has one of the two"));
        }
        let options = search_options(message.options, Sender::Client)?;
        let contents = match message.packed {
            None => {
                check_answers(message.queries.len(), &options)?;
                each("queries", message.queries, Content::try_from)?
            }
            Some(packed) => {
                let contents = packed::contents(packed)?;
                check_answers(contents.len(), &options)?;
                contents
            }
        };
        check_cost(counts(&contents), &options)?;
        let quality_floor = quality("quality_floor", message.quality_floor)?;
        Ok(Self {
            contents,
            options,
            quality_floor,
            surface: surface(&message.surface)?,
            classifiers: classification::classifiers("classifiers", message.classifiers, 0)?,
        })
    }
}

/// Reads the surface: a word for the place from which the content comes.
pub fn surface(text: &str) -> Result<Box<str>, Invalid> {
    if text.len() > MatchCall::SURFACE_LEN_MAX || text.chars().any(char::is_control) {
        let reason = format!("has at most {} bytes, and no control characters", MatchCall::SURFACE_LEN_MAX);
        return Err(Invalid::new("surface", reason));
    }
    Ok(text.into())
}

/// Returns the number of query hashes by type. Each image counts as a PDQ hash for each variant, and each
/// video as one frame for each variant. These are minimums: for contents with more hashes, the frontend makes
/// several calls.
fn counts(contents: &[Content]) -> BTreeMap<HashType, u64> {
    let images = contents.iter().filter(|content| matches!(content, Content::Image(_))).count();
    let hashed = contents.iter().filter_map(|content| match content {
        Content::Hashed { hashes, .. } => Some(hashes),
        Content::Image(_) | Content::Video(_) => None,
    });
    let mut counts = count_types(hashed.flatten());
    let videos = contents.iter().filter(|content| matches!(content, Content::Video(_))).count();
    *counts.entry(HashType::PDQ).or_default() += (images * Variant::ALL.len()) as u64;
    *counts.entry(HashType::VPDQ).or_default() += (videos * Variant::ALL.len()) as u64;
    counts
}

impl From<HashTypeSearch> for pb::HashTypeSearch {
    fn from(search: HashTypeSearch) -> Self {
        let skip_reason = match search.skipped {
            None => pb::SkipReason::Unspecified,
            Some(SkipReason::QualityBelowFloor) => pb::SkipReason::QualityBelowFloor,
            Some(SkipReason::NotDecoded | SkipReason::Other) => pb::SkipReason::NotDecoded,
        };
        Self {
            hash_type: hash_type_number(search.hash_type),
            max_distance: search.max_distance.0,
            exact: search.exact,
            skip_reason: skip_reason.into(),
        }
    }
}

impl TryFrom<pb::HashTypeSearch> for HashTypeSearch {
    type Error = Invalid;

    fn try_from(message: pb::HashTypeSearch) -> Result<Self, Invalid> {
        let skipped = match pb::SkipReason::try_from(message.skip_reason) {
            Ok(pb::SkipReason::Unspecified) => None,
            Ok(pb::SkipReason::QualityBelowFloor) => Some(SkipReason::QualityBelowFloor),
            Ok(pb::SkipReason::NotDecoded) => Some(SkipReason::NotDecoded),
            // A newer frontend may have other reasons. They all mean that the type was not searched.
            Err(_) => Some(SkipReason::Other),
        };
        let hash_type = hash_type("hash_type", message.hash_type, Sender::Peer)?;
        Ok(Self {
            hash_type,
            max_distance: distance(hash_type, message.max_distance)?,
            exact: message.exact,
            skipped,
        })
    }
}

impl From<Matched> for pb::Matched {
    fn from(matched: Matched) -> Self {
        let answer = Self {
            truncated: matched.found.is_cut(),
            matches_left_out: matched.found.left_out,
            limit_reached: matched.found.limit_reached || matched.found.is_cut(),
            matches: matched.found.matches.into_iter().map(Into::into).collect(),
            searches: matched.searches.into_iter().map(Into::into).collect(),
            pdq_quality: matched.pdq_quality.map(|quality| quality.get().into()),
            quality_floor: matched.quality_floor.get().into(),
            near_budget_spent: matched.near_budget_spent,
            common_frames: matched.found.common_frames,
            decision: matched.decision.map(Into::into),
            classifications: matched.classifications.into_iter().map(Into::into).collect(),
            ..Self::default()
        };
        match matched.source {
            Source::Hashed => answer,
            Source::Decoded(decoded) => Self {
                width: decoded.width,
                height: decoded.height,
                frames_seen: decoded.frames_seen,
                frames_left_out: decoded.frames_left_out,
                frames_below_floor: decoded.frames_below_floor,
                ways_left_out: decoded.ways_left_out,
                ..answer
            },
            Source::Video(video) => Self { video: Some(video.into()), ..answer },
            Source::Undecoded(failure) => Self { decode_failure: Some(failure.into()), ..answer },
        }
    }
}

impl From<DecodedVideo> for pb::DecodedVideo {
    fn from(video: DecodedVideo) -> Self {
        Self {
            width: video.width,
            height: video.height,
            duration_ms: video.duration_ms.unwrap_or_default(),
            frames_seen: video.frames_seen,
            frames_below_floor: video.frames_below_floor,
            seen_until_ms: video.seen_until_ms,
            partial: video.partial.map_or_else(String::new, |reason| reason.name().to_owned()),
        }
    }
}

impl From<pb::DecodedVideo> for DecodedVideo {
    fn from(message: pb::DecodedVideo) -> Self {
        // A newer frontend may have other reasons. They all mean that the video was read only in part.
        let reason = |name: &str| VideoPartial::from_name(name).unwrap_or(VideoPartial::DecoderFailed);
        Self {
            width: message.width,
            height: message.height,
            duration_ms: (message.duration_ms > 0).then_some(message.duration_ms),
            frames_seen: message.frames_seen,
            frames_below_floor: message.frames_below_floor,
            seen_until_ms: message.seen_until_ms,
            partial: (!message.partial.is_empty()).then(|| reason(&message.partial)),
        }
    }
}

impl TryFrom<pb::Matched> for Matched {
    type Error = Invalid;

    fn try_from(message: pb::Matched) -> Result<Self, Invalid> {
        let floor = Quality::new(message.quality_floor.into())
            .map_err(|error| Invalid::new("quality_floor", error))?;
        let source = match message.decode_failure {
            Some(failure) => {
                let failure = failure.try_into();
                Source::Undecoded(failure.map_err(|invalid: Invalid| invalid.within("decode_failure"))?)
            }
            None if message.video.is_some() => Source::Video(message.video.unwrap_or_default().into()),
            None if message.width == 0 => Source::Hashed,
            None => Source::Decoded(Decoded {
                width: message.width,
                height: message.height,
                frames_seen: message.frames_seen,
                frames_left_out: message.frames_left_out,
                frames_below_floor: message.frames_below_floor,
                ways_left_out: message.ways_left_out,
            }),
        };
        Ok(Self {
            source,
            found: QueryMatches {
                matches: each("matches", message.matches, TryInto::try_into)?,
                limit_reached: message.limit_reached,
                left_out: left_out(message.truncated, message.matches_left_out),
                set_aside: false,
                common_frames: message.common_frames,
            },
            searches: each("searches", message.searches, TryInto::try_into)?,
            pdq_quality: quality("pdq_quality", message.pdq_quality)?,
            quality_floor: floor,
            near_budget_spent: message.near_budget_spent,
            decision: message.decision.map(Decided::try_from).transpose()?,
            classifications: classification::classifications(message.classifications)?,
        })
    }
}

/// Reads the hashes of a video.
pub fn hashes_of_video(messages: Vec<crate::pb::model::v1::Hash>) -> Result<Vec<Hash>, Invalid> {
    check_len("hashes", messages.len(), 0, Query::HASHES_MAX)?;
    each("hashes", messages, |message| hash(message, Sender::Peer))
}

impl From<ImageFingerprint> for pb::HashResponse {
    fn from(fingerprint: ImageFingerprint) -> Self {
        let first = fingerprint.picture.first.plain.query_hashes();
        let digests =
            fingerprint.digests.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original });
        Self {
            width: fingerprint.picture.width,
            height: fingerprint.picture.height,
            pdq_quality: fingerprint.picture.quality().get().into(),
            hashes: first.chain(digests).map(Into::into).collect(),
            picture: Some((&fingerprint.picture).into()),
        }
    }
}

/// PDQ hashes of all eight variants, MD5 and SHA-256 are required: every version of the frontend sends them.
/// Every other digest is kept too.
impl TryFrom<pb::HashResponse> for ImageFingerprint {
    type Error = Invalid;

    fn try_from(message: pb::HashResponse) -> Result<Self, Invalid> {
        let quality = Quality::new(message.pdq_quality.into());
        let mut pdq = [None; Variant::ALL.len()];
        let mut digests: Vec<Hash> = Vec::new();
        for QueryHash { hash, variant } in query_hashes(message.hashes, Sender::Peer)? {
            if hash.hash_type() != HashType::PDQ {
                digests.push(hash);
            } else if let Some(slot) = Variant::ALL.iter().position(|one| *one == variant) {
                pdq[slot] = hash.as_bytes().try_into().ok();
            }
        }
        digests.sort_unstable();
        let missing = |what: String| Invalid::new("hashes", format!("hold no {what}"));
        if let Some(twice) = digests.windows(2).find(|pair| pair[0].hash_type() == pair[1].hash_type()) {
            return Err(Invalid::new("hashes", format!("hold {} twice", twice[0].hash_type())));
        }
        for required in [HashType::MD5, HashType::SHA256] {
            if !digests.iter().any(|digest| digest.hash_type() == required) {
                return Err(missing(required.to_string()));
            }
        }
        let mut hashes = [[0; 32]; Variant::ALL.len()];
        for ((hash, found), variant) in hashes.iter_mut().zip(pdq).zip(Variant::ALL) {
            *hash = found.ok_or_else(|| missing(format!("pdq of the variant {variant}")))?;
        }
        let quality = quality.map_err(|error| Invalid::new("pdq_quality", error))?;
        let plain = PictureHashes { pdq: hashes, quality };
        let picture = match message.picture {
            Some(picture) => {
                let picture = PictureFingerprint::try_from(picture);
                let picture = picture.map_err(|invalid| invalid.within("picture"))?;
                if picture.first.plain != plain {
                    return Err(Invalid::new("picture", "has other hashes of the first frame than `hashes`"));
                }
                picture
            }
            // This frontend hashes only the first frame, and does not know whether there are more.
            None => PictureFingerprint {
                width: message.width,
                height: message.height,
                first: FrameFingerprint { number: 0, time: None, plain, further: Vec::new() },
                later: Vec::new(),
                frames_left_out: 0,
                later_fault: None,
            },
        };
        Ok(Self { picture, digests })
    }
}

#[cfg(test)]
mod tests;
