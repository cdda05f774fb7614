//! The evaluation of a checked condition, in counted steps.
//!
//! The semantics are CEL's: either side can decide `&&` and `||` even if the other side fails, and any
//! element can decide `exists` and `all`. All other expressions fail if one of their parts fails. The limits
//! on steps and time always end the evaluation.

use thiserror::Error;

use crate::facts::{MatchFacts, QueryFacts};
use crate::tree::{Arithmetic, Comparison, List, Loop, Node, Quantifier, TextTest, Tree};
use crate::values::Scalar;

/// The deepest nesting of comprehensions, and so the largest number of variables.
pub(crate) const NESTING_MAX: usize = 2;
/// The number of bytes of text that one step compares or searches.
pub(crate) const STEP_BYTES: u64 = 64;
/// The number of steps between two checks of the deadline: about 10 us.
const DEADLINE_STEPS: u64 = 1_024;

/// The reason why a condition has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Failure {
    #[error("a number is too large")]
    Overflow,
    #[error("a division by zero")]
    DivisionByZero,
    #[error("an index is out of bounds")]
    OutOfBounds,
    #[error("the query has no such value")]
    Absent,
    #[error("the condition takes too many steps with these matches")]
    Steps,
    #[error("the time of the answer is over")]
    Deadline,
    /// A node has another kind than the door determined: a fault of this crate.
    #[error("a value has another type than expected")]
    Kind,
}

impl Failure {
    /// Whether the failure concerns one value, so that `&&` and `||` can ignore it.
    pub(crate) const fn is_of_a_value(self) -> bool {
        matches!(self, Self::Overflow | Self::DivisionByZero | Self::OutOfBounds | Self::Absent)
    }
}

