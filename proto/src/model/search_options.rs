//! The options that all queries of one call share, including the set of banks to search.

use std::sync::Arc;

use prost::encoding::{decode_varint, encode_varint};
use vigie_model::{
    BankId, BankSet, Distance, HashType, Limit, MaxDistances, MemberId, MinCoverage, Query, SearchOptions,
    Sequence, Stills, Threshold,
};

use crate::invalid::{Invalid, check_len, each};
use crate::model::video::{video_rules, video_rules_message};
use crate::model::{Sender, bank_ref, hash_type, hash_type_number};
use crate::pb::model::v1 as pb;

impl From<SearchOptions> for pb::SearchOptions {
    fn from(options: SearchOptions) -> Self {
        let distance = |(hash_type, distance): (HashType, Distance)| pb::MaxDistance {
            hash_type: hash_type_number(hash_type),
            distance: distance.0,
        };
        let threshold = |one: &Threshold| pb::BankThreshold {
            hash_type: hash_type_number(one.hash_type),
            distance: one.distance.0,
            banks: encoded_set(&one.banks),
        };
        Self {
            exact: options.exact,
            bank_thresholds: options.thresholds.iter().map(threshold).collect(),
            banks: options.banks.iter().map(ToString::to_string).collect(),
            bank_set: options.bank_set.as_deref().map(encoded_set),
            member_id: options.member.map_or(0, |member| member.0),
            with_aside: options.with_aside,
            frames_answer_images: options.stills.frames_of.as_deref().map(encoded_set),
            images_answer_videos: options.stills.images_of.as_deref().map(encoded_set),
            video_rules: video_rules_message(&options.video_rules),
            max_distance: options.max_distances.asked().map(distance).collect(),
            limit: i32::try_from(options.limit.get()).unwrap_or(i32::MAX),
            min_sequence: options.min_sequence.0,
            min_coverage: Some(options.min_coverage.get()),
        }
    }
}

/// The most hash types with a distance in one call: more than the table of types is likely to have.
const DISTANCES_MAX: usize = 64;

/// Reads options; a missing message means the defaults.
pub(crate) fn search_options(
    message: Option<pb::SearchOptions>,
    sender: Sender,
) -> Result<SearchOptions, Invalid> {
    options_of(message.unwrap_or_default(), sender).map_err(|invalid| invalid.within("options"))
}

fn options_of(message: pb::SearchOptions, sender: Sender) -> Result<SearchOptions, Invalid> {
    check_len("banks", message.banks.len(), 0, SearchOptions::BANKS_MAX)?;
    check_len("max_distance", message.max_distance.len(), 0, DISTANCES_MAX)?;
    let mut max_distances = MaxDistances::default();
    for (index, wanted) in message.max_distance.iter().enumerate() {
        let entry = format!("max_distance[{index}]");
        let hash_type =
            hash_type("hash_type", wanted.hash_type, sender).map_err(|invalid| invalid.within(&entry))?;
        if max_distances.asked().any(|(named, _)| named == hash_type) {
            return Err(Invalid::new(entry, format!("names {hash_type} a second time")));
        }
        max_distances = max_distances
            .with(hash_type, wanted.distance)
            .map_err(|error| Invalid::new(format!("{entry}.distance"), error))?;
    }
    let set_of = |field: &'static str, set: Option<Vec<u8>>| {
        set.map(|set| bank_set(field, &set, sender).map(Arc::new)).transpose()
    };
    let bank_set = set_of("bank_set", message.bank_set)?;
    let stills = Stills {
        frames_of: set_of("frames_answer_images", message.frames_answer_images)?,
        images_of: set_of("images_answer_videos", message.images_answer_videos)?,
    };
    if bank_set.is_some() && !message.banks.is_empty() {
        return Err(Invalid::new("bank_set", "comes with the names of banks; a search takes one of the two"));
    }
    if sender == Sender::Client && (message.member_id != 0 || message.with_aside) {
        let field = if message.member_id == 0 { "with_aside" } else { "member_id" };
        let reason = "is for the services behind a frontend, which computes it";
        return Err(Invalid::new(field, reason));
    }
    if sender == Sender::Client && !message.bank_thresholds.is_empty() {
        let reason = "is for the services behind a frontend, which computes it";
        return Err(Invalid::new("bank_thresholds", reason));
    }
    check_len("bank_thresholds", message.bank_thresholds.len(), 0, SearchOptions::THRESHOLDS_MAX)?;
    let threshold = |message: pb::BankThreshold| {
        Ok(Threshold {
            hash_type: hash_type("hash_type", message.hash_type, sender)?,
            distance: Distance(message.distance),
            banks: set_of("banks", Some(message.banks))?.unwrap_or_default(),
        })
    };
    let min_coverage = message.min_coverage.map_or(Ok(MinCoverage::default()), MinCoverage::new);
    Ok(SearchOptions {
        banks: each("banks", message.banks, |name| bank_ref("", &name))?,
        bank_set,
        stills,
        member: (message.member_id != 0).then_some(MemberId(message.member_id)),
        with_aside: message.with_aside,
        max_distances,
        exact: message.exact,
        thresholds: each("bank_thresholds", message.bank_thresholds, threshold)?,
        video_rules: video_rules(&message.video_rules)?,
        limit: Limit::new(message.limit.into()).map_err(|error| Invalid::new("limit", error))?,
        min_sequence: Sequence(message.min_sequence),
        min_coverage: min_coverage.map_err(|error| Invalid::new("min_coverage", error))?,
    })
}

