//! The fields that published reports require, and the source of each number.
//!
//! There is one table: each field of each report has a source within Vigie, or is left out with a reason. A
//! field without a source is never invented.

mod field;
mod regulations;
mod programmes;

pub use field::{Field, PublishedReport, Source};

/// All reports, regulations first.
pub const REPORTS: [PublishedReport; 8] = [
    regulations::TERRORIST_CONTENT,
    regulations::DSA_OWN_INITIATIVE,
    regulations::DSA_AUTOMATED_MEANS,
    programmes::GIFCT,
    programmes::LANTERN,
    programmes::TCAP,
    programmes::NCMEC,
    programmes::STOP_NCII,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cell::Measure;

    /// The fields of each report, copied from the reports and not from the table.
    const REQUIRED: [(&str, &[&str]); 8] = [
        (
            "eu_2021_784_article_7_3",
            &[
                "a_measures",
                "b_reappearance",
                "c_orders_received",
                "c_orders_executed",
                "c_items_removed_or_disabled",
                "c_orders_not_executed",
                "c_grounds_not_executed",
                "d_complaints",
                "d_complaints_outcome",
                "e_review_proceedings",
                "e_review_outcome",
                "f_reinstated_after_review",
                "g_reinstated_after_complaint",
            ],
        ),
        (
            "eu_2024_2835_parts_5_6",
            &[
                "category",
                "ground",
                "measures_own_initiative",
                "measures_automated_detection",
                "visibility_removal",
                "visibility_disable",
                "visibility_demoted",
                "visibility_age_restricted",
                "visibility_interaction_restricted",
                "visibility_labelled",
                "visibility_other",
                "monetary_suspension",
                "monetary_termination",
                "monetary_other",
                "service_suspension",
                "service_termination",
                "account_suspension",
                "account_termination",
                "context_texts",
            ],
        ),
        (
            "eu_2024_2835_part_8",
            &[
                "measures_solely_automated",
                "measures_not_automated",
                "notices_solely_automated",
                "notices_not_automated",
                "accuracy",
                "precision",
                "recall",
                "scope_notices",
                "scope_languages",
                "moderation_systems",
            ],
        ),
        ("gifct", &["items_distinct", "hashes_distinct", "items_by_media", "events_communicated"]),
        (
            "lantern",
            &[
                "signals_uploaded",
                "signals_removed",
                "accounts_acted_on",
                "uploads_removed",
                "urls",
                "members_silent",
            ],
        ),
        ("tcap", &["urls_submitted", "alerts", "companies", "share_offline", "by_ideology"]),
        (
            "ncmec",
            &[
                "hashes_added",
                "files_reported",
                "attachments_unique",
                "attachments_similar",
                "referrals_and_informational",
            ],
        ),
        ("stopncii", &["cases", "hashes", "removals"]),
    ];

    #[test]
    fn every_required_field_has_a_source_or_a_reason() {
        for (report, required) in REQUIRED {
            let report = REPORTS.iter().find(|one| one.name == report).unwrap_or_else(|| panic!("{report}"));
            let known: BTreeSet<&str> = report.fields.iter().map(|field| field.name).collect();
            assert_eq!(known.len(), report.fields.len(), "{}", report.name);
            for field in required {
                assert!(known.contains(field), "{} has no {field}", report.name);
            }
        }
        assert_eq!(REPORTS.len(), REQUIRED.len());
        for field in REPORTS.iter().flat_map(|report| report.fields) {
            match field.source {
                Source::Counted(measures) | Source::Cumulative(measures) => {
                    let unique: BTreeSet<Measure> = measures.iter().copied().collect();
                    assert!(!measures.is_empty() && unique.len() == measures.len(), "{}", field.name);
                }
                Source::Sentence(text) | Source::LeftOut(text) => {
                    assert!(text.len() > 20 && text.ends_with('.'), "{}", field.name)
                }
                Source::Precision | Source::Members | Source::MembersSilent => {}
            }
            assert!(field.about.ends_with('.'), "{}", field.name);
        }
    }

    /// Recall needs a labelled sample of content that did not match, so no count of matches can replace it.
    #[test]
    fn recall_and_accuracy_are_left_out() {
        let fields = REPORTS.iter().flat_map(|report| report.fields);
        for field in fields.filter(|field| ["recall", "accuracy"].contains(&field.name)) {
            assert!(matches!(field.source, Source::LeftOut(_)));
        }
    }
}
