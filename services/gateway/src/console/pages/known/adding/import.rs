//! `/console/banks/{bank}/import`: a list of hashes, tried first, then added.
//!
//! The server keeps no state between the two requests: the second form has the file again, and the digest of
//! the list that was tried.

use axum::extract::Path;
use maud::{Markup, html};
use vigie_formats::files::Format;
use vigie_model::BankRef;

use crate::console::page::{Failed, Page};
use crate::console::pages::known::adding::add::types;
use crate::console::pages::known::adding::reading::{BadLines, List, Read};
use crate::console::pages::known::links::{bank_of, bank_path, fault, fault_of_none, gone};
use crate::console::pages::known::said::{self, DETAILS, Said};
use crate::console::parts::{self, Column, Field, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The result of a form.
enum Came {
    /// The list was read; nothing was added. `is_other`: the person asked to add another list than the one
    /// that was tried.
    Tried { read: Read, digest: String, is_other: bool },
    /// The list was added.
    Added(Imported),
}

/// The result of an import.
#[derive(Debug, Default)]
struct Imported {
    added: u64,
    known: u64,
    bad: BadLines,
    /// The last line that was processed.
    through: u64,
    /// The reason that the import ended before the end of the list.
    failure: Option<Problem>,
}

pub(super) async fn show(visit: Visit, Path(bank): Path<String>) -> Result<Page, Failed> {
    let bank = bank_of(&bank)?;
    visit.caller.banks().get_bank(&bank, visit.deadline()).await.map_err(gone)?;
    Ok(page(&visit, &bank, None, None, None))
}

/// Tries a list, or adds a list that was tried.
pub(super) async fn send(visit: Visit, Path(bank): Path<String>, posted: Posted) -> Result<Page, Failed> {
    let bank = bank_of(&bank)?;
    visit.caller.banks().get_bank(&bank, visit.deadline()).await.map_err(gone)?;
    match came(&visit, &bank, &posted).await {
        Ok(came) => Ok(page(&visit, &bank, Some(&posted), None, Some(&came))),
        Err(problem) => {
            let status = problem.status;
            Ok(page(&visit, &bank, Some(&posted), Some(&problem), None).with_status(status))
        }
    }
}

async fn came(visit: &Visit, bank: &BankRef, posted: &Posted) -> Result<Came, Problem> {
    let said = Said::of(posted)?;
    let list = List::of(posted.files("file").next(), posted, &said.labels)?;
    let (tried, digest) = (posted.field("tried"), list.digest());
    let is_import = posted.field("do") == "import";
    if is_import && tried == digest {
        return Ok(Came::Added(import(visit, bank, posted, &said, &list).await));
    }
    let read = list.survey().await.map_err(|problem| in_words_of_the_page(visit, problem))?;
    Ok(Came::Tried { read, digest, is_other: is_import })
}

/// Replaces the library's messages that name command-line options; the page has choices instead.
fn in_words_of_the_page(visit: &Visit, problem: Problem) -> Problem {
    let is_named = |option: &str| problem.message.contains(option);
    match problem.field.as_deref() {
        Some("file") if is_named("--type") => Problem::field("file", visit.t("adding.type_needed")),
        Some("file") if is_named("--format") || is_named("--columns") => {
            Problem::field("file", visit.t("adding.format_needed"))
        }
        _ => problem,
    }
}

async fn import(visit: &Visit, bank: &BankRef, posted: &Posted, said: &Said, list: &List) -> Imported {
    let (mut done, mut batches, mut number) = (Imported::default(), list.batches(), 0_u64);
    while let Some(batch) = batches.recv().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                done.failure = Some(Problem::field("file", error));
                break;
            }
        };
        done.bad.take(batch.bad);
        number += 1;
        let count = batch.items.len() as u64;
        if count > 0 {
            let items = batch.items.into_iter().map(|item| said.with(item)).collect();
            let key = posted.once_for(&format!("-b{number}"));
            // Each batch has the deadline of a new request.
            visit.caller.begin_anew();
            match visit.caller.banks().contribute_items(bank, items, key, visit.deadline()).await {
                Ok(added) => {
                    visit.wrote(added.sequence);
                    let known = u64::from(added.value.known).min(count);
                    done.known += known;
                    done.added += count - known;
                }
                Err(error) => {
                    done.failure = Some(error.into());
                    break;
                }
            }
        }
        done.through = batch.through.max(done.through);
    }
    done
}

fn page(
    visit: &Visit,
    bank: &BankRef,
    posted: Option<&Posted>,
    problem: Option<&Problem>,
    came: Option<&Came>,
) -> Page {
    let path = bank_path(bank);
    let main = html! {
        @if let Some(Came::Added(imported)) = came { (of_import(visit, imported)) }
        (form(visit, &format!("{path}/import"), posted, problem, came))
        p { a href=(path) { (visit.t("banks.back")) } }
    };
    Page::new(visit.fill("adding.import_title", &[("bank", bank)]), main)
}

