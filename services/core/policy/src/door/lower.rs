//! The translation of a parsed condition into a [`Tree`], or its refusal.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, ListExpr, LiteralValue, SelectExpr, SourceInfo, operators};

use super::refusal::Refusal;
use crate::fields::{MATCH_FIELDS, QUERY_FIELDS, QueryField, TEXTS_FIELDS};
use crate::tree::{List, Node, Tree};
use crate::values::Kind;

/// The largest number of nodes of one condition, elements of lists included.
pub(crate) const NODES_MAX: usize = 512;
/// The deepest nesting of nodes. The parser balances chains of `&&` and `||`, so they nest by the logarithm
/// of their length.
pub(crate) const TREE_DEPTH_MAX: usize = 32;
/// The largest number of elements of a list literal.
pub(crate) const LITERALS_MAX: usize = 256;
/// The longest text literal, in bytes.
pub(crate) const TEXT_LITERAL_BYTES_MAX: usize = 256;
/// The largest number of matches that a condition sees.
pub(crate) const MATCHES_MAX: usize = 64;
/// The number of elements that the estimate assumes for `labels` and `classification`. An item has at most 32
/// labels.
const TEXTS_ASSUMED: u64 = 64;
/// The number of bytes that the estimate assumes for a text of a fact. A bank's name with its owner has at
/// most 288.
const TEXT_BYTES_ASSUMED: u64 = 512;

/// Translates a parsed condition.
pub(super) fn lowered(expr: &IdedExpr, places: &SourceInfo, source: &str) -> Result<Tree, Refusal> {
    let mut lowering =
        Lowering { places, source, variables: Vec::new(), nodes: 0, depth: 0, is_in_range: false };
    let root = lowering.single_of(expr, Kind::Bool)?;
    Ok(Tree { root: root.node, steps_max: root.steps })
}

/// A node with the kind and bounds of its value.
pub(super) struct Single {
    pub(super) node: Node,
    pub(super) kind: Kind,
    /// The largest number of steps.
    pub(super) steps: u64,
    /// The largest length of a text, in bytes.
    pub(super) bytes: u64,
}

/// A list with the kind and bounds of its elements.
pub(super) struct Many {
    pub(super) list: List,
    pub(super) kind: Kind,
    /// The largest number of elements.
    pub(super) len: u64,
    pub(super) steps: u64,
    /// The largest length of an element, in bytes.
    pub(super) bytes: u64,
}

pub(super) enum Lowered {
    Single(Single),
    Many(Many),
}

pub(super) struct Variable<'e> {
    pub(super) name: &'e str,
    pub(super) kind: Kind,
    pub(super) bytes: u64,
}

pub(super) struct Lowering<'e> {
    pub(super) places: &'e SourceInfo,
    pub(super) source: &'e str,
    /// The variables of the comprehensions around the node, the outermost first.
    pub(super) variables: Vec<Variable<'e>>,
    pub(super) nodes: usize,
    pub(super) depth: usize,
    /// Whether the node is within the list that a comprehension iterates over.
    pub(super) is_in_range: bool,
}

impl<'e> Lowering<'e> {
    pub(super) fn refused<T>(&self, expr: &IdedExpr, reason: impl Into<String>) -> Result<T, Refusal> {
        let refusal = Refusal::new(reason);
        let place = self.places.offset_for(expr.id).and_then(|(start, _)| usize::try_from(start).ok());
        Err(match place {
            Some(offset) => refusal.at_byte(self.source, offset),
            None => refusal,
        })
    }

    pub(super) fn single(&mut self, expr: &'e IdedExpr) -> Result<Single, Refusal> {
        match self.lower(expr)? {
            Lowered::Single(single) => Ok(single),
            Lowered::Many(_) => {
                self.refused(expr, "a list cannot be used here; exists, all and size look through one")
            }
        }
    }

