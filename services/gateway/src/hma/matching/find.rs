//! Searches whose answers are whole.

use std::collections::BTreeSet;

use vigie_clients::{Code, MatchAnswer};
use vigie_model::{
    BankRef, Content, Coverage, Hash, Limit, Match, MatchCall, Matched, MinCoverage, QueryHash,
    SearchOptions, Sequence, Variant,
};

use crate::hma::banks;
use crate::hma::matching::asked::Wish;
use crate::hma::refusal::Refusal;
use crate::problem::Problem;
use crate::upstream::Caller;

/// The most banks that are asked alone because one answer could not hold all matches.
const BANKS_ASKED_ALONE_MAX: usize = 256;

/// Everything that matches one hash.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The nearest first.
    pub(super) matches: Vec<Match>,
    /// What was searched; `None` where no bank was left to search.
    pub(super) coverage: Option<Coverage>,
    /// The answer holds every change up to this one.
    pub(super) sequence: Sequence,
}

/// Finds what matches a hash.
pub(super) async fn find_one(caller: &Caller, hash: Hash, wish: &Wish) -> Result<Found, Refusal> {
    let found = find_all(caller, &[hash], wish).await?;
    found.into_iter().next().ok_or_else(|| not_ready().into())
}

/// Finds what matches each of these hashes, at most as many as one call may have.
pub(super) async fn find_all(caller: &Caller, hashes: &[Hash], wish: &Wish) -> Result<Vec<Found>, Refusal> {
    let banks = match &wish.banks {
        None => Vec::new(),
        Some(named) => {
            let there = there(caller, named).await?;
            // A search that names no bank would be of all.
            if there.is_empty() {
                return Ok(hashes.iter().map(|_| Found::default()).collect());
            }
            there
        }
    };
    let is_of_all = banks.is_empty();
    let (all, coverage, sequence) = search(caller, hashes, banks, wish).await?;
    let mut found = Vec::with_capacity(all.len());
    for (matched, hash) in all.into_iter().zip(hashes) {
        let is_cut = matched.found.limit_reached || matched.found.left_out > 0;
        let mut matches = matched.found.matches;
        if is_cut && is_of_all {
            add_other_banks(caller, hash, wish, &mut matches).await?;
        }
        found.push(Found { matches, coverage: Some(coverage.clone()), sequence });
    }
    Ok(found)
}

/// Adds the matches of the banks that an answer had no room for.
async fn add_other_banks(
    caller: &Caller,
    hash: &Hash,
    wish: &Wish,
    matches: &mut Vec<Match>,
) -> Result<(), Refusal> {
    let mut shown: BTreeSet<BankRef> = matches.iter().map(|one| one.bank_name.clone()).collect();
    let others = banks::all(caller, BANKS_ASKED_ALONE_MAX).await?;
    for bank in others.into_iter().filter(|bank| bank.enabled) {
        if shown.insert(bank.name.clone()) {
            let (alone, ..) = search(caller, std::slice::from_ref(hash), vec![bank.name], wish).await?;
            matches.extend(alone.into_iter().flat_map(|matched| matched.found.matches));
        }
    }
    Ok(())
}

/// Those of these banks that are there. An unknown name is no failure.
async fn there(caller: &Caller, named: &[BankRef]) -> Result<Vec<BankRef>, Refusal> {
    let mut there = Vec::new();
    for name in named.iter().take(SearchOptions::BANKS_MAX) {
        match caller.banks.get_bank(name, caller.deadline()).await {
            Ok(bank) if bank.value.enabled => there.push(name.clone()),
            Ok(_) => {}
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(there)
}

fn not_ready() -> Problem {
    Problem::busy("index not yet ready")
}

/// One search, that every shard has to answer.
async fn search(
    caller: &Caller,
    hashes: &[Hash],
    banks: Vec<BankRef>,
    wish: &Wish,
) -> Result<(Vec<Matched>, Coverage, Sequence), Refusal> {
    // What all queries of a call may be answered with is shared by them.
    let each = (vigie_model::Query::ANSWERS_MAX / hashes.len().max(1)).min(Limit::MAX.into());
    let options = SearchOptions {
        banks,
        limit: Limit::new(i64::try_from(each).unwrap_or(0)).unwrap_or_default(),
        max_distances: wish.max_distances.clone(),
        min_sequence: caller.newest.sequence(),
        min_coverage: MinCoverage::default(),
        ..SearchOptions::default()
    };
    let content = |hash: &Hash| Content::Hashed {
        hashes: vec![QueryHash { hash: hash.clone(), variant: Variant::Original }],
        pdq_quality: None,
    };
    let call = MatchCall { contents: hashes.iter().map(content).collect(), options, quality_floor: None };
    let answer = caller.frontends.match_content(call, caller.deadline()).await;
    let MatchAnswer { results, coverage, sequence, .. } = answer.map_err(|error| match error.code() {
        // HMA's clients know a server whose index is not there by these words.
        Code::Unavailable | Code::DeadlineExceeded if !error.is_of_the_connection() => not_ready(),
        _ => error.into(),
    })?;
    if results.len() != hashes.len() {
        return Err(not_ready().into());
    }
    let matched = results.into_iter().map(|result| {
        let matched = result.map_err(|failure| match failure.code {
            Code::InvalidArgument => Problem::bad(failure.message),
            _ => not_ready(),
        })?;
        let is_searched = matched.searches.iter().all(|search| search.skipped.is_none());
        is_searched.then_some(matched).ok_or_else(not_ready)
    });
    Ok((matched.collect::<Result<_, Problem>>()?, coverage, sequence))
}
