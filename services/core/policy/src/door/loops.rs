//! Lowers comprehensions: `exists`, `all`, `exists_one`, `filter` and `map`, with a bounded nesting.

use cel::IdedExpr;
use cel::common::ast::Expr;

use super::lower::{Lowering, Many, Single, Variable};
use super::operators as allowed;
use super::refusal::Refusal;
use crate::evaluate::NESTING_MAX;
use crate::tree::{List, Loop, Node};
use crate::values::Kind;

/// The list that a comprehension iterates over, and its lowered body.
struct Looped<T> {
    range: Many,
    slot: usize,
    body: T,
}

impl<'e> Lowering<'e> {
    pub(super) fn quantifier(
        &mut self,
        expr: &'e IdedExpr,
        name: &str,
        range: &'e IdedExpr,
        variable: &'e IdedExpr,
        body: &'e IdedExpr,
    ) -> Result<Single, Refusal> {
        let Some(quantifier) = allowed::quantifier(name) else { return self.unknown(expr, name) };
        let Looped { range, slot, body } =
            self.looped(expr, range, variable, |this| this.single_of(body, Kind::Bool))?;
        let steps = 1 + range.steps + range.len.saturating_mul(body.steps + 1);
        let node = Node::Quantifier(quantifier, Box::new(Loop { range: range.list, slot, body: body.node }));
        Ok(Single { node, kind: Kind::Bool, steps, bytes: 0 })
    }

    /// Lowers `filter` (a guard and no value) or `map`.
    pub(super) fn collection(
        &mut self,
        expr: &'e IdedExpr,
        range: &'e IdedExpr,
        variable: &'e IdedExpr,
        guard: Option<&'e IdedExpr>,
        value: Option<&'e IdedExpr>,
    ) -> Result<Many, Refusal> {
        if self.is_in_range {
            return self.refused(expr, "a comprehension does not go through the result of filter or map");
        }
        let Looped { range, slot, body: (guard, value) } = self.looped(expr, range, variable, |this| {
            let guard = guard.map(|guard| this.single_of(guard, Kind::Bool)).transpose()?;
            let value = value.map(|value| this.single(value)).transpose()?;
            Ok((guard, value))
        })?;
        let Many { list: range, kind, len, steps, bytes } = range;
        let mut each = 1;
        let guard = guard.map(|guard| {
            each += guard.steps;
            guard.node
        });
        let (list, kind, bytes) = match (guard, value) {
            (guard, Some(value)) => {
                each += value.steps;
                let looped = Loop { range, slot, body: value.node };
                (List::Map(looped.into(), guard), value.kind, value.bytes)
            }
            (Some(guard), None) => (List::Filter(Loop { range, slot, body: guard }.into()), kind, bytes),
            (None, None) => return self.unknown(expr, "filter"),
        };
        Ok(Many { list, kind, len, steps: 1 + steps + len.saturating_mul(each), bytes })
    }

    fn looped<T>(
        &mut self,
        expr: &IdedExpr,
        range: &'e IdedExpr,
        variable: &'e IdedExpr,
        body: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Looped<T>, Refusal> {
        let slot = self.variables.len();
        if slot == NESTING_MAX {
            return self.refused(expr, format!("comprehensions are nested at most {NESTING_MAX} deep"));
        }
        let was_in_range = std::mem::replace(&mut self.is_in_range, true);
        let range = self.many(range)?;
        self.is_in_range = was_in_range;
        let Expr::Ident(name) = &variable.expr else {
            return self.refused(variable, "a variable is a simple name");
        };
        self.count(variable, 1)?;
        let is_taken = name == "matches" || name == "query" || name.starts_with('.');
        if is_taken || self.variables.iter().any(|variable| variable.name == name) {
            return self.refused(variable, format!("the variable {name} has the name of something else"));
        }
        self.variables.push(Variable { name, kind: range.kind, bytes: range.bytes });
        // Comprehensions in the body are not within the range of this one.
        let was_in_range = std::mem::replace(&mut self.is_in_range, false);
        let body = body(self)?;
        self.is_in_range = was_in_range;
        self.variables.pop();
        Ok(Looped { range, slot, body })
    }
}
