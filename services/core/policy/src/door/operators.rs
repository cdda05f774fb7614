//! The operators of CEL that a condition may use, by the names that the parser gives them.

use cel::common::ast::operators;

use crate::tree::{Arithmetic, Comparison, Quantifier, TextTest};

pub(super) fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}

pub(super) fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

pub(super) fn text_test(name: &str) -> Option<TextTest> {
    Some(match name {
        "contains" => TextTest::Contains,
        "startsWith" => TextTest::StartsWith,
        "endsWith" => TextTest::EndsWith,
        _ => return None,
    })
}

pub(super) fn quantifier(name: &str) -> Option<Quantifier> {
    Some(match name {
        operators::EXISTS => Quantifier::Exists,
        operators::ALL => Quantifier::All,
        operators::EXISTS_ONE => Quantifier::ExistsOne,
        _ => return None,
    })
}
