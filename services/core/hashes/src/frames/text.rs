//! The text of a video's frames: three forms are accepted, and the first is the default in output.
//!
//! | written by | form |
//! |---|---|
//! | the C++ tools of vPDQ | one line a frame: `number,quality,64 hexadecimal digits,seconds` |
//! | the program `vpdq` of the Python package | one line a frame: `64 hexadecimal digits,quality,seconds` |
//! | threatexchange | a JSON list with a text `64 hexadecimal digits,quality,seconds` for each frame |
//!
//! Where a hash has to be on one line, the third form is written ([`write_list`]).
//!
//! The number in the first form counts the frames of the file, some of which may not be hashed. A hash does
//! not keep that number: the output counts the frames of the list. Seconds are written with three decimals.
//! In input they may have any number of decimals and an exponent (threatexchange writes three significant
//! digits, and 100 seconds as `1e+02`).

use std::fmt::Write as _;

use super::{Frame, FramesError, QUALITY_AT};
use crate::hex;

/// The accepted forms in words.
pub const FORM: &str = "one line a frame, as in `0,100,<64 hexadecimal digits>,1.000` (number, quality, PDQ, seconds) or \
                        `<64 hexadecimal digits>,100,1.000` (PDQ, quality, seconds), or as a JSON list of texts of the second form";

/// The longest text of one frame, in bytes, spaces around it included.
const LINE_LEN_MAX: usize = 160;

/// Reads frames in any of the three forms, and skips empty lines.
pub fn read(text: &str) -> Result<Vec<Frame>, FramesError> {
    let text = text.trim();
    let frames: Result<Vec<Frame>, FramesError> = if text.starts_with('[') {
        let entries: Vec<&str> = entries(text).ok_or(FramesError::Text { line: 1 })?;
        let read = |(at, entry): (usize, &&str)| frame(entry).ok_or(FramesError::Text { line: at + 1 });
        entries.iter().enumerate().map(read).collect()
    } else {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(at, line)| frame(line).ok_or(FramesError::Text { line: at + 1 })).collect()
    };
    let frames = frames?;
    if frames.is_empty() { Err(FramesError::Count(0)) } else { Ok(frames) }
}

/// Writes frames in the first form, without a line end after the last.
pub fn write(frames: impl IntoIterator<Item = Frame>) -> String {
    let mut text = String::new();
    for (number, frame) in frames.into_iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let Frame { pdq, quality, time_ms } = frame;
        let (seconds, thousandths) = (time_ms / 1_000, time_ms % 1_000);
        // Writing to a string does not fail.
        let _ = write!(text, "{number},{quality},{},{seconds}.{thousandths:03}", hex::encode(&pdq));
    }
    text
}

/// Writes frames in the third form, on one line without spaces, for formats that hold a hash on one line.
pub fn write_list(frames: impl IntoIterator<Item = Frame>) -> String {
    let mut text = String::from("[");
    for (number, Frame { pdq, quality, time_ms }) in frames.into_iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        let (seconds, thousandths) = (time_ms / 1_000, time_ms % 1_000);
        // Writing to a string does not fail.
        let _ = write!(text, "\"{},{quality},{seconds}.{thousandths:03}\"", hex::encode(&pdq));
    }
    text.push(']');
    text
}

/// Checks whether a line is a frame in the first form, or in the second form with a time that has a point or
/// an exponent. A whole number is not accepted as a time in the second form, because output of tools for
/// pictures may have one there.
#[must_use]
pub fn is_line(line: &str) -> bool {
    let fields = line.split(',').count();
    let has_time = line.rsplit(',').next().is_some_and(|time| time.contains(['.', 'e', 'E']));
    (fields == 4 || has_time) && frame(line).is_some()
}

/// Returns the texts of a JSON list of texts. Frames need no escapes, so escapes are not accepted.
fn entries(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let mut parts = inner.split('"');
    // The part before the first text.
    parts.next().filter(|before| before.trim().is_empty())?;
    let mut entries = Vec::new();
    loop {
        entries.push(parts.next()?);
        let between = parts.next()?.trim();
        match (between, parts.clone().next()) {
            ("", None) => return Some(entries),
            (",", Some(_)) => {}
            _ => return None,
        }
    }
}