/// Counts the steps of an evaluation.
pub(crate) struct Meter<'a> {
    left: u64,
    until_check: u64,
    is_spent: Option<&'a dyn Fn() -> bool>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(steps_max: u64, is_spent: Option<&'a dyn Fn() -> bool>) -> Self {
        Self { left: steps_max, until_check: 0, is_spent }
    }

    fn step(&mut self, steps: u64) -> Result<(), Failure> {
        self.left = self.left.checked_sub(steps).ok_or(Failure::Steps)?;
        match self.until_check.checked_sub(steps) {
            Some(left) => self.until_check = left,
            None => {
                self.until_check = DEADLINE_STEPS;
                if self.is_spent.is_some_and(|is_spent| is_spent()) {
                    return Err(Failure::Deadline);
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, bytes: usize) -> Result<(), Failure> {
        self.step(bytes as u64 / STEP_BYTES)
    }
}

/// Returns whether the condition is true for these matches, nearest first.
pub(crate) fn holds(
    tree: &Tree,
    matches: &[&MatchFacts],
    query: &QueryFacts,
    meter: &mut Meter<'_>,
) -> Result<bool, Failure> {
    Evaluation { matches, query, meter, variables: [Scalar::Bool(false); NESTING_MAX] }.bool(&tree.root)
}

struct Evaluation<'a, 'm> {
    matches: &'a [&'a MatchFacts],
    query: &'a QueryFacts,
    meter: &'a mut Meter<'m>,
    variables: [Scalar<'a>; NESTING_MAX],
}

/// The elements of a list.
enum Elements<'a> {
    Matches(&'a [&'a MatchFacts]),
    Texts(&'a [Box<str>]),
    Ints(&'a [i64]),
    Owned(Vec<Scalar<'a>>),
}

impl<'a> Elements<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Matches(matches) => matches.len(),
            Self::Texts(texts) => texts.len(),
            Self::Ints(ints) => ints.len(),
            Self::Owned(values) => values.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Scalar<'a>> {
        match self {
            Self::Matches(matches) => matches.get(index).map(|facts| Scalar::Match(facts)),
            Self::Texts(texts) => texts.get(index).map(|text| Scalar::Text(text)),
            Self::Ints(ints) => ints.get(index).map(|int| Scalar::Int(*int)),
            Self::Owned(values) => values.get(index).copied(),
        }
    }
}

impl<'a> Evaluation<'a, '_> {
    fn scalar(&mut self, node: &'a Node) -> Result<Scalar<'a>, Failure> {
        self.meter.step(1)?;
        Ok(match node {
            Node::Bool(value) => Scalar::Bool(*value),
            Node::Int(value) => Scalar::Int(*value),
            Node::Text(text) => Scalar::Text(text),
            Node::Variable(slot) => self.variables.get(*slot).copied().ok_or(Failure::Kind)?,
            Node::MatchField(of, field) => (field.of)(self.facts(of)?),
            Node::QueryField(field) => (field.of)(self.query).ok_or(Failure::Absent)?,
            Node::HasQueryField(field) => Scalar::Bool((field.of)(self.query).is_some()),
            Node::Not(of) => Scalar::Bool(!self.bool(of)?),
            Node::Negative(of) => Scalar::Int(self.int(of)?.checked_neg().ok_or(Failure::Overflow)?),
            Node::And(sides) => Scalar::Bool(self.either(sides, false)?),
            Node::Or(sides) => Scalar::Bool(self.either(sides, true)?),
            Node::If(parts) => {
                let [condition, value, other] = &**parts;
                let chosen = if self.bool(condition)? { value } else { other };
                self.scalar(chosen)?
            }
            Node::Arithmetic(operator, sides) => {
                let [left, right] = &**sides;
                Scalar::Int(computed(*operator, self.int(left)?, self.int(right)?)?)
            }
            Node::Comparison(comparison, sides) => {
                let [left, right] = &**sides;
                let (left, right) = (self.scalar(left)?, self.scalar(right)?);
                Scalar::Bool(self.compared(*comparison, left, right)?)
            }
            Node::TextTest(test, sides) => {
                let [text, part] = &**sides;
                let (text, part) = (self.text(text)?, self.text(part)?);
                self.meter.text(text.len() + part.len())?;
                Scalar::Bool(match test {
                    TextTest::Contains => text.contains(part),
                    TextTest::StartsWith => text.starts_with(part),
                    TextTest::EndsWith => text.ends_with(part),
                })
            }
            Node::TextSize(of) => {
                let text = self.text(of)?;
                self.meter.text(text.len())?;
                length(text.chars().count())?
            }
            Node::ListSize(list) => length(self.list(list)?.len())?,
            Node::In(value, list) => {
                let (value, elements) = (self.scalar(value)?, self.list(list)?);
                Scalar::Bool(self.contains(&elements, value)?)
            }
            Node::At(list, index) => {
                let elements = self.list(list)?;
                let index = usize::try_from(self.int(index)?).map_err(|_| Failure::OutOfBounds)?;
                elements.get(index).ok_or(Failure::OutOfBounds)?
            }
            Node::Quantifier(quantifier, looped) => Scalar::Bool(self.quantified(*quantifier, looped)?),
        })
    }

    fn list(&mut self, list: &'a List) -> Result<Elements<'a>, Failure> {
        self.meter.step(1)?;
        Ok(match list {
            List::Matches => Elements::Matches(self.matches),
            List::Texts(texts) => Elements::Texts(texts),
            List::Ints(ints) => Elements::Ints(ints),
            List::Field(of, field) => Elements::Texts((field.of)(self.facts(of)?)),
            List::Filter(looped) => Elements::Owned(self.collected(Some(&looped.body), None, looped)?),
            List::Map(looped, guard) => {
                Elements::Owned(self.collected(guard.as_ref(), Some(&looped.body), looped)?)
            }
        })
    }

    /// Returns, for each element for which the guard is true, the value there, or the element itself.
    fn collected(
        &mut self,
        guard: Option<&'a Node>,
        value: Option<&'a Node>,
        looped: &'a Loop,
    ) -> Result<Vec<Scalar<'a>>, Failure> {
        let elements = self.list(&looped.range)?;
        let mut collected = Vec::new();
        for element in (0..elements.len()).map_while(|index| elements.get(index)) {
            self.bind(looped, element)?;
            if guard.map_or(Ok(true), |guard| self.bool(guard))? {
                collected.push(value.map_or(Ok(element), |value| self.scalar(value))?);
            }
        }
        Ok(collected)
    }

    fn quantified(&mut self, quantifier: Quantifier, looped: &'a Loop) -> Result<bool, Failure> {
        let elements = self.list(&looped.range)?;
        let (mut held, mut failure) = (0_usize, None);
        for element in (0..elements.len()).map_while(|index| elements.get(index)) {
            self.bind(looped, element)?;
            match (quantifier, self.bool(&looped.body)) {
                (Quantifier::Exists, Ok(true)) => return Ok(true),
                (Quantifier::All, Ok(false)) => return Ok(false),
                (_, Ok(does_hold)) => held += usize::from(does_hold),
                (Quantifier::Exists | Quantifier::All, Err(error)) if error.is_of_a_value() => {
                    failure = Some(error);
                }
                (_, Err(error)) => return Err(error),
            }
        }
        match (failure, quantifier) {
            (Some(failure), _) => Err(failure),
            (None, Quantifier::Exists) => Ok(false),
            (None, Quantifier::All) => Ok(true),
            (None, Quantifier::ExistsOne) => Ok(held == 1),
        }
    }

    fn contains(&mut self, elements: &Elements<'a>, value: Scalar<'a>) -> Result<bool, Failure> {
        for element in (0..elements.len()).map_while(|index| elements.get(index)) {
            self.meter.step(1)?;
            if self.compared(Comparison::Equal, value, element)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn bind(&mut self, looped: &Loop, element: Scalar<'a>) -> Result<(), Failure> {
        self.meter.step(1)?;
        *self.variables.get_mut(looped.slot).ok_or(Failure::Kind)? = element;
        Ok(())
    }

    /// Returns the result of `&&` (decided by `false`) or `||` (decided by `true`).
    fn either(&mut self, sides: &'a [Node; 2], deciding: bool) -> Result<bool, Failure> {
        let [left, right] = sides;
        match self.bool(left) {
            Ok(value) if value == deciding => Ok(deciding),
            Ok(_) => self.bool(right),
            Err(failure) if failure.is_of_a_value() => {
                if self.bool(right)? == deciding {
                    Ok(deciding)
                } else {
                    Err(failure)
                }
            }
            Err(failure) => Err(failure),
        }
    }

    fn compared(
        &mut self,
        comparison: Comparison,
        left: Scalar<'a>,
        right: Scalar<'a>,
    ) -> Result<bool, Failure> {
        let order = match (left, right) {
            (Scalar::Bool(left), Scalar::Bool(right)) => left.cmp(&right),
            (Scalar::Int(left), Scalar::Int(right)) => left.cmp(&right),
            (Scalar::Text(left), Scalar::Text(right)) => {
                self.meter.text(left.len().min(right.len()))?;
                left.cmp(right)
            }
            _ => return Err(Failure::Kind),
        };
        Ok(match comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        })
    }

    fn bool(&mut self, node: &'a Node) -> Result<bool, Failure> {
        if let Scalar::Bool(value) = self.scalar(node)? { Ok(value) } else { Err(Failure::Kind) }
    }

    fn int(&mut self, node: &'a Node) -> Result<i64, Failure> {
        if let Scalar::Int(value) = self.scalar(node)? { Ok(value) } else { Err(Failure::Kind) }
    }

    fn text(&mut self, node: &'a Node) -> Result<&'a str, Failure> {
        if let Scalar::Text(value) = self.scalar(node)? { Ok(value) } else { Err(Failure::Kind) }
    }

    fn facts(&mut self, node: &'a Node) -> Result<&'a MatchFacts, Failure> {
        if let Scalar::Match(value) = self.scalar(node)? { Ok(value) } else { Err(Failure::Kind) }
    }
}

fn length<'a>(count: usize) -> Result<Scalar<'a>, Failure> {
    i64::try_from(count).map(Scalar::Int).map_err(|_| Failure::Overflow)
}

fn computed(operator: Arithmetic, left: i64, right: i64) -> Result<i64, Failure> {
    let result = match operator {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide | Arithmetic::Remainder if right == 0 => return Err(Failure::DivisionByZero),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => left.checked_rem(right),
    };
    result.ok_or(Failure::Overflow)
}
