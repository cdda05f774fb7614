//! The check page: whether content is known.
//!
//! A single form sends pictures, videos, hashes, a URL and the names of classifiers. The page that answers
//! has a separate result for each content. The server keeps none of it: the results are lost when the person
//! leaves the page. With JavaScript (`checking.js`) the results appear on the page that has the form, beside
//! the pictures, which only the browser holds.

mod kind;
mod entered;
mod asking;
mod words;
mod gaps;
mod matched;
mod classified;
mod answer;

use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};
use vigie_consortium::rights::Method;
use vigie_model::{Content, MatchCall};

use crate::console::page::{Failed, Page};
use crate::console::pages::check::answer::{Name, answers};
use crate::console::pages::check::entered::{Entered, Fault, HASHES_MAX, NoModels};
use crate::console::parts::{self, Field, Tone};
use crate::console::posted::Posted;
use crate::console::route::Route;
use crate::console::state::Console;
use crate::console::visit::Visit;
use crate::media::fetching::Fetched;

/// The path of the page.
const PATH: &str = "/console/check";
/// The methods that a person must be allowed to call to check content.
pub(crate) const RIGHTS: &[Method] = &[Method::Match];
/// The most files in a form.
const FILES_MAX: usize = 16;
/// The longest text of hashes that the form shows again, in bytes.
const SHOWN_AGAIN_MAX: usize = 16 << 10;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::form(PATH, RIGHTS, RIGHTS, get(show).post(check))]
}

/// Renders the form for pictures, videos and hashes, with the element that receives the results; empty for a
/// person who may not check.
pub(crate) fn form(visit: &Visit) -> Markup {
    html! {
        @if visit.may_any(RIGHTS) {
            div #check-answers {}
            (fields(visit, &Filled::default(), false))
        }
    }
}

/// The values of the form's fields, and their faults.
#[derive(Debug, Default)]
struct Filled<'a> {
    hashes: &'a str,
    url: &'a str,
    classifiers: &'a str,
    files_fault: String,
    hashes_fault: String,
    url_fault: String,
    classifiers_fault: String,
}

impl Filled<'_> {
    /// Returns whether the form has a fault.
    fn is_wrong(&self) -> bool {
        let faults = [&self.files_fault, &self.hashes_fault, &self.url_fault, &self.classifiers_fault];
        faults.iter().any(|fault| !fault.is_empty())
    }
}

async fn show(visit: Visit, State(console): State<Console>) -> Page {
    page(&visit, &console, &Filled::default(), html! {})
}

fn page(visit: &Visit, console: &Console, filled: &Filled<'_>, answers: Markup) -> Page {
    let main = html! {
        p { (visit.t("check.intro")) }
        div #check-answers {
            @if filled.is_wrong() { (parts::notice(Tone::Bad, html! { (visit.t("check.wrong")) })) }
            (answers)
        }
        (fields(visit, filled, console.fetcher.is_enabled()))
    };
    Page::new(visit.t("check.title"), main)
}

