//! Fills the part of a report to an authority that a report or a recorded decision can provide.

use anyhow::Context as _;
use serde_json::Value;
use vigie_clients::ReportListing;
use vigie_consortium::cases::DecisionListing;
use vigie_consortium::{Class, Text};
use vigie_model::{Distance, HashType};
use vigie_statistics::statement::{Basis, DecisionRecord, MediaKind};
use vigie_statistics::suspected::{MatchedHash, Suspected};

use crate::cli::Fragment;
use crate::commands::cases::decision_record::{bank, decision_record, nearest};

/// Returns the fragment of a report, in the given format.
pub(super) fn fragment(report: &ReportListing, format: Fragment) -> anyhow::Result<String> {
    let contents = &report.contents;
    let matched = contents.matched.with_context(|| {
        format!(
            "report {} names no hash that matched, so it fills no part of a report to an authority",
            report.number
        )
    })?;
    let verdict = contents.verdict.map(|verdict| verdict.name().to_ascii_lowercase()).unwrap_or_default();
    let decision = DecisionRecord {
        id: contents.decision.unwrap_or_default(),
        at: contents.decided_at.unwrap_or(report.submitted_at),
        hosted_since: None,
        bank: report.bank_id,
        class: Text::default(),
        verdict: Text::new(&verdict)?,
        rule: String::new(),
        media: MediaKind::Other,
        person_looked: contents.person_looked,
        action: None,
        acted_at: None,
        basis: Some(Basis::Own),
        is_reinstated: false,
        matches_elsewhere: 0,
    };
    let list = report.bank.as_ref().map_or_else(|| format!("bank {}", report.bank_id), ToString::to_string);
    let item = contents.item.map_or_else(|| "not known".to_owned(), |item| item.0.to_string());
    let text = |class: &Class| format!("{}/{}/{}", class.taxonomy(), class.dimension(), class.value());
    let classes: Vec<String> = contents.classification.iter().map(text).collect();
    let suspected = suspected(&decision, &list, &item, &classes, matched);
    Ok(match format {
        Fragment::Xml => suspected.to_file_details_xml(),
        Fragment::Json => {
            let mut object = suspected.to_json();
            if contents.decision.is_none() {
                object["decision"] = Value::Null;
            }
            serde_json::to_string_pretty(&object)?
        }
    })
}

/// Returns the fragment of a recorded decision, about its nearest match, in the given format.
pub(super) fn of_decision(listing: &DecisionListing, format: Fragment) -> anyhow::Result<String> {
    let (decision, nearest) = (decision_record(listing)?, nearest(listing)?);
    let item = nearest.item.map_or_else(|| "not known".to_owned(), |item| item.0.to_string());
    let classes = nearest.facts.iter().flat_map(|facts| &facts.classes);
    // Changes `taxonomy/dimension=value` to `taxonomy/dimension/value`.
    let classes: Vec<String> = classes.map(|class| class.replacen('=', "/", 1)).collect();
    let (list, matched) = (bank(nearest), (nearest.hash_type, nearest.distance));
    let suspected = suspected(&decision, &list, &item, &classes, matched);
    Ok(match format {
        Fragment::Xml => suspected.to_file_details_xml(),
        Fragment::Json => serde_json::to_string_pretty(&suspected.to_json())?,
    })
}

const fn suspected<'a>(
    decision: &'a DecisionRecord,
    list: &'a str,
    item: &'a str,
    classes: &'a [String],
    (hash_type, distance): (HashType, Distance),
) -> Suspected<'a> {
    // Neither reports nor records contain the hash of the upload.
    let matched = MatchedHash { hash: None, hash_type, distance };
    Suspected { decision, list, item, classes, matched, digests: &[], is_eu_centre_indicator: false }
}

#[cfg(test)]
mod tests {
    use vigie_consortium::cases::ReportContents;
    use vigie_consortium::{Classification, Verdict};
    use vigie_model::{BankId, ItemId, UnixMillis};

    use super::*;

    #[test]
    fn a_report_prints_as_both_fragments() {
        let class = Class::new("ncmec", "classification", "A1").unwrap();
        let mut report = ReportListing {
            number: 7,
            member: "acme".into(),
            bank: Some("known".parse().unwrap()),
            bank_id: BankId(3),
            contents: ReportContents {
                item: Some(ItemId(5)),
                decision: Some([15; 16]),
                classification: Classification::new(vec![class]).unwrap(),
                matched: Some((HashType::PDQ, Distance(4))),
                verdict: Some(Verdict::Block),
                ..ReportContents::default()
            },
            submitted_at: UnixMillis(9),
            review: None,
        };
        let xml = fragment(&report, Fragment::Xml).unwrap();
        assert!(xml.starts_with("<fileDetails><fileViewedByEsp>false</fileViewedByEsp>"), "{xml}");
        assert!(
            xml.contains("<industryClassification>A1<") && xml.contains("the list known, item 5"),
            "{xml}"
        );
        let json: Value = serde_json::from_str(&fragment(&report, Fragment::Json).unwrap()).unwrap();
        assert_eq!((&json["decision"], &json["verdict"]), (&"0f".repeat(16).into(), &"block".into()));
        report.contents.decision = None;
        let json: Value = serde_json::from_str(&fragment(&report, Fragment::Json).unwrap()).unwrap();
        assert_eq!(json["decision"], Value::Null);
        let decision = crate::commands::cases::decision_record::tests::listing();
        let xml = of_decision(&decision, Fragment::Xml).unwrap();
        assert!(
            xml.contains("<industryClassification>A1<") && xml.contains("the list known, item 7"),
            "{xml}"
        );
        assert!(xml.contains("<fileViewedByEsp>false<"), "{xml}");
        let json: Value = serde_json::from_str(&of_decision(&decision, Fragment::Json).unwrap()).unwrap();
        assert_eq!((&json["verdict"], &json["annex_iii"]["10_action"]), (&"block".into(), &"removed".into()));
        report.contents.matched = None;
        assert!(fragment(&report, Fragment::Xml).unwrap_err().to_string().contains("names no hash"));
    }
}
