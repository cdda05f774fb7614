//! Parses hashes to look up, one query in each line: a hash with an optional name, or the JSON of a hashed
//! file or an item. A text that lists the frames of one video, as the tools of vPDQ write it, is one query.

use std::io::{self, Read};

use vigie_formats::files::{ItemJson, Line, Lines, any_hash};
use vigie_model::{Hash, HashType, frames};

use super::query_hashes::QueryHashes;

/// Maximum size of the text of one video, in bytes.
const VIDEO_BYTES_MAX: usize = 2 << 20;

/// A line with a query.
#[derive(Debug)]
pub(crate) struct QueryLine {
    /// Number of the line, from 1.
    pub(crate) line: u64,
    /// Name that the line gives to its hashes.
    pub(crate) name: Option<String>,
    /// The hashes, or the reason why there are none. No reason contains a hash.
    pub(crate) hashes: Result<QueryHashes, String>,
}

/// Reads the lines of a text. Empty lines are skipped.
pub(crate) fn query_lines<'a>(source: impl Read + 'a) -> impl Iterator<Item = io::Result<QueryLine>> {
    let mut lines = Lines::new(Box::new(source));
    let mut is_first = true;
    std::iter::from_fn(move || {
        let is_first = std::mem::replace(&mut is_first, false);
        let read = lines.next_line().map(|line| line.map(|line| (is_frame(&line), query_line(line))));
        match read.transpose()? {
            Ok((Some(frame), line)) if is_first => Some(video(frame, line.line, &mut lines)),
            read => Some(read.map(|(_, line)| line)),
        }
    })
}

/// Returns the text of a line if it is a frame of a video.
fn is_frame(line: &Line<'_>) -> Option<String> {
    line.text.as_ref().ok().filter(|text| frames::text::is_line(text.trim())).map(|text| (*text).to_owned())
}

/// Reads the rest of a text whose first line is a frame. The whole text is one video.
fn video(first: String, line: u64, lines: &mut Lines<'_>) -> io::Result<QueryLine> {
    let (mut text, mut fault) = (first, None);
    while let Some(Line { number, text: more }) = lines.next_line()? {
        match more {
            Ok(more) if text.len() + more.len() < VIDEO_BYTES_MAX => {
                text.push('\n');
                text.push_str(more);
            }
            Ok(_) => fault = fault.or(Some(format!("is a video of more than {VIDEO_BYTES_MAX} bytes"))),
            Err(reason) => fault = fault.or(Some(format!("is a video whose line {number} {reason}"))),
        }
    }
    let read = || Hash::from_text(HashType::VPDQ, &text).map_err(|error| error.to_string());
    let hashes = fault.map_or_else(read, Err).map(|video| QueryHashes::plain(vec![video]));
    Ok(QueryLine { line, name: None, hashes })
}

fn query_line(line: Line<'_>) -> QueryLine {
    let Line { number, text } = line;
    let (name, hashes) = match text {
        Ok(text) => query(text.trim()),
        Err(reason) => (None, Err(reason)),
    };
    QueryLine { line: number, name, hashes }
}

fn query(text: &str) -> (Option<String>, Result<QueryHashes, String>) {
    if text.starts_with('{') {
        return query_of_json(text);
    }
    // The list of a video's frames may contain spaces, but no closing bracket before its end.
    let list = text.starts_with('[').then(|| text.find(']')).flatten();
    let (hash, name) = match list {
        Some(end) => text.split_at(end + 1),
        None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
    };
    // `md5sum` writes an asterisk before the name of a file that it read in binary mode.
    let name = name.trim().trim_start_matches('*');
    let name = (!name.is_empty()).then(|| name.chars().filter(|letter| !letter.is_control()).collect());
    (name, any_hash(hash).map(QueryHashes::plain))
}

/// Parses a line of JSON to the name of its content and its hashes. For a hashed file, the hashes include the
/// turned and mirrored variants and the quality, so that the frontend can leave out hashes of too low
/// quality.
fn query_of_json(text: &str) -> (Option<String>, Result<QueryHashes, String>) {
    let item = match ItemJson::read(text) {
        Ok(item) => item,
        Err(reason) => return (None, Err(reason)),
    };
    let hashes =
        item.query_hashes().and_then(|hashes| QueryHashes { hashes, quality: item.quality()? }.bounded());
    (item.name().map(str::to_owned), hashes)
}

#[cfg(test)]
mod tests {
    use vigie_model::{Quality, Variant};

    use super::*;

    const PDQ: &str = "abababababababababababababababababababababababababababababababab";
    const MD5: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

    #[test]
    fn lines_are_hashes_with_names_or_json() {
        let variants: Vec<String> = (1..=8_u8).map(|number| hex(number, 32)).collect();
        let hashed = serde_json::json!({
            "file": "a.jpg", "width": 1, "height": 1, "pdq": variants[0], "quality": 80, "variants": variants, "md5": MD5,
        });
        let listed = serde_json::json!({
            "item_id": 1, "bank": "b", "added_at_unix_ms": 1, "external_reference": "case", "labels": [],
            "hashes": [{ "hash_type": "md5", "hash": MD5 }],
        });
        let text =
            format!("{MD5}  *some file.jpg\n\n{PDQ}\n{hashed}\nnonsense\n{listed}\n{{\"labels\":[]}}\n");
        let lines: Vec<QueryLine> = query_lines(text.as_bytes()).collect::<io::Result<_>>().unwrap();
        let numbers: Vec<u64> = lines.iter().map(|line| line.line).collect();
        assert_eq!(numbers, [1, 3, 4, 5, 6, 7]);
        let names: Vec<_> = lines.iter().map(|line| line.name.as_deref()).collect();
        assert_eq!(names, [Some("some file.jpg"), None, Some("a.jpg"), None, Some("case"), None]);
        let counts: Vec<_> =
            lines.iter().map(|line| line.hashes.as_ref().map_or(0, |all| all.hashes.len())).collect();
        assert_eq!(counts, [2, 3, 9, 0, 1, 0]);
        let hashed = lines[2].hashes.as_ref().unwrap();
        assert_eq!(hashed.quality, Some(Quality::new(80).unwrap()));
        let turned: Vec<Variant> = hashed.hashes[..8].iter().map(|one| one.variant).collect();
        assert_eq!(turned, Variant::ALL);
    }

    #[test]
    fn the_frames_of_a_video_are_one_query() {
        let frame = |number: u8, time: &str| format!("{number},99,{},{time}", hex(number, 32));
        let video = [frame(1, "0.0"), frame(2, "1.0"), frame(3, "2.5")].join("\n");
        let all = |text: &str| query_lines(text.as_bytes()).collect::<io::Result<Vec<_>>>().unwrap();
        let [line] = &all(&format!("{video}\n"))[..] else { panic!() };
        let hash = &line.hashes.as_ref().unwrap().hashes[0].hash;
        assert_eq!((hash.frames().unwrap().len(), line.line), (3, 1));
        let [bad] = &all(&format!("{video}\nx"))[..] else { panic!() };
        assert!(bad.hashes.as_ref().unwrap_err().contains("line 4"));
        // Each list of frames is a query of its own, and may have a name.
        let list = hash.to_line();
        let lines = all(&format!("{MD5} a\n{list} film.mp4\n{}\n", list.replace("\",\"", "\", \"")));
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].name.as_deref(), Some("film.mp4"));
        assert!(lines[1..].iter().all(|line| line.hashes.as_ref().unwrap().hashes[0].hash == *hash));
    }

    fn hex(byte: u8, length: usize) -> String {
        format!("{byte:02x}").repeat(length)
    }
}
