//! Requests and answers of the protocol.

use vigie_classifiers::{Tensor, TensorData};
use vigie_proto::pb::inference as pb;

use super::OipModel;
use crate::answer::{self, Elements, Output};
use crate::element::{ElementFault, ElementType, encode, floats, narrow};
use crate::error::Lie;
use crate::shape::{ModelShape, ShapeFault, TensorShape, dimensions};

/// Creates the request of one run. All inputs are in the raw form, which every server reads.
pub(super) fn request(model: &OipModel, id: String, inputs: &[Tensor]) -> pb::ModelInferRequest {
    let input = |tensor: &Tensor| pb::model_infer_request::InferInputTensor {
        name: tensor.name().to_owned(),
        datatype: ElementType::of(tensor.data()).name().to_owned(),
        shape: dimensions(tensor),
        contents: None,
    };
    let output = |shape: &TensorShape| pb::model_infer_request::InferRequestedOutputTensor {
        name: shape.name.clone(),
    };
    pb::ModelInferRequest {
        model_name: model.name.clone(),
        model_version: model.version.clone(),
        id,
        inputs: inputs.iter().map(input).collect(),
        outputs: model.shape.outputs.iter().map(output).collect(),
        raw_input_contents: inputs.iter().map(|input| encode(input.data())).collect(),
    }
}

/// Checks that the server's description of a model agrees with the configured one.
pub(super) fn check_description(model: &OipModel, answer: &pb::ModelMetadataResponse) -> Result<(), Lie> {
    check_name(model, &answer.name)?;
    let versions = &answer.versions;
    if !model.version.is_empty() && !versions.is_empty() && !versions.contains(&model.version) {
        return Err(Lie::Other("the server does not have the configured version"));
    }
    let shapes = |tensors: &[pb::model_metadata_response::TensorMetadata]| {
        let shape = |tensor: &pb::model_metadata_response::TensorMetadata| {
            let element = ElementType::by_name(&tensor.datatype)?;
            let (name, dimensions) = (tensor.name.clone(), tensor.shape.clone());
            Some(TensorShape { name, element, dimensions })
        };
        tensors.iter().map(shape).collect::<Option<_>>().ok_or(ShapeFault::Description)
    };
    let described = || {
        let described = ModelShape { inputs: shapes(&answer.inputs)?, outputs: shapes(&answer.outputs)? };
        model.shape.check_agreement(&described.checked()?)
    };
    described().map_err(Lie::Shape)
}

/// Reads the outputs of a run.
pub(super) fn outputs(
    model: &OipModel,
    id: &str,
    answer: &pb::ModelInferResponse,
) -> Result<Vec<Tensor>, Lie> {
    check_name(model, &answer.model_name)?;
    // A server need not repeat version and request id.
    let differs = |own: &str, other: &str| !own.is_empty() && !other.is_empty() && own != other;
    if differs(&model.version, &answer.model_version) {
        return Err(Lie::Other("another version of the model ran"));
    }
    if differs(id, &answer.id) {
        return Err(Lie::Other("it answers another request"));
    }
    let (outputs, raw) = (&answer.outputs, &answer.raw_output_contents);
    let outputs = if raw.is_empty() {
        outputs.iter().map(|output| read(output, None)).collect::<Result<Vec<_>, _>>()?
    } else if raw.len() == outputs.len() {
        let pairs = outputs.iter().zip(raw);
        pairs.map(|(output, raw)| read(output, Some(raw))).collect::<Result<_, _>>()?
    } else {
        return Err(Lie::Form);
    };
    answer::read(&model.shape.outputs, &outputs)
}

fn check_name(model: &OipModel, name: &str) -> Result<(), Lie> {
    if name == model.name { Ok(()) } else { Err(Lie::Other("it names another model")) }
}

