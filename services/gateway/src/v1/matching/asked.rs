//! The request of a lookup.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Number;
use utoipa::{IntoParams, ToSchema};
use vigie_formats::files::JsonHash;
use vigie_model::{
    BankRef, Content, HashType, Limit, MatchCall, MaxDistances, MinCoverage, Quality, Query, QueryHash,
    SearchOptions, Sequence, Variant,
};

use crate::problem::Problem;
use crate::v1::faults::{at_most, at_most_entries};
use crate::v1::matching::classification::classifiers;
use crate::v1::matching::video::{VideoRuleAsked, rules, usual_rules};
use crate::v1::values::{HashForm, distance, hash, value};

/// Contents that are looked up by their hashes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchAsked {
    /// The contents to look up, 1 to 256.
    #[serde(deserialize_with = "at_most::<_, _, 256>")]
    #[schema(min_items = 1, max_items = 256)]
    queries: Vec<QueryAsked>,
    /// The banks to search, each by its name or as `owner/name`; if empty, all that the caller may search.
    #[serde(default, deserialize_with = "at_most::<_, _, 256>")]
    #[schema(max_items = 256)]
    banks: Vec<String>,
    /// The largest distance of a match, by the name of its hash type, such as `{"pdq": 31}`; for vectors a
    /// decimal number in their metric, such as `{"clip": 0.15}`, rounded to the millionth. A type that is not
    /// named has its own default.
    #[serde(default, deserialize_with = "at_most_entries::<_, _, 64>")]
    #[schema(value_type = BTreeMap<String, f64>)]
    max_distance: BTreeMap<String, Number>,
    /// Whether vectors are compared one by one, so that none is missed; otherwise an index finds most of the
    /// near ones. Hashes of other types are always searched exactly, unless the deployment configures
    /// otherwise.
    #[serde(default)]
    exact: bool,
    /// The rules by which a video matches if one of them holds, each at most once; `clip_of_known` and
    /// `contains_known` if the list is empty.
    #[serde(default, deserialize_with = "at_most::<_, _, 3>")]
    #[schema(max_items = 3)]
    video_rules: Vec<VideoRuleAsked>,
    /// Matches of each query, 1 to 1000, the nearest first; 100 where it is not given.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// The answer must reflect every change up to this one. The gateway always requires at least its own
    /// newest write.
    #[serde(default)]
    min_sequence: u64,
    /// The least share of shards that must answer, 0 to 1; 1 where it is not given.
    #[schema(minimum = 0, maximum = 1)]
    min_coverage: Option<f64>,
    /// The lowest PDQ quality at which a hash is trusted, 0 to 100; the frontend's own floor where it is not
    /// given.
    #[schema(minimum = 0, maximum = 100)]
    quality_floor: Option<u8>,
    /// The place where the contents appeared, as a word that the rules of a policy can test, such as
    /// `avatar`; at most 64 bytes.
    #[serde(default)]
    #[schema(max_length = 64)]
    surface: String,
    /// Classifiers, each by the name of its model. They read only images, so each is answered as unavailable
    /// here.
    #[serde(default, deserialize_with = "at_most::<_, _, 16>")]
    #[schema(max_items = 16)]
    classifiers: Vec<String>,
}

/// A content that is looked up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryAsked {
    /// Its hashes, 1 to 64. A match of any of them is a match of the query.
    #[serde(deserialize_with = "at_most::<_, _, 64>")]
    #[schema(min_items = 1, max_items = 64)]
    hashes: Vec<QueryHashAsked>,
    /// PDQ's quality of the image, 0 to 100, if it is known. Below the floor its PDQ hashes are not searched.
    #[schema(minimum = 0, maximum = 100)]
    pdq_quality: Option<u8>,
}

