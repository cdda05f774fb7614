//! A file of hashes, of a folder or by HTTP, and the sample: everything that there is, in one document.
//!
//! A hash that is no longer in the file is withdrawn. A file that has not changed, by its tag or by its bytes, is left at that.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use vigie_formats::programme::{Fault, Tally};
use vigie_model::{HashType, UnixMillis};

use super::lines;
use super::source::{LINK_LEN_MAX, Next, Page, Refusal, Source, Step, Trouble, place, value};
use crate::asking::request::{Request, Response, Target};
use crate::bank::PART_RECORDS_MAX;
use crate::credentials::Credentials;
use crate::secret::Secret;

/// The sample: python-threatexchange's public example hashes.
const SAMPLE: &str = include_str!("../../data/sample_hashes.txt");

/// Follows a file.
#[derive(Debug)]
pub(crate) struct File {
    request: Option<Request>,
    hash_type: Option<HashType>,
    place: Place,
    body: Option<Body>,
    is_done: bool,
}

#[derive(Debug)]
struct Body {
    bytes: Bytes,
    /// Where the lines that are not given out yet begin.
    offset: usize,
    /// The place once all are stored.
    after: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// The version of the file, as its server names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// The first 128 bits of BLAKE3 of the file.
    digest: String,
}

impl File {
    /// A file of the folder of files.
    pub(crate) fn local(
        name: &str,
        hash_type: Option<HashType>,
        at: Option<&Value>,
    ) -> Result<Self, Trouble> {
        let request = Request { target: Target::File(name.to_owned()), headers: Vec::new(), form: None };
        Ok(Self::new(Some(request), hash_type, place(at)?))
    }

    /// A file by HTTP, with an optional `Authorization` header.
    pub(crate) fn http(
        url: Url,
        hash_type: Option<HashType>,
        credentials: &Credentials,
        at: Option<&Value>,
    ) -> Result<Self, Trouble> {
        let place: Place = place(at)?;
        let mut request = Request::get(url);
        if let Some(tag) = &place.tag {
            request = request.with("If-None-Match", Secret::new(tag.clone()));
        }
        if !credentials.get("authorization").is_empty() {
            request = request.with("Authorization", Secret::new(credentials.get("authorization").to_owned()));
        }
        Ok(Self::new(Some(request), hash_type, place))
    }

    /// The sample.
    pub(crate) fn sample(at: Option<&Value>) -> Result<Self, Trouble> {
        let mut sample = Self::new(None, None, place(at)?);
        sample.open(Bytes::from_static(SAMPLE.as_bytes()), None)?;
        Ok(sample)
    }

    const fn new(request: Option<Request>, hash_type: Option<HashType>, place: Place) -> Self {
        Self { request, hash_type, place, body: None, is_done: false }
    }

    /// Takes the file, unless it is the one that is stored.
    fn open(&mut self, bytes: Bytes, tag: Option<String>) -> Result<(), Trouble> {
        let text = std::str::from_utf8(&bytes).map_err(|_| Fault::Encoding)?;
        let digest = blake3::hash(&bytes).to_hex().get(..32).unwrap_or_default().to_owned();
        let after = Place { tag: tag.filter(|tag| tag.len() <= LINK_LEN_MAX), digest };
        if after.digest == self.place.digest {
            self.is_done = true;
            return Ok(());
        }
        lines::check(text, self.hash_type)?;
        self.body = Some(Body { bytes, offset: 0, after });
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
        let text = std::str::from_utf8(&body.bytes).map_err(|_| Fault::Encoding)?;
        let mut tally = Tally::default();
        let rest = text.get(body.offset..).unwrap_or_default();
        let (records, len) = lines::records(rest, self.hash_type, PART_RECORDS_MAX, &mut tally);
        body.offset += len;
        self.is_done = body.offset >= body.bytes.len();
        Ok(Next::Store(Page { records, tally, at: value(&body.after) }))
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
