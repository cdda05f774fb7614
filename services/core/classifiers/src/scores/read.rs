//! Reads scores from tensors.

use thiserror::Error;

use super::output::{Activation, Output};
use crate::name::Name;
use crate::tensor::{Tensor, TensorData};

/// A score from 0 to 1 for each class of a model, in the order of its card.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores(Box<[(Name, f32)]>);

/// The returned tensors do not contain valid scores.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScoreError {
    /// The tensor is not among those that were returned.
    #[error("the model returned no tensor {0}")]
    NoTensor(Box<str>),
    /// The elements of the tensor are not 32-bit floating-point numbers.
    #[error("the tensor {tensor} holds {element}, not f32")]
    Element {
        /// The tensor.
        tensor: Box<str>,
        /// The type of its elements.
        element: &'static str,
    },
    /// The tensor has another shape.
    #[error("the tensor {tensor} has the shape {shape:?}, not [1, {length}] or [{length}]")]
    Shape {
        /// The tensor.
        tensor: Box<str>,
        /// Its shape.
        shape: Box<[usize]>,
        /// The declared length.
        length: usize,
    },
    /// A number is NaN or infinite.
    #[error("the tensor {tensor} holds no finite number at {index}")]
    NotFinite {
        /// The tensor.
        tensor: Box<str>,
        /// The position.
        index: usize,
    },
    /// A number is not a score from 0 to 1, and no activation is declared.
    #[error(
        "the tensor {tensor} holds a number at {index} that is not from 0 to 1, and the card declares no activation"
    )]
    Range {
        /// The tensor.
        tensor: Box<str>,
        /// The position.
        index: usize,
    },
}

/// The largest excess over 0 and 1 that counts as a rounding error; such numbers are clipped.
const ROUNDING: f32 = 1e-5;

impl Output {
    /// Returns the scores in the tensors that a model returned. Every number of the tensor must be finite,
    /// including those without a class.
    pub fn scores(&self, returned: &[Tensor]) -> Result<Scores, ScoreError> {
        let name = || Box::<str>::from(self.tensor());
        let tensor = returned.iter().find(|tensor| tensor.name() == self.tensor());
        let tensor = tensor.ok_or_else(|| ScoreError::NoTensor(name()))?;
        let TensorData::F32(numbers) = tensor.data() else {
            return Err(ScoreError::Element { tensor: name(), element: tensor.data().element() });
        };
        let length = self.length();
        if ![&[1, length][..], &[length]].contains(&tensor.shape()) {
            return Err(ScoreError::Shape { tensor: name(), shape: tensor.shape().into(), length });
        }
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(ScoreError::NotFinite { tensor: name(), index });
        }
        let largest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Uses differences from the largest number, so that nothing overflows.
        let weight = |number: f32| (f64::from(number) - f64::from(largest)).exp();
        let sum: f64 = numbers.iter().map(|number| weight(*number)).sum();
        let score = |index: usize| {
            // The shape is checked above, and the card ensures that an index is below the length.
            let number = numbers.get(index).copied().unwrap_or(f32::NAN);
            let score = match self.activation() {
                Activation::None => number,
                Activation::Sigmoid => narrowed(1.0 / (1.0 + (-f64::from(number)).exp())),
                Activation::Softmax => narrowed(weight(number) / sum),
            };
            let is_score = (-ROUNDING..=1.0 + ROUNDING).contains(&score);
            is_score.then(|| score.clamp(0.0, 1.0)).ok_or_else(|| ScoreError::Range { tensor: name(), index })
        };
        let scores = self.classes().iter().map(|class| Ok((class.name.clone(), score(class.index)?)));
        Ok(Scores(scores.collect::<Result<_, _>>()?))
    }
}

impl Output {
    /// Converts scores by class that another process has read. `None` unless all classes are present in their
    /// order, each with a number from 0 to 1.
    #[must_use]
    pub fn named<'a>(&self, scores: impl IntoIterator<Item = (&'a str, f32)>) -> Option<Scores> {
        let mut scores = scores.into_iter();
        let named = self.classes().iter().map(|class| {
            let (name, score) = scores.next()?;
            let is_score = name == class.name.as_str() && (0.0..=1.0).contains(&score);
            is_score.then(|| (class.name.clone(), score))
        });
        let named: Box<[_]> = named.collect::<Option<_>>()?;
        scores.next().is_none().then_some(Scores(named))
    }
}

/// Returns the nearest 32-bit number.
#[expect(clippy::cast_possible_truncation, reason = "from 0 to 1, rounded to the nearest")]
fn narrowed(number: f64) -> f32 {
    number as f32
}