/// A hash that is looked up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryHashAsked {
    /// The name of its type, such as `pdq`, `md5` or `sha256`. `type` is another name of this field.
    #[serde(alias = "type")]
    hash_type: String,
    /// Hexadecimal digits; for `vpdq` the text of its frames, a line each: `number,quality,64 hexadecimal
    /// digits,seconds`; for a vector base64, hexadecimal digits of its bytes, or the list of its elements.
    #[schema(value_type = HashForm)]
    hash: JsonHash,
    /// The orientation of the image when this hash was computed: `original` (the default), `rotate-90`,
    /// `rotate-180`, `rotate-270`, `flip-x`, `flip-y`, `flip-plus-1` or `flip-minus-1`.
    variant: Option<String>,
}

/// The options of a lookup of an image or a video.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImageOptions {
    /// The banks to search, separated by commas; all that the caller may search where it is not given.
    banks: Option<String>,
    /// The largest distances of a match, such as `pdq:31`, separated by commas; for vectors decimal numbers.
    /// A type that is not named has its own default.
    max_distance: Option<String>,
    /// The rules by which a video matches, with their default numbers, separated by commas: `clip_of_known`,
    /// `contains_known`, `threatexchange`; the first two where it is not given.
    video_rules: Option<String>,
    /// Matches, 1 to 1000, the nearest first; 100 where it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// The answer must reflect every change up to this one. The gateway always requires at least its own
    /// newest write.
    min_sequence: Option<u64>,
    /// The least share of shards that must answer, 0 to 1; 1 where it is not given.
    #[param(minimum = 0, maximum = 1)]
    min_coverage: Option<f64>,
    /// The lowest PDQ quality at which a hash is trusted, 0 to 100; the frontend's own floor where it is not
    /// given.
    #[param(minimum = 0, maximum = 100)]
    quality_floor: Option<u8>,
    /// The place where the file appeared, as a word that the rules of a policy can test, such as `avatar`; at
    /// most 64 bytes.
    #[param(max_length = 64)]
    surface: Option<String>,
    /// Classifiers that are asked about the image's first frame, by the names of their models, separated by
    /// commas: at most 16. They read no videos.
    classifiers: Option<String>,
}

impl MatchAsked {
    /// Converts to a call that asks for the sequence `newest` at least.
    pub(crate) fn read(&self, newest: Sequence) -> Result<MatchCall, Problem> {
        if self.queries.is_empty() {
            return Err(Problem::field("queries", format!("is empty; it has 1 to {}", Query::BATCH_MAX)));
        }
        let contents = self.queries.iter().enumerate();
        let contents =
            contents.map(|(at, query)| query.read(&format!("queries[{at}]"))).collect::<Result<_, _>>()?;
        let options = SearchOptions {
            banks: banks(self.banks.iter().map(String::as_str))?,
            max_distances: max_distances(
                self.max_distance.iter().map(|(name, number)| (name.as_str(), number)),
            )?,
            exact: self.exact,
            video_rules: rules(&self.video_rules)?,
            limit: limit(self.limit)?,
            min_sequence: newest.max(Sequence(self.min_sequence)),
            min_coverage: min_coverage(self.min_coverage)?,
            ..SearchOptions::default()
        };
        Ok(MatchCall {
            contents,
            options,
            quality_floor: quality("quality_floor", self.quality_floor)?,
            surface: surface(&self.surface)?,
            classifiers: classifiers(self.classifiers.clone(), 0)?,
        })
    }
}

impl ImageOptions {
    /// Converts to the options of a search that asks for the sequence `newest` at least, and to the quality
    /// floor.
    pub(crate) fn read(&self, newest: Sequence) -> Result<(SearchOptions, Option<Quality>), Problem> {
        let named = listed(self.banks.as_deref());
        if named.len() > SearchOptions::BANKS_MAX {
            return Err(Problem::field(
                "banks",
                format!("has more than {} elements", SearchOptions::BANKS_MAX),
            ));
        }
        let distances = listed(self.max_distance.as_deref());
        let distances = distances.iter().map(|text| {
            let parts = text.split_once(':');
            let parts = parts.and_then(|(name, number)| Some((name, number.parse::<Number>().ok()?)));
            parts.ok_or_else(|| Problem::field("max_distance", "is TYPE:DISTANCE, as in pdq:31"))
        });
        let distances = distances.collect::<Result<Vec<_>, _>>()?;
        let distances = distances.iter().map(|(name, number)| (*name, number));
        let options = SearchOptions {
            banks: banks(named.iter().map(String::as_str))?,
            max_distances: max_distances(distances)?,
            video_rules: usual_rules(&listed(self.video_rules.as_deref()))?,
            limit: limit(self.limit)?,
            min_sequence: newest.max(Sequence(self.min_sequence.unwrap_or(0))),
            min_coverage: min_coverage(self.min_coverage)?,
            ..SearchOptions::default()
        };
        Ok((options, quality("quality_floor", self.quality_floor)?))
    }

