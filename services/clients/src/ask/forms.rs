//! Chooses the form of a search request: packed, or plain if the server's version supports no other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use vigie_net::CallError;
use vigie_proto::Form;

/// The time for which a server gets plain requests after it has shown that it supports no other form. Another
/// version may answer at its address after that.
const PLAIN_FOR: Duration = Duration::from_secs(10);

/// The request forms that one server is known to support. Clones share this knowledge.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forms {
    plain_until: Arc<Mutex<Option<Instant>>>,
}

impl Forms {
    /// Makes a search: `call` sends it in the given form.
    ///
    /// An older server finds no queries in a packed request, and refuses it before it does anything. It is
    /// asked once more with a plain request. A server that refuses for another reason is asked again too, and
    /// refuses again.
    pub(crate) async fn search<A, F>(&self, call: impl Fn(Form) -> F) -> Result<A, CallError>
    where
        F: Future<Output = Result<A, CallError>>,
    {
        if self.is_plain(Instant::now()) {
            return call(Form::Plain).await;
        }
        let packed = call(Form::Packed).await;
        if !packed.as_ref().is_err_and(|error| error.code() == Code::InvalidArgument) {
            return packed;
        }
        let plain = call(Form::Plain).await;
        if plain.is_ok() {
            *self.plain_until.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Instant::now() + PLAIN_FOR);
        }
        plain
    }

    fn is_plain(&self, now: Instant) -> bool {
        self.plain_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use vigie_net::{Network, Target};

    fn refused(code: Code) -> CallError {
        Target::new("matcher", "http://127.0.0.1:1", &Network::tcp()).unwrap().refused(code, "so it says")
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_knows_no_packed_form_is_asked_in_plain_and_after_a_while_in_both() {
        let (forms, asked) = (Forms::default(), RefCell::new(Vec::new()));
        let old = |form| {
            asked.borrow_mut().push(form);
            std::future::ready(match form {
                Form::Packed => Err(refused(Code::InvalidArgument)),
                Form::Plain => Ok(7),
            })
        };
        for _ in 0..2 {
            assert_eq!(forms.clone().search(old).await.unwrap(), 7);
        }
        assert_eq!(asked.take(), [Form::Packed, Form::Plain, Form::Plain]);
        tokio::time::advance(PLAIN_FOR).await;
        assert_eq!(forms.search(old).await.unwrap(), 7);
        assert_eq!(asked.take(), [Form::Packed, Form::Plain]);
    }

    #[tokio::test]
    async fn what_is_wrong_in_both_forms_is_said_and_the_next_search_is_packed() {
        let (forms, asked) = (Forms::default(), RefCell::new(Vec::new()));
        let refusing = |code| {
            let asked = &asked;
            move |form| {
                asked.borrow_mut().push(form);
                std::future::ready(Err::<(), _>(refused(code)))
            }
        };
        let wrong = forms.search(refusing(Code::InvalidArgument)).await.unwrap_err();
        assert_eq!(wrong.code(), Code::InvalidArgument);
        forms.search(refusing(Code::Unavailable)).await.unwrap_err();
        assert_eq!(
            asked.take(),
            [Form::Packed, Form::Plain, Form::Packed],
            "the last was not about the form"
        );
    }
}
