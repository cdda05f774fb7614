//! Banks that a run has created in a target and not yet removed.

use std::sync::{Arc, Mutex, PoisonError};

use crate::report::text::wrapped;

/// Names of banks, and the bank service that has them; shared by a run and by the code that ends it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leftovers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bank_url: String,
    banks: Vec<String>,
}

impl Leftovers {
    /// Records a bank before it is created, because after a failure it may exist.
    pub(crate) fn made(&self, bank_url: &str, bank: impl Into<String>) {
        let mut state = self.state();
        bank_url.clone_into(&mut state.bank_url);
        state.banks.push(bank.into());
    }

    /// Records that a bank has been removed.
    pub(crate) fn settled(&self, bank: &str) {
        self.state().banks.retain(|name| name != bank);
    }

    /// Returns, for people, the banks that are left and the command that removes them; `None` if there are
    /// none.
    pub(crate) fn advice(&self) -> Option<String> {
        let State { bank_url, banks } = &*self.state();
        if banks.is_empty() {
            return None;
        }
        let names = banks.join(" ");
        // The command has a line of its own, so that it can be copied whole.
        let left = wrapped("", &format!("left in the bank service at {bank_url}: {names}. To remove:"));
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
