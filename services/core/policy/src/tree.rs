//! A checked condition: a tree of typed nodes with a bound on its steps.

use crate::fields::{MatchField, QueryField, TextsField};

/// A condition that the door accepted.
pub(crate) struct Tree {
    /// A node of kind `Kind::Bool`.
    pub(crate) root: Node,
    /// The largest number of steps of one evaluation over facts within the door's assumptions. An evaluation
    /// stops at this number.
    pub(crate) steps_max: u64,
}

/// A node with a single value.
pub(crate) enum Node {
    Bool(bool),
    Int(i64),
    Text(Box<str>),
    /// The current element of the comprehension at this nesting depth.
    Variable(usize),
    MatchField(Box<Self>, &'static MatchField),
    QueryField(&'static QueryField),
    /// Whether the query has a value for this field.
    HasQueryField(&'static QueryField),
    Not(Box<Self>),
    Negative(Box<Self>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    /// The condition, the value if it is true, and the value if it is false.
    If(Box<[Self; 3]>),
    Arithmetic(Arithmetic, Box<[Self; 2]>),
    Comparison(Comparison, Box<[Self; 2]>),
    TextTest(TextTest, Box<[Self; 2]>),
    TextSize(Box<Self>),
    ListSize(Box<List>),
    In(Box<Self>, Box<List>),
    At(Box<List>, Box<Self>),
    Quantifier(Quantifier, Box<Loop>),
}

/// A node with a list.
pub(crate) enum List {
    Matches,
    Texts(Box<[Box<str>]>),
    Ints(Box<[i64]>),
    Field(Box<Node>, &'static TextsField),
    Filter(Box<Loop>),
    /// The values of the body at the elements for which the guard is true.
    Map(Box<Loop>, Option<Node>),
}

/// A body that is evaluated at each element of a list.
pub(crate) struct Loop {
    pub(crate) range: List,
    /// The variable: the loop's nesting depth, from 0.
    pub(crate) slot: usize,
    pub(crate) body: Node,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Quantifier {
    Exists,
    All,
    ExistsOne,
}
