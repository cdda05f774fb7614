//! The inputs of `vigie match`: files, folders of files, hashes, and standard input.

use std::io::{self, Cursor, IsTerminal as _, Read};
use std::path::PathBuf;

use anyhow::bail;
use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::sync::mpsc;
use vigie_media::video::begins_as_video;
use vigie_media::{Limits, begins_as_picture};

use crate::commands::content::folders::{FoundFile, find_files};
use crate::commands::content::media_file::{self, MediaFile};
use crate::commands::lines::Subject;
use crate::hash_file::{QueryHashes, QueryLine, any_hash, query_lines};
use crate::output::{ErrorLine, Output};

/// The argument that means standard input.
const STDIN: &str = "-";
/// Number of bytes that are read to distinguish text from an image.
const HEAD_BYTES: u64 = 512;
/// Maximum number of lines that are read ahead.
const LINES_AHEAD: usize = 64;

/// An input, with its name.
#[derive(Debug)]
pub(crate) struct Asking {
    /// The name of the input in output lines.
    pub(crate) subject: Subject,
    /// The content of the input.
    pub(crate) asked: Asked,
}

/// The content of an input.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A file that has not been read yet.
    File(FoundFile),
    /// An image that was read.
    Image(Bytes),
    /// A video that was read.
    Video(Bytes),
    /// Hashes of one content.
    Hashes(QueryHashes),
    /// An input that cannot be used, with the reason.
    Wrong(ErrorLine),
}

/// A source of inputs.
#[derive(Debug)]
pub(crate) enum Input {
    /// A single input that is known.
    Known(Asking),
    /// Standard input, which may contain any number of inputs.
    Stdin,
}

/// Returns the inputs that a person has named, with the files in folders.
///
/// A name means the file or folder of that name if it exists, else a hash if it looks like one, else a
/// missing file.
pub(crate) fn sources(named: &[PathBuf], output: &Output) -> anyhow::Result<Vec<Input>> {
    if named.iter().filter(|one| one.as_os_str() == STDIN).count() > 1 {
        bail!("standard input (-) can be named once");
    }
    let mut sources = Vec::new();
    for one in named {
        if one.as_os_str() == STDIN {
            if io::stdin().is_terminal() {
                output.note("reading a hash a line from the terminal, until Ctrl-D");
            }
            sources.push(Input::Stdin);
            continue;
        }
        if let Some(text) = one.to_str().filter(|_| !one.exists())
            && let Some(asked) = typed_hash(text)
        {
            sources.push(Input::Known(Asking { subject: Subject::Hash { hash: text.to_owned() }, asked }));
            continue;
        }
        let files = find_files(std::slice::from_ref(one), output)?;
        sources.extend(files.into_iter().map(|file| {
            let subject = Subject::File { file: file.path.display().to_string() };
            Input::Known(Asking { subject, asked: Asked::File(file) })
        }));
    }
    Ok(sources)
}

/// Parses a typed hash, or returns the reason why it is not valid; `None` if the text looks like the name of
/// a file.
fn typed_hash(text: &str) -> Option<Asked> {
    let is_meant = |text: &str| text.len() >= 16 && text.bytes().all(|letter| letter.is_ascii_hexdigit());
    match any_hash(text) {
        Ok(hashes) => Some(Asked::Hashes(QueryHashes::plain(hashes))),
        Err(reason) if is_meant(text.split_once(':').map_or(text, |(_, hash)| hash)) => {
            Some(wrong("bad_hash", &format!("is no file, and {reason}")))
        }
        Err(_) => None,
    }
}

fn wrong(code: &str, message: &str) -> Asked {
    Asked::Wrong(ErrorLine { code: code.to_owned(), message: message.to_owned() })
}

/// Returns the inputs of standard input. It is read on its own thread, a few lines ahead of the queries.
pub(crate) fn stdin() -> impl Stream<Item = Asking> + Send {
    let (inputs, mut received) = mpsc::channel(LINES_AHEAD);
    tokio::task::spawn_blocking(move || {
        read(io::stdin().lock(), |input| inputs.blocking_send(input).is_ok())
    });
    stream::poll_fn(move |context| received.poll_recv(context))
}