/// Renders the form. `fetches`: whether the gateway can fetch a URL.
fn fields(visit: &Visit, filled: &Filled<'_>, fetches: bool) -> Markup {
    let hashes = if filled.hashes.len() > SHOWN_AGAIN_MAX { "" } else { filled.hashes };
    // The ids of the elements that an answer replaces, as far as the page has them.
    let renewed = match fetches {
        true => "#check-files-fault,#check-hashes,#check-classifiers,#check-url",
        false => "#check-files-fault,#check-hashes,#check-classifiers",
    };
    let fault = Some(&filled.files_fault).filter(|fault| !fault.is_empty());
    html! {
        form #check-form method="post" action=(PATH) enctype="multipart/form-data"
            hx-post=(PATH) hx-encoding="multipart/form-data" hx-target="#check-answers" hx-select="#check-answers > *"
            hx-swap="innerHTML" hx-select-oob=(renewed)
            hx-disabled-elt="find button[type=submit]" hx-indicator="#check-busy"
            data-reveal=(visit.t("check.preview.reveal")) data-hide=(visit.t("check.preview.hide"))
            data-unreachable=(visit.t("check.unreachable")) {
            (parts::hidden(visit))
            div.field {
                label for="f-files" { (visit.t("check.files")) }
                input #f-files type="file" name="files" multiple accept="image/*,video/*" aria-describedby="check-files-fault f-files-hint";
                div #check-files-fault { @if let Some(fault) = fault { p.fault { (fault) } } }
                p.hint #f-files-hint { (visit.fill("check.files_hint", &[("most", &FILES_MAX)])) }
            }
            ul #check-previews.previews hidden {}
            div #check-hashes {
                (parts::area(&Field {
                    name: "hashes",
                    label: visit.t("check.hashes"),
                    hint: &visit.fill("check.hashes_hint", &[("most", &HASHES_MAX)]),
                    value: hashes,
                    fault: &filled.hashes_fault,
                    ..Field::default()
                }, 3))
            }
            details #check-classifiers open[!filled.classifiers.is_empty()] {
                summary { (visit.t("check.classifiers.more")) }
                (parts::field(&Field {
                    name: "classifiers",
                    label: visit.t("check.classifiers.label"),
                    hint: &visit.fill("check.classifiers.hint", &[("most", &MatchCall::CLASSIFIERS_MAX)]),
                    value: filled.classifiers,
                    kind: "text",
                    fault: &filled.classifiers_fault,
                    ..Field::default()
                }))
            }
            @if fetches {
                div #check-url {
                    (parts::field(&Field {
                        name: "url",
                        label: visit.t("check.url"),
                        hint: visit.t("check.url_hint"),
                        value: filled.url,
                        kind: "url",
                        fault: &filled.url_fault,
                        ..Field::default()
                    }))
                }
            }
            div.row {
                (parts::button(visit.t("check.submit"), Some('c')))
                span #check-busy.busy role="status" { span { (visit.t("check.busy")) } }
            }
        }
    }
}

/// Checks the content of the form. Changes nothing.
async fn check(visit: Visit, State(console): State<Console>, posted: Posted) -> Result<Page, Failed> {
    let files: Vec<_> = posted.chosen("files").collect();
    let mut filled = Filled {
        hashes: posted.field("hashes"),
        url: posted.field("url"),
        classifiers: posted.field("classifiers"),
        ..Filled::default()
    };
    let classifiers = entered::classifiers(filled.classifiers).unwrap_or_else(|NoModels| {
        filled.classifiers_fault =
            visit.fill("check.classifiers.wrong", &[("most", &MatchCall::CLASSIFIERS_MAX)]);
        Vec::new()
    });
    let entered = entered::read(filled.hashes).unwrap_or_else(|fault| {
        filled.hashes_fault = explained(&visit, &fault);
        Vec::new()
    });
    if let Some(name) = asking::not_of_images(&visit, &classifiers).await {
        filled.classifiers_fault = visit.fill("check.classifiers.unknown", &[("name", &name)]);
    }
    if files.len() > FILES_MAX {
        filled.files_fault = visit.fill("check.too_many_files", &[("most", &FILES_MAX)]);
    } else if files.is_empty() && filled.hashes.is_empty() && filled.url.is_empty() {
        filled.files_fault = visit.t("check.nothing").to_owned();
    }
    let mut fetched: Option<Fetched> = None;
    if !filled.is_wrong() && !filled.url.is_empty() {
        match console.fetcher.fetch(filled.url).await {
            Ok(file) => fetched = Some(file),
            Err(problem) => filled.url_fault = problem.message,
        }
    }
    if filled.is_wrong() {
        return Ok(page(&visit, &console, &filled, html! {}));
    }
    let of_file = |bytes: &bytes::Bytes| match kind::is_video(bytes) {
        true => Content::Video(bytes.clone()),
        false => Content::Image(bytes.clone()),
    };
    let (mut names, mut contents) = (Vec::new(), Vec::new());
    for (number, file) in files.iter().enumerate() {
        names.push(Name::File { name: file.name.clone(), number });
        contents.push(of_file(&file.bytes));
    }
    if let Some(file) = &fetched {
        names.push(Name::Url);
        contents.push(of_file(&file.bytes));
    }
    for Entered { line, types, content } in entered {
        names.push(Name::Hash { line, types });
        contents.push(content);
    }
    let outcomes = asking::ask(&visit, contents, &classifiers).await;
    let answers = answers(&visit, &console, &names, &outcomes);
    Ok(page(&visit, &console, &filled, answers))
}

fn explained(visit: &Visit, fault: &Fault) -> String {
    match fault {
        Fault::TooMany => visit.fill("check.too_many_hashes", &[("most", &HASHES_MAX)]),
        Fault::Lines(lines) => {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            visit.fill("check.wrong_lines", &[("lines", &lines.join(", "))])
        }
    }
}
