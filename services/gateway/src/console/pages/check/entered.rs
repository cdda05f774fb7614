//! Hashes that a person enters: one per line, in the formats that tools print.
//!
//! | form | example |
//! |---|---|
//! | digits alone | `9f86d081...`, in hexadecimal or, where the type has it, base64 |
//! | with the name of the type | `pdq:f8f8...`, `md5 d41d...`, `sha256=...` |
//! | as digest programs print it | `d41d...  picture.jpg`, `MD5 (picture.jpg) = d41d...` |
//! | as PDQ's programs print it | `f8f8...,87,picture.jpg`: the hash, its quality, the file |
//! | of a vector | the name of its type, and base64 or the list of its elements: `clip:[0.12, ...]` |
//! | of a video | lines of frames, or a list of them: the text forms of vPDQ |
//!
//! Digits without a type name may be hashes of several types: the search covers all of them. Only a name
//! makes a vector.

use vigie_hashes::frames::text::is_line;
use vigie_model::{Content, Hash, HashType, MatchCall, Quality, QueryHash, Variant};

/// The most hashes in a form.
pub(super) const HASHES_MAX: usize = 64;
/// The most invalid lines that are named.
const FAULTS_SHOWN: usize = 5;

/// Content that is entered as hashes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entered {
    /// The first line of the content, from 1.
    pub(super) line: usize,
    /// The possible types of the hash.
    pub(super) types: Vec<HashType>,
    /// The content to search.
    pub(super) content: Content,
}

/// The reason for which the entered text is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// These lines, from 1, are not hashes of any type. At most [`FAULTS_SHOWN`] lines.
    Lines(Vec<usize>),
    /// The text has more than [`HASHES_MAX`] hashes.
    TooMany,
}

/// The text is not a list of at most [`MatchCall::CLASSIFIERS_MAX`] names of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoModels;

/// Parses names of models, separated by commas or spaces. Returns each name once.
pub(super) fn classifiers(text: &str) -> Result<Vec<Box<str>>, NoModels> {
    let mut names: Vec<Box<str>> = Vec::new();
    for name in text.split([',', ' ']).filter(|name| !name.is_empty()) {
        let name: vigie_classifiers::Name = name.parse().map_err(|_| NoModels)?;
        if names.iter().any(|known| **known == *name.as_str()) {
            continue;
        }
        if names.len() == MatchCall::CLASSIFIERS_MAX {
            return Err(NoModels);
        }
        names.push(name.as_str().into());
    }
    Ok(names)
}

/// Parses the hashes of a text. Skips empty lines.
pub(super) fn read(text: &str) -> Result<Vec<Entered>, Fault> {
    let mut lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()).peekable();
    let (mut entered, mut wrong) = (Vec::new(), Vec::new());
    while let Some((at, first)) = lines.next() {
        if entered.len() == HASHES_MAX {
            return Err(Fault::TooMany);
        }
        let mut whole = first.to_owned();
        let is_list = |text: &str| text.starts_with('[');
        // The hash of a video and a list of elements continue on the following lines.
        if is_line(first) {
            while let Some((_, next)) = lines.next_if(|(_, next)| is_line(next)) {
                whole.push('\n');
                whole.push_str(next);
            }
        } else if is_list(first) || named(first).is_some_and(|(_, rest)| is_list(rest)) {
            while !whole.ends_with(']')
                && let Some((_, next)) = lines.next()
            {
                whole.push_str(next);
            }
        }
        match hashes_of(&whole) {
            Some((hashes, pdq_quality)) => {
                let types = hashes.iter().map(Hash::hash_type).collect();
                let hashes =
                    hashes.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original }).collect();
                let content = Content::Hashed { hashes, pdq_quality };
                entered.push(Entered { line: at + 1, types, content });
            }
            None => wrong.push(at + 1),
        }
        if wrong.len() == FAULTS_SHOWN {
            break;
        }
    }
    if wrong.is_empty() { Ok(entered) } else { Err(Fault::Lines(wrong)) }
}

