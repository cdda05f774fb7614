//! The part of ONNX's file format that the models need. Field numbers are those of `onnx.proto` (Apache-2.0).

use prost::Message;

/// The type number of 32-bit floats, for tensors and for elements.
pub(crate) const FLOAT: i32 = 1;
/// The type number of an attribute with one integer, and with several.
const INT: i32 = 2;
const INTS: i32 = 7;
/// The version of the operator set. Up to version 17, `ReduceMean` has its axes as an attribute.
const OPERATORS: i64 = 13;
const FORMAT: i64 = 8;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Constant>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

/// An operation of a graph.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

/// An attribute of an operation.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

/// Constant numbers of the model.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Constant {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
}

/// An input or an output of the graph.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value_type: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(oneof = "Size", tags = "1, 2")]
    size: Option<Size>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Size {
    #[prost(int64, tag = "1")]
    Fixed(i64),
    #[prost(string, tag = "2")]
    Named(String),
}

impl Node {
    /// Returns the operation with an attribute added.
    pub(crate) fn with(mut self, attribute: Attribute) -> Self {
        self.attribute.push(attribute);
        self
    }
}

/// Returns an operation.
pub(crate) fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let (input, output) = (names(inputs), names(outputs));
    Node { input, output, op_type: operator.to_owned(), attribute: Vec::new() }
}

/// Returns an attribute with one integer.
pub(crate) fn integer(name: &str, i: i64) -> Attribute {
    Attribute { name: name.to_owned(), i, ints: Vec::new(), kind: INT }
}

/// Returns an attribute with several integers.
pub(crate) fn integers(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), i: 0, ints: ints.to_vec(), kind: INTS }
}

/// Returns an input or an output; -1 is a dimension of any size.
pub(crate) fn value(name: &str, elem_type: i32, dimensions: &[i64]) -> Value {
    let size = |&size: &i64| Dimension {
        size: Some(if size < 0 { Size::Named("batch".to_owned()) } else { Size::Fixed(size) }),
    };
    let shape = Some(Shape { dim: dimensions.iter().map(size).collect() });
    let tensor_type = Some(TensorType { elem_type, shape });
    Value { name: name.to_owned(), value_type: Some(Type { tensor_type }) }
}

fn constant(name: &str, dims: &[usize], values: Vec<f32>) -> Constant {
    let dims = dims.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
    Constant { dims, data_type: FLOAT, float_data: values, name: name.to_owned() }
}

/// A linear layer: `output = input * weights transposed + bias`.
pub(crate) struct Gemm {
    pub(crate) node: Node,
    pub(crate) weights: Constant,
    pub(crate) bias: Constant,
    pub(crate) output: Value,
}

impl Gemm {
    pub(crate) fn new<const N: usize>(input: &str, output: &str, weights: &[[f32; N]], bias: &[f32]) -> Self {
        let classes = weights.len();
        Self {
            node: node("Gemm", &[input, "weights", "bias"], &[output]).with(integer("transB", 1)),
            weights: constant("weights", &[classes, N], weights.concat()),
            bias: constant("bias", &[classes], bias.to_vec()),
            output: value(output, FLOAT, &[-1, i64::try_from(classes).unwrap_or(i64::MAX)]),
        }
    }
}

/// Returns the file of a model with one input and one output.
pub(crate) fn file(node: Vec<Node>, initializer: Vec<Constant>, input: Value, output: Value) -> Vec<u8> {
    let name = "tiny".to_owned();
    let graph = Graph { node, name, initializer, input: vec![input], output: vec![output] };
    let operators = OperatorSet { domain: String::new(), version: OPERATORS };
    Model { ir_version: FORMAT, opset_import: vec![operators], graph: Some(graph) }.encode_to_vec()
}
