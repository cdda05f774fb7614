//! Distances and shares as people read them.

use vigie_model::{Distance, HashType, Recall};

use crate::console::text::Language;
use crate::console::visit::Visit;

/// Returns the distance of a match in words: "3 bits differ"; of a vector "0.183204 apart".
pub(crate) fn distance(visit: &Visit, hash_type: HashType, distance: Distance) -> String {
    match hash_type.vector_class() {
        None => visit.count("review.bits", distance.0.into()),
        Some(_) => visit.fill("parts.apart", &[("distance", &measure(visit.language, hash_type, distance))]),
    }
}

/// Returns the number of a distance: bits; of a vector a decimal number without zeros at its end.
pub(crate) fn measure(language: Language, hash_type: HashType, distance: Distance) -> String {
    let text = hash_type.distance_text(distance);
    match text.contains('.') {
        true => language.decimal(text.trim_end_matches('0').trim_end_matches('.')),
        false => text,
    }
}

/// Returns a measured recall as percent with two decimals, rounded down: the index is never called better
/// than it was measured.
pub(crate) fn percent(language: Language, recall: Recall) -> String {
    // A little more than the number, which has no exact form: 0.29 is 29 %.
    let hundredths = (recall.value.clamp(0.0, 1.0) * 10_000.0 + 1e-6).floor();
    let text = format!("{:.2}", hundredths / 100.0);
    language.decimal(text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use vigie_model::vectors::VectorClass;

    use super::*;

    #[test]
    fn a_distance_is_a_number_of_the_type() {
        let vector = VectorClass::ALL[0].hash_type(65);
        let check = |hash_type, distance, english: &str, french: &str| {
            let of = |language| measure(language, hash_type, Distance(distance));
            assert_eq!((&*of(Language::English), &*of(Language::French)), (english, french));
        };
        check(vector, 183_204, "0.183204", "0,183204");
        check(vector, 150_000, "0.15", "0,15");
        check(vector, 2_000_000, "2", "2");
        check(vector, 0, "0", "0");
        check(HashType::PDQ, 30, "30", "30");
    }

    #[test]
    fn a_recall_is_rounded_down() {
        let check = |value, expected: &str| {
            assert_eq!(percent(Language::English, Recall { value, sample: 200, k: 10 }), expected);
        };
        check(1.0, "100");
        check(0.29, "29");
        check(0.9965, "99.65");
        check(0.999_99, "99.99");
        check(0.0, "0");
    }
}