fn form(
    visit: &Visit,
    action: &str,
    posted: Option<&Posted>,
    problem: Option<&Problem>,
    came: Option<&Came>,
) -> Markup {
    let entered = |name| posted.map_or("", |posted| posted.field(name));
    let mut fields: Vec<&str> = vec!["file", "format", "type", "labels", "case"];
    fields.extend(DETAILS);
    let fault_of_file = fault(problem, "file");
    let formats: Vec<(&str, &str)> = [("", visit.t("adding.format_recognised"))]
        .into_iter()
        .chain(Format::all().map(|format| (format.name(), format.name())))
        .collect();
    let format = Field {
        name: "format",
        label: visit.t("adding.format"),
        value: entered("format"),
        fault: fault(problem, "format"),
        ..Field::default()
    };
    let body = html! {
        (fault_of_none(problem, &fields))
        div.field {
            label for="f-file" { (visit.t("adding.list")) }
            input #f-file type="file" name="file" required
                aria-describedby="f-file-hint" aria-invalid=[(!fault_of_file.is_empty()).then_some("true")];
            @if !fault_of_file.is_empty() { p.fault { (fault_of_file) } }
            p.hint #f-file-hint { (visit.t("adding.list_hint")) }
        }
        (parts::choice(&format, &formats))
        (types(visit, entered("type"), fault(problem, "type")))
        (parts::checkbox("unknown", "ignore", visit.t("adding.ignore_unknown"), entered("unknown") == "ignore"))
        (said::fields(visit, posted, problem))
        div.row {
            button.second type="submit" name="do" value="try"
                hx-post=(action) hx-encoding="multipart/form-data" hx-target="#tried" hx-select="#tried" hx-swap="outerHTML" {
                (visit.t("adding.try"))
            }
        }
        div #tried aria-live="polite" {
            @if let Some(Came::Tried { read, digest, is_other }) = came {
                (of_trial(visit, read, *is_other))
                @if read.survey.items > 0 {
                    input type="hidden" name="tried" value=(digest);
                    p.hint { (visit.t("adding.again_hint")) }
                    button type="submit" name="do" value="import" { (visit.count("adding.carry_out", read.survey.items)) }
                }
            } @else if problem.is_some() {
                p.hint { (visit.t("adding.not_tried")) }
            }
        }
    };
    parts::upload(visit, action, body)
}

fn of_trial(visit: &Visit, read: &Read, is_other: bool) -> Markup {
    let types: Vec<String> = read
        .survey
        .hashes
        .iter()
        .map(|(of, count)| format!("{of}: {}", visit.language.number(*count)))
        .collect();
    let tone = if read.bad.count > 0 { Tone::Warn } else { Tone::Good };
    html! {
        h2 { (visit.t("adding.trial")) }
        @if is_other { (parts::notice(Tone::Warn, html! { (visit.t("adding.other_list")) })) }
        (parts::notice(tone, html! {
            (visit.count("adding.would_add", read.survey.items)) " "
            @if read.bad.count > 0 { (visit.count("adding.bad_lines", read.bad.count)) }
        }))
        (parts::facts([
            (visit.t("adding.format"), html! { (read.format.name()) }),
            (visit.t("adding.of_types"), html! { (types.join(", ")) }),
            (visit.t("adding.withdrawn"), html! { (visit.language.number(read.left_out.withdrawn)) }),
        ]))
        @if !read.left_out.unknown.is_empty() {
            p { (visit.t("adding.unknown")) }
            ul { @for (name, count) in &read.left_out.unknown { li { (name) ": " (visit.language.number(*count)) } } }
        }
        (bad_lines(visit, &read.bad))
    }
}

fn bad_lines(visit: &Visit, bad: &BadLines) -> Markup {
    if bad.first.is_empty() {
        return html! {};
    }
    let columns = [Column::number(visit.t("adding.line_number")), Column::words(visit.t("adding.reason"))];
    let rows = bad.first.iter().map(|one| vec![html! { (one.line) }, html! { (one.reason) }]);
    let more = bad.count - bad.first.len() as u64;
    html! {
        h3 { (visit.t("adding.bad_title")) }
        (parts::table(visit.t("adding.bad_title"), &columns, rows))
        @if more > 0 { p { (visit.count("adding.bad_more", more)) } }
    }
}

fn of_import(visit: &Visit, imported: &Imported) -> Markup {
    let Imported { added, known, bad, through, failure } = imported;
    let tone = if failure.is_some() || bad.count > 0 { Tone::Warn } else { Tone::Good };
    html! {
        (parts::notice(tone, html! {
            (visit.count("adding.added_count", *added)) " "
            @if *known > 0 { (visit.count("adding.known_count", *known)) " " }
            @if bad.count > 0 { (visit.count("adding.bad_left_out", bad.count)) }
        }))
        @if let Some(failure) = failure {
            (parts::notice(Tone::Bad, html! {
                (visit.fill("adding.broke_off", &[("line", &visit.language.number(*through))])) " " (failure.message)
            }))
        }
        (bad_lines(visit, bad))
    }
}
