//! The key of a counter, and its bytes as a bank's row key.

use thiserror::Error;
use vigie_consortium::Text;
use vigie_model::{BankId, MemberId};

use super::measure::Measure;
use crate::month::Month;

/// The largest length of a class as text, in bytes: `taxonomy/dimension/value`, each at most 64.
pub const CLASS_LEN_MAX: usize = 194;
/// The largest length of a verdict's name, in bytes.
pub const VERDICT_LEN_MAX: usize = 16;

/// A class as text: `gifct-2025/content-type/manual`; empty for none.
pub type ClassText = Text<CLASS_LEN_MAX>;
/// A verdict's name: allow, log, review, block, escalate.
pub type VerdictText = Text<VERDICT_LEN_MAX>;

/// The key of one counter. Keys are ordered like their encodings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The month of the event.
    pub month: Month,
    /// The member that caused the event or was affected by it.
    pub member: Option<MemberId>,
    /// The bank.
    pub bank: Option<BankId>,
    /// The class of the item; empty for none.
    pub class: ClassText,
    /// The verdict.
    pub verdict: Option<VerdictText>,
    /// The measure that is counted.
    pub what: Measure,
}

/// The bytes are not a valid [`CellKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CellKeyError {
    /// The first byte is an unknown version.
    #[error("a counter's key has version {known}, not {0}", known = CellKey::VERSION)]
    Version(u8),
    /// The bytes end early, continue after the key, or contain a value out of range.
    #[error("the bytes of a counter's key are damaged")]
    Damaged,
    /// The measure is unknown, because a newer process counted it.
    #[error("a counter's key names the measure {0}, which is unknown")]
    Measure(u8),
}

impl CellKey {
    /// The version of the encoding.
    pub const VERSION: u8 = 1;

    /// Encodes the key: version, month (2 bytes), member and bank (a presence byte and 4 bytes each), class,
    /// verdict (a presence byte and the text), measure. Numbers are big-endian and texts end with a zero
    /// byte, so that bytes are ordered like keys.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![Self::VERSION];
        bytes.extend(self.month.number().to_be_bytes());
        for id in [self.member.map(|member| member.0), self.bank.map(|bank| bank.0)] {
            bytes.push(u8::from(id.is_some()));
            bytes.extend(id.map(u32::to_be_bytes).into_iter().flatten());
        }
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        };
        text(&mut bytes, self.class.as_str());
        bytes.push(u8::from(self.verdict.is_some()));
        if let Some(verdict) = &self.verdict {
            text(&mut bytes, verdict.as_str());
        }
        bytes.push(self.what.number());
        bytes
    }

    /// Decodes the bytes of [`CellKey::encode`] and refuses any others.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellKeyError> {
        let mut rest = bytes;
        let version = byte(&mut rest)?;
        if version != Self::VERSION {
            return Err(CellKeyError::Version(version));
        }
        let month =
            Month::from_number(u16::from_be_bytes(array(&mut rest)?)).map_err(|_| CellKeyError::Damaged)?;
        let member = id(&mut rest)?.map(MemberId);
        let bank = id(&mut rest)?.map(BankId);
        let class = text(&mut rest)?;
        let verdict = if flag(&mut rest)? { Some(text(&mut rest)?) } else { None };
        let number = byte(&mut rest)?;
        if !rest.is_empty() {
            return Err(CellKeyError::Damaged);
        }
        let what = Measure::from_number(number).ok_or(CellKeyError::Measure(number))?;
        Ok(Self { month, member, bank, class, verdict, what })
    }
}

fn array<const LEN: usize>(rest: &mut &[u8]) -> Result<[u8; LEN], CellKeyError> {
    let (head, tail) = rest.split_first_chunk::<LEN>().ok_or(CellKeyError::Damaged)?;
    *rest = tail;
    Ok(*head)
}

fn byte(rest: &mut &[u8]) -> Result<u8, CellKeyError> {
    array::<1>(rest).map(|[byte]| byte)
}

fn flag(rest: &mut &[u8]) -> Result<bool, CellKeyError> {
    match byte(rest)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CellKeyError::Damaged),
    }
}

fn id(rest: &mut &[u8]) -> Result<Option<u32>, CellKeyError> {
    Ok(if flag(rest)? { Some(u32::from_be_bytes(array(rest)?)) } else { None })
}

fn text<const LEN: usize>(rest: &mut &[u8]) -> Result<Text<LEN>, CellKeyError> {
    let end = rest.iter().position(|byte| *byte == 0).ok_or(CellKeyError::Damaged)?;
    let text = str::from_utf8(&rest[..end]).map_err(|_| CellKeyError::Damaged)?;
    *rest = &rest[end + 1..];
    Text::new(text).map_err(|_| CellKeyError::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn keys() -> impl Strategy<Value = CellKey> {
        let ids = || prop::option::of(prop_oneof![0_u32..3, any::<u32>()]);
        let class = "[a-c/é]{0,4}|[a-z0-9/.-]{0,194}";
        let verdict = prop::option::of("|block|review|[a-z]{0,16}");
        (0_u16..40, ids(), ids(), class, verdict, select(&Measure::ALL[..])).prop_map(
            |(month, member, bank, class, verdict, what)| CellKey {
                month: Month::from_number(month).unwrap(),
                member: member.map(MemberId),
                bank: bank.map(BankId),
                class: Text::new(&class).unwrap(),
                verdict: verdict.map(|verdict| Text::new(&verdict).unwrap()),
                what,
            },
        )
    }

    proptest! {
        #[test]
        fn keys_survive_their_bytes_and_keep_their_order(one in keys(), other in keys()) {
            prop_assert_eq!(CellKey::decode(&one.encode()), Ok(one.clone()));
            prop_assert_eq!(one.encode().cmp(&other.encode()), one.cmp(&other));
        }

        #[test]
        fn damaged_bytes_are_refused_or_are_another_key(key in keys(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let mut bytes = key.encode();
            for len in 0..bytes.len() {
                prop_assert!(CellKey::decode(&bytes[..len]).is_err());
            }
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(other) = CellKey::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }

        #[test]
        fn any_bytes_are_refused_or_are_the_encoding_of_a_key(mut bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(first) = bytes.first_mut() {
                *first = 1;
            }
            if let Ok(key) = CellKey::decode(&bytes) {
                prop_assert_eq!(key.encode(), bytes);
            }
        }
    }

    #[test]
    fn the_encoding_is_stable() {
        let key = CellKey {
            month: "2026-11".parse().unwrap(),
            member: Some(MemberId(7)),
            bank: None,
            class: Text::new("iwf/category/A").unwrap(),
            verdict: Some(Text::new("block").unwrap()),
            what: Measure::Decisions,
        };
        let mut expected = vec![1, 0x02, 0xaa, 1, 0, 0, 0, 7, 0];
        expected.extend(b"iwf/category/A\0\x01block\0\x09");
        assert_eq!(key.encode(), expected);
        expected[0] = 2;
        assert_eq!(CellKey::decode(&expected), Err(CellKeyError::Version(2)));
        expected[0] = 1;
        *expected.last_mut().unwrap() = 250;
        assert_eq!(CellKey::decode(&expected), Err(CellKeyError::Measure(250)));
    }
}
