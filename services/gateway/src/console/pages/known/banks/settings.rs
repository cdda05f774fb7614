//! `/console/banks/{bank}/settings`: the name, whether the bank is searched, the share of lookups, and
//! deletion.

use axum::extract::Path;
use http::StatusCode;
use maud::{Markup, html};
use vigie_clients::{BankListing, Code};
use vigie_consortium::rights::Method;
use vigie_model::{BankName, BankRef};

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::known::banks::list::{ratio, state};
use crate::console::pages::known::links::{bank_of, bank_path, fault, fault_of_none, gone, is_of_input};
use crate::console::parts::{self, Field};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

pub(super) async fn show(visit: Visit, Path(bank): Path<String>) -> Result<Page, Failed> {
    let bank = read(&visit, &bank_of(&bank)?).await?;
    Ok(page(&visit, &bank, None, None))
}

async fn read(visit: &Visit, name: &BankRef) -> Result<BankListing, Failed> {
    Ok(visit.caller.banks().get_bank(name, visit.deadline()).await.map_err(gone)?.value)
}

/// Changes one setting, which the button names.
pub(super) async fn change(visit: Visit, Path(bank): Path<String>, posted: Posted) -> Result<Answer, Failed> {
    let name = bank_of(&bank)?;
    match changed(&visit, &name, &posted).await {
        Ok(done) => Ok(Answer::Done(done)),
        Err(problem) if matches!(problem.code, Code::NotFound | Code::PermissionDenied) => {
            Err(Failed::not_there())
        }
        Err(problem) if is_of_input(&problem) => {
            let bank = read(&visit, &name).await?;
            Ok(Answer::Page(page(&visit, &bank, Some(&posted), Some(&problem)).with_status(problem.status)))
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn changed(visit: &Visit, bank: &BankRef, posted: &Posted) -> Result<Done, Problem> {
    let (banks, key, deadline) = (visit.caller.banks(), posted.once(), visit.deadline());
    let path = format!("{}/settings", bank_path(bank));
    let (made, done) = match posted.field("do") {
        "rename" => {
            let name: BankName = posted.field("name").parse().map_err(|why| Problem::field("name", why))?;
            let made = banks.rename_bank(bank, &name, key, deadline).await?;
            let path = format!("{}/settings", bank_path(&made.value.name));
            (made.sequence, Done::saying(&path, "bank_renamed", &[]))
        }
        "enable" => {
            let made = banks.set_bank_enabled(bank, true, key, deadline).await?;
            (made.sequence, Done::saying(&path, "bank_enabled", &[]))
        }
        "disable" => {
            let made = banks.set_bank_enabled(bank, false, key, deadline).await?;
            (made.sequence, Done::saying(&path, "bank_disabled", &[]))
        }
        "ratio" => {
            let made = banks.set_bank_match_ratio(bank, ratio(posted.field("ratio"))?, key, deadline).await?;
            (made.sequence, Done::saying(&path, "bank_ratio", &[]))
        }
        "delete" => {
            if posted.field("confirm") != bank.to_string() {
                return Err(Problem::field("confirm", visit.t("banks.confirm_wrong")));
            }
            let gone = banks.delete_bank(bank, key, deadline).await?;
            (gone.sequence, Done::saying("/console/banks", "bank_deleted", &[]))
        }
        _ => return Err(Problem::new(StatusCode::BAD_REQUEST, "there is no such setting")),
    };
    visit.wrote(made);
    Ok(done)
}

fn page(visit: &Visit, bank: &BankListing, posted: Option<&Posted>, problem: Option<&Problem>) -> Page {
    let path = format!("{}/settings", bank_path(&bank.name));
    let name = bank.name.to_string();
    let entered = |field: &str, now: &str| match posted.map(|posted| posted.field(field)) {
        Some("") | None => now.to_owned(),
        Some(text) => text.to_owned(),
    };
    let ratio = bank.match_ratio.get().to_string();
    let main = html! {
        (fault_of_none(problem, &["name", "ratio", "confirm"]))
        @if visit.may(Method::RenameBank) {
            (parts::section(visit.t("banks.rename"), setting(visit, &path, "rename", &Field {
                name: "name",
                label: visit.t("banks.name"),
                hint: visit.t("banks.name_hint"),
                value: &entered("name", &name),
                is_required: true,
                fault: fault(problem, "name"),
                ..Field::default()
            }, visit.t("banks.rename_do"))))
        }
        @if visit.may(Method::SetBankEnabled) {
            (parts::section(visit.t("banks.searching"), html! {
                p { (state(visit, bank)) " " (visit.t("banks.searching_hint")) }
                @if bank.enabled {
                    (parts::action(visit, &path, &[("do", "disable")], visit.t("banks.disable"), None))
                } @else {
                    (parts::action(visit, &path, &[("do", "enable")], visit.t("banks.enable"), None))
                }
            }))
        }
        @if visit.may(Method::SetBankMatchRatio) {
            (parts::section(visit.t("banks.ratio"), setting(visit, &path, "ratio", &Field {
                name: "ratio",
                label: visit.t("banks.ratio"),
                hint: visit.t("banks.ratio_hint"),
                value: &entered("ratio", &ratio),
                is_required: true,
                fault: fault(problem, "ratio"),
                ..Field::default()
            }, visit.t("banks.ratio_do"))))
        }
        @if visit.may(Method::DeleteBank) {
            (parts::section(visit.t("banks.delete"), html! {
                p { (visit.count("banks.delete_hint", bank.item_count)) }
                div.danger {
                    (setting(visit, &path, "delete", &Field {
                        name: "confirm",
                        label: &visit.fill("banks.confirm", &[("bank", &name)]),
                        is_required: true,
                        fault: fault(problem, "confirm"),
                        ..Field::default()
                    }, visit.t("banks.delete_do")))
                }
            }))
        }
        p { a href=(bank_path(&bank.name)) { (visit.t("banks.back")) } }
    };
    Page::new(visit.fill("banks.settings_of", &[("bank", &name)]), main)
}

/// A form with one setting.
fn setting(visit: &Visit, path: &str, what: &str, field: &Field<'_>, label: &str) -> Markup {
    let body = html! {
        input type="hidden" name="do" value=(what);
        (parts::field(field))
        (parts::button(label, None))
    };
    parts::form(visit, path, body)
}
