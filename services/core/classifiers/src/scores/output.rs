//! The declaration of a model's output.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::taxonomy::TaxonomyClass;
use crate::fault::{Faults, Findings};
use crate::name::Name;
use crate::tensor::Tensor;

/// The output of a model: the tensor with the scores, and the class of each number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    tensor: Box<str>,
    length: usize,
    activation: Activation,
    classes: Box<[OutputClass]>,
}

/// An output before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputDraft {
    /// The tensor's name in the model.
    pub tensor: String,
    /// The number of elements of the tensor for one input; its shape is `[1, length]` or `[length]`.
    pub length: u32,
    /// The function from numbers to scores.
    pub activation: Activation,
    /// The classes. Numbers without a class are ignored, except by softmax.
    pub classes: Vec<OutputClassDraft>,
}

/// A class of an output before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputClassDraft {
    /// The name, 1 to 64 of `a-z 0-9 - _`.
    pub name: String,
    /// The position in the tensor, from 0.
    pub index: u32,
    /// The class of a taxonomy that it represents, as `taxonomy/dimension=value`; `None` for one such as
    /// `neutral`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_for: Option<String>,
}

/// A class of a model's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputClass {
    /// The name.
    pub name: Name,
    /// The position in the tensor, from 0.
    pub index: usize,
    /// The class of a taxonomy that it represents.
    pub stands_for: Option<TaxonomyClass>,
}

/// The function from a model's numbers to scores from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// No function: the numbers are already from 0 to 1.
    None,
    /// `1 / (1 + exp(-x))`, for each number by itself.
    Sigmoid,
    /// `exp(x)`, divided by the sum over all numbers of the tensor.
    Softmax,
}

impl Output {
    /// The largest number of elements of an output tensor.
    pub const LENGTH_MAX: u32 = 4096;
    /// The largest number of classes of a model.
    pub const CLASSES_MAX: usize = 64;

    /// Returns the tensor's name in the model.
    #[must_use]
    pub fn tensor(&self) -> &str {
        &self.tensor
    }

    /// Returns the number of elements of the tensor for one input.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Returns the function from numbers to scores.
    #[must_use]
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    /// Returns the classes, at least one, in the order of their declaration.
    #[must_use]
    pub const fn classes(&self) -> &[OutputClass] {
        &self.classes
    }

    /// Returns the output of a draft, and adds its faults to the findings.
    pub(crate) fn find(draft: &OutputDraft, findings: &mut Findings) -> Self {
        findings.expect_line(&draft.tensor, Tensor::NAME_LEN_MAX, "tensor");
        findings.expect((1..=Self::LENGTH_MAX).contains(&draft.length), "length", || {
            format!("{} is not from 1 to {}", draft.length, Self::LENGTH_MAX)
        });
        findings.expect((1..=Self::CLASSES_MAX).contains(&draft.classes.len()), "classes", || {
            format!("a model has 1 to {} classes, not {}", Self::CLASSES_MAX, draft.classes.len())
        });
        let mut classes = Vec::new();
        let (mut names, mut indices) = (BTreeSet::new(), BTreeSet::new());
        for (number, class) in draft.classes.iter().enumerate().take(Self::CLASSES_MAX) {
            let field = |name: &str| format!("classes[{number}].{name}");
            findings.expect(names.insert(&class.name), &field("name"), || "the name is there already".into());
            findings.expect(indices.insert(class.index), &field("index"), || {
                format!("{} is another class already", class.index)
            });
            findings.expect(class.index < draft.length, &field("index"), || {
                format!("{} is not below the length {}", class.index, draft.length)
            });
            let stands_for = class.stands_for.as_deref().map(str::parse).transpose();
            let stands_for =
                stands_for.map_err(|error| findings.add(&field("stands_for"), format!("{error}")));
            let name = class.name.parse().map_err(|error| findings.add(&field("name"), format!("{error}")));
            if let (Ok(name), Ok(stands_for)) = (name, stands_for) {
                classes.push(OutputClass { name, index: size(class.index), stands_for });
            }
        }
        Self {
            tensor: draft.tensor.as_str().into(),
            length: size(draft.length),
            activation: draft.activation,
            classes: classes.into(),
        }
    }
}

impl TryFrom<&OutputDraft> for Output {
    type Error = Faults;

    fn try_from(draft: &OutputDraft) -> Result<Self, Faults> {
        let mut findings = Findings::default();
        let output = Self::find(draft, &mut findings);
        findings.finish().map(|()| output)
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
