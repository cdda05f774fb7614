//! The inputs and outputs in the description of a model, and the check of tensors against them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use vigie_classifiers::Tensor;

use crate::element::{ElementType, encoded_bytes};

/// The inputs and outputs of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelShape {
    /// The inputs, in the model's order.
    pub inputs: Vec<TensorShape>,
    /// The outputs, in the model's order.
    pub outputs: Vec<TensorShape>,
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TensorShape {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element: ElementType,
    /// Its dimensions, the outermost first; -1 stands for any size.
    pub dimensions: Vec<i64>,
}

/// The difference between tensors and the description of a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeFault {
    /// A tensor is missing.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A tensor is not in the description, or occurs twice.
    #[error("`{0}` is not one of them")]
    Unknown(String),
    /// A tensor is of another type.
    #[error("`{name}` is {found} and not {expected}")]
    Element {
        /// The name of the tensor.
        name: String,
        /// The type of the tensor.
        found: &'static str,
        /// The type in the model's description.
        expected: &'static str,
    },
    /// A tensor has other dimensions.
    #[error("`{name}` is {found} and not {expected}")]
    Dimensions {
        /// The name of the tensor.
        name: String,
        /// The dimensions of the tensor.
        found: Dimensions,
        /// The dimensions in the model's description.
        expected: Dimensions,
    },
    /// The tensors together exceed the bound.
    #[error("they have {bytes} bytes; the most is {bytes_max}")]
    Bytes {
        /// The bytes of the tensors.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The description itself is invalid: too many tensors, too many dimensions, a name that is too long, a
    /// dimension below -1.
    #[error("its description is out of bounds")]
    Description,
}

/// Dimensions in the form of error messages: `[?, 3, 224, 224]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimensions(pub Vec<i64>);

impl fmt::Display for Dimensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |&size: &i64| if size < 0 { "?".to_owned() } else { size.to_string() };
        write!(f, "[{}]", self.0.iter().map(size).collect::<Vec<_>>().join(", "))
    }
}

impl ModelShape {
    /// The most inputs of one model, and the most outputs.
    pub const TENSORS_MAX: usize = 64;

    /// Checks the description of a process or server.
    ///
    /// # Errors
    /// [`ShapeFault::Description`].
    pub(crate) fn checked(self) -> Result<Self, ShapeFault> {
        let is_fit = |all: &[TensorShape]| {
            (1..=Self::TENSORS_MAX).contains(&all.len()) && all.iter().all(TensorShape::is_fit)
        };
        let is_fit = is_fit(&self.inputs) && is_fit(&self.outputs);
        if is_fit { Ok(self) } else { Err(ShapeFault::Description) }
    }

    /// Checks that `inputs` are those of the model and have at most `bytes_max` bytes together.
    ///
    /// # Errors
    /// [`ShapeFault`], the first one found.
    pub(crate) fn check_inputs(&self, inputs: &[Tensor], bytes_max: usize) -> Result<(), ShapeFault> {
        check(&self.inputs, inputs)?;
        let bytes = inputs.iter().map(|input| encoded_bytes(input.data())).sum();
        if bytes > bytes_max { Err(ShapeFault::Bytes { bytes, bytes_max }) } else { Ok(()) }
    }

    /// Checks that the description by a server or a file agrees with this one, from the configuration. A
    /// dimension of any size agrees with every size, on either side. The other description may have further
    /// outputs.
    ///
    /// # Errors
    /// [`ShapeFault`], the first one found.
    pub fn check_agreement(&self, described: &Self) -> Result<(), ShapeFault> {
        let is_named = |output: &&TensorShape| self.outputs.iter().any(|named| named.name == output.name);
        let outputs: Vec<_> = described.outputs.iter().filter(is_named).collect();
        let inputs: Vec<_> = described.inputs.iter().collect();
        for (expected, found) in [(&self.inputs, inputs), (&self.outputs, outputs)] {
            each_once(
                expected,
                &found,
                |found| &found.name,
                |expected, found| expected.check(found.element, &found.dimensions),
            )?;
        }
        Ok(())
    }
}

impl TensorShape {
    /// Returns whether name and dimensions are within the bounds of a [`Tensor`].
    fn is_fit(&self) -> bool {
        (1..=Tensor::NAME_LEN_MAX).contains(&self.name.len())
            && !self.name.chars().any(char::is_control)
            && self.dimensions.len() <= Tensor::RANK_MAX
            && self.dimensions.iter().all(|&size| size >= -1)
    }

    /// Checks that elements of this type with these dimensions are those of the model.
    ///
    /// # Errors
    /// [`ShapeFault`].
    pub(crate) fn check(&self, element: ElementType, dimensions: &[i64]) -> Result<(), ShapeFault> {
        if element != self.element {
            let (name, found, expected) = (self.name.clone(), element.name(), self.element.name());
            return Err(ShapeFault::Element { name, found, expected });
        }
        let is_size = |(&own, &other): (&i64, &i64)| own == other || own < 0 || other < 0;
        let agrees =
            self.dimensions.len() == dimensions.len() && self.dimensions.iter().zip(dimensions).all(is_size);
        if agrees {
            return Ok(());
        }
        let (found, expected) = (Dimensions(dimensions.to_vec()), Dimensions(self.dimensions.clone()));
        Err(ShapeFault::Dimensions { name: self.name.clone(), found, expected })
    }
}

