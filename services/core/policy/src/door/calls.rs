//! Lowers operators and functions on single values and lists.

use cel::IdedExpr;
use cel::common::ast::{Expr, operators};

use super::lower::{Lowered, Lowering, Many, Single};
use super::operators as allowed;
use super::refusal::Refusal;
use crate::evaluate::STEP_BYTES;
use crate::tree::Node;
use crate::values::Kind;

impl<'e> Lowering<'e> {
    /// Lowers an operator or a function of one value.
    pub(super) fn of_one(
        &mut self,
        expr: &'e IdedExpr,
        name: &str,
        of: &'e IdedExpr,
    ) -> Result<Single, Refusal> {
        match name {
            operators::LOGICAL_NOT => {
                let of = self.single_of(of, Kind::Bool)?;
                Ok(Single { node: Node::Not(of.node.into()), steps: of.steps + 1, ..of })
            }
            operators::NEGATE => {
                let of = self.single_of(of, Kind::Int)?;
                Ok(Single { node: Node::Negative(of.node.into()), steps: of.steps + 1, ..of })
            }
            operators::HAS => self.presence(of),
            "size" => self.size(of),
            _ => self.unknown(expr, name),
        }
    }

    /// Lowers an operator of two values.
    pub(super) fn of_two(
        &mut self,
        expr: &'e IdedExpr,
        name: &str,
        left: &'e IdedExpr,
        right: &'e IdedExpr,
    ) -> Result<Single, Refusal> {
        if let operators::LOGICAL_AND | operators::LOGICAL_OR = name {
            let (left, right) = (self.single_of(left, Kind::Bool)?, self.single_of(right, Kind::Bool)?);
            let steps = left.steps + right.steps + 1;
            let sides = Box::new([left.node, right.node]);
            let node = if name == operators::LOGICAL_AND { Node::And(sides) } else { Node::Or(sides) };
            return Ok(Single { node, kind: Kind::Bool, steps, bytes: 0 });
        }
        if let Some(operator) = allowed::arithmetic(name) {
            let (left, right) = (self.single_of(left, Kind::Int)?, self.single_of(right, Kind::Int)?);
            let steps = left.steps + right.steps + 1;
            let node = Node::Arithmetic(operator, Box::new([left.node, right.node]));
            return Ok(Single { node, kind: Kind::Int, steps, bytes: 0 });
        }
        if let Some(comparison) = allowed::comparison(name) {
            let left = self.single(left)?;
            let right = self.single_of(right, left.kind)?;
            if left.kind == Kind::Match {
                return self.refused(expr, "matches are compared by their fields");
            }
            let steps = left.steps + right.steps + left.bytes.min(right.bytes) / STEP_BYTES + 1;
            let node = Node::Comparison(comparison, Box::new([left.node, right.node]));
            return Ok(Single { node, kind: Kind::Bool, steps, bytes: 0 });
        }
        match name {
            operators::IN => self.is_in(expr, left, right),
            operators::INDEX => {
                let Many { list, kind, bytes, steps, .. } = self.many(left)?;
                let index = self.single_of(right, Kind::Int)?;
                let node = Node::At(list.into(), index.node.into());
                Ok(Single { node, kind, steps: steps + index.steps + 1, bytes })
            }
            _ => self.unknown(expr, name),
        }
    }

    pub(super) fn conditional(
        &mut self,
        condition: &'e IdedExpr,
        value: &'e IdedExpr,
        other: &'e IdedExpr,
    ) -> Result<Single, Refusal> {
        let condition = self.single_of(condition, Kind::Bool)?;
        let value = self.single(value)?;
        let other = self.single_of(other, value.kind)?;
        let steps = condition.steps + value.steps.max(other.steps) + 1;
        let (kind, bytes) = (value.kind, value.bytes.max(other.bytes));
        Ok(Single { node: Node::If(Box::new([condition.node, value.node, other.node])), kind, steps, bytes })
    }

    pub(super) fn text_test(
        &mut self,
        expr: &'e IdedExpr,
        name: &str,
        text: &'e IdedExpr,
        part: &'e IdedExpr,
    ) -> Result<Single, Refusal> {
        let Some(test) = allowed::text_test(name) else { return self.unknown(expr, name) };
        let (text, part) = (self.single_of(text, Kind::Text)?, self.single_of(part, Kind::Text)?);
        let steps = text.steps + part.steps + (text.bytes + part.bytes) / STEP_BYTES + 1;
        let node = Node::TextTest(test, Box::new([text.node, part.node]));
        Ok(Single { node, kind: Kind::Bool, steps, bytes: 0 })
    }

    pub(super) fn size(&mut self, of: &'e IdedExpr) -> Result<Single, Refusal> {
        let (node, steps) = match self.lower(of)? {
            Lowered::Many(many) => (Node::ListSize(many.list.into()), many.steps + 1),
            Lowered::Single(text) if text.kind == Kind::Text => {
                (Node::TextSize(text.node.into()), text.steps + text.bytes / STEP_BYTES + 1)
            }
            Lowered::Single(single) => {
                return self.refused(of, format!("{} has no size", single.kind));
            }
        };
        Ok(Single { node, kind: Kind::Int, steps, bytes: 0 })
    }

    fn is_in(&mut self, expr: &IdedExpr, value: &'e IdedExpr, list: &'e IdedExpr) -> Result<Single, Refusal> {
        let (value, list) = (self.single(value)?, self.many(list)?);
        if value.kind != list.kind || value.kind == Kind::Match {
            return self.refused(expr, "`in` looks for a text among texts or for an int among ints");
        }
        let each = 1 + value.bytes.min(list.bytes) / STEP_BYTES;
        let steps = value.steps + list.steps + list.len * each + 1;
        let node = Node::In(value.node.into(), list.list.into());
        Ok(Single { node, kind: Kind::Bool, steps, bytes: 0 })
    }

    /// Lowers `has`, which tests whether a query has a value. A match has all of its fields, so `has` on a
    /// field of a match is refused as a mistake.
    fn presence(&mut self, of: &'e IdedExpr) -> Result<Single, Refusal> {
        if let Expr::Select(select) = &of.expr
            && let Some(field) = self.query_field(select)?
        {
            return Ok(Single { node: Node::HasQueryField(field), kind: Kind::Bool, steps: 1, bytes: 0 });
        }
        self.refused(of, "has() takes a field of `query`")
    }
}
