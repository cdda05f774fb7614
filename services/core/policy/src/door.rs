//! The narrow door: checks which part of CEL a condition uses, and refuses the rest.
//!
//! A condition is written by a member and is hostile input. The crate `cel` parses it, under bounds and
//! without macros, but its tree is never evaluated: [`lower`] translates the expressions that this crate
//! knows, with their types, into a [`Tree`] and refuses everything else. So an expression that CEL gains
//! later is refused until this crate supports it.
//!
//! The parser uses stack in proportion to nesting and to chains of operators. Conditions are therefore
//! scanned first ([`scan`]), and parsed on a thread with a stack of [`STACK_BYTES`].

mod refusal;
mod scan;
mod operators;
mod lower;
mod calls;
mod loops;

use std::thread;

use cel::Env;

use crate::tree::Tree;

use refusal::Refusal;

pub(crate) use lower::MATCHES_MAX;
#[cfg(test)]
pub(crate) use lower::{LITERALS_MAX, NODES_MAX, TEXT_LITERAL_BYTES_MAX, TREE_DEPTH_MAX};
#[cfg(test)]
pub(crate) use scan::LINKS_MAX;

/// The longest source of a condition, in bytes.
pub(crate) const SOURCE_BYTES_MAX: usize = 4_096;
/// The deepest nesting of parentheses, lists, arguments and conditionals.
pub(crate) const PARSER_DEPTH_MAX: u16 = 16;
/// The number of syntax errors after which the parser stops.
const RECOVERY_MAX: u32 = 2;
/// The stack size of the parsing thread, in bytes. The worst case, chains within 16 parentheses, takes
/// between 2 and 4 MiB in a debug build.
pub(crate) const STACK_BYTES: usize = 8 << 20;
/// The number of characters of the parser's message that a refusal repeats.
const MESSAGE_CHARS_MAX: usize = 200;

/// Parses conditions on a thread with enough stack. Returns the index of the first refused one, and the
/// reason.
pub(crate) fn read_all(sources: &[&str]) -> Result<Vec<Tree>, (usize, Refusal)> {
    thread::scope(|scope| {
        let read = || -> Result<Vec<Tree>, (usize, Refusal)> {
            let read = |(index, source): (usize, &&str)| read(source).map_err(|refusal| (index, refusal));
            sources.iter().enumerate().map(read).collect()
        };
        let reader = thread::Builder::new().name("policy-parser".to_owned()).stack_size(STACK_BYTES);
        match reader.spawn_scoped(scope, read).map(thread::ScopedJoinHandle::join) {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err((0, Refusal::new("the parser failed on one of the conditions"))),
            Err(_) => Err((0, Refusal::new("no thread could be started to read the conditions"))),
        }
    })
}

/// Parses one condition on the caller's stack, which must have [`STACK_BYTES`].
pub(crate) fn read(source: &str) -> Result<Tree, Refusal> {
    if source.len() > SOURCE_BYTES_MAX {
        let reason = format!("a condition has at most {SOURCE_BYTES_MAX} bytes, not {}", source.len());
        return Err(Refusal::new(reason));
    }
    scan::check(source)?;
    // Macros are off, so the tree matches the source.
    let parser = Env::default().with_optional_support(false).parser();
    let parser = parser.max_recursion_depth(PARSER_DEPTH_MAX).error_recovery_limit(RECOVERY_MAX);
    let (expression, places) = parser.parse_with_source_info(source).map_err(|errors| {
        let message = errors.errors.first().map_or("it cannot be parsed", |error| &error.msg);
        if message.contains("Recursion limit") {
            let reason =
                format!("parentheses, lists and arguments are nested at most {PARSER_DEPTH_MAX} deep");
            return Refusal::new(reason);
        }
        let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
        Refusal::new(format!("the condition is no expression of CEL: {message}"))
    })?;
    lower::lowered(&expression, &places, source)
}
