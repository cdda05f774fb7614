//! An uploaded list of hashes: its summary, and its items in batches. Both are read on threads for blocking
//! work.

use std::io::Cursor;

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use tokio::sync::mpsc;
use vigie_formats::files::{
    BadLine, Batch, FileError, FileReader, Format, LeftOut, ReadOptions, Survey, Unknown, file_name,
};

use crate::console::posted::Posted;
use crate::media::form::FormFile;
use crate::problem::Problem;

/// The most bad lines that a page shows.
const BAD_SHOWN: usize = 200;

/// A list and its read options.
#[derive(Debug, Clone)]
pub(super) struct List {
    bytes: Bytes,
    options: ReadOptions,
}

/// The contents of a list.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) format: Format,
    pub(super) survey: Survey,
    pub(super) bad: BadLines,
    pub(super) left_out: LeftOut,
}

/// The first bad lines, and their total number.
#[derive(Debug, Default)]
pub(super) struct BadLines {
    pub(super) first: Vec<BadLine>,
    pub(super) count: u64,
}

impl BadLines {
    pub(super) fn take(&mut self, bad: Vec<BadLine>) {
        self.count += bad.len() as u64;
        let room = BAD_SHOWN - self.first.len();
        self.first.extend(bad.into_iter().take(room));
    }
}

impl List {
    /// Returns the list of a form.
    ///
    /// # Errors
    ///
    /// There is no file, or a field is invalid.
    pub(super) fn of(file: Option<&FormFile>, posted: &Posted, labels: &[String]) -> Result<Self, Problem> {
        let file = file.ok_or_else(|| Problem::field("file", "is missing"))?;
        let given = |field: &str| Some(posted.field(field).to_owned()).filter(|text| !text.is_empty());
        let hash_type = given("type").map(|name| name.parse().map_err(|why| Problem::field("type", why)));
        let format = given("format").map(|name| name.parse().map_err(|why| Problem::field("format", why)));
        let options = ReadOptions {
            labels: labels.to_vec(),
            name: file_name(std::path::Path::new(&file.name)),
            format: format.transpose()?,
            hash_type: hash_type.transpose()?,
            columns: None,
            unknown: if posted.field("unknown") == "ignore" { Unknown::Ignored } else { Unknown::Refused },
            keeps_text: false,
        };
        Ok(Self { bytes: file.bytes.clone(), options })
    }

    /// A digest of the list and its read options. It identifies a list that was tried.
    pub(super) fn digest(&self) -> String {
        let mut context = Context::new(&SHA256);
        context.update(format!("{:?}\n", self.options).as_bytes());
        context.update(&self.bytes);
        data_encoding::HEXLOWER.encode(context.finish().as_ref())
    }

    /// Reads the whole list and counts its contents.
    ///
    /// # Errors
    ///
    /// The format or the hash type is ambiguous.
    pub(super) async fn survey(&self) -> Result<Read, Problem> {
        let Self { bytes, options } = self.clone();
        let read = move || {
            let mut reader = FileReader::open(Box::new(Cursor::new(bytes)), options)?;
            let (mut survey, mut bad) = (Survey::default(), BadLines::default());
            for batch in reader.batches(0) {
                let batch = batch?;
                survey.take(&batch.items);
                bad.take(batch.bad);
            }
            Ok(Read { format: reader.format(), survey, bad, left_out: reader.left_out().clone() })
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|_| Problem::busy("the server stops"))?
            .map_err(|why: FileError| Problem::field("file", why))
    }

    /// Returns the items in batches, in order. Receiving a batch lets the reader read the next one.
    pub(super) fn batches(&self) -> mpsc::Receiver<Result<Batch, FileError>> {
        let Self { bytes, options } = self.clone();
        let (sender, batches) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut reader = match FileReader::open(Box::new(Cursor::new(bytes)), options) {
                Ok(reader) => reader,
                Err(error) => return drop(sender.blocking_send(Err(error))),
            };
            for batch in reader.batches(0) {
                if sender.blocking_send(batch.map_err(FileError::from)).is_err() {
                    return;
                }
            }
        });
        batches
    }
}
