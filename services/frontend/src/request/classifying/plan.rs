//! The models that are asked about the contents of one request.
//!
//! They are the models that the request names, and those that the rules of its member's policy name, in the
//! current version and in the trial version. A request with an unknown name is refused; an unknown name in a
//! policy is reported in the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigie_classifiers::card::InputForm;
use vigie_classifiers::{Kind, Mode, PictureForm, State};
use vigie_consortium::{CardVersion, Directory, MemberPolicies, Policy};
use vigie_model::{Classification, ScoreFailure, ScoreFailureKind};
use vigie_proto::Invalid;

/// The most bytes of the classifications in one answer, encoded: a third of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The models of one request, by ascending name.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    models: Vec<AskedModel>,
    forms: Arc<[PictureForm]>,
    /// The most bytes of the classifications of one content.
    bytes: usize,
}

/// A model that is asked.
#[derive(Debug)]
pub(crate) struct AskedModel {
    /// The name of the model.
    pub(super) name: Box<str>,
    /// The model's card, if there is one.
    pub(super) card: Option<Arc<CardVersion>>,
    /// The input: the picture in the form at this index of [`Plan::forms`], or the conversation; or why the
    /// model is not asked.
    pub(super) input: Result<Input, ScoreFailure>,
    /// Whether the request names the model: then every content gets an outcome.
    pub(super) is_named: bool,
    /// Whether the outcome is in the answer: not if only the trial version names the model, nor if the answer
    /// has no capacity left.
    pub(super) is_shown: bool,
}

/// The input that a model gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// The picture in the form at this index.
    Form(usize),
    /// The conversation.
    Conversation,
}

impl AskedModel {
    /// Returns the version of the card; 0 without one.
    pub(super) fn version(&self) -> u32 {
        self.card.as_ref().map_or(0, |card| card.version())
    }

    /// Returns whether the model's scores are hidden from everyone.
    pub(super) fn is_shadow(&self) -> bool {
        self.card.as_ref().is_some_and(|card| card.card().mode() == Mode::Shadow)
    }

    /// Returns the most bytes of the model's classification of one content.
    fn bytes(&self) -> usize {
        let classes = self.card.iter().flat_map(|card| card.card().output().classes());
        Classification::bytes_of(&self.name, classes.map(|class| class.name.as_str()))
    }
}

/// The sources of the question to a model: the request, a policy, or both.
#[derive(Debug, Clone, Copy, Default)]
struct AskedBy {
    request: bool,
    policy: bool,
}

impl Plan {
    /// Returns the models for the images of a request with this number of contents; `None` if there are none.
    pub(crate) fn of_images(
        directory: &Directory,
        named: &[Box<str>],
        policies: Option<&MemberPolicies>,
        contents: usize,
    ) -> Result<Option<Arc<Self>>, Invalid> {
        let current = policies.and_then(|policies| policies.current.as_ref());
        let trial = policies.and_then(|policies| policies.trial.as_ref());
        let models = |policy: &Policy| -> Vec<Box<str>> {
            policy.scores().iter().map(|rule| rule.model().as_str().into()).collect()
        };
        let (current, trial) =
            (current.map(|version| models(&version.policy)), trial.map(|version| models(&version.policy)));
        let mut asked: BTreeMap<Box<str>, AskedBy> = BTreeMap::new();
        for name in trial.into_iter().flatten() {
            asked.entry(name).or_default();
        }
        for name in current.into_iter().flatten() {
            asked.entry(name).or_default().policy = true;
        }
        for name in named {
            asked.entry(name.clone()).or_default().request = true;
        }
        if asked.is_empty() {
            return Ok(None);
        }
        check(directory, named, Kind::Image)?;
        let mut forms: Vec<PictureForm> = Vec::new();
        let mut models: Vec<AskedModel> = Vec::with_capacity(asked.len());
        // The number of forms is bounded, so models that were asked for come first.
        let mut by_need: Vec<(Box<str>, AskedBy)> = asked.into_iter().collect();
        by_need.sort_by_key(|(_, by)| (!by.request, !by.policy));
        for (name, by) in by_need {
            let card = directory.model_card(&name).cloned();
            let input = image_input(card.as_deref(), &mut forms);
            let is_shown = by.request || by.policy;
            models.push(AskedModel { name, card, input, is_named: by.request, is_shown });
        }
        models.sort_by(|one, other| one.name.cmp(&other.name));
        let plan = Self { models, forms: forms.into(), bytes: 0 };
        plan.within_an_answer(contents).map(|plan| Some(Arc::new(plan)))
    }

