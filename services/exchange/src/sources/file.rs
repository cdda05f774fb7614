//! A file of hashes, from a folder or by HTTP, and the sample. One document holds everything.
//!
//! A hash that is no longer in the file is withdrawn. If the file has not changed, by its tag or by its
//! bytes, nothing is done.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use vigie_formats::programme::{Record, Tally};
use vigie_model::UnixMillis;

use super::lines::{self, FileForm};
use super::source::{LINK_LEN_MAX, Next, Page, Refusal, Source, Step, Trouble, place, value};
use crate::asking::request::{Request, Response};
use crate::bank::PART_RECORDS_MAX;
use crate::credentials::Credentials;
use crate::secret::Secret;

/// The sample: python-threatexchange's public example hashes.
const SAMPLE: &str = include_str!("../../data/sample_hashes.txt");

/// Follows a file.
#[derive(Debug)]
pub(crate) struct File {
    request: Option<Request>,
    form: FileForm,
    place: FileVersion,
    body: Option<Body>,
    is_done: bool,
}

#[derive(Debug)]
struct Body {
    /// The records that have not been returned yet.
    records: VecDeque<Record>,
    /// The counts of omitted entries, until they are returned.
    tally: Tally,
    /// The position after all records are stored.
    after: FileVersion,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileVersion {
    /// The version of the file, as its server names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// The first 128 bits of the file's BLAKE3 digest.
    digest: String,
}

impl File {
    /// Opens a file in the folder of files.
    pub(crate) fn local(name: &str, form: FileForm, at: Option<&Value>) -> Result<Self, Trouble> {
        Ok(Self::new(Some(Request::file(name)), form, place(at)?))
    }

    /// Opens a file by HTTP, with an optional `Authorization` header.
    pub(crate) fn http(
        url: Url,
        form: FileForm,
        credentials: &Credentials,
        at: Option<&Value>,
    ) -> Result<Self, Trouble> {
        let place: FileVersion = place(at)?;
        let mut request = Request::get(url);
        if let Some(tag) = &place.tag {
            request = request.with("If-None-Match", Secret::new(tag.clone()));
        }
        if !credentials.get("authorization").is_empty() {
            request = request.with("Authorization", Secret::new(credentials.get("authorization").to_owned()));
        }
        Ok(Self::new(Some(request), form, place))
    }

    /// Opens the sample.
    pub(crate) fn sample(at: Option<&Value>) -> Result<Self, Trouble> {
        let mut sample = Self::new(None, FileForm::default(), place(at)?);
        // The lines before the hashes name their source.
        let lines: Vec<&str> = SAMPLE.lines().filter(|line| !line.starts_with('#')).collect();
        sample.open(Bytes::from(lines.join("\n")), None)?;
        Ok(sample)
    }

    const fn new(request: Option<Request>, form: FileForm, place: FileVersion) -> Self {
        Self { request, form, place, body: None, is_done: false }
    }

    /// Reads the file, unless it is the one that is stored.
    fn open(&mut self, bytes: Bytes, tag: Option<String>) -> Result<(), Trouble> {
        let digest = blake3::hash(&bytes).to_hex().get(..32).unwrap_or_default().to_owned();
        let after = FileVersion { tag: tag.filter(|tag| tag.len() <= LINK_LEN_MAX), digest };
        if after.digest == self.place.digest {
            self.is_done = true;
            return Ok(());
        }
        let mut tally = Tally::default();
        let records = lines::records(bytes, self.form, &mut tally)?;
        self.body = Some(Body { records, tally, after });
        Ok(())
    }
}

impl Source for File {
    fn next(&mut self) -> Result<Next, Trouble> {
        let Some(body) = &mut self.body else {
            return match (&self.request, self.is_done) {
                (Some(request), false) => Ok(Next::Ask(request.clone())),
                (Some(_) | None, _) => Ok(Next::Done),
            };
        };
        if self.is_done {
            return Ok(Next::Done);
        }
        let count = body.records.len().min(PART_RECORDS_MAX);
        let records = body.records.drain(..count).collect();
        let tally = std::mem::take(&mut body.tally);
        self.is_done = body.records.is_empty();
        Ok(Next::Store(Page { records, tally, gone: Vec::new(), at: value(&body.after) }))
    }

    fn take(&mut self, answer: &Response, _now: UnixMillis) -> Result<Step, Trouble> {
        if answer.status == 304 {
            self.is_done = true;
        } else {
            self.open(answer.body.clone(), answer.tag.clone())?;
        }
        Ok(Step::GoOn)
    }

    fn refused(&mut self, answer: &Response) -> Refusal {
        match answer.status {
            401 | 403 => Refusal::Credentials,
            _ => Refusal::Stop,
        }
    }

    fn is_full(&self) -> bool {
        self.body.is_some()
    }
}
