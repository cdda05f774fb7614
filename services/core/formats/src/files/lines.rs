//! Lines of bounded length, read into one buffer.

pub(super) mod parts;
pub(super) mod columns;
pub(super) mod table;
pub(super) mod words;
pub(super) mod json_hash;
pub(super) mod item_json;
pub(super) mod frames;

use std::io::{self, BufRead as _, BufReader, Read};

/// The largest length of a line in bytes. An item at all its limits (a video's 4,096 frames as `vigie hash
/// --json` prints them) has two thirds of it; all vectors that an item may have, as lists of numbers of 20
/// characters, have a fifth.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// The number of bytes at the beginning of a file that are read to recognise its format.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;

/// The number of bytes that are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A reader of the lines of a text. Empty lines are counted, but not returned. A byte order mark at the
/// beginning is skipped.
pub struct Lines<'a> {
    reader: BufReader<Box<dyn Read + 'a>>,
    text: Vec<u8>,
    read: u64,
}

/// A line with its number.
#[derive(Debug)]
pub struct Line<'a> {
    /// The line's number, from 1.
    pub number: u64,
    /// The line's text without its line end, or the reason why it has none.
    pub text: Result<&'a str, String>,
}

impl std::fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("read", &self.read).finish_non_exhaustive()
    }
}

impl<'a> Lines<'a> {
    /// Creates a reader of a source's lines.
    #[must_use]
    pub fn new(source: Box<dyn Read + 'a>) -> Self {
        Self { reader: BufReader::with_capacity(CHUNK_BYTES, source), text: Vec::new(), read: 0 }
    }

    /// Reads the next line that is not empty; `None` at the end. A line longer than [`LINE_BYTES_MAX`] is
    /// skipped, and its text is an error.
    ///
    /// # Errors
    ///
    /// Fails if the source cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.text.clear();
            let mut bounded = self.reader.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            if bounded.read_until(b'\n', &mut self.text)? == 0 {
                return Ok(None);
            }
            self.read += 1;
            if self.text.len() > LINE_BYTES_MAX && self.text.last() != Some(&b'\n') {
                self.reader.skip_until(b'\n')?;
                let text = Err(format!("has more than {LINE_BYTES_MAX} bytes"));
                return Ok(Some(Line { number: self.read, text }));
            }
            if self.read == 1 && self.text.starts_with(BYTE_ORDER_MARK) {
                self.text.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.text.trim_ascii().is_empty() {
                break;
            }
        }
        let text = match self.text.as_slice() {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
            text => text,
        };
        let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned());
        Ok(Some(Line { number: self.read, text }))
    }
}

/// The byte order mark, which some programs write at the beginning of a UTF-8 file.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the valid lines, and the numbers of the invalid ones.
    fn check(text: &[u8], good: &[(u64, &str)], bad: &[u64]) {
        let mut lines = Lines::new(Box::new(text));
        let (mut texts, mut faults) = (Vec::new(), Vec::new());
        while let Some(Line { number, text }) = lines.next_line().unwrap() {
            match text {
                Ok(text) => texts.push((number, text.to_owned())),
                Err(_) => faults.push(number),
            }
        }
        let texts: Vec<_> = texts.iter().map(|(number, text)| (*number, text.as_str())).collect();
        assert_eq!((texts.as_slice(), faults.as_slice()), (good, bad));
    }

    #[test]
    fn lines_end_as_on_any_system_or_with_the_file() {
        check(b"\xef\xbb\xbfone\r\n\n  \ntwo \nthree", &[(1, "one"), (4, "two "), (5, "three")], &[]);
        check(b"", &[], &[]);
    }

    #[test]
    fn a_line_that_is_no_text_or_has_no_end_costs_itself() {
        let text = [b"a\n\xff\n".as_slice(), &vec![b'x'; 3 * LINE_BYTES_MAX], b"\nb\n"].concat();
        check(&text, &[(1, "a"), (4, "b")], &[2, 3]);
        check(
            &[vec![b'x'; LINE_BYTES_MAX], b"\n".to_vec()].concat(),
            &[(1, &"x".repeat(LINE_BYTES_MAX))],
            &[],
        );
    }
}
