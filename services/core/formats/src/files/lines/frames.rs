//! Files of the frames of videos: one video, named by its file, or one JSON list a line, optionally followed
//! by a name.

use std::io::{self, Read};

use vigie_model::{Frame, Hash, ItemContent, ItemDraft};

use super::parts::list_of;
use super::parts::{begins_as_list, listed_file};
use super::{BYTE_ORDER_MARK, HEAD_BYTES_MAX, Line, Lines};

/// The largest length of the text of one video in bytes: five times that of the largest number of frames.
const TEXT_BYTES_MAX: usize = 2 << 20;

/// The number of a line, and the item that begins there, or the reason why there is none.
type Numbered = (u64, Result<ItemDraft, String>);

/// A reader of the videos of a file.
#[derive(Debug)]
pub(in crate::files) struct FrameLists<'a> {
    lines: Lines<'a>,
    /// The name of a video that is the whole file.
    name: String,
    /// A line that was read too early and is returned next.
    waiting: Option<(u64, Result<String, String>)>,
    has_begun: bool,
}

impl<'a> FrameLists<'a> {
    pub(in crate::files) fn new(source: Box<dyn Read + 'a>, name: String) -> Self {
        Self { lines: Lines::new(source), name, waiting: None, has_begun: false }
    }

    /// Reads the next video.
    pub(in crate::files) fn next_list(&mut self) -> io::Result<Option<Numbered>> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let Some((number, first)) = self.next_line()? else { return Ok(None) };
        let first = match first {
            Ok(first) => first,
            Err(reason) => return Ok(Some((number, Err(reason)))),
        };
        if let Some((list, name)) = list_of(first.trim()) {
            self.waiting = self.next_line()?;
            let is_whole = is_first && self.waiting.is_none() && name.trim().is_empty();
            let name = if is_whole { self.name.clone() } else { listed_file(name.trim()) };
            return Ok(Some((number, draft(list, name))));
        }
        if !is_first {
            return Ok(Some((number, Err("is no JSON list of frames, as the lines before it".to_owned()))));
        }
        // All lines belong to one video.
        let mut text = first;
        while let Some((number, line)) = self.next_line()? {
            match line {
                Ok(line) if text.len() + line.len() < TEXT_BYTES_MAX => {
                    text.push('\n');
                    text.push_str(&line);
                }
                Ok(_) => {
                    while self.next_line()?.is_some() {}
                    return Ok(Some((
                        number,
                        Err(format!("is beyond the {TEXT_BYTES_MAX} bytes of one video")),
                    )));
                }
                Err(reason) => {
                    while self.next_line()?.is_some() {}
                    return Ok(Some((number, Err(reason))));
                }
            }
        }
        Ok(Some((number, draft(&text, std::mem::take(&mut self.name)))))
    }

    fn next_line(&mut self) -> io::Result<Option<(u64, Result<String, String>)>> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(Some(waiting));
        }
        let line = self.lines.next_line()?;
        Ok(line.map(|Line { number, text }| (number, text.map(str::to_owned))))
    }
}

fn draft(text: &str, external_reference: String) -> Result<ItemDraft, String> {
    Ok(ItemDraft { hashes: vec![video(text)?], labels: Vec::new(), external_reference })
}

/// Reads the video of a file of frames; `None` if the file has any other content.
#[must_use]
pub fn video_of_file(content: &[u8]) -> Option<Result<Hash, String>> {
    let head = &content[..content.len().min(HEAD_BYTES_MAX)];
    let text = String::from_utf8_lossy(head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head));
    if !is_of_frames(&text, content.len() <= HEAD_BYTES_MAX) {
        return None;
    }
    if content.len() > TEXT_BYTES_MAX {
        return Some(Err(format!("has more than the {TEXT_BYTES_MAX} bytes of one video")));
    }
    let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    Some(std::str::from_utf8(content).map_err(|_| "is not UTF-8".to_owned()).and_then(video))
}

/// Reads the frames of one video. If there are more than an item may have, frames that hardly differ from the
/// previous one are left out.
fn video(text: &str) -> Result<Hash, String> {
    let frames = vigie_model::frames::text::read(text).map_err(|error| error.to_string())?;
    of_frames(&frames)
}

/// Creates the hash of a video from its frames, as [`video`] does.
pub(super) fn of_frames(frames: &[Frame]) -> Result<Hash, String> {
    let is_long = frames.len() > ItemContent::FRAMES_MAX;
    let hash = if is_long { Hash::of_frames(&Frame::pruned(frames)) } else { Hash::of_frames(frames) };
    hash.map_err(|error| error.to_string())
}

/// Checks whether a file that begins like this contains frames: more than half of its lines are frames, not
/// counting the last one of an incomplete text, which may be cut; or it is a JSON list whose first text is a
/// frame.
pub(in crate::files) fn is_of_frames(head: &str, is_whole: bool) -> bool {
    let head = head.trim();
    if head.starts_with('[') {
        return begins_as_list(head);
    }
    let lines: Vec<&str> = head.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let certain = if is_whole { &lines[..] } else { &lines[..lines.len().saturating_sub(1)] };
    2 * certain.iter().filter(|line| vigie_model::frames::text::is_line(line)).count() > certain.len()
}
