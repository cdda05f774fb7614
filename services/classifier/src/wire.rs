//! Package `vigie.classifier.v1`: the messages between a thread and its classifier process.
//!
//! The process may be under the control of a hostile model or input, so its messages are untrusted.

use vigie_classifiers::Tensor;
use vigie_proto::pb::classifier::v1 as pb;
use vigie_sandbox::Posture;

use crate::answer::{Elements, Output};
use crate::element::{ElementType, decode, encode};
use crate::shape::{ModelShape, TensorShape, dimensions};

/// The hidden command of `vigie` that runs as a classifier process.
pub(crate) const COMMAND: &str = "classifier-worker";
/// The first bytes that a process writes, before its first message.
pub(crate) const GREETING: [u8; 8] = *b"vigie\0c1";
/// The most bytes of a message in addition to its tensors: names, dimensions, a description of 128 tensors.
pub(crate) const BESIDE_BYTES_MAX: usize = 256 << 10;
/// The most bytes of a runtime's error text that are passed on.
pub(crate) const WORDS_BYTES_MAX: usize = 512;

/// Converts a type of elements to its message form.
pub(crate) const fn element(element: ElementType) -> pb::ElementType {
    match element {
        ElementType::Bool => pb::ElementType::Bool,
        ElementType::U8 => pb::ElementType::U8,
        ElementType::U16 => pb::ElementType::U16,
        ElementType::U32 => pb::ElementType::U32,
        ElementType::U64 => pb::ElementType::U64,
        ElementType::I8 => pb::ElementType::I8,
        ElementType::I16 => pb::ElementType::I16,
        ElementType::I32 => pb::ElementType::I32,
        ElementType::I64 => pb::ElementType::I64,
        ElementType::F16 => pb::ElementType::F16,
        ElementType::Bf16 => pb::ElementType::Bf16,
        ElementType::F32 => pb::ElementType::F32,
        ElementType::F64 => pb::ElementType::F64,
        ElementType::Text => pb::ElementType::Text,
    }
}

fn element_of(message: i32) -> Option<ElementType> {
    ElementType::ALL.into_iter().find(|&known| i32::from(element(known)) == message)
}

/// Converts a description to its message form.
pub(crate) fn shapes(shapes: &[TensorShape]) -> Vec<pb::TensorShape> {
    let message = |shape: &TensorShape| pb::TensorShape {
        name: shape.name.clone(),
        element: element(shape.element).into(),
        dimensions: shape.dimensions.clone(),
    };
    shapes.iter().map(message).collect()
}

/// Reads the description of a loaded model. `None` if it is invalid.
pub(crate) fn model_shape(loaded: &pb::Loaded) -> Option<ModelShape> {
    let shapes = |messages: &[pb::TensorShape]| {
        let shape = |message: &pb::TensorShape| {
            let element = element_of(message.element)?;
            let (name, dimensions) = (message.name.clone(), message.dimensions.clone());
            Some(TensorShape { name, element, dimensions })
        };
        messages.iter().map(shape).collect::<Option<_>>()
    };
    let shape = ModelShape { inputs: shapes(&loaded.inputs)?, outputs: shapes(&loaded.outputs)? };
    shape.checked().ok()
}

/// Converts a tensor to a message.
pub(crate) fn message(tensor: &Tensor) -> pb::Tensor {
    let shape = pb::TensorShape {
        name: tensor.name().to_owned(),
        element: element(ElementType::of(tensor.data())).into(),
        dimensions: dimensions(tensor),
    };
    pb::Tensor { shape: Some(shape), data: encode(tensor.data()) }
}

/// Reads an input from a thread of the same version. `None` if it is invalid.
pub(crate) fn tensor(message: &pb::Tensor) -> Option<Tensor> {
    let shape = message.shape.as_ref()?;
    let sizes: Vec<usize> =
        shape.dimensions.iter().map(|&size| size.try_into().ok()).collect::<Option<_>>()?;
    let count = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))?;
    let data = decode(element_of(shape.element)?, count, &message.data).ok()?;
    Tensor::new(&shape.name, &sizes, data).ok()
}

/// Reads an output from an untrusted process. `None` if it has no shape.
pub(crate) fn output(message: &pb::Tensor) -> Option<Output<'_>> {
    let shape = message.shape.as_ref()?;
    Some(Output {
        name: &shape.name,
        element: element_of(shape.element),
        dimensions: &shape.dimensions,
        elements: Elements::Bytes(&message.data),
    })
}

/// Converts a posture to its message form.
pub(crate) const fn posture(posture: Posture) -> pb::Posture {
    match posture {
        Posture::None => pb::Posture::None,
        Posture::SeccompOnly => pb::Posture::SeccompOnly,
        Posture::Full => pb::Posture::Full,
    }
}

/// Reads the posture in a message. `None` if it is unknown.
pub(crate) fn posture_of(message: i32) -> Option<Posture> {
    Posture::ALL.into_iter().find(|&known| i32::from(posture(known)) == message)
}

#[cfg(test)]
mod tests {
    use vigie_classifiers::TensorData;

    use super::*;

    #[test]
    fn tensors_and_descriptions_are_read_as_they_were_written() {
        for data in [
            TensorData::F32(vec![0.5, -1.0]),
            TensorData::U8(vec![1, 2]),
            TensorData::I32(vec![-1, 2]),
            TensorData::I64(vec![-1, i64::MAX]),
            TensorData::Text(vec![String::new(), "\u{e9}".to_owned()]),
        ] {
            let written = Tensor::new("x", &[2, 1], data).unwrap();
            assert_eq!(tensor(&message(&written)), Some(written));
        }
        let all: Vec<TensorShape> = ElementType::ALL
            .map(|element| TensorShape {
                name: element.name().to_owned(),
                element,
                dimensions: vec![-1, 3, 0],
            })
            .into();
        let described = ModelShape { inputs: all.clone(), outputs: all };
        let (inputs, outputs) = (shapes(&described.inputs), shapes(&described.outputs));
        let mut loaded = pb::Loaded { inputs, outputs, ..pb::Loaded::default() };
        assert_eq!(model_shape(&loaded), Some(described));
        loaded.outputs[0].element = 15;
        assert_eq!(model_shape(&loaded), None);
        for known in Posture::ALL {
            assert_eq!(posture_of(posture(known).into()), Some(known));
        }
        assert_eq!(posture_of(0), None);
    }

    #[test]
    fn an_input_whose_bytes_do_not_fill_its_dimensions_is_none() {
        let mut short = message(&Tensor::new("x", &[2], TensorData::U8(vec![1, 2])).unwrap());
        short.data.pop();
        assert_eq!(tensor(&short), None);
        assert_eq!(tensor(&pb::Tensor::default()), None);
    }
}