fn read<'a>(
    output: &'a pb::model_infer_response::InferOutputTensor,
    raw: Option<&'a [u8]>,
) -> Result<Output<'a>, Lie> {
    let element = ElementType::by_name(&output.datatype);
    let elements = match (raw, &output.contents) {
        (Some(raw), None) => Elements::Bytes(raw),
        (Some(_), Some(_)) => return Err(Lie::Form),
        // Elements of an unknown type cannot be read; the type is reported as the fault.
        (None, contents) => match (element, contents) {
            (Some(element), Some(contents)) => Elements::Values(values(element, contents)?),
            (Some(_), None) | (None, _) => Elements::Bytes(&[]),
        },
    };
    Ok(Output { name: &output.name, element, dimensions: &output.shape, elements })
}

/// Reads elements from the field of their type.
fn values(
    element: ElementType,
    contents: &pb::InferTensorContents,
) -> Result<Result<TensorData, ElementFault>, Lie> {
    let pb::InferTensorContents {
        bool_contents,
        int_contents,
        int64_contents,
        uint_contents,
        uint64_contents,
        fp32_contents,
        fp64_contents,
        bytes_contents,
    } = contents;
    let own = match element {
        ElementType::Bool => bool_contents.len(),
        ElementType::I8 | ElementType::I16 | ElementType::I32 => int_contents.len(),
        ElementType::I64 => int64_contents.len(),
        ElementType::U8 | ElementType::U16 | ElementType::U32 => uint_contents.len(),
        ElementType::U64 => uint64_contents.len(),
        ElementType::F32 => fp32_contents.len(),
        ElementType::F64 => fp64_contents.len(),
        ElementType::Text => bytes_contents.len(),
        // The protocol has no field for these types.
        ElementType::F16 | ElementType::Bf16 => return Err(Lie::Form),
    };
    let all = [
        bool_contents.len(),
        int_contents.len(),
        int64_contents.len(),
        uint_contents.len(),
        uint64_contents.len(),
        fp32_contents.len(),
        fp64_contents.len(),
        bytes_contents.len(),
    ];
    if all.iter().sum::<usize>() != own {
        return Err(Lie::Form);
    }
    Ok(match element {
        ElementType::Bool => Ok(TensorData::U8(bool_contents.iter().map(|&value| value.into()).collect())),
        ElementType::I8 | ElementType::I16 | ElementType::I32 => Ok(TensorData::I32(int_contents.clone())),
        ElementType::I64 => Ok(TensorData::I64(int64_contents.clone())),
        ElementType::U8 => each(uint_contents, |&value| u8::try_from(value)).map(TensorData::U8),
        ElementType::U16 => each(uint_contents, |&value| i32::try_from(value)).map(TensorData::I32),
        ElementType::U32 => Ok(TensorData::I64(uint_contents.iter().map(|&value| value.into()).collect())),
        ElementType::U64 => each(uint64_contents, |&value| i64::try_from(value)).map(TensorData::I64),
        ElementType::F32 => floats(fp32_contents.clone()),
        ElementType::F64 => floats(fp64_contents.iter().copied().map(narrow).collect()),
        ElementType::F16 | ElementType::Bf16 => return Err(Lie::Form),
        ElementType::Text => {
            let texts = bytes_contents.iter().map(|bytes| String::from_utf8(bytes.clone()));
            texts.collect::<Result<_, _>>().map(TensorData::Text).map_err(|_| ElementFault::Text)
        }
    })
}

