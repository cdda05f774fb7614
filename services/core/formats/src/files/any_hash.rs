//! Parsing of a hash as a person writes or pastes it.

use vigie_model::{Hash, HashType};

/// Parses a hash. A prefix (`md5:...`) names its type; without one, returns a hash of every type with that
/// text form: 64 hexadecimal digits can be a PDQ hash or a SHA-256 digest. A vector needs its name.
///
/// # Errors
///
/// The text is not a hash. The message gives the reason, without the text.
pub fn any_hash(text: &str) -> Result<Vec<Hash>, String> {
    if let Some((name, hash)) = text.split_once(':')
        && let Ok(hash_type) = name.parse::<HashType>()
    {
        return Hash::from_text(hash_type, hash).map(|hash| vec![hash]).map_err(|error| error.to_string());
    }
    let hashes: Vec<Hash> =
        HashType::of_table().filter_map(|hash_type| Hash::from_text(hash_type, text).ok()).collect();
    if hashes.is_empty() { Err(format!("is no hash: {}", forms())) } else { Ok(hashes) }
}

/// Describes the text forms of hashes.
fn forms() -> String {
    let rows = HashType::of_table().filter_map(HashType::row);
    let listed = rows.filter_map(|row| Some((row.lengths.listed()?, row.name)));
    let digits = listed.flat_map(|(lengths, name)| lengths.iter().map(move |length| (2 * length, name)));
    let digits: Vec<String> = digits.map(|(digits, name)| format!("{name} has {digits}")).collect();
    format!("of hexadecimal digits, {}; TYPE:HASH names the type", digits.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PDQ: &str = "abababababababababababababababababababababababababababababababab";
    const MD5: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

    fn types(text: &str) -> Vec<HashType> {
        any_hash(text).unwrap().iter().map(Hash::hash_type).collect()
    }

    #[test]
    fn a_hash_is_of_the_type_that_is_named_or_of_all_that_look_like_it() {
        assert_eq!(types(PDQ), [HashType::PDQ, HashType::SHA256, HashType::TEXT_SHA256]);
        assert_eq!(types(&format!("sha256:{PDQ}")), [HashType::SHA256]);
        assert_eq!(types(MD5), [HashType::MD5, HashType::URL_MD5]);
        assert_eq!(types("zc3Nzc3Nzc3Nzc3Nzc3NzQ=="), [HashType::MD5, HashType::URL_MD5]);
        assert_eq!(types(&"e".repeat(40)), [HashType::SHA1]);
        assert_eq!(types(&"e".repeat(128)), [HashType::SHA512]);
        assert_eq!(types(&format!("T1{}", "E".repeat(70))), [HashType::TLSH]);
        for wrong in ["", "abab", "pdq:abab", "holiday.jpg", &format!("md5:{PDQ}"), &format!("{PDQ}ab")] {
            let reason = any_hash(wrong).unwrap_err();
            assert!(!reason.contains("abab"), "a hash is repeated: {reason}");
        }
        assert!(any_hash("x").unwrap_err().contains("md5 has 32"));
    }
}
