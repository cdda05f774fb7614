//! A bank that submits to a simulated programme.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::own::OwnChange::{self, Add, AddCanary, Hold, Lift, Remove, Touch};
use super::taking::{Given, Taking, config, write_back};
use crate::asking::fetch::FetchError;
use crate::cursor::{Cursor, OutPlace};
use crate::following::alarm::Alarm;
use crate::tests::memory::MemoryBank;
use crate::tests::servers::Programme;

pub(crate) const BOTH: [Programme; 2] = [Programme::ThreatExchange, Programme::StopNcii];

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}

pub(crate) fn lost() -> FetchError {
    FetchError::Connection("crashed".to_owned())
}

/// A bank with an exchange that submits to a programme, and the programme.
pub(crate) struct Bed {
    pub(crate) programme: Programme,
    pub(crate) bank: MemoryBank,
    pub(crate) given: Arc<Mutex<Given>>,
}

impl Bed {
    pub(crate) fn new(programme: Programme) -> Self {
        let bank = MemoryBank::with(programme.api(), config(programme));
        Self { programme, bank, given: Arc::default() }
    }

    pub(crate) fn change(&self, changes: &[OwnChange]) {
        let now = self.given.lock().unwrap().model.lock().unwrap().now;
        changes.iter().for_each(|change| self.bank.lock().own.change(change, now));
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.given.lock().unwrap().model.lock().unwrap().now += seconds;
    }

    pub(crate) fn app(&self) -> Taking {
        Taking::new(self.programme, "111", &self.given, |_, _| None)
    }

    pub(crate) async fn run(&self) -> Option<Alarm> {
        write_back(&self.bank, &self.app(), 0, false).await.unwrap().1
    }

    pub(crate) fn submitted(&self) -> BTreeSet<u8> {
        self.given.lock().unwrap().of("111")
    }

    pub(crate) fn check(&self, context: &str) {
        let expected = self.bank.lock().own.shared();
        let (programme, found) = (self.programme, self.submitted());
        assert_eq!(found, expected, "{programme:?}, {context}");
    }

    pub(crate) fn out(&self) -> OutPlace {
        Cursor::parse(&self.bank.only().cursor).unwrap().out.unwrap()
    }
}

/// Returns changes between rounds: additions, shared hashes, removals, holds, and an item that is removed
/// before it is ever read.
pub(crate) fn stages() -> Vec<Vec<OwnChange>> {
    vec![
        vec![
            Add(vec![1, 2]),
            Add(vec![3]),
            Add(vec![2, 4]),
            AddCanary(40),
            Add(vec![5]),
            Add(vec![6]),
            Add(vec![7]),
        ],
        vec![Remove(0), Hold(1), Touch(4), Add(vec![8]), Add(vec![9]), Remove(7), Touch(1)],
        vec![Lift(1), Remove(0), Add(vec![3]), Remove(2)],
        vec![Remove(0), Remove(0), Remove(0), Remove(0), Remove(0), Add(vec![11])],
    ]
}