fn each<T, U, E>(values: &[T], read: impl Fn(&T) -> Result<U, E>) -> Result<Vec<U>, ElementFault> {
    values.iter().map(|value| read(value).map_err(|_| ElementFault::Range)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(element: ElementType, contents: pb::InferTensorContents) -> Result<TensorData, String> {
        let dimensions = vec![-1];
        let shape = TensorShape { name: "y".to_owned(), element, dimensions };
        let model = OipModel {
            name: "m".to_owned(),
            version: String::new(),
            shape: ModelShape { inputs: Vec::new(), outputs: vec![shape] },
        };
        let output = pb::model_infer_response::InferOutputTensor {
            name: "y".to_owned(),
            datatype: element.name().to_owned(),
            shape: vec![1],
            contents: Some(contents),
        };
        let answer = pb::ModelInferResponse {
            model_name: "m".to_owned(),
            outputs: vec![output],
            ..pb::ModelInferResponse::default()
        };
        let outputs = outputs(&model, "", &answer).map_err(|lie| lie.to_string())?;
        Ok(outputs[0].data().clone())
    }

    #[test]
    fn each_type_is_read_from_the_field_that_the_protocol_has_for_it() {
        let none = pb::InferTensorContents::default;
        let check = |element, contents, expected| assert_eq!(output(element, contents), Ok(expected));
        check(
            ElementType::Bool,
            pb::InferTensorContents { bool_contents: vec![true], ..none() },
            TensorData::U8(vec![1]),
        );
        for small in [ElementType::I8, ElementType::I16, ElementType::I32] {
            check(
                small,
                pb::InferTensorContents { int_contents: vec![-3], ..none() },
                TensorData::I32(vec![-3]),
            );
        }
        check(
            ElementType::I64,
            pb::InferTensorContents { int64_contents: vec![-3], ..none() },
            TensorData::I64(vec![-3]),
        );
        check(
            ElementType::U8,
            pb::InferTensorContents { uint_contents: vec![3], ..none() },
            TensorData::U8(vec![3]),
        );
        check(
            ElementType::U16,
            pb::InferTensorContents { uint_contents: vec![3], ..none() },
            TensorData::I32(vec![3]),
        );
        check(
            ElementType::U32,
            pb::InferTensorContents { uint_contents: vec![3], ..none() },
            TensorData::I64(vec![3]),
        );
        check(
            ElementType::U64,
            pb::InferTensorContents { uint64_contents: vec![3], ..none() },
            TensorData::I64(vec![3]),
        );
        check(
            ElementType::F32,
            pb::InferTensorContents { fp32_contents: vec![0.5], ..none() },
            TensorData::F32(vec![0.5]),
        );
        check(
            ElementType::F64,
            pb::InferTensorContents { fp64_contents: vec![0.5], ..none() },
            TensorData::F32(vec![0.5]),
        );
        let text = pb::InferTensorContents { bytes_contents: vec![b"text".to_vec()], ..none() };
        check(ElementType::Text, text, TensorData::Text(vec!["text".to_owned()]));
    }

    #[test]
    fn a_field_of_another_type_a_number_out_of_range_and_text_that_is_none_are_lies() {
        let none = pb::InferTensorContents::default;
        let check = |element, contents, words: &str| {
            let lie = output(element, contents).unwrap_err();
            assert!(lie.contains(words), "{lie}");
        };
        let form = "in both forms, or incomplete in one";
        check(ElementType::F32, pb::InferTensorContents { fp64_contents: vec![0.5], ..none() }, form);
        check(ElementType::F16, pb::InferTensorContents { fp32_contents: vec![0.5], ..none() }, form);
        let both = pb::InferTensorContents { fp32_contents: vec![0.5], uint_contents: vec![1], ..none() };
        check(ElementType::F32, both, form);
        check(ElementType::F32, none(), "another number of elements");
        check(
            ElementType::F32,
            pb::InferTensorContents { fp32_contents: vec![f32::NAN], ..none() },
            "not finite",
        );
        check(
            ElementType::F64,
            pb::InferTensorContents { fp64_contents: vec![1e300], ..none() },
            "not finite",
        );
        check(ElementType::U8, pb::InferTensorContents { uint_contents: vec![256], ..none() }, "beyond");
        check(
            ElementType::U64,
            pb::InferTensorContents { uint64_contents: vec![u64::MAX], ..none() },
            "beyond",
        );
        check(
            ElementType::Text,
            pb::InferTensorContents { bytes_contents: vec![vec![0xff]], ..none() },
            "UTF-8",
        );
    }
}