    /// Returns the names of the classifiers to run.
    pub(crate) fn classifiers(&self) -> Result<Vec<Box<str>>, Problem> {
        classifiers(listed(self.classifiers.as_deref()), 0)
    }

    /// Returns the surface: the place from which the image comes.
    pub(crate) fn surface(&self) -> Result<Box<str>, Problem> {
        surface(self.surface.as_deref().unwrap_or_default())
    }
}

impl QueryAsked {
    fn read(&self, field: &str) -> Result<Content, Problem> {
        if self.hashes.is_empty() {
            return Err(Problem::field(format!("{field}.hashes"), "is empty; it has 1 to 64"));
        }
        let hashes = self.hashes.iter().enumerate();
        let hashes =
            hashes.map(|(at, hash)| hash.read(&format!("{field}.hashes[{at}]"))).collect::<Result<_, _>>()?;
        let pdq_quality = quality(&format!("{field}.pdq_quality"), self.pdq_quality)?;
        Ok(Content::Hashed { hashes, pdq_quality })
    }
}

impl QueryHashAsked {
    fn read(&self, field: &str) -> Result<QueryHash, Problem> {
        let named = |name: &str| Variant::ALL.into_iter().find(|variant| variant.name() == name);
        let variant = match &self.variant {
            None => Variant::Original,
            Some(name) => named(name).ok_or_else(|| {
                let known: Vec<&str> = Variant::ALL.iter().map(|variant| variant.name()).collect();
                Problem::field(
                    format!("{field}.variant"),
                    format!("is not a variant; use one of {}", known.join(", ")),
                )
            })?,
        };
        Ok(QueryHash { hash: hash(field, &self.hash_type, self.hash.as_str())?, variant })
    }
}

/// Splits a text at commas, and drops empty parts.
fn listed(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn banks<'t>(names: impl Iterator<Item = &'t str>) -> Result<Vec<BankRef>, Problem> {
    names.enumerate().map(|(at, name)| value(&format!("banks[{at}]"), name)).collect()
}

fn max_distances<'t>(asked: impl Iterator<Item = (&'t str, &'t Number)>) -> Result<MaxDistances, Problem> {
    let mut distances = MaxDistances::default();
    for (name, number) in asked {
        let hash_type: HashType = value("max_distance", name)?;
        let distance = distance("max_distance", hash_type, number)?;
        distances =
            distances.with(hash_type, distance.0).map_err(|why| Problem::field("max_distance", why))?;
    }
    Ok(distances)
}

fn surface(text: &str) -> Result<Box<str>, Problem> {
    vigie_proto::matching_surface(text).map_err(|invalid| Problem::field("surface", invalid.reason))
}

fn limit(limit: Option<u16>) -> Result<Limit, Problem> {
    match limit {
        None => Ok(Limit::default()),
        Some(0) => Err(Problem::field("limit", format!("is 0; it must be 1 to {}", Limit::MAX))),
        Some(limit) => Limit::new(limit.into()).map_err(|why| Problem::field("limit", why)),
    }
}

fn min_coverage(share: Option<f64>) -> Result<MinCoverage, Problem> {
    let share = share.map(MinCoverage::new).transpose();
    Ok(share.map_err(|why| Problem::field("min_coverage", why))?.unwrap_or_default())
}

