//! Reports that regulations of the European Union require.

use super::field::{Field, PublishedReport, Source};
use crate::cell::Measure;

const fn counted(name: &'static str, about: &'static str, measures: &'static [Measure]) -> Field {
    Field { name, about, source: Source::Counted(measures) }
}

const fn left_out(name: &'static str, about: &'static str, reason: &'static str) -> Field {
    Field { name, about, source: Source::LeftOut(reason) }
}

/// Article 7(3) of Regulation (EU) 2021/784 (terrorist content online). The letters of the article are from a
/// copy, not from the official text.
pub(super) const TERRORIST_CONTENT: PublishedReport = PublishedReport {
    name: "eu_2021_784_article_7_3",
    title: "Regulation (EU) 2021/784, Article 7(3): terrorist content online",
    fields: &[
        left_out(
            "a_measures",
            "Measures to identify terrorist content and to remove it or disable access.",
            "The provider describes its own measures.",
        ),
        Field {
            name: "b_reappearance",
            about: "Measures against the reappearance of removed material, automated ones above all.",
            source: Source::Sentence(
                "Content is compared, when it is uploaded, with fingerprints of known material; a fingerprint matches within a fixed distance of its type.",
            ),
        },
        counted(
            "b_matches",
            "Matches of uploaded content with known material (point b).",
            &[Measure::MatchesExact, Measure::MatchesNear],
        ),
        counted("c_orders_received", "Removal orders received.", &[Measure::OrdersReceived]),
        counted("c_orders_executed", "Removal orders executed.", &[Measure::OrdersExecuted]),
        counted(
            "c_items_removed_or_disabled",
            "Content removed or disabled, as members reported it. Orders and specific measures are not separated.",
            &[Measure::ActionsRemoved, Measure::ActionsDisabled],
        ),
        counted("c_orders_not_executed", "Removal orders not executed.", &[Measure::OrdersNotExecuted]),
        left_out(
            "c_grounds_not_executed",
            "Grounds of the orders that were not executed.",
            "The grounds are in the answers to the issuing authorities, which the provider keeps.",
        ),
        counted("d_complaints", "Complaints handled.", &[Measure::ComplaintsReceived]),
        counted("d_complaints_outcome", "Complaints that succeeded.", &[Measure::ComplaintsUpheld]),
        left_out(
            "e_review_proceedings",
            "Review proceedings brought by the provider.",
            "Vigie knows no court proceedings.",
        ),
        left_out("e_review_outcome", "Outcomes of review proceedings.", "Vigie knows no court proceedings."),
        left_out(
            "f_reinstated_after_review",
            "Content reinstated because of review proceedings.",
            "Vigie knows no court proceedings.",
        ),
        counted(
            "g_reinstated_after_complaint",
            "Content reinstated after a complaint.",
            &[Measure::ComplaintsUpheld],
        ),
    ],
};

const ACTED: &[Measure] =
    &[Measure::DecisionsFullyAutomated, Measure::DecisionsPartlyAutomated, Measure::DecisionsNotAutomated];
const NO_MONEY: &str = "Vigie knows decisions about content, not about payments.";
const NO_SERVICE: &str = "Vigie knows decisions about content, not about the service of a user.";
const NO_ACCOUNT: &str = "Vigie knows decisions about content, not about accounts.";

