//! Searches with complete answers.

use std::collections::BTreeSet;

use vigie_clients::{Code, MatchAnswer};
use vigie_model::video::{VideoRule, VideoRuleKind, VideoRules};
use vigie_model::{
    BankRef, Content, Coverage, Hash, Limit, Match, Matched, MinCoverage, QueryHash, SearchOptions, Sequence,
    Variant,
};

use crate::hma::banks;
use crate::hma::matching::asked::Wish;
use crate::hma::refusal::Refusal;
use crate::problem::Problem;
use crate::upstream::Caller;

/// The most banks that are searched alone because one answer could not hold all matches.
const BANKS_ASKED_ALONE_MAX: usize = 256;

/// All matches of one hash.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The matches, nearest first.
    pub(super) matches: Vec<Match>,
    /// The coverage; `None` if no bank was left to search.
    pub(super) coverage: Option<Coverage>,
    /// The answer holds every change up to this one.
    pub(super) sequence: Sequence,
}

/// Finds the matches of a hash.
pub(super) async fn find_one(caller: &Caller, hash: Hash, wish: &Wish) -> Result<Found, Refusal> {
    let found = find_all(caller, &[hash], wish).await?;
    found.into_iter().next().ok_or_else(|| not_ready().into())
}

/// Finds the matches of each of these hashes, at most as many as one call may have.
pub(super) async fn find_all(caller: &Caller, hashes: &[Hash], wish: &Wish) -> Result<Vec<Found>, Refusal> {
    let banks = match &wish.banks {
        None => Vec::new(),
        Some(named) => {
            let there = there(caller, named).await?;
            // A search without banks would search all of them.
            if there.is_empty() {
                return Ok(hashes.iter().map(|_| Found::default()).collect());
            }
            there
        }
    };
    let (all, coverage, sequence) = search(caller, hashes, banks.clone(), Limit::default(), wish).await?;
    let mut found = Vec::with_capacity(all.len());
    for (matched, hash) in all.into_iter().zip(hashes) {
        let matches = match is_cut(&matched) {
            false => matched.found.matches,
            true => find_more(caller, hash, banks.clone(), wish).await?,
        };
        found.push(Found { matches, coverage: Some(coverage.clone()), sequence });
    }
    Ok(found)
}

/// Returns whether there are matches that were left out.
const fn is_cut(matched: &Matched) -> bool {
    matched.found.limit_reached || matched.found.left_out > 0
}

/// Finds as many items as one answer can hold, and some of each bank with further matches.
async fn find_more(
    caller: &Caller,
    hash: &Hash,
    banks: Vec<BankRef>,
    wish: &Wish,
) -> Result<Vec<Match>, Refusal> {
    let hash = std::slice::from_ref(hash);
    let most = Limit::new(Limit::MAX.into()).unwrap_or_default();
    let (all, ..) = search(caller, hash, banks.clone(), most, wish).await?;
    let is_cut = all.iter().any(is_cut);
    let mut matches: Vec<Match> = all.into_iter().flat_map(|matched| matched.found.matches).collect();
    if !is_cut {
        return Ok(matches);
    }
    let mut shown: BTreeSet<BankRef> = matches.iter().map(|one| one.bank_name.clone()).collect();
    let others = match banks.is_empty() {
        false => banks,
        true => {
            let all = banks::all(caller, BANKS_ASKED_ALONE_MAX + 1).await?;
            if all.len() > BANKS_ASKED_ALONE_MAX {
                return Err(Problem::busy(
                    "more match than one answer holds, in more banks than are asked alone",
                )
                .into());
            }
            all.into_iter().filter(|bank| bank.enabled).map(|bank| bank.name).collect()
        }
    };
    for bank in others {
        if shown.insert(bank.clone()) {
            let (alone, ..) = search(caller, hash, vec![bank], most, wish).await?;
            matches.extend(alone.into_iter().flat_map(|matched| matched.found.matches));
        }
    }
    Ok(matches)
}

/// Returns the named banks that exist. An unknown name is not an error.
async fn there(caller: &Caller, named: &[BankRef]) -> Result<Vec<BankRef>, Refusal> {
    let mut there = Vec::new();
    if named.len() > SearchOptions::BANKS_MAX {
        return Err(Refusal::bad(format!("at most {} banks may be named", SearchOptions::BANKS_MAX)));
    }
    for name in named {
        match caller.banks().get_bank(name, caller.deadline()).await {
            Ok(bank) if bank.value.enabled => there.push(name.clone()),
            Ok(_) => {}
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(there)
}

/// Returns the rule by which threatexchange matches videos: 80 percent of the query's frames.
fn as_threatexchange() -> VideoRules {
    [VideoRule::usual(VideoRuleKind::ThreatExchange)].as_slice().into()
}

fn not_ready() -> Problem {
    Problem::busy("index not yet ready")
}

/// Makes one search, which every shard must answer.
async fn search(
    caller: &Caller,
    hashes: &[Hash],
    banks: Vec<BankRef>,
    limit: Limit,
    wish: &Wish,
) -> Result<(Vec<Matched>, Coverage, Sequence), Refusal> {
    let options = SearchOptions {
        banks,
        limit,
        max_distances: wish.max_distances.clone(),
        min_sequence: caller.newest().sequence(),
        min_coverage: MinCoverage::default(),
        video_rules: as_threatexchange(),
        ..SearchOptions::default()
    };
    let content = |hash: &Hash| Content::Hashed {
        hashes: vec![QueryHash { hash: hash.clone(), variant: Variant::Original }],
        pdq_quality: None,
    };
    let answer = caller.look_up(hashes.iter().map(content).collect(), options, caller.deadline()).await;
    let MatchAnswer { results, coverage, sequence, .. } = answer.map_err(|error| {
        let is_late = matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded);
        // HMA's clients recognize a server without a loaded index by this text.
        if is_late && !error.is_of_the_connection() { not_ready() } else { error.into() }
    })?;
    if results.len() != hashes.len() {
        return Err(not_ready().into());
    }
    let matched = results.into_iter().map(|result| {
        let matched = result.map_err(|failure| {
            let is_of_caller = failure.code == Code::InvalidArgument;
            if is_of_caller { Problem::bad(failure.message) } else { not_ready() }
        })?;
        let is_searched = matched.searches.iter().all(|search| search.skipped.is_none());
        is_searched.then_some(matched).ok_or_else(not_ready)
    });
    Ok((matched.collect::<Result<_, Problem>>()?, coverage, sequence))
}