fn quality(field: &str, score: Option<u8>) -> Result<Option<Quality>, Problem> {
    score.map(|score| Quality::new(score.into())).transpose().map_err(|why| Problem::field(field, why))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vigie_model::vectors::VectorClass;
    use vigie_model::{Declaration, Distance, Hash, declared};

    use super::*;

    fn asked(value: serde_json::Value) -> Result<MatchCall, Problem> {
        serde_json::from_value::<MatchAsked>(value).unwrap().read(Sequence(7))
    }

    #[test]
    fn a_lookup_has_the_defaults_of_a_search_and_the_newest_write() {
        let md5 = "01".repeat(16);
        let call = asked(json!({ "queries": [{ "hashes": [{ "type": "md5", "hash": md5 }] }] })).unwrap();
        let hash = QueryHash { hash: Hash::md5([1; 16]), variant: Variant::Original };
        assert_eq!(call.contents, [Content::Hashed { hashes: vec![hash], pdq_quality: None }]);
        assert_eq!(call.options, SearchOptions { min_sequence: Sequence(7), ..SearchOptions::default() });
        assert_eq!(call.quality_floor, None);
    }

    #[test]
    fn every_option_of_a_lookup_arrives() {
        let pdq = "02".repeat(32);
        let call = asked(json!({
            "queries": [{ "hashes": [{ "hash_type": "PDQ", "hash": pdq, "variant": "flip-x" }], "pdq_quality": 80 }],
            "banks": ["known", "acme/shared"], "max_distance": { "pdq": 12 }, "limit": 3, "min_sequence": 9,
            "min_coverage": 0.5, "quality_floor": 40, "surface": "avatar", "classifiers": ["nsfw"]
        }))
        .unwrap();
        let hash = QueryHash { hash: Hash::pdq([2; 32]), variant: Variant::FlipX };
        assert_eq!(
            call.contents,
            [Content::Hashed { hashes: vec![hash], pdq_quality: Quality::new(80).ok() }]
        );
        let SearchOptions { banks, max_distances, limit, min_sequence, min_coverage, .. } = call.options;
        assert_eq!(banks, ["known".parse().unwrap(), "acme/shared".parse().unwrap()]);
        assert_eq!(max_distances.get(HashType::PDQ), Distance(12));
        assert_eq!((limit.get(), min_sequence, min_coverage.get()), (3, Sequence(9), 0.5));
        assert_eq!((call.quality_floor, &*call.surface), (Quality::new(40).ok(), "avatar"));
        assert_eq!(call.classifiers, ["nsfw".into()]);
    }

    /// A type of vectors with 2 elements of `f32`, cosine distance, and distances of 0.1 by default and 0.5
    /// at most.
    fn vector_type() -> HashType {
        let hash_type = VectorClass::ALL[0].hash_type(62);
        let (distance_default, distance_max) = (Distance(100_000), Distance(500_000));
        let name = "gateway_asked".into();
        let declaration = Declaration { hash_type, name, elements: 2, distance_default, distance_max };
        declared::register(&declaration).unwrap();
        hash_type
    }

    #[test]
    fn a_vector_is_asked_about_by_its_elements_and_by_its_base64() {
        let hash_type = vector_type();
        let bytes: Vec<u8> = [0.6_f32, 0.8].iter().flat_map(|number| number.to_le_bytes()).collect();
        let hash = Hash::from_bytes(hash_type, &bytes).unwrap();
        let query =
            |value: serde_json::Value| json!({ "hashes": [{ "type": "gateway_asked", "hash": value }] });
        let text = hash.to_text();
        let call = asked(json!({
            "queries": [query(json!([3, 4.0])), query(json!(text)), query(json!("[3, 4]"))],
            "max_distance": { "gateway_asked": 0.1832041, "pdq": 9 }, "exact": true
        }))
        .unwrap();
        let expected = Content::Hashed {
            hashes: vec![QueryHash { hash, variant: Variant::Original }],
            pdq_quality: None,
        };
        assert_eq!(call.contents, vec![expected; 3]);
        assert!(call.options.exact);
        let distances = &call.options.max_distances;
        assert_eq!(
            (distances.get(hash_type), distances.get(HashType::PDQ)),
            (Distance(183_204), Distance(9))
        );
        for wrong in [json!([3]), json!([0, 0]), json!([3, 1e99]), json!([]), json!("x")] {
            let problem = asked(json!({ "queries": [query(wrong.clone())] })).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("queries[0].hashes[0].hash"), "{wrong}");
        }
        let (options, _) =
            serde_urlencoded::from_str::<ImageOptions>("max_distance=gateway_asked:0.25,pdq:3")
                .unwrap()
                .read(Sequence(0))
                .unwrap();
        assert_eq!(options.max_distances.get(hash_type), Distance(250_000));
    }

    #[test]
    fn a_distance_in_the_wrong_unit_is_refused() {
        vector_type();
        let query = json!([{ "hashes": [{ "type": "md5", "hash": "01".repeat(16) }] }]);
        for distances in [
            json!({ "pdq": 0.5 }),
            json!({ "pdq": -1 }),
            json!({ "pdq": 5_000_000_000_u64 }),
            json!({ "gateway_asked": -0.1 }),
            json!({ "gateway_asked": 0.500001 }),
            json!({ "gateway_asked": 1e300 }),
        ] {
            let problem = asked(json!({ "queries": query, "max_distance": distances })).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("max_distance"), "{distances}");
        }
    }

    #[test]
    fn the_field_of_a_wrong_lookup_is_named() {
        let md5 = || json!({ "type": "md5", "hash": "01".repeat(16) });
        let one = || json!([{ "hashes": [md5()] }]);
        for (value, field) in [
            (json!({ "queries": [] }), "queries"),
            (json!({ "queries": [{ "hashes": [] }] }), "queries[0].hashes"),
            (
                json!({ "queries": [{ "hashes": [md5(), { "type": "md5", "hash": "01" }] }] }),
                "queries[0].hashes[1].hash",
            ),
            (
                json!({ "queries": [{ "hashes": [{ "type": "md5", "hash": "01".repeat(16), "variant": "up" }] }] }),
                "queries[0].hashes[0].variant",
            ),
            (json!({ "queries": [{ "hashes": [md5()], "pdq_quality": 101 }] }), "queries[0].pdq_quality"),
            (json!({ "queries": one(), "banks": ["a", "b c"] }), "banks[1]"),
            (json!({ "queries": one(), "max_distance": { "pdq": 99 } }), "max_distance"),
            (json!({ "queries": one(), "max_distance": { "x": 1 } }), "max_distance"),
            (json!({ "queries": one(), "limit": 0 }), "limit"),
            (json!({ "queries": one(), "limit": 1_001 }), "limit"),
            (json!({ "queries": one(), "min_coverage": 1.5 }), "min_coverage"),
            (json!({ "queries": one(), "quality_floor": 101 }), "quality_floor"),
            (json!({ "queries": one(), "surface": "x".repeat(65) }), "surface"),
            (json!({ "queries": one(), "classifiers": ["a", "a"] }), "classifiers[1]"),
            (json!({ "queries": one(), "classifiers": ["A"] }), "classifiers[0]"),
        ] {
            assert_eq!(asked(value.clone()).unwrap_err().field.as_deref(), Some(field), "{value}");
        }
    }

    #[test]
    fn the_options_of_an_image_are_those_of_a_lookup() {
        let of = |query: &str| serde_urlencoded::from_str::<ImageOptions>(query).unwrap().read(Sequence(7));
        let (options, floor) = of("banks=a,%20b/c&max_distance=pdq:9,md5:0&limit=2&quality_floor=0").unwrap();
        assert_eq!(options.banks, ["a".parse().unwrap(), "b/c".parse().unwrap()]);
        assert_eq!((options.max_distances.get(HashType::PDQ), options.limit.get()), (Distance(9), 2));
        assert_eq!((options.min_sequence, floor), (Sequence(7), Quality::new(0).ok()));
        for (query, field) in
            [("max_distance=pdq", "max_distance"), ("banks=a%20b", "banks[0]"), ("limit=0", "limit")]
        {
            assert_eq!(of(query).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
    }
}
