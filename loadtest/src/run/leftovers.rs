//! What a run has made in a target and not removed yet.

use std::sync::{Arc, Mutex, PoisonError};

use crate::report::text::wrapped;

/// Banks by name, and where they are; shared by a run and by what ends it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leftovers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bank_url: String,
    banks: Vec<String>,
}

impl Leftovers {
    /// Notes a bank before it is made: whatever happens next, it may be there.
    pub(crate) fn made(&self, bank_url: &str, bank: impl Into<String>) {
        let mut state = self.state();
        bank_url.clone_into(&mut state.bank_url);
        state.banks.push(bank.into());
    }

    /// Notes that a bank is gone.
    pub(crate) fn settled(&self, bank: &str) {
        self.state().banks.retain(|name| name != bank);
    }

    /// What is left and the command that removes it, for a person; nothing where nothing is left.
    pub(crate) fn advice(&self) -> Option<String> {
        let State { bank_url, banks } = &*self.state();
        if banks.is_empty() {
            return None;
        }
        let names = banks.join(" ");
        // A command is copied whole, so it is a line of its own.
        let left = wrapped("", &format!("left in the bank at {bank_url}: {names}. To remove that:"));
        Some(format!("{left}  vigie-loadtest cleanup --bank-url {bank_url} --remove {names}"))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_comes_with_the_command_that_removes_it() {
        let leftovers = Leftovers::default();
        assert_eq!(leftovers.advice(), None);
        leftovers.made("http://127.0.0.1:7742", "load-a");
        leftovers.made("http://127.0.0.1:7742", "load-b");
        leftovers.settled("load-a");
        let advice = leftovers.advice().unwrap();
        assert!(advice.ends_with("cleanup --bank-url http://127.0.0.1:7742 --remove load-b"), "{advice}");
        leftovers.settled("load-b");
        assert_eq!(leftovers.advice(), None);
    }
}
