//! `/console/banks/{bank}/add`: adds pictures, videos and lines of hashes.
//!
//! A script sends the files of a folder one by one, each in its own form, and collects the rows of the
//! answers.

use axum::extract::Path;
use futures::{StreamExt as _, stream};
use maud::{Markup, html};
use vigie_formats::files::ReadOptions;
use vigie_model::{BankRef, HashType};

use crate::console::page::{Failed, Page};
use crate::console::pages::known::adding::hashing::{self, Lines, Made};
use crate::console::pages::known::adding::outcome::{self, Added, Outcome};
use crate::console::pages::known::links::{bank_of, bank_path, fault, fault_of_none, gone};
use crate::console::pages::known::said::{self, DETAILS, Said};
use crate::console::parts::{self, Field};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::media::form::FormFile;
use crate::problem::Problem;

/// The most concurrent writes; the bank can commit them together.
const AT_ONCE: usize = 8;
/// The most files in one form, which has at most 16 parts.
const FILES_MAX: usize = 6;

pub(super) async fn show(visit: Visit, Path(bank): Path<String>) -> Result<Page, Failed> {
    let bank = bank_of(&bank)?;
    visit.caller.banks().get_bank(&bank, visit.deadline()).await.map_err(gone)?;
    Ok(page(&visit, &bank, None, None, &[]))
}

/// Adds the files and hashes of a form. A fault of one file or line does not affect the others.
pub(super) async fn add(visit: Visit, Path(bank): Path<String>, posted: Posted) -> Result<Page, Failed> {
    let bank = bank_of(&bank)?;
    visit.caller.banks().get_bank(&bank, visit.deadline()).await.map_err(gone)?;
    match added(&visit, &bank, &posted).await {
        Ok(outcomes) => Ok(page(&visit, &bank, None, None, &outcomes)),
        Err(problem) => {
            let status = problem.status;
            Ok(page(&visit, &bank, Some(&posted), Some(&problem), &[]).with_status(status))
        }
    }
}

async fn added(visit: &Visit, bank: &BankRef, posted: &Posted) -> Result<Vec<Outcome>, Problem> {
    let said = Said::of(posted)?;
    let lines = lines(visit, posted, &said)?;
    let mut outcomes = Vec::new();
    for (at, file) in posted.files("files").enumerate() {
        outcomes.push(of_file(visit, bank, posted, &said, at, file).await);
    }
    let (posted, said) = (&posted, &said);
    let of_lines = stream::iter(lines).map(|(number, item)| async move {
        let result = match item {
            Ok(item) => {
                put(
                    visit,
                    bank,
                    posted,
                    &format!("-l{number}"),
                    said,
                    Made { content: item, is_plain: false },
                )
                .await
            }
            Err(reason) => Err(reason),
        };
        Outcome { name: visit.fill("adding.line", &[("line", &number)]), result }
    });
    let of_lines: Vec<Outcome> = of_lines.buffered(AT_ONCE).collect().await;
    outcomes.extend(of_lines);
    if outcomes.is_empty() {
        return Err(Problem::field("hashes", visit.t("adding.nothing")));
    }
    Ok(outcomes)
}

fn lines(visit: &Visit, posted: &Posted, said: &Said) -> Result<Lines, Problem> {
    let text = posted.field("hashes");
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let hash_type = match posted.field("type") {
        "" => None,
        name => Some(name.parse().map_err(|why| Problem::field("type", why))?),
    };
    let options = ReadOptions { labels: said.labels.clone(), hash_type, ..ReadOptions::default() };
    let read = hashing::items_of_lines(text, options);
    // The library's message names a command-line option; the page has a choice instead.
    read.map_err(|problem| match hash_type {
        None if problem.message.contains("--type") => Problem::field("hashes", visit.t("adding.type_needed")),
        _ => problem,
    })
}

async fn of_file(
    visit: &Visit,
    bank: &BankRef,
    posted: &Posted,
    said: &Said,
    at: usize,
    file: &FormFile,
) -> Outcome {
    let result = match hashing::item_of(&visit.caller, file, &said.labels).await {
        Ok(made) => put(visit, bank, posted, &format!("-f{at}"), said, made).await,
        Err(problem) => Err(problem.message),
    };
    Outcome { name: file.name.clone(), result }
}

