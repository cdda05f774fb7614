//! What a report fills of a report to an authority.

use anyhow::Context as _;
use serde_json::Value;
use vigie_clients::ReportListing;
use vigie_consortium::{Class, Text};
use vigie_statistics::statement::{Basis, DecisionRecord, MediaKind};
use vigie_statistics::suspected::{MatchedHash, Suspected};

use crate::cli::Fragment;

/// The fragment of a report in a format.
pub(super) fn fragment(report: &ReportListing, format: Fragment) -> anyhow::Result<String> {
    let contents = &report.contents;
    let matched = contents.matched.with_context(|| {
        format!("report {} names no hash that matched, and a fragment describes a match", report.number)
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
        basis: Basis::Own,
    };
    let list = report.bank.as_ref().map_or_else(|| format!("bank {}", report.bank_id), ToString::to_string);
    let item = contents.item.map_or_else(|| "not known".to_owned(), |item| item.0.to_string());
    let text = |class: &Class| format!("{}/{}/{}", class.taxonomy(), class.dimension(), class.value());
    let classes: Vec<String> = contents.classification.iter().map(text).collect();
    let (hash_type, distance) = matched;
    let suspected = Suspected {
        decision: &decision,
        list: &list,
        item: &item,
        classes: &classes,
        // The hash of the upload is not in a report.
        matched: MatchedHash { hash: None, hash_type, distance },
        digests: &[],
        is_eu_centre_indicator: false,
    };
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

#[cfg(test)]
mod tests {
    use vigie_consortium::cases::ReportContents;
    use vigie_consortium::{Classification, Verdict};
    use vigie_model::{BankId, Distance, HashType, ItemId, UnixMillis};

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
        report.contents.matched = None;
        assert!(fragment(&report, Fragment::Xml).unwrap_err().to_string().contains("names no hash"));
    }
}
