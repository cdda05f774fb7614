//! The narrow door: what of CEL a condition may be.
//!
//! A condition is written by a member and is hostile input. The parser of the crate `cel` reads it, under
//! bounds and without macros, and nothing of its tree is evaluated: [`lower`] translates the expressions that
//! this crate knows, with their types, into a [`Tree`] and refuses everything else. So an expression that CEL
//! gains later is refused until someone decides to let it in.
//!
//! The parser uses stack in proportion to nesting and to chains of operators. Conditions are therefore
//! scanned first ([`scan`]), and read on a thread of [`STACK_BYTES`].

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

/// Bytes of a condition's source.
pub(crate) const SOURCE_BYTES_MAX: usize = 4_096;
/// Parentheses, lists, arguments and conditionals within each other.
pub(crate) const PARSER_DEPTH_MAX: u16 = 16;
/// Syntax errors after which the parser stops looking for more.
const RECOVERY_MAX: u32 = 2;
/// The stack of the thread that parses. What takes most of it, chains within 16 parentheses, takes between 2
/// and 4 MiB in a debug build.
pub(crate) const STACK_BYTES: usize = 8 << 20;
/// Characters of the parser's message that a refusal repeats.
const MESSAGE_CHARS_MAX: usize = 200;

/// Reads conditions on a thread with enough stack. Returns the first one's index that is refused, and why.
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

/// Reads one condition, on the caller's stack, of which [`STACK_BYTES`] must exist.
pub(crate) fn read(source: &str) -> Result<Tree, Refusal> {
    if source.len() > SOURCE_BYTES_MAX {
        let reason = format!("a condition has at most {SOURCE_BYTES_MAX} bytes, not {}", source.len());
        return Err(Refusal::new(reason));
    }
    scan::check(source)?;
    // Without macros, so that the tree is as it was written.
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