impl Scores {
    /// Returns each class with its score.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, f32)> {
        self.0.iter().map(|(name, score)| (name, *score))
    }

    /// Returns the score of a class.
    #[must_use]
    pub fn of(&self, class: &Name) -> Option<f32> {
        self.iter().find_map(|(name, score)| (name == class).then_some(score))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scores::output::{OutputClassDraft, OutputDraft};

    fn output(length: u32, activation: Activation, indices: &[u32]) -> Output {
        let class =
            |index: &u32| OutputClassDraft { name: format!("c{index}"), index: *index, stands_for: None };
        let classes = indices.iter().map(class).collect();
        Output::try_from(&OutputDraft { tensor: "out".into(), length, activation, classes }).unwrap()
    }

    fn tensor(shape: &[usize], numbers: &[f32]) -> Tensor {
        Tensor::new("out", shape, TensorData::F32(numbers.into())).unwrap()
    }

    fn read(output: &Output, numbers: &[f32]) -> Result<Vec<f32>, ScoreError> {
        Ok(output.scores(&[tensor(&[1, numbers.len()], numbers)])?.iter().map(|(_, score)| score).collect())
    }

    #[test]
    fn activations_have_their_values() {
        let plain = output(3, Activation::None, &[2, 0]);
        assert_eq!(read(&plain, &[0.25, 0.5, 1.000_001]).unwrap(), [1.0, 0.25]);
        // 1 / (1 + e^-2) and 1 / (1 + e^100), by hand.
        let sigmoid = read(&output(2, Activation::Sigmoid, &[0, 1]), &[2.0, -100.0]).unwrap();
        assert!((sigmoid[0] - 0.880_797).abs() < 1e-6 && sigmoid[1] >= 0.0 && sigmoid[1] < 1e-30);
        // e / (1 + e + e^2), by hand.
        let softmax = read(&output(3, Activation::Softmax, &[1]), &[0.0, 1.0, 2.0]).unwrap();
        assert!((softmax[0] - 0.244_728_5).abs() < 1e-6);
        assert_eq!(
            read(&output(2, Activation::Softmax, &[0, 1]), &[f32::MAX, f32::MIN]).unwrap(),
            [1.0, 0.0]
        );
    }

    #[test]
    fn scores_are_named_and_the_shape_without_a_batch_is_read() {
        let output = output(2, Activation::None, &[1, 0]);
        let other = Tensor::new("other", &[], TensorData::I64(vec![1])).unwrap();
        let scores = output.scores(&[other, tensor(&[2], &[0.25, 0.75])]).unwrap();
        assert_eq!(scores.of(&"c1".parse().unwrap()), Some(0.75));
        assert_eq!(scores.of(&"c2".parse().unwrap()), None);
    }

    #[test]
    fn scores_by_name_are_those_of_all_classes_in_their_order() {
        let output = output(3, Activation::None, &[2, 0]);
        let read = |scores: &[(&str, f32)]| output.named(scores.iter().copied());
        let scores = read(&[("c2", 0.25), ("c0", 1.0)]).unwrap();
        assert_eq!(scores.of(&"c0".parse().unwrap()), Some(1.0));
        let wrong: [&[(&str, f32)]; 6] = [
            &[],
            &[("c2", 0.25)],
            &[("c0", 1.0), ("c2", 0.25)],
            &[("c2", 0.25), ("c0", 1.0), ("c1", 0.0)],
            &[("c2", 0.25), ("c0", f32::NAN)],
            &[("c2", 0.25), ("c0", 1.5)],
        ];
        for scores in wrong {
            assert_eq!(read(scores), None, "{scores:?}");
        }
    }

    #[test]
    fn whatever_is_not_declared_is_refused() {
        let output = output(2, Activation::None, &[0]);
        let refused = |tensor: Tensor| output.scores(&[tensor]).unwrap_err().to_string();
        assert_eq!(output.scores(&[]), Err(ScoreError::NoTensor("out".into())));
        let bytes = Tensor::new("out", &[1, 2], TensorData::U8(vec![0, 1])).unwrap();
        assert_eq!(refused(bytes), "the tensor out holds u8, not f32");
        for (shape, numbers) in
            [(&[2, 1][..], &[0.0; 2][..]), (&[1, 3], &[0.0; 3]), (&[1, 1, 2], &[0.0; 2]), (&[0], &[])]
        {
            assert_eq!(
                refused(tensor(shape, numbers)),
                format!("the tensor out has the shape {shape:?}, not [1, 2] or [2]")
            );
        }
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            // This also applies to a number without a class.
            assert_eq!(
                refused(tensor(&[1, 2], &[0.0, number])),
                "the tensor out holds no finite number at 1"
            );
        }
        for number in [-0.001, 1.001, f32::MAX] {
            assert!(matches!(
                output.scores(&[tensor(&[1, 2], &[number, 0.0])]),
                Err(ScoreError::Range { index: 0, .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn scores_are_from_0_to_1_and_keep_the_order_of_the_numbers(
            numbers in prop::collection::vec(-1e30_f32..1e30, 2..9), small in prop::collection::vec(-30_f32..30.0, 2..9), is_softmax: bool,
        ) {
            let activation = if is_softmax { Activation::Softmax } else { Activation::Sigmoid };
            for numbers in [numbers, small] {
                let indices: Vec<u32> = (0..u32::try_from(numbers.len()).unwrap()).collect();
                let scores = read(&output(indices.len().try_into().unwrap(), activation, &indices), &numbers).unwrap();
                prop_assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
                for (left, right) in (0..numbers.len()).flat_map(|left| (0..numbers.len()).map(move |right| (left, right))) {
                    prop_assert!(numbers[left] > numbers[right] || scores[left] <= scores[right]);
                }
                let sum: f32 = scores.iter().sum();
                prop_assert!(!is_softmax || (sum - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn every_fault_of_a_declaration_is_listed() {
        let class = |name: &str, index, stands_for: Option<&str>| OutputClassDraft {
            name: name.into(),
            index,
            stands_for: stands_for.map(Into::into),
        };
        let draft = OutputDraft {
            tensor: String::new(),
            length: 2,
            activation: Activation::None,
            classes: vec![
                class("a", 0, None),
                class("a", 0, Some("x")),
                class("B", 2, Some("iwf/category=a")),
            ],
        };
        let faults = Output::try_from(&draft).unwrap_err();
        let fields: Vec<&str> = faults.as_slice().iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "tensor",
                "classes[1].name",
                "classes[1].index",
                "classes[1].stands_for",
                "classes[2].index",
                "classes[2].name"
            ]
        );
        let none = OutputDraft { classes: vec![], length: 0, ..draft };
        assert_eq!(Output::try_from(&none).unwrap_err().as_slice().len(), 3);
    }
}
