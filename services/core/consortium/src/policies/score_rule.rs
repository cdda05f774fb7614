//! A score rule: a threshold on a classifier's score above which a person must review the content.

use vigie_classifiers::{ModelCard, Name, Rate, choose};

use crate::text::is_word;

/// A rule that raises the verdict to at least REVIEW where a classifier's score reaches a threshold. A score
/// never gives more than REVIEW, and never lowers a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRule {
    name: Box<str>,
    model: Name,
    class: Name,
    at_most_one_in: Option<u32>,
    shadow: bool,
}

/// A score rule before it is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScoreRuleDraft {
    /// The name: 1 to 64 of a-z 0-9 -. No other rule of the policy has it.
    pub name: String,
    /// The name of the model.
    pub model: String,
    /// The class.
    pub class: String,
    /// N of the rate 1 in N: the threshold is that of the model's calibration for a false positive rate of at
    /// most one in N other contents; 0 for the threshold of the card.
    pub at_most_one_in: u64,
    /// The rule counts only for the shadow verdict.
    pub shadow: bool,
}

/// The field of a [`ScoreRuleDraft`] that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreRuleField {
    /// The rule's name.
    Name,
    /// The name of the model.
    Model,
    /// The class.
    Class,
    /// The rate.
    AtMostOneIn,
}

impl ScoreRuleField {
    /// Returns the name of the field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Model => "model",
            Self::Class => "class",
            Self::AtMostOneIn => "at_most_one_in",
        }
    }

    /// Returns a description of valid values.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Name => "the name of a score rule is 1 to 64 of a-z 0-9 -",
            Self::Model => "the name of a model is 1 to 64 of a-z 0-9 - _",
            Self::Class => "the name of a class is 1 to 64 of a-z 0-9 - _",
            Self::AtMostOneIn => "a rate is at most one in 2 to 1,000,000; 0 for the threshold of the card",
        }
    }
}

impl ScoreRule {
    /// The largest length of a name, in bytes: that of every rule.
    pub const NAME_LEN_MAX: usize = 64;

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the model, which scores every image of the member.
    #[must_use]
    pub const fn model(&self) -> &Name {
        &self.model
    }

    /// Returns the class.
    #[must_use]
    pub const fn class(&self) -> &Name {
        &self.class
    }

    /// Returns N of the rate 1 in N that determines the threshold; `None` for the threshold of the model's
    /// card.
    #[must_use]
    pub const fn at_most_one_in(&self) -> Option<u32> {
        self.at_most_one_in
    }

    /// Returns the rule's threshold by a card of its model; `None` if the class has none, or the calibration
    /// supports none at the rule's rate.
    #[must_use]
    pub fn threshold_by(&self, card: &ModelCard) -> Option<f32> {
        let Some(one_in) = self.at_most_one_in else {
            return card.threshold(&self.class).map(|chosen| chosen.measured.threshold);
        };
        let table = card.calibration()?.class(&self.class)?;
        Some(choose(table, Rate::one_in(one_in).ok()?).ok()?.measured.threshold)
    }

    /// Whether the rule counts only for the shadow verdict.
    #[must_use]
    pub const fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// Returns the rule's condition in words, for a person.
    #[must_use]
    pub fn condition(&self) -> String {
        let Self { model, class, .. } = self;
        match self.at_most_one_in {
            Some(one_in) => {
                format!(
                    "the score of {class} by {model} is at least the threshold for at most 1 false positive in {one_in}"
                )
            }
            None => format!("the score of {class} by {model} is at least the threshold of the model's card"),
        }
    }

    /// Returns the rule as a draft.
    #[must_use]
    pub fn draft(&self) -> ScoreRuleDraft {
        ScoreRuleDraft {
            name: self.name.to_string(),
            model: self.model.to_string(),
            class: self.class.to_string(),
            at_most_one_in: self.at_most_one_in.map_or(0, u64::from),
            shadow: self.shadow,
        }
    }
}

impl TryFrom<ScoreRuleDraft> for ScoreRule {
    type Error = ScoreRuleField;

    fn try_from(draft: ScoreRuleDraft) -> Result<Self, ScoreRuleField> {
        let ScoreRuleDraft { name, model, class, at_most_one_in, shadow } = draft;
        if !is_word(&name, Self::NAME_LEN_MAX) {
            return Err(ScoreRuleField::Name);
        }
        let rate = |count: u64| {
            let count = u32::try_from(count).ok().filter(|count| Rate::one_in(*count).is_ok());
            count.ok_or(ScoreRuleField::AtMostOneIn)
        };
        Ok(Self {
            name: name.into(),
            model: model.parse().map_err(|_| ScoreRuleField::Model)?,
            class: class.parse().map_err(|_| ScoreRuleField::Class)?,
            at_most_one_in: (at_most_one_in > 0).then(|| rate(at_most_one_in)).transpose()?,
            shadow,
        })
    }
}