/// Returns the possible hashes of a text, each of another type, and PDQ's quality if the text has it.
fn hashes_of(text: &str) -> Option<(Vec<Hash>, Option<Quality>)> {
    if text.starts_with('[') || is_line(text.lines().next().unwrap_or_default()) {
        return Hash::from_text(HashType::VPDQ, text).ok().map(|hash| (vec![hash], None));
    }
    if let Some((hash_type, rest)) = named(text) {
        let is_whole = hash_type == HashType::VPDQ || rest.starts_with('[');
        let digits = if is_whole { rest } else { first_word(rest) };
        let hash = Hash::from_text(hash_type, digits).ok()?;
        return Some((vec![hash], quality(rest)));
    }
    let digits = first_word(text);
    let types = HashType::of_table().filter(|hash_type| *hash_type != HashType::VPDQ);
    let hashes: Vec<Hash> = types.filter_map(|hash_type| Hash::from_text(hash_type, digits).ok()).collect();
    let is_any = !hashes.is_empty();
    is_any.then(|| (hashes, quality(text)))
}

/// Returns the type that a text names, and the text after the name.
fn named(text: &str) -> Option<(HashType, &str)> {
    // OpenSSL prints `SHA2-256`.
    let of = |name: &str| name.trim().to_ascii_lowercase().replace("sha2-", "sha").parse().ok();
    let bracketed = text.split_once('(').and_then(|(name, rest)| {
        let (_, digits) = rest.rsplit_once('=')?;
        Some((of(name)?, digits.trim()))
    });
    bracketed.or_else(|| {
        let (name, rest) = text.split_once([':', '=', ',', ' ', '\t'])?;
        Some((of(name)?, rest.trim_start_matches([':', '=', ',', ' ', '\t'])))
    })
}

fn first_word(text: &str) -> &str {
    text.split([' ', '\t', ',']).next().unwrap_or_default()
}