/// Reads one frame in either form of a line.
fn frame(line: &str) -> Option<Frame> {
    let line = line.trim();
    if line.len() > LINE_LEN_MAX {
        return None;
    }
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let (quality, digits, seconds) = match fields[..] {
        [number, quality, digits, seconds] => {
            number.parse::<u32>().ok()?;
            (quality, digits, seconds)
        }
        [digits, quality, seconds] => (quality, digits, seconds),
        _ => return None,
    };
    let mut pdq = [0; QUALITY_AT];
    let is_whole =
        digits.len() == 2 * QUALITY_AT && hex::decode_into(digits.as_bytes(), &mut pdq) == Some(QUALITY_AT);
    let frame = Frame { pdq, quality: quality.parse().ok()?, time_ms: milliseconds(seconds)? };
    is_whole.then_some(frame)
}

/// Reads seconds and rounds them to the millisecond. A number that no hash can hold is kept, so that the
/// error names it.
fn milliseconds(seconds: &str) -> Option<u32> {
    let is_number = seconds.bytes().all(|sign| sign.is_ascii_digit() || b".+-eE".contains(&sign));
    let seconds: f64 = seconds.parse().ok().filter(|_| is_number)?;
    let milliseconds = (seconds * 1_000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the bounds are checked first"
    )]
    (0.0..=f64::from(u32::MAX)).contains(&milliseconds).then_some(milliseconds as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "f8f8f0cce0f4a84f0e370a22028f67f0b36e2ed596623e1d33e6339c4e9c9b22";

    fn read_one(text: &str) -> Frame {
        let frames = read(text).unwrap();
        assert_eq!(frames.len(), 1, "{text}");
        frames[0]
    }

    #[test]
    fn three_forms_say_the_same() {
        let expected = read_one(&format!("30,98,{ONE},1.000"));
        assert_eq!((expected.quality, expected.time_ms), (98, 1_000));
        assert_eq!(hex::encode(&expected.pdq), ONE);
        for text in [
            format!("{ONE},98,1"),
            format!("[\"{ONE},98,1.00\"]"),
            format!(" [ \"{},98,1e+00\" ] ", ONE.to_uppercase()),
            format!("\n30, 98, {ONE}, 1.0004\r\n\n"),
        ] {
            assert_eq!(read_one(&text), expected, "{text}");
        }
        assert_eq!(read_one(&format!("[\"{ONE},98,1e+02\"]")).time_ms, 100_000);
    }

    #[test]
    fn the_first_form_is_written() {
        let frames = read(&format!("{ONE},100,0\n{ONE},7,61.5")).unwrap();
        let text = write(frames.clone());
        assert_eq!(text, format!("0,100,{ONE},0.000\n1,7,{ONE},61.500"));
        assert_eq!(read(&text), Ok(frames));
    }

    #[test]
    fn the_third_form_is_one_line() {
        let frames = read(&format!("{ONE},100,0\n{ONE},7,61.5")).unwrap();
        let text = write_list(frames.clone());
        assert_eq!(text, format!("[\"{ONE},100,0.000\",\"{ONE},7,61.500\"]"));
        assert_eq!(read(&text), Ok(frames));
    }

    #[test]
    fn a_line_of_a_frame_is_distinguished_from_one_of_a_picture() {
        for frame in [format!("0,100,{ONE},0"), format!("{ONE},100,0.0"), format!("{ONE},100,1e+02")] {
            assert!(is_line(&frame), "{frame}");
        }
        for other in [format!("{ONE},100,7"), format!("{ONE},100,a.jpg"), ONE.to_owned(), String::new()] {
            assert!(!is_line(&other), "{other}");
        }
    }

    #[test]
    fn other_text_is_refused_with_its_line() {
        let refused = |text: &str, line| assert_eq!(read(text), Err(FramesError::Text { line }), "{text}");
        refused("hello", 1);
        refused(&format!("{ONE},98,1\n{ONE},98"), 2);
        refused(&format!("{ONE}0,98,1"), 1);
        refused(&format!("{},98,1", &ONE[1..]), 1);
        refused(&format!("x,98,{ONE},1"), 1);
        refused(&format!("{ONE},256,1"), 1);
        refused(&format!("{ONE},98,inf"), 1);
        refused(&format!("{ONE},98,-1"), 1);
        refused(&format!("[\"{ONE},98,1\",]"), 1);
        refused(&format!("[\"{ONE},98,1\" \"{ONE},98,1\"]"), 1);
        refused(&format!("[\"{ONE},98,1\",\"no\"]"), 2);
        refused("[1, 2]", 1);
        assert_eq!(read(""), Err(FramesError::Count(0)));
        assert_eq!(read("[]"), Err(FramesError::Count(0)));
    }
}
