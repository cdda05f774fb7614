//! Checks fragments against the documented order of elements, read back by an XML parser.

use proptest::prelude::*;
use proptest::sample::select;
use quick_xml::events::Event;
use vigie_consortium::Text;
use vigie_model::{BankId, Distance, Hash, HashType, UnixMillis};

use super::*;
use crate::statement::{Action, Basis, DecisionRecord, MediaKind};

/// The children of `fileDetails` in the order of the schema.
const ORDER: [&str; 15] = [
    "reportId",
    "fileId",
    "fileName",
    "originalFileName",
    "uploadedToEspTimestamp",
    "locationOfFile",
    "fileViewedByEsp",
    "exifViewedByEsp",
    "publiclyAvailable",
    "fileRelevance",
    "fileAnnotations",
    "industryClassification",
    "originalFileHash",
    "details",
    "additionalInfo",
];

fn decision(person_looked: Option<bool>) -> DecisionRecord {
    DecisionRecord {
        id: [1; 16],
        at: UnixMillis(1_794_182_400_000),
        hosted_since: None,
        bank: BankId(1),
        class: Text::default(),
        verdict: Text::new("block").unwrap(),
        rule: String::new(),
        media: MediaKind::Image,
        person_looked,
        action: Some(Action::Disabled),
        acted_at: None,
        basis: Some(Basis::Notice),
        is_reinstated: false,
        matches_elsewhere: 0,
    }
}

/// Returns every element with its depth, attributes and text, as a parser finds them.
fn read(xml: &str) -> Vec<(usize, String, String, String)> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut depth, mut found, mut open) = (0, Vec::new(), Vec::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let attributes = start.attributes().map(|one| {
                    let one = one.unwrap();
                    format!(
                        "{}={}",
                        String::from_utf8_lossy(one.key.as_ref()),
                        String::from_utf8_lossy(&one.value)
                    )
                });
                let attributes = attributes.collect::<Vec<_>>().join(" ");
                open.push(found.len());
                found.push((
                    depth,
                    String::from_utf8(start.name().as_ref().to_vec()).unwrap(),
                    attributes,
                    String::new(),
                ));
                depth += 1;
            }
            Event::End(_) => {
                depth -= 1;
                open.pop();
            }
            Event::Text(text) => found[*open.last().unwrap()].3.push_str(&text.decode().unwrap()),
            Event::GeneralRef(name) => {
                let text = match &*name.decode().unwrap() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    other => panic!("{other}"),
                }
                .to_owned();
                found[*open.last().unwrap()].3.push_str(&text);
            }
            Event::Eof => break,
            other @ (Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!(depth, 0);
    found
}

proptest! {
    #[test]
    fn the_fragment_keeps_the_order_of_the_schema_and_every_trap_is_avoided(
        list in "\\PC{0,12}|[<>&\"'\\x00-\\x1f]{0,8}",
        item in "[<>&\"'a-z]{0,8}",
        looked in prop::option::of(any::<bool>()),
        classes in prop::collection::vec(select(vec!["ncmec/classification/A1", "ncmec/classification/B2", "iwf/category/A", "local/classification/A2"]), 0..3),
        hash_type in select(vec![HashType::PDQ, HashType::MD5, HashType::SHA256, HashType::TLSH, HashType::URL_MD5]),
        digests in prop::collection::vec(select(vec![DigestType::Md5, DigestType::Sha1]), 0..3),
    ) {
        let decision = decision(looked);
        let hash = Hash::sample(hash_type, 0xa5);
        let classes: Vec<String> = classes.into_iter().map(str::to_owned).collect();
        let digests: Vec<FileDigest> = digests
            .into_iter()
            .map(|one| FileDigest::new(one, &"0F".repeat(if one == DigestType::Md5 { 16 } else { 20 })).unwrap())
            .collect();
        let suspected = Suspected {
            decision: &decision,
            list: &list,
            item: &item,
            classes: &classes,
            matched: MatchedHash { hash: Some(&hash), hash_type, distance: Distance(4) },
            digests: &digests,
            is_eu_centre_indicator: false,
        };
        let elements = read(&suspected.to_file_details_xml());
        let children: Vec<_> = elements.iter().filter(|(depth, ..)| *depth == 1).collect();
        let places: Vec<usize> = children.iter().map(|(_, name, ..)| ORDER.iter().position(|one| one == name).unwrap()).collect();
        prop_assert!(places.is_sorted(), "{:?}", places);
        let texts = |name: &str| elements.iter().filter(|(_, one, ..)| one == name).map(|(.., text)| text.clone()).collect::<Vec<_>>();
        // A match alone is not a view, and no claim is made about EXIF.
        prop_assert_eq!(texts("fileViewedByEsp"), [(looked == Some(true)).to_string()]);
        prop_assert!(texts("exifViewedByEsp").is_empty());
        // Only digests of the upload, never a hash that matched.
        prop_assert_eq!(texts("originalFileHash").len(), digests.len());
        for (_, _, attributes, text) in children.iter().filter(|(_, name, ..)| name == "originalFileHash") {
            prop_assert!(["hashType=MD5", "hashType=SHA1"].contains(&attributes.as_str()));
            prop_assert!(text.len() <= 64 && *text != hash.to_text() && text.starts_with("0f0f"));
        }
        let is_perceptual = [HashType::PDQ, HashType::TLSH].contains(&hash_type);
        prop_assert_eq!(texts("value"), if is_perceptual { vec![hash.to_text()] } else { vec![] });
        prop_assert_eq!(texts("type"), if is_perceptual { vec!["HASH".to_owned()] } else { vec![] });
        // Only the classification of the same taxonomy, and only if it is one.
        let ncmec: std::collections::BTreeSet<&str> = classes.iter().filter_map(|class| class.strip_prefix("ncmec/classification/")).collect();
        let expected: Vec<String> = if ncmec.len() == 1 { ncmec.into_iter().map(str::to_owned).collect() } else { vec![] };
        prop_assert_eq!(texts("industryClassification"), expected);
        let clean = |text: &str| text.replace(char::is_control, "\u{fffd}");
        let info = &texts("additionalInfo")[0];
        prop_assert!(info.contains(&clean(&list)) && info.contains(&item) && info.contains(hash_type.name().unwrap()) && info.contains("distance 4"));
        prop_assert_eq!(info.contains("No person looked"), looked == Some(false));
        prop_assert_eq!(info.contains("is not known"), looked.is_none());
    }
}

