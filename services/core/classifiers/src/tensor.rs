//! Tensors: the inputs and outputs of engines.

use std::fmt;

use thiserror::Error;

/// A named array of numbers or texts, in row-major order and of bounded size. The number of elements matches
/// the shape.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    name: Box<str>,
    shape: Box<[usize]>,
    data: TensorData,
}

/// The elements of a tensor.
#[derive(Clone, PartialEq)]
pub enum TensorData {
    /// 32-bit floating-point numbers.
    F32(Vec<f32>),
    /// Bytes.
    U8(Vec<u8>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Texts, for models of external servers.
    Text(Vec<String>),
}

/// The parts are not a valid [`Tensor`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TensorError {
    /// The name is empty, too long or has a control character.
    #[error("a tensor's name is 1 to {max} bytes without control characters", max = Tensor::NAME_LEN_MAX)]
    Name,
    /// Too many dimensions.
    #[error("a tensor has at most {max} dimensions, not {0}", max = Tensor::RANK_MAX)]
    Rank(usize),
    /// The shape and the data differ.
    #[error("the tensor {name} has the shape {shape:?} and {elements} elements")]
    Elements {
        /// The tensor.
        name: Box<str>,
        /// Its shape.
        shape: Box<[usize]>,
        /// The number of elements of its data.
        elements: usize,
    },
    /// Too many bytes.
    #[error("the tensor {name} has {bytes} bytes; the most is {max}", max = Tensor::BYTES_MAX)]
    Bytes {
        /// The tensor.
        name: Box<str>,
        /// The size of its elements, in bytes.
        bytes: usize,
    },
}

impl Tensor {
    /// The longest name, in bytes.
    pub const NAME_LEN_MAX: usize = 256;
    /// The largest number of dimensions.
    pub const RANK_MAX: usize = 8;
    /// The largest size of the elements, in bytes: 64 MiB, five times the largest picture that a card may
    /// declare.
    pub const BYTES_MAX: usize = 64 << 20;

    /// Checks the parts. A shape without dimensions has one element; a shape with a dimension of 0 has none.
    pub fn new(name: &str, shape: &[usize], data: TensorData) -> Result<Self, TensorError> {
        if !(1..=Self::NAME_LEN_MAX).contains(&name.len()) || name.chars().any(char::is_control) {
            return Err(TensorError::Name);
        }
        if shape.len() > Self::RANK_MAX {
            return Err(TensorError::Rank(shape.len()));
        }
        let expected = shape.iter().try_fold(1_usize, |product, side| product.checked_mul(*side));
        if expected != Some(data.len()) {
            return Err(TensorError::Elements {
                name: name.into(),
                shape: shape.into(),
                elements: data.len(),
            });
        }
        if data.bytes() > Self::BYTES_MAX {
            return Err(TensorError::Bytes { name: name.into(), bytes: data.bytes() });
        }
        Ok(Self { name: name.into(), shape: shape.into(), data })
    }

    /// Returns the tensor's name in the model.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the length of each dimension.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the elements, in row-major order.
    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Returns the elements without a copy.
    #[must_use]
    pub fn into_data(self) -> TensorData {
        self.data
    }
}

impl TensorData {
    /// Returns the number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the size of the elements in bytes; for texts, in UTF-8.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(values) => size_of_val(values.as_slice()),
            Self::U8(values) => values.len(),
            Self::I32(values) => size_of_val(values.as_slice()),
            Self::I64(values) => size_of_val(values.as_slice()),
            Self::Text(values) => values.iter().map(String::len).sum(),
        }
    }

    /// Returns the name of the elements' type, in lower case: `f32`, `u8`, `i32`, `i64`, `text`.
    #[must_use]
    pub const fn element(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::U8(_) => "u8",
            Self::I32(_) => "i32",
            Self::I64(_) => "i64",
            Self::Text(_) => "text",
        }
    }
}

/// Shows only name, shape and type: the elements are content.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({:?} {} {:?})", self.name, self.data.element(), self.shape)
    }
}

/// Shows only type and length: the elements are content.
impl fmt::Debug for TensorData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TensorData({} x {})", self.len(), self.element())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tensor_has_as_many_elements_as_its_shape(shape in prop::collection::vec(0_usize..5, 0..5), len in 0_usize..40) {
            let product: usize = shape.iter().product();
            let made = Tensor::new("x", &shape, TensorData::U8(vec![7; len]));
            prop_assert_eq!(made.is_ok(), product == len);
        }
    }

    #[test]
    fn names_ranks_overflows_and_bytes_are_refused() {
        let one = || TensorData::I64(vec![1]);
        assert_eq!(Tensor::new("", &[], one()), Err(TensorError::Name));
        assert_eq!(Tensor::new("a\nb", &[], one()), Err(TensorError::Name));
        assert_eq!(Tensor::new(&"n".repeat(257), &[], one()), Err(TensorError::Name));
        assert_eq!(Tensor::new("x", &[1; 9], one()), Err(TensorError::Rank(9)));
        let overflow = Tensor::new("x", &[usize::MAX, 2], one()).unwrap_err();
        assert!(matches!(overflow, TensorError::Elements { elements: 1, .. }));
        let bytes =
            Tensor::new("x", &[1], TensorData::Text(vec!["a".repeat(Tensor::BYTES_MAX + 1)])).unwrap_err();
        assert_eq!(bytes, TensorError::Bytes { name: "x".into(), bytes: Tensor::BYTES_MAX + 1 });
        assert!(Tensor::new("x", &[], one()).is_ok());
    }

    #[test]
    fn debug_shows_no_elements() {
        let tensor = Tensor::new("x", &[1, 1], TensorData::Text(vec!["secret".into()])).unwrap();
        assert_eq!(format!("{tensor:?}"), "Tensor(\"x\" text [1, 1])");
        assert_eq!(format!("{:?}", tensor.data()), "TensorData(1 x text)");
        assert!(!tensor.data().is_empty() && tensor.data().bytes() == 6);
        assert_eq!((tensor.name(), tensor.shape()), ("x", &[1, 1][..]));
        assert_eq!(tensor.into_data(), TensorData::Text(vec!["secret".into()]));
        let elements = [
            (TensorData::F32(vec![0.0]), "f32", 4),
            (TensorData::U8(vec![0]), "u8", 1),
            (TensorData::I32(vec![0]), "i32", 4),
            (TensorData::I64(vec![0]), "i64", 8),
        ];
        for (data, element, bytes) in elements {
            assert_eq!((data.element(), data.bytes(), data.len()), (element, bytes, 1));
        }
    }
}