/// Adds one item. `part` names the write within the form.
async fn put(
    visit: &Visit,
    bank: &BankRef,
    posted: &Posted,
    part: &str,
    said: &Said,
    made: Made,
) -> Result<Added, String> {
    visit.caller.begin_anew();
    let (items, key) = (vec![said.with(made.content)], posted.once_for(part));
    let added = visit.caller.banks().contribute_items(bank, items, key, visit.deadline()).await;
    let added = added.map_err(|error| Problem::from(error).message)?;
    visit.wrote(added.sequence);
    let item = added.value.ids.first().copied().ok_or_else(|| visit.t("adding.no_answer").to_owned())?;
    Ok(Added { item, is_known: added.value.known > 0, is_plain: made.is_plain })
}

fn page(
    visit: &Visit,
    bank: &BankRef,
    posted: Option<&Posted>,
    problem: Option<&Problem>,
    outcomes: &[Outcome],
) -> Page {
    let path = bank_path(bank);
    let main = html! {
        @if !outcomes.is_empty() {
            (outcome::counts(visit, outcomes))
            h2 { (visit.t("adding.outcomes")) }
            (outcome::table(visit, outcomes))
            h2 { (visit.t("adding.further")) }
        }
        (form(visit, &format!("{path}/add"), posted, problem))
        p.row {
            a href=(path) { (visit.t("banks.back")) }
            a href={ (path) "/import" } { (visit.t("adding.to_import")) }
        }
    };
    Page::new(visit.fill("adding.title", &[("bank", bank)]), main)
}

fn form(visit: &Visit, action: &str, posted: Option<&Posted>, problem: Option<&Problem>) -> Markup {
    let mut fields: Vec<&str> = vec!["labels", "case", "hashes", "type"];
    fields.extend(DETAILS);
    html! {
        form #adding method="post" action=(action) enctype="multipart/form-data"
            data-progress=(visit.t("adding.progress")) data-left-out=(visit.t("adding.left_out"))
            data-stopped=(visit.t("adding.stopped")) data-failed=(visit.t("adding.failed"))
            data-refused=(visit.t("adding.refused")) {
            (parts::hidden(visit))
            (fault_of_none(problem, &fields))
            div.field {
                label for="f-files" { (visit.t("adding.files")) }
                input #f-files type="file" name="files" multiple aria-describedby="f-files-hint";
                p.hint #f-files-hint { (visit.count("adding.files_hint", FILES_MAX as u64)) }
            }
            div.field hidden data-with-script {
                label for="f-folder" { (visit.t("adding.folder")) }
                input #f-folder type="file" multiple webkitdirectory aria-describedby="f-folder-hint";
                p.hint #f-folder-hint { (visit.t("adding.folder_hint")) }
            }
            (said::fields(visit, posted, problem))
            (hashes(visit, posted, problem))
            div.row {
                (parts::button(visit.t("adding.add"), Some('a')))
                button.second type="button" hidden data-stop { (visit.t("adding.stop")) }
            }
            div hidden data-sending {
                progress value="0" max="1" aria-label=(visit.t("adding.sending")) {}
                p role="status" data-counts {}
            }
        }
        div hidden data-results { (outcome::table(visit, &[])) }
    }
}

/// The field of lines of hashes and the choice of their type.
fn hashes(visit: &Visit, posted: Option<&Posted>, problem: Option<&Problem>) -> Markup {
    let entered = |name| posted.map_or("", |posted| posted.field(name));
    let area = Field {
        name: "hashes",
        label: visit.t("adding.hashes"),
        hint: visit.t("adding.hashes_hint"),
        value: entered("hashes"),
        fault: fault(problem, "hashes"),
        ..Field::default()
    };
    html! {
        details open[!entered("hashes").is_empty() || !area.fault.is_empty()] {
            summary { (visit.t("adding.or_hashes")) }
            (parts::area(&area, 5))
            (types(visit, entered("type"), fault(problem, "type")))
        }
    }
}

/// The choice of the hash type, for lines that do not name it.
pub(super) fn types(visit: &Visit, chosen: &str, fault: &str) -> Markup {
    let names: Vec<String> = HashType::known().map(|one| one.to_string()).collect();
    let recognised = ("", visit.t("adding.type_recognised"));
    let options: Vec<(&str, &str)> =
        [recognised].into_iter().chain(names.iter().map(|name| (&**name, &**name))).collect();
    let label = visit.t("adding.type");
    parts::choice(&Field { name: "type", label, value: chosen, fault, ..Field::default() }, &options)
}