#[test]
fn the_report_is_this_json_and_names_what_the_platform_adds() {
    let decision = decision(Some(false));
    let hash = Hash::from_bytes(HashType::PDQ, &[0; 32]).unwrap();
    let suspected = Suspected {
        decision: &decision,
        list: "hotline",
        item: "42",
        classes: &["ncmec/classification/A1".to_owned()],
        matched: MatchedHash { hash: Some(&hash), hash_type: HashType::PDQ, distance: Distance(12) },
        digests: &[],
        is_eu_centre_indicator: false,
    };
    let info = "Automated match with the list hotline, item 42, by hash type pdq at distance 12. No person looked at the file.";
    let mut json = suspected.to_json();
    let missing = json.as_object_mut().unwrap().remove("missing").unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "decision": "01".repeat(16),
            "decided_at_unix_ms": 1_794_182_400_000_u64,
            "verdict": "block",
            "file_details": {
                "fileViewedByEsp": false,
                "industryClassification": "A1",
                "originalFileHash": [],
                "details": [{"name": "pdq", "value": "0".repeat(64), "type": "HASH"}],
                "additionalInfo": [info],
            },
            "annex_iii": {"2_known_material": null, "8_learned_by": "user", "8_details": info, "10_action": "disabled"},
        })
    );
    let indicator = Suspected { is_eu_centre_indicator: true, ..suspected.clone() };
    assert_eq!(indicator.to_json()["annex_iii"]["2_known_material"], true);
    assert_eq!(missing.as_array().unwrap().len(), suspected.missing().len());
    // Each element is filled by Vigie or named as missing.
    let xml = suspected.to_file_details_xml();
    for element in ORDER {
        let is_missing = suspected.missing().iter().any(|one| one.field == format!("fileDetails/{element}"));
        let is_optional = element == "originalFileHash";
        assert!(is_missing != xml.contains(&format!("<{element}")) || is_optional, "{element}");
    }
    for required in
        ["incidentSummary/incidentType", "incidentSummary/incidentDateTime", "reporter/reportingPerson/email"]
    {
        assert!(suspected.missing().iter().any(|one| one.field == required), "{required}");
    }
    for letter in "abcdefghijk".chars().filter(|letter| *letter != 'd') {
        let head = format!("13(1)({letter})");
        assert!(suspected.missing().iter().any(|one| one.field.starts_with(&head)), "{head}");
    }
}

#[test]
fn a_perceptual_hash_is_no_digest_and_a_digest_is_not_printed() {
    let pdq = "a5".repeat(32);
    assert!(
        FileDigest::new(DigestType::Md5, &pdq).is_err() && FileDigest::new(DigestType::Sha1, &pdq).is_err()
    );
    assert!(FileDigest::new(DigestType::Md5, &"g".repeat(32)).is_err());
    let digest = FileDigest::new(DigestType::Md5, &"AB".repeat(16)).unwrap();
    assert_eq!(digest.hex(), "ab".repeat(16));
    assert!(!format!("{digest:?}").contains("ab"));
}
