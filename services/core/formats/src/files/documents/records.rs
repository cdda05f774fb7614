//! Splits a JSON document into records, one at a time: objects that follow one another or are the elements of
//! an array, or the elements of an array in a field of one object.
//!
//! At most one record is in memory, whatever the size of the document. Records are not parsed here. A record
//! that is not valid JSON costs only itself, as long as its braces and quotes are balanced.

use std::io::{self, BufRead as _, BufReader, Read};

/// The largest length of a record in bytes: three times that of a video's 4,096 frames.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// A record of a document.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::files) struct Record {
    /// The line on which the record begins, from 1.
    pub(in crate::files) line: u64,
    /// The record's text, or the reason why there is none.
    pub(in crate::files) text: Result<String, String>,
}

/// A reader of the records of a document.
pub(in crate::files) struct Records<'a> {
    reader: BufReader<Box<dyn Read + 'a>>,
    /// The field of an object whose elements are the records.
    container: Option<&'static str>,
    line: u64,
    /// The number of open arrays.
    arrays: usize,
    /// The number of open arrays within the container's object; `None` outside.
    inside: Option<usize>,
    is_over: bool,
}

impl std::fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("line", &self.line).finish_non_exhaustive()
    }
}

/// The end of an object.
enum Ended {
    Whole(Vec<u8>),
    TooLong,
    Torn,
    /// The object is the container, and its records follow.
    Entered,
}

impl<'a> Records<'a> {
    /// Creates a reader of a source's records. If `container` is named, the records of an object that has
    /// this field with an array are the array's elements.
    pub(in crate::files) fn new(source: Box<dyn Read + 'a>, container: Option<&'static str>) -> Self {
        let reader = BufReader::with_capacity(64 << 10, source);
        Self { reader, container, line: 1, arrays: 0, inside: None, is_over: false }
    }

