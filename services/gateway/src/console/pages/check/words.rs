//! The numbers of a match in plain words.

use vigie_model::{Distance, HashType, Match, Variant, VideoSide, Way};

use crate::console::parts;
use crate::console::text::Language;
use crate::console::visit::Visit;

/// Returns the common name of a hash type.
pub(super) fn type_name(hash_type: HashType) -> String {
    let known = [
        (HashType::PDQ, "PDQ"),
        (HashType::MD5, "MD5"),
        (HashType::SHA256, "SHA-256"),
        (HashType::SHA1, "SHA-1"),
        (HashType::SHA512, "SHA-512"),
        (HashType::PHOTODNA, "PhotoDNA"),
        (HashType::TLSH, "TLSH"),
        (HashType::URL_MD5, "MD5 (URL)"),
        (HashType::TEXT_SHA256, "SHA-256 (text)"),
        (HashType::VPDQ, "vPDQ"),
    ];
    let known = known.iter().find(|(known, _)| *known == hash_type);
    known.map_or_else(|| hash_type.to_string(), |(_, name)| (*name).to_owned())
}

/// Returns the names of several hash types.
pub(super) fn type_names(types: impl IntoIterator<Item = HashType>) -> String {
    types.into_iter().map(type_name).collect::<Vec<_>>().join(", ")
}

/// Returns the number of bits of a hash that is compared by bits; `None` for types that are compared for
/// equality, and for vectors.
pub(super) fn bits(hash_type: HashType) -> Option<usize> {
    if hash_type.distance_max() == Distance(0) || hash_type.vector_class().is_some() {
        return None;
    }
    // The distance of a video is the distance of two frames, which are PDQ hashes.
    let compared = if hash_type == HashType::VPDQ { HashType::PDQ } else { hash_type };
    compared.row()?.lengths.listed()?.last().map(|bytes| 8 * bytes)
}

/// Returns the nearness of a match as a sentence. `limit`: the largest distance that counts as a match.
pub(super) fn nearness(visit: &Visit, found: &Match, limit: Distance) -> String {
    let (distance, hash_type) = (found.distance.0, found.hash_type);
    let name = type_name(hash_type);
    if hash_type.vector_class().is_some() {
        let of = |distance| parts::measure(visit.language, hash_type, distance);
        let (distance, limit) = (of(found.distance), of(limit));
        return visit
            .fill("check.near.vector", &[("type", &name), ("distance", &distance), ("limit", &limit)]);
    }
    let Some(bits) = bits(hash_type) else {
        let is_of_a_file =
            [HashType::MD5, HashType::SHA1, HashType::SHA256, HashType::SHA512].contains(&hash_type);
        let key = if is_of_a_file { "check.near.file" } else { "check.near.equal" };
        return visit.fill(key, &[("type", &name)]);
    };
    // One third and two thirds of the limit.
    let key = match distance {
        _ if hash_type == HashType::VPDQ => "check.near.frames",
        0 => "check.near.same",
        _ if 3 * distance <= limit.0 => "check.near.very",
        _ if 3 * distance <= 2 * limit.0 => "check.near.near",
        _ => "check.near.far",
    };
    visit.fill(key, &[("type", &name), ("distance", &distance), ("bits", &bits), ("limit", &limit.0)])
}

/// Returns the rotation or reflection of the sent picture against the known one; `None` for the original
/// orientation.
pub(super) fn turned(visit: &Visit, variant: Variant) -> Option<&'static str> {
    let key = match variant {
        Variant::Original => return None,
        Variant::Rotate90 => "check.turned.rotate_90",
        Variant::Rotate180 => "check.turned.rotate_180",
        Variant::Rotate270 => "check.turned.rotate_270",
        Variant::FlipX => "check.turned.flip_x",
        Variant::FlipY => "check.turned.flip_y",
        Variant::FlipPlus1 => "check.turned.flip_plus_1",
        Variant::FlipMinus1 => "check.turned.flip_minus_1",
    };
    Some(visit.t(key))
}

/// Returns the change that was made to the sent picture before it matched; `None` for no change.
pub(super) fn way(visit: &Visit, way: Way) -> Option<&'static str> {
    let key = match way {
        Way::Plain => return None,
        Way::Scaled => "check.way.scaled",
        Way::Unbordered => "check.way.unbordered",
        Way::PaletteIndices => "check.way.palette_indices",
        Way::AsStored => "check.way.as_stored",
        Way::Other => "check.way.other",
    };
    Some(visit.t(key))
}

/// Returns the matching share of one side of a video match: percent of its duration, rounded down, and the
/// seconds.
pub(super) fn share(visit: &Visit, key: &str, side: &VideoSide) -> String {
    visit.fill(
        key,
        &[
            ("percent", &(side.permille() / 10)),
            ("matched", &seconds(visit, side.time_matched_ms)),
            ("whole", &seconds(visit, side.time_ms)),
            ("first", &seconds(visit, side.first_ms)),
        ],
    )
}

/// Formats milliseconds as seconds, to a tenth.
pub(super) fn seconds(visit: &Visit, ms: u32) -> String {
    decimal(visit.language, f64::from(ms) / 1_000.0)
}

fn decimal(language: Language, number: f64) -> String {
    language.decimal(&format!("{number:.1}"))
}

#[cfg(test)]
mod tests {
    use vigie_model::vectors::VectorClass;

    use super::*;

    #[test]
    fn types_have_the_names_that_people_write_and_bits_where_they_are_counted() {
        for hash_type in HashType::of_table() {
            assert!(type_name(hash_type).chars().any(char::is_uppercase), "{hash_type}");
        }
        assert_eq!(type_names([HashType::PDQ, HashType::SHA256]), "PDQ, SHA-256");
        assert_eq!(
            (bits(HashType::PDQ), bits(HashType::VPDQ), bits(HashType::MD5)),
            (Some(256), Some(256), None)
        );
        assert_eq!(bits(VectorClass::ALL[0].hash_type(66)), None);
    }

    #[test]
    fn decimals_are_written_as_the_language_has_it() {
        assert_eq!(
            (decimal(Language::English, 1.25), decimal(Language::French, 12.34)),
            ("1.2".into(), "12,3".into())
        );
    }
}