/// Parts 5 and 6 of the templates of Implementing Regulation (EU) 2024/2835: the same columns for illegal
/// content and for content against the terms.
pub(super) const DSA_OWN_INITIATIVE: PublishedReport = PublishedReport {
    name: "eu_2024_2835_parts_5_6",
    title: "Implementing Regulation (EU) 2024/2835, parts 5 and 6: measures at own initiative",
    fields: &[
        Field {
            name: "category",
            about: "One row for each category.",
            source: Source::Sentence(
                "The numbers by class of the taxonomy are in the tables by class; the platform maps classes to categories.",
            ),
        },
        left_out(
            "ground",
            "Whether the content was illegal (part 5) or against the terms (part 6).",
            "The platform names the ground; Vigie counts both together.",
        ),
        counted(
            "measures_own_initiative",
            "Decisions after a match that a member acted on. Decisions after an order or a notice are included.",
            ACTED,
        ),
        counted(
            "measures_automated_detection",
            "Of these, after detection by solely automated means: a match is always one.",
            ACTED,
        ),
        counted("visibility_removal", "Content removed, as members reported it.", &[Measure::ActionsRemoved]),
        counted(
            "visibility_disable",
            "Access disabled, as members reported it.",
            &[Measure::ActionsDisabled],
        ),
        counted("visibility_demoted", "Content demoted, as members reported it.", &[Measure::ActionsDemoted]),
        counted(
            "visibility_age_restricted",
            "Content restricted by age, as members reported it.",
            &[Measure::ActionsAgeRestricted],
        ),
        counted(
            "visibility_interaction_restricted",
            "Interaction restricted, as members reported it.",
            &[Measure::ActionsInteractionRestricted],
        ),
        counted(
            "visibility_labelled",
            "Content labelled, as members reported it.",
            &[Measure::ActionsLabelled],
        ),
        counted(
            "visibility_other",
            "Other restrictions of visibility, as members reported them.",
            &[Measure::ActionsOther],
        ),
        left_out("monetary_suspension", "Monetary payments suspended.", NO_MONEY),
        left_out("monetary_termination", "Monetary payments terminated.", NO_MONEY),
        left_out("monetary_other", "Other monetary restrictions.", NO_MONEY),
        left_out("service_suspension", "Services suspended.", NO_SERVICE),
        left_out("service_termination", "Services terminated.", NO_SERVICE),
        left_out("account_suspension", "Accounts suspended.", NO_ACCOUNT),
        left_out("account_termination", "Accounts terminated.", NO_ACCOUNT),
        left_out(
            "context_texts",
            "A context text for each number.",
            "The platform writes the context texts.",
        ),
    ],
};

/// Part 8 of the templates of Implementing Regulation (EU) 2024/2835.
pub(super) const DSA_AUTOMATED_MEANS: PublishedReport = PublishedReport {
    name: "eu_2024_2835_part_8",
    title: "Implementing Regulation (EU) 2024/2835, part 8: automated means",
    fields: &[
        counted(
            "measures_solely_automated",
            "Measures that no person looked at.",
            &[Measure::DecisionsFullyAutomated],
        ),
        counted(
            "measures_partly_automated",
            "Measures of a verdict that a person looked at too. The template has no such column: the platform decides where they go.",
            &[Measure::DecisionsPartlyAutomated],
        ),
        counted(
            "measures_not_automated",
            "Measures that a person took after a match.",
            &[Measure::DecisionsNotAutomated],
        ),
        left_out(
            "notices_solely_automated",
            "Notices processed by solely automated means.",
            "The platform receives and processes notices.",
        ),
        left_out(
            "notices_not_automated",
            "Notices not processed by automated means.",
            "The platform receives and processes notices.",
        ),
        left_out(
            "accuracy",
            "Accuracy of the automated means.",
            "Accuracy needs a labelled sample of content that did not match.",
        ),
        Field {
            name: "precision",
            about: "Decisions that a review confirmed, of all reviewed decisions.",
            source: Source::Precision,
        },
        left_out(
            "recall",
            "Recall of the automated means.",
            "Recall needs a labelled sample of content that did not match.",
        ),
        left_out(
            "scope_notices",
            "The same numbers for notices and for those of trusted flaggers.",
            "The platform receives and processes notices.",
        ),
        left_out(
            "scope_languages",
            "The same numbers for each language.",
            "A fingerprint of a picture or a video has no language.",
        ),
        Field {
            name: "moderation_systems",
            about: "A row for each type of moderation system.",
            source: Source::Sentence(
                "These numbers are of one system: comparison with fingerprints of known material.",
            ),
        },
    ],
};
