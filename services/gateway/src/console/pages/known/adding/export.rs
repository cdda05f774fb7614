//! `/console/banks/{bank}/export`: the items of a bank as a file, in each format that can hold them.
//!
//! The file is written page by page as the browser reads it. If a page fails, the connection is broken, so
//! that a truncated file is not mistaken for a complete one.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::{Stream, stream};
use http::{HeaderValue, StatusCode, header};
use maud::html;
use serde::Deserialize;
use vigie_clients::{DescribedItem, DescribedPage};
use vigie_formats::files::{FileError, FileWriter, Format, Written};
use vigie_model::{BankRef, HashType, ItemId, UnixMillis};

use crate::console::page::{Failed, Page};
use crate::console::pages::known::adding::add::types;
use crate::console::pages::known::links::{bank_of, bank_path, gone};
use crate::console::parts::{self, Field};
use crate::console::posted::Asked;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The most items of one page.
const SIZE: u16 = 1_000;

pub(super) async fn show(visit: Visit, Path(bank): Path<String>) -> Result<Page, Failed> {
    let bank = bank_of(&bank)?;
    let listing = visit.caller.banks().get_bank(&bank, visit.deadline()).await.map_err(gone)?.value;
    let path = bank_path(&bank);
    let formats: Vec<(&str, &str)> =
        Format::writable().map(|format| (format.name(), format.name())).collect();
    let format = Field {
        name: "format",
        label: visit.t("adding.format"),
        hint: visit.t("adding.export_hint"),
        value: Format::Csv.name(),
        ..Field::default()
    };
    let main = html! {
        p { (visit.count("adding.export_items", listing.item_count)) }
        form method="get" action={ (path) "/export/file" } {
            (parts::choice(&format, &formats))
            (types(&visit, "", ""))
            (parts::button(visit.t("adding.export_do"), None))
        }
        p { a href=(path) { (visit.t("banks.back")) } }
    };
    Ok(Page::new(visit.fill("adding.export_title", &[("bank", &bank)]), main))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// The name of the format.
    format: String,
    /// The only hash type in the file; required for a list.
    #[serde(rename = "type")]
    hash_type: Option<String>,
}

/// The file.
pub(super) async fn file(
    visit: Visit,
    Path(bank): Path<String>,
    Asked(asked): Asked<Query>,
) -> Result<Response, Failed> {
    let bank = bank_of(&bank)?;
    let format: Format = match &*asked.format {
        "" => Format::Csv,
        name => name.parse().map_err(|why| Problem::field("format", why))?,
    };
    let hash_type: Option<HashType> = match asked.hash_type.as_deref() {
        None => None,
        Some(name) => Some(name.parse().map_err(|why| Problem::field("type", why))?),
    };
    let target = Target::default();
    let writer = FileWriter::begin(Box::new(target.clone()), format, hash_type, &moment(visit.now));
    let writer = writer.map_err(|why| {
        let is_untyped = matches!(why, FileError::UntypedList);
        if is_untyped {
            Problem::field("type", visit.t("adding.export_needs_type"))
        } else {
            Problem::field("format", why)
        }
    })?;
    let mut export = Export { visit, bank, target, writer: Some(writer), after: None };
    // The first page is read before the answer begins, so that a bank that the person may not read is an
    // error, not a broken file.
    let first = export.page().await?;
    let name = export.bank.to_string().replace('/', "-");
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}.{}\"", end_of(format)));
    let disposition = disposition.unwrap_or_else(|_| HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((StatusCode::OK, headers, Body::from_stream(export.stream(first))).into_response())
}

/// The extension of a file name.
const fn end_of(format: Format) -> &'static str {
    match format {
        Format::Csv | Format::Semicolon | Format::TxDataset | Format::ThreatExchange => "csv",
        Format::Tsv => "tsv",
        Format::JsonLines => "jsonl",
        Format::Hma | Format::StopNcii => "json",
        Format::Ncmec => "xml",
        Format::List
        | Format::Named
        | Format::Sums
        | Format::Pdq
        | Format::PdqDetails
        | Format::Tx
        | Format::Vpdq => "txt",
    }
}

/// A time as used in file names.
fn moment(at: UnixMillis) -> String {
    parts::date(at).replace(' ', "T") + "Z"
}

/// A buffer for a writer's output until it is sent.
#[derive(Debug, Clone, Default)]
struct Target(Arc<Mutex<Vec<u8>>>);

impl Target {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The state of a running export.
struct Export {
    visit: Visit,
    bank: BankRef,
    target: Target,
    /// `None` after the last item.
    writer: Option<FileWriter<'static>>,
    after: Option<ItemId>,
}

impl Export {
    /// Reads the next page of items.
    async fn page(&mut self) -> Result<DescribedPage, Failed> {
        // Each page has the deadline of a new request.
        self.visit.caller.begin_anew();
        let deadline = self.visit.deadline();
        let read = self.visit.caller.banks().describe_items(&self.bank, self.after, SIZE, deadline).await;
        let page = read.map_err(gone)?.value;
        match page.items.iter().any(|item| item.hashes.is_empty()) {
            true => Err(Failed::not_there()),
            false => Ok(page),
        }
    }

    /// Writes a page, and returns its bytes.
    fn write(&mut self, page: &DescribedPage) -> io::Result<Bytes> {
        let ended = || io::Error::other("the file has ended");
        let writer = self.writer.as_mut().ok_or_else(ended)?;
        for item in &page.items {
            let DescribedItem { id, added_at, hashes, labels, external_reference, .. } = item;
            writer.item(&Written {
                id: id.0,
                added_at_unix_ms: added_at.0,
                added_at: &moment(*added_at),
                hashes,
                labels,
                external_reference,
            })?;
        }
        self.after = page.next_after;
        if self.after.is_none() {
            self.writer.take().ok_or_else(ended)?.finish()?;
        }
        Ok(self.target.take())
    }

    fn stream(self, first: DescribedPage) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::try_unfold((self, Some(first)), |(mut export, page)| async move {
            let page = match page {
                Some(page) => page,
                None if export.writer.is_none() => return Ok(None),
                None => export.page().await.map_err(|failed| io::Error::other(failed.problem.message))?,
            };
            let bytes = export.write(&page)?;
            Ok(Some((bytes, (export, None))))
        })
    }
}