/// Checks the largest number of matches that the answer to `query_count` queries may have.
pub(crate) fn check_answers(query_count: usize, options: &SearchOptions) -> Result<(), Invalid> {
    let (asked, max) = (query_count * options.limit.get(), Query::ANSWERS_MAX);
    if asked <= max {
        return Ok(());
    }
    let reason =
        format!("times {query_count} queries is {asked} matches; at most {max} may be asked for in one call");
    Err(Invalid::new("options.limit", reason))
}

/// Encodes a set of banks as its runs of ids: for each run two varints, the number of ids skipped before it
/// and its length.
fn encoded_set(set: &BankSet) -> Vec<u8> {
    let mut encoded = Vec::new();
    let mut next = 0;
    for run in set.runs() {
        let (first, last) = (u64::from(*run.start()), u64::from(*run.end()));
        encode_varint(first - next, &mut encoded);
        encode_varint(last + 1 - first, &mut encoded);
        next = last + 1;
    }
    encoded
}

/// Reads a set of banks, which clients must not send.
fn bank_set(field: &str, mut encoded: &[u8], sender: Sender) -> Result<BankSet, Invalid> {
    if sender == Sender::Client {
        let reason = "is for the services behind a frontend, which computes it; name the banks in `banks`";
        return Err(Invalid::new(field, reason));
    }
    let is_no_set = || Invalid::new(field, "has to be runs of ids: two numbers each, neither of them 0");
    let mut ids = Vec::new();
    let mut next = 0_u64;
    while !encoded.is_empty() {
        let left_out = decode_varint(&mut encoded).map_err(|_| is_no_set())?;
        let count = decode_varint(&mut encoded).map_err(|_| is_no_set())?;
        if count == 0 || left_out == 0 && next > 0 {
            return Err(is_no_set());
        }
        if count > (BankSet::BANKS_MAX - ids.len()) as u64 {
            let reason = format!("has more than {} banks", BankSet::BANKS_MAX);
            return Err(Invalid::new(field, reason));
        }
        let first = next.saturating_add(left_out);
        next = first.saturating_add(count);
        let (Ok(first), Ok(last)) = (u32::try_from(first), u32::try_from(next - 1)) else {
            return Err(Invalid::new(field, format!("has ids beyond {}", u32::MAX)));
        };
        ids.extend((first..=last).map(BankId));
    }
    Ok(ids.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use vigie_model::{VectorClass, VideoRule, VideoRuleKind, VideoRules};

    use prost::Message as _;

    use super::*;

    fn refusal(edit: impl FnOnce(&mut pb::SearchOptions)) -> String {
        let mut message = pb::SearchOptions::default();
        edit(&mut message);
        search_options(Some(message), Sender::Client).unwrap_err().to_string()
    }

    #[test]
    fn options_left_out_take_their_defaults() {
        assert_eq!(search_options(None, Sender::Client).unwrap(), SearchOptions::default());
    }

    #[test]
    fn options_survive_the_wire() {
        let options = SearchOptions {
            banks: vec!["a".parse().unwrap(), "b-2".parse().unwrap()],
            bank_set: None,
            member: None,
            with_aside: false,
            max_distances: MaxDistances::default().with(HashType::PDQ, 12).unwrap(),
            video_rules: VideoRules::new([VideoRule::usual(VideoRuleKind::ThreatExchange)]).unwrap(),
            stills: Stills::default(),
            exact: true,
            thresholds: Vec::new(),
            limit: Limit::new(7).unwrap(),
            min_sequence: Sequence(99),
            min_coverage: MinCoverage::new(0.25).unwrap(),
        };
        let message = pb::SearchOptions::from(options.clone());
        assert_eq!(message.max_distance, [pb::MaxDistance { hash_type: 1, distance: 12 }]);
        assert_eq!(search_options(Some(message), Sender::Client).unwrap(), options);
        let stills = Stills {
            frames_of: Some(Arc::new([BankId(3), BankId(9)].into_iter().collect())),
            images_of: Some(Arc::default()),
        };
        let threshold = |distance| Threshold {
            hash_type: VectorClass::ALL[0].hash_type(9),
            distance: Distance(distance),
            banks: Arc::new([BankId(distance)].into_iter().collect()),
        };
        let thresholds = vec![threshold(3), threshold(700_000)];
        let of_a_member =
            SearchOptions { member: Some(MemberId(3)), with_aside: true, stills, thresholds, ..options };
        let message = pb::SearchOptions::from(of_a_member.clone());
        assert_eq!(search_options(Some(message), Sender::Peer).unwrap(), of_a_member);
        let plain = pb::SearchOptions::from(SearchOptions::default());
        assert_eq!(plain.max_distance, [], "defaults do not travel");
    }

    #[test]
    fn each_wrong_option_is_named() {
        assert!(
            refusal(|options| options.member_id = 3).starts_with("options.member_id: is for the services")
        );
        let threshold = pb::BankThreshold::default();
        assert!(
            refusal(|options| options.bank_thresholds.push(threshold))
                .starts_with("options.bank_thresholds: is for the services")
        );
        assert!(refusal(|options| options.with_aside = true).starts_with("options.with_aside: is for the"));
        let far = pb::MaxDistance { hash_type: 1, distance: 300 };
        assert_eq!(
            refusal(|options| options.max_distance.push(far)),
            "options.max_distance[0].distance: max_distance for pdq is 300; it must be 0 to 64"
        );
        assert_eq!(
            refusal(|options| options.limit = -5),
            "options.limit: limit is -5; it must be 1 to 1000, or 0 for the default of 100"
        );
        assert!(refusal(|options| options.banks.push("a b".into())).starts_with("options.banks[0]: "));
        assert!(refusal(|options| options.min_coverage = Some(1.5)).starts_with("options.min_coverage: "));
        let unknown = pb::MaxDistance { hash_type: 77, distance: 0 };
        assert!(refusal(|options| options.max_distance.push(unknown)).contains("max_distance[0].hash_type"));
        let twice = pb::MaxDistance { hash_type: 1, distance: 3 };
        assert!(refusal(|options| options.max_distance = vec![twice; 2]).contains("a second time"));
    }

    #[test]
    fn a_distance_of_an_unknown_type_is_refused_from_clients_and_kept_from_peers() {
        let far = pb::SearchOptions {
            max_distance: vec![pb::MaxDistance { hash_type: 4_321, distance: 500 }],
            ..Default::default()
        };
        assert!(search_options(Some(far.clone()), Sender::Client).is_err());
        let kept = search_options(Some(far.clone()), Sender::Peer).unwrap();
        assert_eq!(pb::SearchOptions::from(kept).max_distance, far.max_distance);
    }

    #[test]
    fn a_set_of_banks_survives_the_wire() {
        for ids in [&[][..], &[1], &[1, 2, 63, 64, 9_000, u32::MAX]] {
            let set: BankSet = ids.iter().copied().map(BankId).collect();
            let options = SearchOptions { bank_set: Some(Arc::new(set)), ..SearchOptions::default() };
            let bytes = pb::SearchOptions::from(options.clone()).encode_to_vec();
            let message = pb::SearchOptions::decode(&*bytes).unwrap();
            assert_eq!(search_options(Some(message), Sender::Peer).unwrap(), options);
        }
    }

    #[test]
    fn a_wrong_set_of_banks_is_refused() {
        let check = |numbers: &[u64], names: &[&str], sender, expected: &str| {
            let banks = names.iter().map(ToString::to_string).collect();
            let mut set = Vec::new();
            numbers.iter().for_each(|number| encode_varint(*number, &mut set));
            let message = pb::SearchOptions { banks, bank_set: Some(set), ..pb::SearchOptions::default() };
            let refused = search_options(Some(message), sender).unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{numbers:?}: {refused}");
        };
        let from_client = "options.bank_set: is for the services behind a frontend";
        check(&[0, 1], &[], Sender::Client, from_client);
        check(&[], &[], Sender::Client, from_client);
        check(&[0, 1], &["a"], Sender::Peer, "options.bank_set: comes with the names of banks");
        let no_runs = "options.bank_set: has to be runs of ids";
        for numbers in [&[0][..], &[0, 0], &[3, 1, 0, 1], &[3, 1, 1, 0], &[3, 1, 1]] {
            check(numbers, &[], Sender::Peer, no_runs);
        }
        let (too_many, beyond) =
            ("options.bank_set: has more than 50000 banks", "options.bank_set: has ids beyond 4294967295");
        check(&[7, 50_001], &[], Sender::Peer, too_many);
        check(&[7, u64::MAX], &[], Sender::Peer, too_many);
        check(&[7, 49_999, 1, 2], &[], Sender::Peer, too_many);
        check(&[1 << 32, 1], &[], Sender::Peer, beyond);
        check(&[(1 << 32) - 1, 2], &[], Sender::Peer, beyond);
        check(&[u64::MAX, 1], &[], Sender::Peer, beyond);
        let cut = pb::SearchOptions { bank_set: Some(vec![0, 0x80]), ..pb::SearchOptions::default() };
        let refused = search_options(Some(cut), Sender::Peer).unwrap_err().to_string();
        assert!(refused.starts_with(no_runs), "{refused}");
    }

    #[test]
    fn a_run_of_ids_is_sent_in_few_bytes() {
        let set: BankSet = (1..=40_000).map(BankId).collect();
        assert_eq!(encoded_set(&set).len(), 4);
        // The largest number of runs that a set can have.
        let apart: BankSet = (0..50_000).map(|id| BankId(2 * id)).collect();
        let encoded = encoded_set(&apart);
        assert_eq!(encoded.len(), 100_000);
        assert_eq!(bank_set("bank_set", &encoded, Sender::Peer).unwrap(), apart);
    }
}
