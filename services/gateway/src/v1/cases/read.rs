//! Conversions that requests about cases share: words, ids, positions of pages, and the field that the bank
//! refuses.

use vigie_clients::{CallError, CasesAfter, Code};
use vigie_consortium::DocumentKey;
use vigie_hashes::hex;
use vigie_proto::consortium::CASE_PAGE_MAX;

use crate::problem::Problem;
use crate::v1::values::{place, place_after};

/// The objects of the bank's messages that hold the fields of a body.
const WITHIN: [&str; 5] = ["contents.", "review.", "referral.", "measure.", "outcome."];

/// Reads a word that must be in a list.
pub(crate) fn word<T: Copy>(
    field: &str,
    text: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, Problem> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        Problem::field(field, format!("is unknown; use one of {}", known.join(", ")))
    })
}

/// Reads the id of a decision: 32 hexadecimal digits.
pub(crate) fn decision_id(text: &str) -> Result<[u8; 16], Problem> {
    let id = hex::decode(text).and_then(|id| id.try_into().ok());
    id.ok_or_else(|| Problem::field("decision_id", "is 32 hexadecimal digits"))
}

/// Reads an optional id, which must not be 0.
pub(crate) fn some_id(field: &str, id: Option<u64>) -> Result<Option<u64>, Problem> {
    if id == Some(0) { Err(Problem::field(field, "is no id")) } else { Ok(id) }
}

/// Reads the position and the size of a page.
pub(crate) fn page(after: Option<&str>, limit: Option<u16>) -> Result<CasesAfter, Problem> {
    if limit.is_some_and(|limit| !(1..=CASE_PAGE_MAX).contains(&limit)) {
        return Err(Problem::field("limit", format!("must be 1 to {CASE_PAGE_MAX}")));
    }
    let after = after.map(place_after).transpose()?.unwrap_or_default();
    Ok(CasesAfter { key: after.as_bytes().to_vec(), limit })
}

/// Returns the `after` of the next page; `None` on the last page.
pub(crate) fn next_after(key: &[u8]) -> Result<Option<String>, Problem> {
    let unreadable = |_| Problem::of_code(Code::Internal, "the request failed for an internal reason");
    let key = DocumentKey::new(key).map_err(unreadable)?;
    Ok((key != DocumentKey::default()).then(|| place(&key)))
}

/// Converts a failed call. If the bank refused a field, the problem names it as it was sent.
pub(crate) fn refused(error: CallError) -> Problem {
    let named = (error.code() == Code::InvalidArgument).then(|| error.message().split_once(": ")).flatten();
    let field = named.and_then(|(path, why)| {
        let field = WITHIN.iter().find_map(|within| path.strip_prefix(within))?;
        Some(Problem::field(field, why))
    });
    field.unwrap_or_else(|| error.into())
}

#[cfg(test)]
mod tests {
    use vigie_consortium::cases::ReportOutcome;

    use super::*;

    #[test]
    fn words_ids_and_pages_are_read_or_named() {
        let of = |text: &str| word("outcome", text, ReportOutcome::ALL, ReportOutcome::name);
        assert_eq!(of("more-information").unwrap(), ReportOutcome::MoreInformation);
        let problem = of("perhaps").unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("outcome"));
        assert!(problem.message.contains("duplicate") && !problem.message.contains("perhaps"), "{problem:?}");
        assert_eq!(decision_id(&"0F".repeat(16)).unwrap(), [15; 16]);
        for wrong in ["", "0f", &"0f".repeat(17), &format!("+{}", "0".repeat(31))] {
            assert_eq!(decision_id(wrong).unwrap_err().field.as_deref(), Some("decision_id"));
        }
        assert_eq!(page(None, None).unwrap(), CasesAfter::default());
        let second = page(Some("0a"), Some(100)).unwrap();
        assert_eq!(second, CasesAfter { key: vec![10], limit: Some(100) });
        assert_eq!(next_after(&second.key).unwrap().as_deref(), Some("0a"));
        assert_eq!(next_after(&[]).unwrap(), None);
        for (after, limit, field) in
            [(None, Some(0), "limit"), (None, Some(101), "limit"), (Some("x"), None, "after")]
        {
            assert_eq!(page(after, limit).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
