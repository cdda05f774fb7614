//! The outcomes of a request's models for one content.

use std::sync::Arc;

use vigie_classifiers::{Name, Rate, Scored};
use vigie_clients::RawScores;
use vigie_consortium::CardVersion;
use vigie_model::{ClassScore, Classification, RateEstimate, ScoreFailure, ScoreFailureKind, ScoreThreshold};

use super::plan::{AskedModel, Plan};

/// The outcome of one model: the scores of its classes, or why there are none.
pub(crate) type Outcome = Result<Vec<Scored>, ScoreFailure>;

/// The outcomes of all models for one content. Its debug output shows no score.
pub(crate) struct Said {
    plan: Arc<Plan>,
    /// The outcomes in the order of the plan; `None` for a model that was not asked.
    outcomes: Box<[Option<Outcome>]>,
    /// The model and the class whose score alone raised the content to REVIEW.
    review: Option<(Name, Name)>,
}

/// A score as a rule sees it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// The score.
    pub(super) scored: &'a Scored,
    /// The card of the score's model.
    pub(super) card: &'a CardVersion,
    /// Whether the model is in shadow.
    pub(super) is_shadow: bool,
}

/// A use of a class of a model, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use<'a> {
    pub(crate) model: &'a str,
    pub(crate) version: u32,
    pub(crate) class: &'a Name,
    /// Whether the score is at least the card's threshold; `None` without a score.
    pub(crate) is_above: Option<bool>,
    /// Whether this score alone raised the content to REVIEW.
    pub(crate) is_review: bool,
}

impl Said {
    /// Creates the outcomes of the models of a plan, in its order.
    pub(super) fn new(plan: Arc<Plan>, outcomes: impl IntoIterator<Item = Option<Outcome>>) -> Self {
        Self { plan, outcomes: outcomes.into_iter().collect(), review: None }
    }

    /// Returns the outcomes of a content that no model reads: for the models that the request names, or for
    /// all.
    pub(super) fn unread(plan: &Arc<Plan>, by_all: bool, text: &str) -> Self {
        let outcome = |model: &AskedModel| {
            (by_all || model.is_named).then(|| Err(ScoreFailure::new(ScoreFailureKind::Content, text)))
        };
        Self::new(Arc::clone(plan), plan.models().iter().map(outcome).collect::<Vec<_>>())
    }

    fn outcomes(&self) -> impl Iterator<Item = (&AskedModel, &Outcome)> {
        let all = self.plan.models().iter().zip(&self.outcomes);
        all.filter_map(|(model, outcome)| Some((model, outcome.as_ref()?)))
    }

    /// Returns for each model that was asked its name, if it has a card, and why it gave no score.
    pub(super) fn outcome_kinds(&self) -> impl Iterator<Item = (Option<&str>, Option<ScoreFailureKind>)> {
        self.outcomes().map(|(model, outcome)| {
            let name = model.card.as_ref().map(|card| card.name());
            (name, outcome.as_ref().err().map(|failure| failure.kind))
        })
    }

    /// Returns the classifications for the answer.
    pub(crate) fn classifications(&self) -> Vec<Classification> {
        let shown = self.outcomes().filter(|(model, _)| model.is_shown);
        shown
            .map(|(model, outcome)| {
                let (scores, unavailable) = match outcome {
                    Err(failure) => (Vec::new(), Some(failure.clone())),
                    // Scores of a model in shadow are never answered.
                    Ok(_) if model.is_shadow() => (Vec::new(), None),
                    Ok(scored) => (scored.iter().map(class_score).collect(), None),
                };
                Classification {
                    model: model.name.clone(),
                    version: model.version(),
                    is_shadow: model.is_shadow(),
                    scores,
                    unavailable,
                }
            })
            .collect()
    }

    /// Returns the version and the outcome of the only model.
    pub(crate) fn only(mut self) -> Option<(u32, Outcome)> {
        let version = self.plan.models().first()?.version();
        Some((version, self.outcomes.first_mut()?.take()?))
    }

