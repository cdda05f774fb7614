//! The texts that a platform uses in all of its statements.

use std::collections::BTreeMap;

use serde::Deserialize;
use vigie_consortium::cases::{Action, MediaKind};

/// The platform's part of its statements, read from TOML or JSON. Statements are validated, so a template
/// need not be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The reason why the content is restricted.
    pub ground: Ground,
    /// The address of the law or the terms (`decision_ground_reference_url`).
    #[serde(default)]
    pub ground_reference_url: Option<String>,
    /// The facts, in standard sentences (`decision_facts`).
    pub facts: String,
    /// The countries in which the decision applies (`territorial_scope`).
    pub territorial_scope: Vec<String>,
    /// The language of the content (`content_language`).
    #[serde(default)]
    pub content_language: Option<String>,
    /// `ACCOUNT_TYPE_BUSINESS` or `ACCOUNT_TYPE_PRIVATE` (`account_type`).
    #[serde(default)]
    pub account_type: Option<String>,
    /// The restrictions of each action. An action that is not listed is the visibility restriction with its
    /// name.
    #[serde(default)]
    pub actions: BTreeMap<Action, Restriction>,
    /// The content types of each kind of content. A kind that is not listed has the content type with its
    /// name.
    #[serde(default)]
    pub content_types: BTreeMap<MediaKind, Vec<String>>,
    /// A description of content of another type (`content_type_other`).
    #[serde(default)]
    pub content_type_other: Option<String>,
    /// The categories by class. The rule with the longest prefix of the class applies.
    pub categories: Vec<CategoryRule>,
}

/// The ground of a decision, with its texts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ground {
    /// The content is illegal.
    Illegal {
        /// The law (`illegal_content_legal_ground`).
        legal_ground: String,
        /// The reason why the content is illegal under the law (`illegal_content_explanation`).
        explanation: String,
    },
    /// The content is against the terms.
    Incompatible {
        /// The terms (`incompatible_content_ground`).
        ground: String,
        /// The reason why the content is against the terms (`incompatible_content_explanation`).
        explanation: String,
        /// Whether the content is also illegal (`incompatible_content_illegal`).
        #[serde(default)]
        is_illegal: Option<bool>,
    },
}

/// The restrictions of one action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restriction {
    /// Restrictions of visibility (`decision_visibility`).
    #[serde(default)]
    pub visibility: Vec<String>,
    /// A description of another visibility restriction (`decision_visibility_other`).
    #[serde(default)]
    pub visibility_other: Option<String>,
    /// A restriction of payments (`decision_monetary`).
    #[serde(default)]
    pub monetary: Option<String>,
    /// A description of another payment restriction (`decision_monetary_other`).
    #[serde(default)]
    pub monetary_other: Option<String>,
    /// A restriction of the service (`decision_provision`).
    #[serde(default)]
    pub provision: Option<String>,
    /// A restriction of the account (`decision_account`).
    #[serde(default)]
    pub account: Option<String>,
}

/// The category of all classes that begin with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryRule {
    /// The prefix of the class, as in `ncmec/`; empty for all classes.
    pub class_prefix: String,
    /// The category (`category`).
    pub category: String,
    /// Further categories (`category_addition`).
    #[serde(default)]
    pub addition: Vec<String>,
    /// Keywords (`category_specification`).
    #[serde(default)]
    pub specification: Vec<String>,
    /// A description of another keyword (`category_specification_other`).
    #[serde(default)]
    pub specification_other: Option<String>,
}

impl Template {
    /// Returns the category rule of a class; `None` if no rule has a prefix of it.
    pub(super) fn category(&self, class: &str) -> Option<&CategoryRule> {
        let fits = self.categories.iter().filter(|rule| class.starts_with(&rule.class_prefix));
        fits.max_by_key(|rule| rule.class_prefix.len())
    }
}
