//! Items in probation: they have fewer confirmations than the charter of their bank requires, so they match
//! for their contributors alone.
//!
//! The bank keeps no list of them. A page searches a number of items of one bank, and links to the next page.

use futures::future::{join_all, try_join};
use maud::{Markup, html};
use url::form_urlencoded;
use vigie_clients::{BankListing, DescribedItem};
use vigie_model::{BankRef, ItemId};

use super::calls::unseen;
use super::waiting::{Kind, PAGE};
use crate::console::page::Failed;
use crate::console::parts::{self, Column};
use crate::console::visit::Visit;

/// The number of items that one page searches.
const SEARCHED: u16 = 500;
/// The most banks whose charters are read to find those that require confirmations.
const BANKS_MAX: u16 = 32;

/// Renders the items in probation of a bank, after a given item; without a bank, the choice of banks.
pub(super) async fn list(visit: &Visit, bank: &str, after: &str) -> Result<Markup, Failed> {
    let after = after.parse().ok().map(ItemId);
    if bank.is_empty() {
        let asking = asking(visit).await?;
        return Ok(match &asking[..] {
            [only] => of_bank(visit, &only.name, after).await?,
            [] => parts::empty(visit.t("review.empty.no_probation")),
            several => html! {
                ul {
                    @for bank in several { li { a href=(link(&bank.name, None)) { (bank.name) } } }
                }
            },
        });
    }
    let bank: BankRef = bank.parse().map_err(|_| Failed::not_there())?;
    of_bank(visit, &bank, after).await
}

/// Returns the banks whose charters require confirmations, among the first [`BANKS_MAX`].
async fn asking(visit: &Visit) -> Result<Vec<BankListing>, Failed> {
    let until = visit.deadline();
    let banks = visit.caller.banks().list_banks(None, BANKS_MAX, until).await?.value;
    let members = visit.caller.members();
    let charters = join_all(banks.iter().map(|bank| members.get_charter(&bank.name, until))).await;
    let asks = charters
        .into_iter()
        .map(|charter| charter.is_ok_and(|charter| charter.value.confirmations_min().is_some()));
    Ok(banks.into_iter().zip(asks).filter(|(_, asks)| *asks).map(|(bank, _)| bank).collect())
}

async fn of_bank(visit: &Visit, bank: &BankRef, after: Option<ItemId>) -> Result<Markup, Failed> {
    let (banks, members, until) = (visit.caller.banks(), visit.caller.members(), visit.deadline());
    let charter = members.get_charter(bank, until);
    let page = banks.describe_items(bank, after, SEARCHED, until);
    let (charter, page) = try_join(charter, page).await.map_err(unseen)?;
    let page = page.value;
    let searched = page.items.len();
    let in_probation =
        page.items.into_iter().filter(|item| item.facts.as_ref().is_some_and(|facts| facts.probation));
    let mut found: Vec<DescribedItem> = in_probation.take(usize::from(PAGE) + 1).collect();
    let is_cut = found.len() > usize::from(PAGE);
    found.truncate(PAGE.into());
    let next = if is_cut { found.last().map(|last| last.id) } else { page.next_after };
    let next = next.map(|next| link(bank, Some(next)));
    let columns = [
        Column::words(visit.t("review.column.item")),
        Column::words(visit.t("review.column.added")),
        Column::number(visit.t("review.column.submitted")),
        Column::number(visit.t("review.column.positives")),
        Column::number(visit.t("review.column.negatives")),
        Column::words(visit.t("review.column.decide")),
    ];
    let row = |item: &DescribedItem| {
        let facts = item.facts.as_ref();
        let number = |of: Option<u32>| html! { (of.unwrap_or(0)) };
        vec![
            html! { (item.id.0) },
            parts::time(visit, item.added_at),
            number(facts.map(|facts| facts.contributors)),
            number(facts.map(|facts| facts.positives)),
            number(facts.map(|facts| facts.negatives)),
            html! { a href={ "/console/items/" (item.id.0) } { (visit.t("review.open")) } },
        ]
    };
    let confirmations = charter.value.confirmations_min().unwrap_or(1);
    let counted = u64::try_from(searched).unwrap_or(u64::MAX);
    Ok(html! {
        p { (visit.fill("review.probation.of", &[("bank", bank), ("members", &confirmations)])) }
        @if found.is_empty() { (parts::empty(visit.t("review.empty.probation"))) } @else {
            (parts::table(visit.t("review.kind.probation"), &columns, found.iter().map(row)))
        }
        @if !is_cut { p.hint { (visit.count("review.probation.searched", counted)) } }
        (parts::pager(visit, next.as_deref()))
    })
}

fn link(bank: &BankRef, after: Option<ItemId>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("kind", Kind::Probation.name()).append_pair("bank", &bank.to_string());
    if let Some(after) = after {
        query.append_pair("after", &after.0.to_string());
    }
    format!("/console/review?{}", query.finish())
}