    /// Returns the score of a class of a model.
    pub(super) fn score(&self, model: &Name, class: &Name) -> Option<Seen<'_>> {
        let place = self.plan.models().iter().position(|asked| *asked.name == *model.as_str())?;
        let asked = self.plan.models().get(place)?;
        let Some(Ok(scored)) = self.outcomes.get(place)? else { return None };
        let scored = scored.iter().find(|scored| scored.class == *class)?;
        Some(Seen { scored, card: asked.card.as_deref()?, is_shadow: asked.is_shadow() })
    }

    /// Notes which score alone raised the content to REVIEW.
    pub(super) fn reviewed(&mut self, model: &Name, class: &Name) {
        self.review = Some((model.clone(), class.clone()));
    }

    /// Returns the uses to count: each class of each model with a card that was asked.
    pub(crate) fn uses(&self) -> impl Iterator<Item = Use<'_>> {
        let models = self.plan.models().iter().zip(&self.outcomes);
        models.flat_map(move |(model, outcome)| {
            let classes = model.card.iter().flat_map(|card| card.card().output().classes());
            let outcome = outcome.as_ref();
            let of_class = move |class: &'_ Name| -> Option<Option<bool>> {
                match outcome? {
                    Ok(scored) => Some(scored.iter().find(|one| one.class == *class).map(|one| one.is_above)),
                    Err(_) => Some(None),
                }
            };
            classes.filter_map(move |class| {
                let is_above = of_class(&class.name)?;
                let is_review = self
                    .review
                    .as_ref()
                    .is_some_and(|(of, name)| *of.as_str() == *model.name && *name == class.name);
                Some(Use {
                    model: &model.name,
                    version: model.version(),
                    class: &class.name,
                    is_above,
                    is_review,
                })
            })
        })
    }
}

/// Shows the number of models only, and no score.
impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Said({} models)", self.outcomes.len())
    }
}

/// Returns the scores of a model, if their classes are those of its card.
pub(super) fn checked(card: &CardVersion, raw: RawScores) -> Outcome {
    let raw = raw?;
    let scores = card.card().output().named(raw.iter().map(|(class, score)| (class.as_str(), *score)));
    let scores = scores.ok_or_else(|| {
        let text = "the classifier answered other classes than the card has, or a value that is not a score";
        ScoreFailure::new(ScoreFailureKind::Failed, text)
    })?;
    Ok(card.card().scored(&scores))
}

/// Converts a score to its form in answers.
fn class_score(scored: &Scored) -> ClassScore {
    let threshold = scored.threshold.zip(scored.expected_rate);
    ClassScore {
        class: scored.class.as_str().into(),
        score: scored.score,
        threshold: threshold.map(|(threshold, rate)| ScoreThreshold {
            threshold,
            at_most_one_in: one_in(rate.at_most),
            false_positives: RateEstimate {
                rate: rate.measured.share().unwrap_or(0.0),
                low: rate.measured.low,
                high: rate.measured.high,
                sample: rate.measured.of,
            },
        }),
    }
}

/// Returns the largest N for which a rate is at most 1 in N: a rate that is not such a fraction is rounded up
/// to the next one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is from 1 in a million to 1 in 2"
)]
pub(super) fn one_in(rate: Rate) -> u64 {
    let inverse = 1.0 / rate.share();
    let nearest = inverse.round();
    let is_whole = (1.0 / nearest - rate.share()).abs() <= 1e-12 * rate.share();
    (if is_whole { nearest } else { inverse.floor() }) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_stated_by_the_next_higher_fraction() {
        for count in [2_u32, 3, 7, 10, 1_000, 9_999, 10_000, 999_999, 1_000_000] {
            assert_eq!(one_in(Rate::one_in(count).unwrap()), u64::from(count));
        }
        assert_eq!(one_in(Rate::new(0.0003).unwrap()), 3_333);
        assert_eq!(one_in(Rate::new(0.4).unwrap()), 2);
    }
}