    pub(super) fn single_of(&mut self, expr: &'e IdedExpr, kind: Kind) -> Result<Single, Refusal> {
        let single = self.single(expr)?;
        if single.kind == kind {
            Ok(single)
        } else {
            self.refused(expr, format!("this is {}, and {kind} is needed", single.kind))
        }
    }

    pub(super) fn many(&mut self, expr: &'e IdedExpr) -> Result<Many, Refusal> {
        match self.lower(expr)? {
            Lowered::Many(many) => Ok(many),
            Lowered::Single(single) => {
                self.refused(expr, format!("this is {}, and a list is needed", single.kind))
            }
        }
    }

    pub(super) fn count(&mut self, expr: &IdedExpr, nodes: usize) -> Result<(), Refusal> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return self.refused(expr, format!("a condition has at most {NODES_MAX} parts"));
        }
        Ok(())
    }

    pub(super) fn lower(&mut self, expr: &'e IdedExpr) -> Result<Lowered, Refusal> {
        self.count(expr, 1)?;
        if self.depth == TREE_DEPTH_MAX {
            return self.refused(expr, format!("parts are nested at most {TREE_DEPTH_MAX} deep"));
        }
        self.depth += 1;
        let lowered = match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal).map(Lowered::Single),
            Expr::Ident(name) => self.name(expr, name),
            Expr::Select(select) => self.selection(expr, select),
            Expr::List(list) => self.list(expr, list).map(Lowered::Many),
            Expr::Call(call) => self.call(expr, call),
            Expr::Map(_) | Expr::Struct(_) => self.refused(expr, "maps and messages are not allowed"),
            Expr::Comprehension(_) | Expr::Unspecified => {
                self.refused(expr, "this expression is not allowed")
            }
        };
        self.depth -= 1;
        lowered
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Result<Single, Refusal> {
        let of = |node, kind, bytes| Ok(Single { node, kind, steps: 1, bytes });
        match literal {
            LiteralValue::Boolean(value) => of(Node::Bool(*value.inner()), Kind::Bool, 0),
            LiteralValue::Int(value) => of(Node::Int(*value.inner()), Kind::Int, 0),
            LiteralValue::String(text) => {
                let text = text.inner();
                if text.len() > TEXT_LITERAL_BYTES_MAX {
                    let reason =
                        format!("a text has at most {TEXT_LITERAL_BYTES_MAX} bytes, not {}", text.len());
                    return self.refused(expr, reason);
                }
                of(Node::Text(text.into()), Kind::Text, text.len() as u64)
            }
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::Null | LiteralValue::UInt(_) => {
                self.refused(expr, "only true, false, whole numbers and texts may be written here")
            }
        }
    }

    fn name(&self, expr: &IdedExpr, name: &str) -> Result<Lowered, Refusal> {
        if let Some(slot) = self.variables.iter().position(|variable| variable.name == name) {
            let Variable { kind, bytes, .. } = self.variables[slot];
            return Ok(Lowered::Single(Single { node: Node::Variable(slot), kind, steps: 1, bytes }));
        }
        match name {
            "matches" => {
                let len = MATCHES_MAX as u64;
                Ok(Lowered::Many(Many { list: List::Matches, kind: Kind::Match, len, steps: 1, bytes: 0 }))
            }
            "query" => self.refused(expr, "`query` is used with a field, as in query.surface"),
            _ => self.refused(expr, format!("{name} is not known; a condition uses `matches` and `query`")),
        }
    }

    fn selection(&mut self, expr: &'e IdedExpr, select: &'e SelectExpr) -> Result<Lowered, Refusal> {
        let name = select.field.as_str();
        if let Some(field) = self.query_field(select)? {
            let bytes = TEXT_BYTES_ASSUMED;
            return Ok(Lowered::Single(Single {
                node: Node::QueryField(field),
                kind: field.kind,
                steps: 1,
                bytes,
            }));
        }
        let Single { node, steps, .. } = self.single_of(&select.operand, Kind::Match)?;
        let (node, steps, bytes) = (Box::new(node), steps + 1, TEXT_BYTES_ASSUMED);
        if let Some(field) = MATCH_FIELDS.iter().find(|field| field.name == name) {
            let node = Node::MatchField(node, field);
            return Ok(Lowered::Single(Single { node, kind: field.kind, steps, bytes }));
        }
        if let Some(field) = TEXTS_FIELDS.iter().find(|field| field.name == name) {
            let list = List::Field(node, field);
            return Ok(Lowered::Many(Many { list, kind: Kind::Text, len: TEXTS_ASSUMED, steps, bytes }));
        }
        self.refused(expr, format!("a match has no field {name}"))
    }

    /// Returns the field if the selection is one of `query`.
    pub(super) fn query_field(
        &mut self,
        select: &SelectExpr,
    ) -> Result<Option<&'static QueryField>, Refusal> {
        if !matches!(&select.operand.expr, Expr::Ident(name) if name == "query") {
            return Ok(None);
        }
        self.count(&select.operand, 1)?;
        match QUERY_FIELDS.iter().find(|field| field.name == select.field) {
            Some(field) => Ok(Some(field)),
            None => self.refused(&select.operand, format!("a query has no field {}", select.field)),
        }
    }

    fn list(&mut self, expr: &IdedExpr, list: &ListExpr) -> Result<Many, Refusal> {
        let len = list.elements.len();
        if len == 0 || len > LITERALS_MAX {
            return self.refused(expr, format!("a list has 1 to {LITERALS_MAX} elements here, not {len}"));
        }
        self.count(expr, len)?;
        let (mut texts, mut ints, mut bytes) = (Vec::new(), Vec::new(), 0);
        for element in &list.elements {
            let Expr::Literal(literal) = &element.expr else {
                return self.refused(element, "a list holds texts or whole numbers that are written out");
            };
            let literal = self.literal(element, literal)?;
            if let Node::Text(text) = literal.node {
                bytes = bytes.max(literal.bytes);
                texts.push(text);
            } else if let Node::Int(int) = literal.node {
                ints.push(int);
            } else {
                return self.refused(element, "a list holds texts or whole numbers");
            }
        }
        let many = |list, kind| Many { list, kind, len: len as u64, steps: 1, bytes };
        match (texts.is_empty(), ints.is_empty()) {
            (false, true) => Ok(many(List::Texts(texts.into()), Kind::Text)),
            (true, false) => Ok(many(List::Ints(ints.into()), Kind::Int)),
            _ => self.refused(expr, "a list holds texts alone or whole numbers alone"),
        }
    }

    fn call(&mut self, expr: &'e IdedExpr, call: &'e CallExpr) -> Result<Lowered, Refusal> {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            (operators::FILTER, Some(range), [variable, guard]) => {
                self.collection(expr, range, variable, Some(guard), None).map(Lowered::Many)
            }
            (operators::MAP, Some(range), [variable, value]) => {
                self.collection(expr, range, variable, None, Some(value)).map(Lowered::Many)
            }
            (operators::MAP, Some(range), [variable, guard, value]) => {
                self.collection(expr, range, variable, Some(guard), Some(value)).map(Lowered::Many)
            }
            (_, None, [of]) => self.of_one(expr, name, of).map(Lowered::Single),
            (_, None, [left, right]) => self.of_two(expr, name, left, right).map(Lowered::Single),
            (operators::CONDITIONAL, None, [condition, value, other]) => {
                self.conditional(condition, value, other).map(Lowered::Single)
            }
            ("size", Some(of), []) => self.size(of).map(Lowered::Single),
            (_, Some(text), [part]) => self.text_test(expr, name, text, part).map(Lowered::Single),
            (_, Some(range), [variable, body]) => {
                self.quantifier(expr, name, range, variable, body).map(Lowered::Single)
            }
            _ => self.unknown(expr, name),
        }
    }

    pub(super) fn unknown<T>(&self, expr: &IdedExpr, name: &str) -> Result<T, Refusal> {
        let name: String = name.chars().take(32).collect();
        self.refused(expr, format!("the function {name} is not allowed with these arguments"))
    }
}