    /// Reads the next record; `None` at the end. An incomplete document ends with a record that reports it.
    pub(in crate::files) fn next_record(&mut self) -> io::Result<Option<Record>> {
        while !self.is_over {
            let Some(byte) = self.byte()? else {
                self.is_over = true;
                let is_torn = self.arrays > 0 || self.inside.is_some();
                return Ok(is_torn.then(|| self.torn(self.line)));
            };
            let line = self.line;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' => {}
                b'[' => self.arrays += 1,
                b']' if self.arrays > 0 => {
                    self.arrays -= 1;
                    if self.inside == Some(self.arrays) {
                        self.inside = None;
                        if !self.skip_object()? {
                            return Ok(Some(self.torn(line)));
                        }
                    }
                }
                b'{' => {
                    let text = match self.object()? {
                        Ended::Entered => continue,
                        Ended::Torn => return Ok(Some(self.torn(line))),
                        Ended::TooLong => Err(format!("has more than {RECORD_BYTES_MAX} bytes")),
                        Ended::Whole(text) => String::from_utf8(text).map_err(|_| "is not UTF-8".to_owned()),
                    };
                    return Ok(Some(Record { line, text }));
                }
                // The byte order mark.
                0xef if self.line == 1 && self.reader.fill_buf()?.starts_with(&[0xbb, 0xbf]) => {
                    self.reader.consume(2)
                }
                _ => {
                    self.skip_noise()?;
                    return Ok(Some(Record { line, text: Err("is not JSON".to_owned()) }));
                }
            }
        }
        Ok(None)
    }

    fn torn(&mut self, line: u64) -> Record {
        self.is_over = true;
        Record { line, text: Err("ends in the middle: the document is not whole".to_owned()) }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.reader.fill_buf()?.first().copied();
        if let Some(byte) = byte {
            self.reader.consume(1);
            self.line += u64::from(byte == b'\n');
        }
        Ok(byte)
    }

    /// Skips bytes that are not JSON, up to the end of the line or to a possible next record.
    fn skip_noise(&mut self) -> io::Result<()> {
        while let Some(byte) = self.reader.fill_buf()?.first() {
            if matches!(byte, b'\n' | b'{' | b']') {
                break;
            }
            self.reader.consume(1);
        }
        Ok(())
    }

    /// Reads an object after its opening brace; if it is the container, reads up to its first record.
    fn object(&mut self) -> io::Result<Ended> {
        let mut text = vec![b'{'];
        let (mut depth, mut is_long) = (1_usize, false);
        // The position of the last string, and whether the container's array may follow.
        let mut key = Key::None;
        while let Some(byte) = self.byte()? {
            if text.len() < RECORD_BYTES_MAX {
                text.push(byte);
            } else {
                is_long = true;
            }
            match byte {
                b'"' => {
                    let begin = text.len();
                    if !self.string(&mut text, &mut is_long)? {
                        return Ok(Ended::Torn);
                    }
                    let end = text.len().saturating_sub(1);
                    let is_container = !is_long
                        && depth == 1
                        && self.inside.is_none()
                        && self.container.is_some_and(|name| text.get(begin..end) == Some(name.as_bytes()));
                    key = if is_container { Key::Named } else { Key::None };
                    continue;
                }
                b':' if key == Key::Named => {
                    key = Key::Value;
                    continue;
                }
                b'[' if key == Key::Value => {
                    self.inside = Some(self.arrays);
                    self.arrays += 1;
                    return Ok(Ended::Entered);
                }
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            key = Key::None;
            if depth == 0 {
                return Ok(if is_long { Ended::TooLong } else { Ended::Whole(text) });
            }
        }
        Ok(Ended::Torn)
    }

    /// Reads the rest of a string after its opening quote; `false` if the string does not end.
    fn string(&mut self, text: &mut Vec<u8>, is_long: &mut bool) -> io::Result<bool> {
        let mut is_escaped = false;
        while let Some(byte) = self.byte()? {
            if text.len() < RECORD_BYTES_MAX {
                text.push(byte);
            } else {
                *is_long = true;
            }
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Skips the rest of the container's object; `false` if it does not end.
    fn skip_object(&mut self) -> io::Result<bool> {
        let (mut depth, mut nothing) = (1_usize, Vec::new());
        while let Some(byte) = self.byte()? {
            match byte {
                b'"' => {
                    nothing.clear();
                    if !self.string(&mut nothing, &mut false)? {
                        return Ok(false);
                    }
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The last token on the way to the container's array.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    None,
    /// The name of the container's field.
    Named,
    /// The colon after that name.
    Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the records of a document with their lines; bad records are `None`.
    fn check(document: &str, expected: &[(u64, Option<&str>)]) {
        let mut records = Records::new(Box::new(document.as_bytes()), Some("all"));
        let mut found = Vec::new();
        while let Some(Record { line, text }) = records.next_record().unwrap() {
            found.push((line, text.ok()));
        }
        let found: Vec<_> = found.iter().map(|(line, text)| (*line, text.as_deref())).collect();
        assert_eq!(found, expected, "{document}");
    }

    #[test]
    fn records_are_objects_elements_or_elements_of_the_container() {
        check("{\"a\":1}\n{\"b\":[{}]}", &[(1, Some("{\"a\":1}")), (2, Some("{\"b\":[{}]}"))]);
        check("[\n{\"a\":\"}\\\"\"},\n{\n}]\n", &[(2, Some("{\"a\":\"}\\\"\"}")), (3, Some("{\n}"))]);
        let inside = "{\"n\":{\"all\":[7]},\n\"all\" : [{\"a\":[1]},{}],\"m\":[{}]}\n{\"b\":1}";
        check(inside, &[(2, Some("{\"a\":[1]}")), (2, Some("{}")), (3, Some("{\"b\":1}"))]);
        check("\u{feff}{\"all\":[]}", &[]);
        check("[[{}],[{}]]", &[(1, Some("{}")), (1, Some("{}"))]);
        check(" ", &[]);
    }

    #[test]
    fn what_is_no_record_costs_itself() {
        check("{}\nnoise\n{}", &[(1, Some("{}")), (2, None), (3, Some("{}"))]);
        let long = format!("[{{\"a\":\"{}\"}},{{}}]", "x".repeat(3 * RECORD_BYTES_MAX));
        check(&long, &[(1, None), (1, Some("{}"))]);
    }

    #[test]
    fn a_document_that_ends_in_the_middle_says_so() {
        for torn in ["[{}", "{\"all\":[{}", "{\"all\":[{}]", "{\"all\":[{}],\"n", "[{},"] {
            check(torn, &[(1, Some("{}")), (1, None)]);
        }
        for torn in ["{", "{\"a", "[", "{\"all\":["] {
            check(torn, &[(1, None)]);
        }
    }
}
