//! Scans a condition before it is parsed, to bound the length of its chains.
//!
//! For `a + b + c` and `a.b.c` the parser recurses as deep as the chain is long, and has no option to limit
//! this. This scan counts the symbols of chains outside of text literals. A few rare forms of text literals
//! are refused, so that the scan and the parser agree on the end of a text.

use super::refusal::Refusal;

/// The largest number of symbols that can form a chain: operators, selections, brackets. Commas, words,
/// numbers and texts do not count.
pub(crate) const LINKS_MAX: usize = 512;

/// Checks the number of a condition's links.
pub(super) fn check(source: &str) -> Result<(), Refusal> {
    let bytes = source.as_bytes();
    let (mut at, mut links) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => at = end_of_text(source, at)?,
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes
                    .get(at..)
                    .into_iter()
                    .flatten()
                    .take_while(|byte| !matches!(byte, b'\n' | b'\r'))
                    .count();
            }
            b',' | b'_' => at += 1,
            _ if byte.is_ascii_punctuation() => {
                links += 1;
                at += 1;
            }
            _ if !byte.is_ascii() => {
                let reason = "characters outside of ASCII are allowed in texts and comments only";
                return Err(Refusal::new(reason).at_byte(source, at));
            }
            _ => at += 1,
        }
        // Two-character operators such as `<=` count as two.
        if links > LINKS_MAX {
            let reason =
                format!("a condition has at most {LINKS_MAX} characters of operators, dots and brackets");
            return Err(Refusal::new(reason).at_byte(source, at));
        }
    }
    Ok(())
}

/// Returns the index of the first byte after the text literal that begins at `start`.
fn end_of_text(source: &str, start: usize) -> Result<usize, Refusal> {
    let bytes = source.as_bytes();
    let refused = |reason: &str| Err(Refusal::new(reason).at_byte(source, start));
    let before = start.checked_sub(1).and_then(|before| bytes.get(before));
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        return refused("raw texts and bytes are not allowed");
    }
    let quote = bytes.get(start);
    if bytes.get(start + 1) == quote && bytes.get(start + 2) == quote {
        return refused("texts of several lines are not allowed");
    }
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            None | Some(b'\n' | b'\r') => return refused("a text has no end"),
            Some(b'\\') => at += 2,
            byte if byte == quote => return Ok(at + 1),
            Some(_) => at += 1,
        }
    }
}