    /// Returns the models for a conversation, in the order of their names in the request.
    pub(crate) fn of_conversation(directory: &Directory, named: &[Box<str>]) -> Result<Arc<Self>, Invalid> {
        check(directory, named, Kind::Conversation)?;
        let asked = |name: &str| {
            let card = directory.model_card(name).cloned();
            let input = usable(card.as_deref()).map(|_| Input::Conversation);
            AskedModel { name: name.into(), card, input, is_named: true, is_shown: true }
        };
        let models = named.iter().map(|name| asked(name)).collect();
        Ok(Arc::new(Self { models, forms: Arc::default(), bytes: 0 }))
    }

    /// Counts the bytes of the classifications of this number of contents, which have to fit an answer. A
    /// model that only a policy asks for is left out if they do not fit.
    fn within_an_answer(mut self, contents: usize) -> Result<Self, Invalid> {
        let bytes = |models: &[AskedModel], is_counted: fn(&AskedModel) -> bool| {
            models.iter().filter(|model| is_counted(model)).map(AskedModel::bytes).sum::<usize>()
        };
        let named = bytes(&self.models, |model| model.is_named);
        if named.saturating_mul(contents) > ANSWER_BYTES_MAX {
            let models = self.models.iter().filter(|model| model.is_named).count();
            let reason = format!(
                "has {models} models for {contents} contents, and their scores would not fit an answer: send fewer contents, or name fewer models"
            );
            return Err(Invalid::new("classifiers", reason));
        }
        self.bytes = bytes(&self.models, |model| model.is_shown);
        if self.bytes.saturating_mul(contents) > ANSWER_BYTES_MAX {
            self.models.iter_mut().for_each(|model| model.is_shown = model.is_named);
            self.bytes = named;
        }
        Ok(self)
    }

    /// Returns the models, by ascending name.
    pub(super) fn models(&self) -> &[AskedModel] {
        &self.models
    }

    /// Returns the forms that are needed of each image's first frame.
    pub(crate) fn forms(&self) -> &Arc<[PictureForm]> {
        &self.forms
    }

    /// Returns the most bytes of the classifications of this number of contents, encoded.
    pub(crate) const fn answer_bytes(&self, contents: usize) -> usize {
        self.bytes.saturating_mul(contents)
    }
}

/// Refuses a request that names a model that does not exist or is of another kind.
fn check(directory: &Directory, named: &[Box<str>], kind: Kind) -> Result<(), Invalid> {
    for (at, name) in named.iter().enumerate() {
        let refused = |reason: &str| Err(Invalid::new(format!("classifiers[{at}]"), reason));
        match directory.model_card(name).map(|card| card.card().kind()) {
            None => return refused("is the name of no model: ask for the list of model cards"),
            Some(found) if found == kind => {}
            Some(Kind::Conversation) => return refused("is a model of conversations, not of images"),
            Some(Kind::Image) => return refused("is a model of images, not of conversations"),
        }
    }
    Ok(())
}

/// Returns the card of a model that may be run.
fn usable(card: Option<&CardVersion>) -> Result<&CardVersion, ScoreFailure> {
    let card = card.ok_or_else(|| {
        ScoreFailure::new(ScoreFailureKind::UnknownModel, "there is no card of a model of this name")
    })?;
    match card.card().state() {
        State::InUse => Ok(card),
        State::Retired => Err(ScoreFailure::new(ScoreFailureKind::NotServed, "the model is retired")),
    }
}

/// Returns the input of a model for an image. Its form is added to the others, whose number is bounded.
fn image_input(card: Option<&CardVersion>, forms: &mut Vec<PictureForm>) -> Result<Input, ScoreFailure> {
    let InputForm::Image(image) = usable(card)?.card().input() else {
        let text = "the model reads conversations, not images";
        return Err(ScoreFailure::new(ScoreFailureKind::Content, text));
    };
    let form = image.form();
    let place = forms.iter().position(|other| *other == form);
    place.map_or_else(
        || {
            if forms.len() == PictureForm::COUNT_MAX {
                let text = "the models of this request want the picture in more than 8 forms";
                return Err(ScoreFailure::new(ScoreFailureKind::NotServed, text));
            }
            forms.push(form);
            Ok(Input::Form(forms.len() - 1))
        },
        |place| Ok(Input::Form(place)),
    )
}