/// Pairs each of `expected` with the one of `found` of the same name, in the order of `expected`, and checks
/// the pair.
pub(crate) fn each_once<F>(
    expected: &[TensorShape],
    found: &[F],
    name: impl Fn(&F) -> &str,
    check: impl Fn(&TensorShape, &F) -> Result<(), ShapeFault>,
) -> Result<(), ShapeFault> {
    for expected in expected {
        let mut named = found.iter().filter(|found| name(found) == expected.name);
        let found = named.next().ok_or_else(|| ShapeFault::Missing(expected.name.clone()))?;
        if named.next().is_some() {
            return Err(ShapeFault::Unknown(expected.name.clone()));
        }
        check(expected, found)?;
    }
    match found.iter().find(|found| expected.iter().all(|expected| expected.name != name(found))) {
        Some(other) => Err(ShapeFault::Unknown(name(other).to_owned())),
        None => Ok(()),
    }
}

fn check(expected: &[TensorShape], found: &[Tensor]) -> Result<(), ShapeFault> {
    each_once(expected, found, Tensor::name, |expected, found| {
        expected.check(ElementType::of(found.data()), &dimensions(found))
    })
}

/// Returns the dimensions of a tensor in the form of messages.
pub(crate) fn dimensions(tensor: &Tensor) -> Vec<i64> {
    tensor.shape().iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use vigie_classifiers::TensorData;

    use super::*;

    fn shape(name: &str, dimensions: &[i64]) -> TensorShape {
        TensorShape { name: name.to_owned(), element: ElementType::F32, dimensions: dimensions.to_vec() }
    }

    fn model() -> ModelShape {
        ModelShape { inputs: vec![shape("a", &[-1, 2]), shape("b", &[])], outputs: vec![shape("c", &[-1])] }
    }

    fn tensor(name: &str, shape: &[usize]) -> Tensor {
        Tensor::new(name, shape, TensorData::F32(vec![0.5; shape.iter().product()])).unwrap()
    }

    #[test]
    fn inputs_are_those_of_the_model_in_any_order() {
        let check = |inputs: &[Tensor]| model().check_inputs(inputs, 100);
        assert_eq!(check(&[tensor("b", &[]), tensor("a", &[7, 2])]), Ok(()));
        assert_eq!(check(&[tensor("a", &[7, 2])]), Err(ShapeFault::Missing("b".to_owned())));
        let extra = [tensor("b", &[]), tensor("a", &[1, 2]), tensor("c", &[1])];
        assert_eq!(check(&extra), Err(ShapeFault::Unknown("c".to_owned())));
        let twice = [tensor("b", &[]), tensor("a", &[1, 2]), tensor("b", &[])];
        assert_eq!(check(&twice), Err(ShapeFault::Unknown("b".to_owned())));
        let wide = check(&[tensor("b", &[]), tensor("a", &[1, 3])]).unwrap_err();
        assert_eq!(wide.to_string(), "`a` is [1, 3] and not [?, 2]");
        let deep = check(&[tensor("b", &[]), tensor("a", &[1, 2, 1])]).unwrap_err();
        assert!(matches!(deep, ShapeFault::Dimensions { .. }));
        let bytes = Tensor::new("b", &[], TensorData::U8(vec![1])).unwrap();
        let bytes = check(&[bytes, tensor("a", &[1, 2])]).unwrap_err();
        assert_eq!(bytes.to_string(), "`b` is UINT8 and not FP32");
        let large = check(&[tensor("b", &[]), tensor("a", &[13, 2])]).unwrap_err();
        assert_eq!(large, ShapeFault::Bytes { bytes: 108, bytes_max: 100 });
    }

    #[test]
    fn descriptions_agree_where_one_side_leaves_a_size_open() {
        let mut described = model();
        described.inputs[0].dimensions = vec![1, 2];
        described.inputs.reverse();
        assert_eq!(model().check_agreement(&described), Ok(()));
        assert_eq!(described.check_agreement(&model()), Ok(()));
        described.outputs.push(shape("another", &[7]));
        assert_eq!(model().check_agreement(&described), Ok(()));
        described.inputs.push(shape("another", &[7]));
        assert_eq!(model().check_agreement(&described), Err(ShapeFault::Unknown("another".to_owned())));
        described.inputs.pop();
        described.outputs[0].dimensions = vec![1, 1];
        assert!(model().check_agreement(&described).is_err());
        described.outputs[0] = shape("d", &[-1]);
        assert_eq!(model().check_agreement(&described), Err(ShapeFault::Missing("c".to_owned())));
    }

    #[test]
    fn a_description_out_of_bounds_is_none() {
        assert!(model().checked().is_ok());
        for alter in [
            (|model| model.inputs.clear()) as fn(&mut ModelShape),
            |model| model.outputs = vec![shape("x", &[]); ModelShape::TENSORS_MAX + 1],
            |model| model.inputs[0].name = String::new(),
            |model| model.inputs[0].name = "n".repeat(Tensor::NAME_LEN_MAX + 1),
            |model| model.inputs[0].dimensions = vec![1; Tensor::RANK_MAX + 1],
            |model| model.inputs[0].dimensions = vec![-2],
        ] {
            let mut altered = model();
            alter(&mut altered);
            assert_eq!(altered.checked(), Err(ShapeFault::Description));
        }
    }
}
