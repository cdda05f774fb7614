//! Idempotency keys: a repeated write gets the answer of the first.

use std::collections::HashMap;

use crate::application::Answer;
use crate::error::WriteRefused;
use crate::position::UnixMillis;
use crate::store::Recorded;

/// A key, and the digest of the request that carried it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The text that the caller chose.
    pub(crate) text: String,
    /// The digest of the request, from [`crate::Write::digest`].
    pub(crate) digest: [u8; 32],
}

/// The keys that are known to a group, including those of the group itself.
#[derive(Debug)]
pub(crate) struct Keys<A> {
    known: HashMap<String, ([u8; 32], A)>,
    new: Vec<Recorded>,
    now: UnixMillis,
}

impl<A: Answer> Keys<A> {
    /// Decodes the stored answers; `None` if one cannot be decoded.
    pub(crate) fn new(recorded: Vec<Recorded>, now: UnixMillis) -> Option<Self> {
        let known = recorded
            .into_iter()
            .map(|record| Some((record.key, (record.digest, A::decode(&record.answer)?))))
            .collect::<Option<_>>()?;
        Some(Self { known, new: Vec::new(), now })
    }

    /// Returns the answer to a write that was done before under its key, or the refusal of a write that
    /// reuses a key; `None` if the write has to be done.
    pub(crate) fn answer(&self, key: Option<&Key>) -> Option<Result<A, WriteRefused>> {
        let key = key?;
        let (digest, answer) = self.known.get(&key.text)?;
        Some(if *digest == key.digest { Ok(answer.clone()) } else { Err(WriteRefused::KeyReused) })
    }

    /// Records the answer to a write that was just planned.
    pub(crate) fn record(&mut self, key: Option<&Key>, answer: &A) {
        let Some(Key { text, digest }) = key.cloned() else { return };
        let created_at = self.now;
        self.new.push(Recorded { key: text.clone(), digest, answer: answer.encode(), created_at });
        self.known.insert(text, (digest, answer.clone()));
    }

    /// Returns the answers to commit with the group.
    pub(crate) fn into_new(self) -> Vec<Recorded> {
        self.new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Text(String);

    impl Answer for Text {
        fn encode(&self) -> Vec<u8> {
            self.0.clone().into_bytes()
        }

        fn decode(stored: &[u8]) -> Option<Self> {
            String::from_utf8(stored.to_vec()).ok().map(Self)
        }
    }

    fn key(text: &str, byte: u8) -> Key {
        Key { text: text.into(), digest: [byte; 32] }
    }

    #[test]
    fn a_key_that_comes_twice_in_one_group_is_done_once() {
        let mut keys = Keys::new(Vec::new(), UnixMillis(7)).unwrap();
        assert_eq!(keys.answer(Some(&key("k", 1))), None);
        keys.record(Some(&key("k", 1)), &Text("done".into()));
        keys.record(None, &Text("done too".into()));
        assert_eq!(keys.answer(Some(&key("k", 1))), Some(Ok(Text("done".into()))));
        assert_eq!(keys.answer(Some(&key("k", 2))), Some(Err(WriteRefused::KeyReused)));
        assert_eq!(keys.answer(None), None);
        let new = keys.into_new();
        assert_eq!((new.len(), new[0].created_at), (1, UnixMillis(7)));
        let later: Keys<Text> = Keys::new(new, UnixMillis(8)).unwrap();
        assert_eq!(later.answer(Some(&key("k", 1))), Some(Ok(Text("done".into()))));
    }

    #[test]
    fn an_answer_that_does_not_read_back_is_no_answer() {
        let stored =
            Recorded { key: "k".into(), digest: [1; 32], answer: vec![0xff], created_at: UnixMillis(1) };
        assert!(Keys::<Text>::new(vec![stored], UnixMillis(2)).is_none());
    }
}
