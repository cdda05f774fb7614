//! ONNX Runtime, from a library that is opened by path.

use std::path::Path;
use std::sync::Arc;

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{DynValue, Outlet, TensorElementType, ValueType};
use vigie_classifiers::{Tensor, TensorData};
use vigie_proto::pb::classifier::v1 as pb;

use super::load::failure;
use super::{Runtime, Session};
use crate::element::{ElementType, encode_texts};
use crate::shape::{ModelShape, TensorShape, dimensions};
use crate::wire;

/// The opened library.
#[derive(Debug)]
pub struct OnnxRuntime(Environment);

impl Runtime for OnnxRuntime {
    fn open(library: &Path) -> Result<Self, pb::Failure> {
        let failed = |words: String| failure(pb::FailureKind::Library, &words);
        let builder = ort::init_from(library).map_err(|error| failed(error.to_string()))?;
        // The runtime's log may quote its inputs.
        let environment = builder
            .with_name("vigie")
            .with_telemetry(false)
            .with_logger(Arc::new(|_, _, _, _, _| {}))
            .build();
        environment.map(Self).map_err(|error| failed(error.to_string()))
    }

    fn load(&mut self, model: &[u8]) -> Result<Box<dyn Session>, pb::Failure> {
        let session =
            session(&self.0, model).map_err(|error| failure(pb::FailureKind::Model, error.message()))?;
        let shape = shape(&session).ok_or_else(|| {
            failure(
                pb::FailureKind::Model,
                "an input or output is no tensor, or of a type that is not carried",
            )
        })?;
        Ok(Box::new(OnnxSession { session, shape }))
    }
}

/// Creates a session of one thread, which does not spin while it waits: there are as many processes as cores,
/// and none can start a thread.
fn session(environment: &Environment, model: &[u8]) -> ort::Result<ort::session::Session> {
    ort::session::Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .commit_from_memory(model)
}

/// A session and its description.
struct OnnxSession {
    session: ort::session::Session,
    shape: ModelShape,
}

impl Session for OnnxSession {
    fn shape(&self) -> ModelShape {
        self.shape.clone()
    }

    fn run(&mut self, inputs: Vec<Tensor>, bytes_max: usize) -> Result<Vec<pb::Tensor>, pb::Failure> {
        let failed = |_: ort::Error| failure(pb::FailureKind::Run, "");
        let inputs = inputs.into_iter().map(input).collect::<ort::Result<Vec<_>>>().map_err(failed)?;
        let outputs = self.session.run(inputs).map_err(failed)?;
        carried(&outputs, &self.shape.outputs, bytes_max).ok_or_else(|| failure(pb::FailureKind::Output, ""))
    }
}

fn input(tensor: Tensor) -> ort::Result<(String, SessionInputValue<'static>)> {
    let (name, sizes) = (tensor.name().to_owned(), dimensions(&tensor));
    let value = match tensor.into_data() {
        TensorData::F32(values) => ort::value::Tensor::from_array((sizes, values))?.into(),
        TensorData::U8(values) => ort::value::Tensor::from_array((sizes, values))?.into(),
        TensorData::I32(values) => ort::value::Tensor::from_array((sizes, values))?.into(),
        TensorData::I64(values) => ort::value::Tensor::from_array((sizes, values))?.into(),
        TensorData::Text(texts) => ort::value::Tensor::from_string_array((sizes, texts.as_slice()))?.into(),
    };
    Ok((name, value))
}

/// Converts the outputs to messages. `None` if one is missing, is of an unsupported type, or if they are too
/// large.
fn carried(
    outputs: &SessionOutputs<'_>,
    described: &[TensorShape],
    bytes_max: usize,
) -> Option<Vec<pb::Tensor>> {
    let mut left = bytes_max;
    let carry = |described: &TensorShape| {
        let value = outputs.get(&described.name)?;
        let ValueType::Tensor { ty, shape, .. } = value.dtype() else { return None };
        let element = element(*ty)?;
        // Checked before a copy is made.
        let least = shape.num_elements().checked_mul(element.bytes().unwrap_or(4))?;
        if least > left {
            return None;
        }
        let data = bytes(value, element)?;
        left = left.checked_sub(data.len())?;
        let shape = pb::TensorShape {
            name: described.name.clone(),
            element: wire::element(element).into(),
            dimensions: shape.to_vec(),
        };
        Some(pb::Tensor { shape: Some(shape), data })
    };
    described.iter().map(carry).collect()
}

macro_rules! numbers {
    ($value:expr, $type:ty) => {{
        let (_, values) = $value.try_extract_tensor::<$type>().ok()?;
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }};
}

fn bytes(value: &DynValue, element: ElementType) -> Option<Vec<u8>> {
    Some(match element {
        ElementType::Bool => {
            let (_, values) = value.try_extract_tensor::<bool>().ok()?;
            values.iter().map(|&value| u8::from(value)).collect()
        }
        ElementType::U8 => numbers!(value, u8),
        ElementType::U16 => numbers!(value, u16),
        ElementType::U32 => numbers!(value, u32),
        ElementType::U64 => numbers!(value, u64),
        ElementType::I8 => numbers!(value, i8),
        ElementType::I16 => numbers!(value, i16),
        ElementType::I32 => numbers!(value, i32),
        ElementType::I64 => numbers!(value, i64),
        ElementType::F32 => numbers!(value, f32),
        ElementType::F64 => numbers!(value, f64),
        ElementType::Text => {
            let (_, texts) = value.try_extract_strings().ok()?;
            encode_texts(texts.iter().map(String::as_bytes))
        }
        // The standard library has no type for half-precision numbers: such a model has to cast its output to
        // 32 bits.
        ElementType::F16 | ElementType::Bf16 => return None,
    })
}

fn shape(session: &ort::session::Session) -> Option<ModelShape> {
    let shapes = |outlets: &[Outlet]| outlets.iter().map(tensor_shape).collect::<Option<_>>();
    let shape = ModelShape { inputs: shapes(session.inputs())?, outputs: shapes(session.outputs())? };
    shape.checked().ok()
}

fn tensor_shape(outlet: &Outlet) -> Option<TensorShape> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else { return None };
    Some(TensorShape { name: outlet.name().to_owned(), element: element(*ty)?, dimensions: shape.to_vec() })
}

/// The supported types.
const ELEMENTS: [(TensorElementType, ElementType); 14] = [
    (TensorElementType::Bool, ElementType::Bool),
    (TensorElementType::Uint8, ElementType::U8),
    (TensorElementType::Uint16, ElementType::U16),
    (TensorElementType::Uint32, ElementType::U32),
    (TensorElementType::Uint64, ElementType::U64),
    (TensorElementType::Int8, ElementType::I8),
    (TensorElementType::Int16, ElementType::I16),
    (TensorElementType::Int32, ElementType::I32),
    (TensorElementType::Int64, ElementType::I64),
    (TensorElementType::Float16, ElementType::F16),
    (TensorElementType::Bfloat16, ElementType::Bf16),
    (TensorElementType::Float32, ElementType::F32),
    (TensorElementType::Float64, ElementType::F64),
    (TensorElementType::String, ElementType::Text),
];

fn element(element: TensorElementType) -> Option<ElementType> {
    ELEMENTS.iter().find(|(of_runtime, _)| *of_runtime == element).map(|&(_, own)| own)
}
