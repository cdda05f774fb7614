//! Reads outputs of processes and servers, without trusting any part of them.

use vigie_classifiers::{Tensor, TensorData};

use crate::element::{ElementFault, ElementType, decode};
use crate::error::Lie;
use crate::shape::{Dimensions, ShapeFault, TensorShape, each_once};

/// An output as it was received.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    pub(crate) name: &'a str,
    /// The type of the elements; `None` if its name is unknown.
    pub(crate) element: Option<ElementType>,
    pub(crate) dimensions: &'a [i64],
    pub(crate) elements: Elements<'a>,
}

/// The elements of an output.
#[derive(Debug)]
pub(crate) enum Elements<'a> {
    /// Elements as bytes.
    Bytes(&'a [u8]),
    /// Elements as numbers or texts, read from typed fields.
    Values(Result<TensorData, ElementFault>),
}

/// Reads the outputs in the description of a model, in the order of the description.
pub(crate) fn read(described: &[TensorShape], outputs: &[Output<'_>]) -> Result<Vec<Tensor>, Lie> {
    each_once(described, outputs, |output| output.name, check).map_err(Lie::Shape)?;
    let named = |described: &TensorShape| outputs.iter().find(|output| output.name == described.name);
    described.iter().filter_map(named).map(tensor).collect()
}

fn check(described: &TensorShape, output: &Output<'_>) -> Result<(), ShapeFault> {
    let element = output.element.ok_or_else(|| ShapeFault::Element {
        name: described.name.clone(),
        found: "of an unknown type",
        expected: described.element.name(),
    })?;
    described.check(element, output.dimensions)?;
    // A description may leave a size open; an output may not.
    if output.dimensions.iter().all(|&size| size >= 0) {
        return Ok(());
    }
    let (found, expected) =
        (Dimensions(output.dimensions.to_vec()), Dimensions(described.dimensions.clone()));
    Err(ShapeFault::Dimensions { name: described.name.clone(), found, expected })
}

fn tensor(output: &Output<'_>) -> Result<Tensor, Lie> {
    let name = output.name;
    let of_elements = |fault| Lie::Elements { name: name.to_owned(), fault };
    let sizes: Option<Vec<usize>> = output.dimensions.iter().map(|&size| size.try_into().ok()).collect();
    let counted = sizes.and_then(|sizes| {
        let count = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        count.map(|count| (sizes, count))
    });
    let (sizes, count) = counted.ok_or_else(|| of_elements("more elements than can be counted"))?;
    let element = output.element.ok_or(Lie::Malformed)?;
    let data = match &output.elements {
        Elements::Bytes(bytes) => decode(element, count, bytes),
        Elements::Values(values) => values.clone(),
    };
    let data = data.map_err(|fault| of_elements(words(fault)))?;
    Tensor::new(name, &sizes, data).map_err(|_| of_elements(words(ElementFault::Length)))
}

const fn words(fault: ElementFault) -> &'static str {
    match fault {
        ElementFault::Length => "another number of elements than its dimensions give",
        ElementFault::NotFinite => "a number that is not finite",
        ElementFault::Range => "a number beyond 64 bits with a sign",
        ElementFault::Text => "text that is not UTF-8",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCORES: &str = "scores";

    fn described() -> Vec<TensorShape> {
        let dimensions = vec![-1, -1];
        vec![TensorShape { name: SCORES.to_owned(), element: ElementType::F32, dimensions }]
    }

    fn output<'a>(dimensions: &'a [i64], bytes: &'a [u8]) -> Output<'a> {
        Output { name: SCORES, element: Some(ElementType::F32), dimensions, elements: Elements::Bytes(bytes) }
    }

    proptest! {
        #[test]
        fn an_output_is_read_exactly_when_its_bytes_fill_its_dimensions(
            dimensions in prop::collection::vec(
                prop_oneof![0_i64..4, Just(-1), Just(i64::MIN), Just(1 << 62), Just(i64::MAX)], 0..4,
            ),
            bytes in prop::collection::vec(0_u8..0x40, 0..64),
        ) {
            // Every number up to 0x3f3f3f3f is finite.
            let two: Option<&[i64; 2]> = dimensions.as_slice().try_into().ok();
            let fills = two.is_some_and(|&[rows, columns]| {
                let elements = i128::from(rows) * i128::from(columns);
                rows >= 0 && columns >= 0 && elements.checked_mul(4) == i128::try_from(bytes.len()).ok()
            });
            let read = read(&described(), &[output(&dimensions, &bytes)]);
            prop_assert_eq!(read.is_ok(), fills, "{:?}", read);
        }
    }

    #[test]
    fn each_lie_is_found() {
        let bytes = [0; 8];
        let check = |outputs: &[Output<'_>], expected: &str| {
            assert_eq!(read(&described(), outputs).unwrap_err().to_string(), expected);
        };
        check(&[], "`scores` is missing");
        check(&[output(&[1, 2], &bytes), output(&[1, 2], &bytes)], "`scores` is not one of them");
        let other = Output { name: "other", ..output(&[1, 2], &bytes) };
        check(&[output(&[1, 2], &bytes), other], "`other` is not one of them");
        let other = Output { element: Some(ElementType::I32), ..output(&[1, 2], &bytes) };
        check(&[other], "`scores` is INT32 and not FP32");
        let other = Output { element: None, ..output(&[1, 2], &bytes) };
        check(&[other], "`scores` is of an unknown type and not FP32");
        check(&[output(&[2], &bytes)], "`scores` is [2] and not [?, ?]");
        let length = "the output `scores` has another number of elements than its dimensions give";
        check(&[output(&[1, 1], &bytes)], length);
        check(&[output(&[1, 3], &bytes)], length);
        check(&[output(&[1 << 62, 8], &bytes)], "the output `scores` has more elements than can be counted");
        check(&[output(&[1 << 62, 1], &bytes)], length);
        let infinite = f32::INFINITY.to_le_bytes();
        check(&[output(&[1, 1], &infinite)], "the output `scores` has a number that is not finite");
        let values = Elements::Values(Ok(TensorData::F32(vec![0.0; 3])));
        check(&[Output { elements: values, ..output(&[1, 2], &bytes) }], length);
    }
}
