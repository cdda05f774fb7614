//! The attributes of a statement: names, values, lengths. Rules that depend on other attributes are in
//! `validate`.

/// The values that an attribute takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The platform's unique id: letters, digits, `_`, `-`, at most 500.
    Puid,
    /// A text of at most this many characters.
    Text(usize),
    /// An address of at most this many characters.
    Url(usize),
    /// Exactly one of these words.
    Word(&'static [&'static str]),
    /// At least one of these words.
    Words(&'static [&'static str]),
    /// A day, not before this one and not after 2038-01-01.
    Date(&'static str),
    /// A language: two capital letters of ISO 639-1.
    Language,
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) is_required: bool,
}

const fn required(name: &'static str, shape: Shape) -> Attribute {
    Attribute { name, shape, is_required: true }
}

const fn optional(name: &'static str, shape: Shape) -> Attribute {
    Attribute { name, shape, is_required: false }
}

const YES_NO: &[&str] = &["Yes", "No"];

/// The countries of the European Economic Area.
const COUNTRIES: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
    "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The categories of content that Vigie finds. The schema has more, for which no bank of Vigie exists.
const CATEGORIES: &[&str] = &[
    "STATEMENT_CATEGORY_PROTECTION_OF_MINORS",
    "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY",
    "STATEMENT_CATEGORY_CYBER_VIOLENCE",
    "STATEMENT_CATEGORY_CYBER_VIOLENCE_AGAINST_WOMEN",
];

const KEYWORDS: &[&str] = &[
    "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL",
    "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL_DEEPFAKE",
    "KEYWORD_TERRORIST_CONTENT",
    "KEYWORD_ILLEGAL_ORGANIZATIONS",
    "KEYWORD_NON_CONSENSUAL_IMAGE_SHARING",
    "KEYWORD_NON_CONSENSUAL_MATERIAL_DEEPFAKE",
    "KEYWORD_NON_CONSENSUAL_IMAGE_SHARING_AGAINST_WOMEN",
    "KEYWORD_NON_CONSENSUAL_MATERIAL_DEEPFAKE_AGAINST_WOMEN",
    "KEYWORD_OTHER",
];

/// All attributes that a statement of Vigie may have. `content_id` is for products and is not used here.
pub(super) const ATTRIBUTES: [Attribute; 34] = [
    required("puid", Shape::Puid),
    optional(
        "decision_visibility",
        Shape::Words(&[
            "DECISION_VISIBILITY_CONTENT_REMOVED",
            "DECISION_VISIBILITY_CONTENT_DISABLED",
            "DECISION_VISIBILITY_CONTENT_DEMOTED",
            "DECISION_VISIBILITY_CONTENT_AGE_RESTRICTED",
            "DECISION_VISIBILITY_CONTENT_INTERACTION_RESTRICTED",
            "DECISION_VISIBILITY_CONTENT_LABELLED",
            "DECISION_VISIBILITY_OTHER",
        ]),
    ),
    optional("decision_visibility_other", Shape::Text(500)),
    optional(
        "decision_monetary",
        Shape::Word(&[
            "DECISION_MONETARY_SUSPENSION",
            "DECISION_MONETARY_TERMINATION",
            "DECISION_MONETARY_OTHER",
        ]),
    ),
    optional("decision_monetary_other", Shape::Text(500)),
    optional(
        "decision_provision",
        Shape::Word(&[
            "DECISION_PROVISION_PARTIAL_SUSPENSION",
            "DECISION_PROVISION_TOTAL_SUSPENSION",
            "DECISION_PROVISION_PARTIAL_TERMINATION",
            "DECISION_PROVISION_TOTAL_TERMINATION",
        ]),
    ),
    optional("decision_account", Shape::Word(&["DECISION_ACCOUNT_SUSPENDED", "DECISION_ACCOUNT_TERMINATED"])),
    optional("account_type", Shape::Word(&["ACCOUNT_TYPE_BUSINESS", "ACCOUNT_TYPE_PRIVATE"])),
    required(
        "decision_ground",
        Shape::Word(&["DECISION_GROUND_ILLEGAL_CONTENT", "DECISION_GROUND_INCOMPATIBLE_CONTENT"]),
    ),
    optional("decision_ground_reference_url", Shape::Url(500)),
    optional("illegal_content_legal_ground", Shape::Text(500)),
    optional("illegal_content_explanation", Shape::Text(2_000)),
    optional("incompatible_content_ground", Shape::Text(500)),
    optional("incompatible_content_explanation", Shape::Text(2_000)),
    optional("incompatible_content_illegal", Shape::Word(YES_NO)),
    required("category", Shape::Word(CATEGORIES)),
    optional("category_addition", Shape::Words(CATEGORIES)),
    optional("category_specification", Shape::Words(KEYWORDS)),
    optional("category_specification_other", Shape::Text(500)),
    required(
        "content_type",
        Shape::Words(&[
            "CONTENT_TYPE_IMAGE",
            "CONTENT_TYPE_VIDEO",
            "CONTENT_TYPE_SYNTHETIC_MEDIA",
            "CONTENT_TYPE_TEXT",
            "CONTENT_TYPE_AUDIO",
            "CONTENT_TYPE_APP",
            "CONTENT_TYPE_PRODUCT",
            "CONTENT_TYPE_OTHER",
        ]),
    ),
    optional("content_type_other", Shape::Text(500)),
    required("content_date", Shape::Date("2000-01-01")),
    required("application_date", Shape::Date("2020-01-01")),
    optional("end_date_visibility_restriction", Shape::Date("2020-01-01")),
    optional("end_date_monetary_restriction", Shape::Date("2020-01-01")),
    optional("end_date_service_restriction", Shape::Date("2020-01-01")),
    optional("end_date_account_restriction", Shape::Date("2020-01-01")),
    // The documentation requires it; the database's code does not.
    required("territorial_scope", Shape::Words(COUNTRIES)),
    optional("content_language", Shape::Language),
    required("decision_facts", Shape::Text(5_000)),
    required(
        "source_type",
        Shape::Word(&[
            "SOURCE_VOLUNTARY",
            "SOURCE_TRUSTED_FLAGGER",
            "SOURCE_ARTICLE_16",
            "SOURCE_TYPE_OTHER_NOTIFICATION",
        ]),
    ),
    optional("source_identity", Shape::Text(500)),
    required("automated_detection", Shape::Word(YES_NO)),
    required(
        "automated_decision",
        Shape::Word(&[
            "AUTOMATED_DECISION_FULLY",
            "AUTOMATED_DECISION_PARTIALLY",
            "AUTOMATED_DECISION_NOT_AUTOMATED",
        ]),
    ),
];