/// Parses the quality that PDQ's programs print after a hash.
fn quality(text: &str) -> Option<Quality> {
    let digits = first_word(text);
    let second = text.strip_prefix(digits)?.strip_prefix(',')?;
    let quality: u64 = first_word(second.trim_start()).parse().ok()?;
    (digits.len() == 64).then(|| Quality::new(quality).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use vigie_model::vectors::VectorClass;
    use vigie_model::{Declaration, Distance, declared};

    use super::*;

    fn types(text: &str) -> Vec<Vec<HashType>> {
        read(text).unwrap().into_iter().map(|entered| entered.types).collect()
    }

    #[test]
    fn classifiers_are_named_once_each() {
        let read = |text: &str| classifiers(text).map(|names| names.join("+"));
        assert_eq!(read(""), Ok(String::new()));
        assert_eq!(read(" nsfw, gore,nsfw "), Ok("nsfw+gore".to_owned()));
        assert_eq!(read("NSFW"), Err(NoModels));
        let many = |count: usize| (0..count).map(|at| format!("m{at}")).collect::<Vec<_>>().join(",");
        assert!(read(&many(MatchCall::CLASSIFIERS_MAX)).is_ok());
        assert_eq!(read(&many(MatchCall::CLASSIFIERS_MAX + 1)), Err(NoModels));
    }

    #[test]
    fn digits_without_a_name_are_all_that_they_may_be() {
        let md5 = "01".repeat(16);
        assert_eq!(types(&md5), [[HashType::MD5, HashType::URL_MD5]]);
        assert_eq!(types(&"AB".repeat(32)), [[HashType::PDQ, HashType::SHA256, HashType::TEXT_SHA256]]);
        assert_eq!(types(&"cd".repeat(20)), [[HashType::SHA1]]);
        assert_eq!(types(&"ef".repeat(64)), [[HashType::SHA512]]);
        assert_eq!(types("AQEBAQEBAQEBAQEBAQEBAQ=="), [[HashType::MD5, HashType::URL_MD5]]);
    }

    #[test]
    fn names_and_the_forms_of_programs_are_read() {
        let (md5, sha256) = ("01".repeat(16), "02".repeat(32));
        for text in [
            format!("md5:{md5}"),
            format!("MD5 {md5}"),
            format!("md5 = {md5}"),
            format!("MD5 (a = b.jpg) = {md5}"),
            format!("MD5(a.jpg)= {md5}"),
        ] {
            assert_eq!(types(&text), [[HashType::MD5]], "{text}");
        }
        assert_eq!(types(&format!("SHA2-256(a.jpg)= {sha256}")), [[HashType::SHA256]]);
        assert_eq!(types(&format!("\n{md5}  a.jpg\n\n  {md5} *b.jpg\n")).len(), 2);
        assert_eq!(read(&format!("\n\n{md5}")).unwrap()[0].line, 3);
    }

    #[test]
    fn the_quality_beside_a_pdq_hash_is_kept() {
        let pdq = "0f".repeat(32);
        for text in [format!("{pdq},12,a.jpg"), format!("pdq:{pdq},12")] {
            let [Entered { content: Content::Hashed { pdq_quality, .. }, .. }] = &read(&text).unwrap()[..]
            else {
                panic!("{text}")
            };
            assert_eq!(*pdq_quality, Quality::new(12).ok(), "{text}");
        }
    }

    #[test]
    fn every_form_of_a_video_hash_is_one_content() {
        let frame = |number: u8| format!("{number},100,{},{number}.000", format!("{number:02x}").repeat(32));
        let other = |number: u8| format!("{},100,{number}.000", format!("{number:02x}").repeat(32));
        let md5 = "01".repeat(16);
        let text = format!("{}\n{}\n{md5}\n{}", frame(1), frame(2), other(3));
        let entered = read(&text).unwrap();
        assert_eq!(entered.iter().map(|one| one.line).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(entered[0].types, [HashType::VPDQ]);
        let list = format!("[\"{}\",\n\"{}\"]", other(1), other(2));
        assert_eq!(types(&list), [[HashType::VPDQ]]);
        assert_eq!(types(&format!("vpdq:{}", list.replace('\n', ""))), [[HashType::VPDQ]]);
    }

    #[test]
    fn only_a_name_makes_a_vector() {
        let hash_type = VectorClass::ALL[0].hash_type(67);
        let (distance_default, distance_max, name) = (Distance(1), Distance(2), "gateway_entered".into());
        declared::register(&Declaration { hash_type, name, elements: 4, distance_default, distance_max })
            .unwrap();
        let md5 = "01".repeat(16);
        let base64 = Hash::from_text(hash_type, "[1, 2, 3, 4]").unwrap().to_text();
        let text = format!(
            "gateway_entered:[1, 2, 3, 4]\ngateway_entered [1,\n2, 3, 4]\ngateway_entered:{base64}\n{md5}"
        );
        let entered = read(&text).unwrap();
        assert_eq!(entered.iter().map(|one| one.line).collect::<Vec<_>>(), [1, 2, 4, 5]);
        assert!(entered[..3].iter().all(|one| one.types == [hash_type] && one.content == entered[0].content));
        // 16 bytes, as a vector of the type has.
        assert_eq!(entered[3].types, [HashType::MD5, HashType::URL_MD5]);
        assert_eq!(types(&base64), [[HashType::MD5, HashType::URL_MD5]]);
        assert_eq!(read("[1, 2, 3, 4]"), Err(Fault::Lines(vec![1])));
        assert_eq!(read("gateway_entered:[1, 2, 3]"), Err(Fault::Lines(vec![1])));
        assert_eq!(read("gateway_entered:[1, 2"), Err(Fault::Lines(vec![1])));
    }

    #[test]
    fn wrong_lines_are_named_and_nothing_is_searched() {
        let md5 = "01".repeat(16);
        assert_eq!(read(&format!("{md5}\nhello\n{}", &md5[1..])), Err(Fault::Lines(vec![2, 3])));
        assert_eq!(read(&format!("sha1:{md5}")), Err(Fault::Lines(vec![1])));
        assert_eq!(read("[\"never closed\""), Err(Fault::Lines(vec![1])));
        assert_eq!(read(&"x\n".repeat(100)), Err(Fault::Lines(vec![1, 2, 3, 4, 5])));
        assert_eq!(read(&format!("{md5}\n").repeat(HASHES_MAX + 1)), Err(Fault::TooMany));
        assert_eq!(read(" \n\t\n"), Ok(Vec::new()));
    }
}