/// Reads one image, or lines of hashes, until the end or until `hand_on` returns `false`.
fn read(mut source: impl Read, mut hand_on: impl FnMut(Asking) -> bool) {
    let mut head = Vec::new();
    if let Err(error) = source.by_ref().take(HEAD_BYTES).read_to_end(&mut head) {
        hand_on(unreadable(&error));
        return;
    }
    let whole = Cursor::new(head.clone()).chain(source);
    if is_text(&head) {
        let mut is_empty = true;
        for line in query_lines(whole) {
            is_empty = false;
            let input = match line {
                Ok(QueryLine { line, name, hashes }) => {
                    let asked = hashes.map_or_else(|reason| wrong("bad_line", &reason), Asked::Hashes);
                    Asking { subject: Subject::Line { line, name }, asked }
                }
                Err(error) => unreadable(&error),
            };
            let is_last = matches!(&input.subject, Subject::File { .. });
            if !hand_on(input) || is_last {
                return;
            }
        }
        if is_empty {
            hand_on(Asking { subject: of_stdin(), asked: wrong("empty", "standard input is empty") });
        }
        return;
    }
    hand_on(match media_file::read_from(whole, begins_as_video) {
        Ok(MediaFile::Video(video)) => Asking { subject: of_stdin(), asked: Asked::Video(video.into()) },
        Ok(MediaFile::Other(image)) => Asking { subject: of_stdin(), asked: Asked::Image(image.into()) },
        Err(error) => unreadable(&error),
    });
}

fn of_stdin() -> Subject {
    Subject::File { file: STDIN.to_owned() }
}

fn unreadable(error: &io::Error) -> Asking {
    Asking {
        subject: of_stdin(),
        asked: wrong("unreadable", &format!("cannot read standard input: {error}")),
    }
}

/// Returns whether the content with this beginning is text. No image format starts like text.
fn is_text(head: &[u8]) -> bool {
    let is_utf8 = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8 && !head.contains(&0) && !begins_as_picture(head)
}

/// Returns whether a file that was found in a folder is skipped: it is not an image, and it is empty or
/// larger than an image may be.
pub(crate) fn is_out_of_question(content: &[u8]) -> bool {
    !begins_as_picture(content) && (content.is_empty() || content.len() > Limits::default().input_bytes_max)
}

#[cfg(test)]
mod tests {
    use vigie_pictures::{draw, encode_png};

    use super::*;

    const MD5: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

    fn read_all(content: &[u8]) -> Vec<Asking> {
        let mut inputs = Vec::new();
        read(content, |input| {
            inputs.push(input);
            true
        });
        inputs
    }

    #[test]
    fn standard_input_is_an_image_or_lines_of_hashes() {
        let picture = encode_png(&draw(1, 64, 64));
        let inputs = read_all(&picture);
        assert_eq!((inputs.len(), &inputs[0].subject), (1, &of_stdin()));
        assert!(matches!(&inputs[0].asked, Asked::Image(bytes) if *bytes == picture));

        let text = format!("{MD5}\n").repeat(100) + "nonsense\n";
        let inputs = read_all(text.as_bytes());
        assert_eq!(inputs.len(), 101);
        assert_eq!(inputs[99].subject, Subject::Line { line: 100, name: None });
        // 32 digits may be the MD5 of content or of a URL.
        assert!(matches!(&inputs[99].asked, Asked::Hashes(hashes) if hashes.hashes.len() == 2));
        assert!(matches!(&inputs[100].asked, Asked::Wrong(error) if error.code == "bad_line"));

        // The end of the head may cut a character of several bytes.
        assert!(is_text(&"é".as_bytes()[..1]) && !is_text(b"a\0") && !is_text(&[0xff, 0xfe]));
        for empty in [&b""[..], b" \n\n"] {
            let inputs = read_all(empty);
            assert!(
                matches!(&inputs[..], [Asking { asked: Asked::Wrong(error), .. }] if error.code == "empty")
            );
        }
        assert!(matches!(&read_all(&[0, 1, 2])[0].asked, Asked::Image(_)));
    }

    #[test]
    fn a_name_is_a_file_if_there_is_one_and_else_a_hash_if_it_looks_like_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "a").unwrap();
        let named =
            [folder.path().to_owned(), MD5.into(), "-".into(), "holiday.jpg".into(), "ab".repeat(12).into()];
        let sources = sources(&named, &Output::new(false)).unwrap();
        let kinds: Vec<&str> = sources
            .iter()
            .map(|source| match source {
                Input::Stdin => "stdin",
                Input::Known(Asking { asked: Asked::File(file), .. }) if file.in_folder => "found",
                Input::Known(Asking { asked: Asked::File(_), .. }) => "file",
                Input::Known(Asking { asked: Asked::Hashes(_), .. }) => "hash",
                Input::Known(Asking { asked: Asked::Wrong(_), .. }) => "wrong",
                Input::Known(Asking { asked: Asked::Image(_), .. }) => "image",
                Input::Known(Asking { asked: Asked::Video(_), .. }) => "video",
            })
            .collect();
        assert_eq!(kinds, ["found", "hash", "stdin", "file", "wrong"]);
        assert!(super::sources(&["-".into(), "-".into()], &Output::new(false)).is_err());
    }

    #[test]
    fn a_file_without_an_image_is_asked_about_by_its_digests_unless_it_is_too_large() {
        assert!(is_out_of_question(b"") && !is_out_of_question(b"text"));
        let large = vec![0; Limits::default().input_bytes_max + 1];
        assert!(is_out_of_question(&large));
    }
}
