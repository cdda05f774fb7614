//! Uses of classifiers, as frontends count them.

use vigie_classifiers::Name;
use vigie_model::MemberId;
use vigie_proto::Invalid;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_statistics::{Measure, ScoredClass};

use crate::plan::beside::counters::CountedScores;

/// Reads the uses of one class.
pub(in crate::grpc) fn counted_scores(message: &pb::CountedScores) -> Result<CountedScores, Invalid> {
    let name = |field: &str, text: &str| {
        let name: Name = text.parse().map_err(|error| Invalid::new(field, error))?;
        Ok(name.as_str().to_owned())
    };
    if message.version == 0 {
        return Err(Invalid::new("version", "is 0; versions begin with 1"));
    }
    let class = ScoredClass {
        model: name("model", &message.model)?,
        version: message.version,
        class: name("class", &message.class)?,
    };
    let [scored, above, reviews, unavailable] = Measure::OF_CLASSIFIERS;
    Ok(CountedScores {
        member: MemberId(message.member_id),
        class: class.text().ok_or_else(|| Invalid::new("class", "is too long"))?,
        counts: [
            (scored, message.scored),
            (above, message.above),
            (reviews, message.reviews),
            (unavailable, message.unavailable),
        ],
    })
}
