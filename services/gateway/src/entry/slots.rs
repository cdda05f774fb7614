//! The limit of concurrent requests, for the gateway and for each client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vigie_serving::host;

use crate::problem::Problem;

/// The slots of a gateway. Clones share the same slots.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    max: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// The number of taken slots, keyed by client host.
    of_clients: HashMap<IpAddr, usize>,
}

/// A taken slot. Drop releases it.
#[derive(Debug)]
pub(super) struct Slot {
    of: Slots,
    client: Option<IpAddr>,
}

impl Slots {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, taken: Arc::default() }
    }

    /// Takes a slot for a client. One client gets at most three quarters of all slots.
    pub(super) fn enter(&self, client: Option<IpAddr>) -> Result<Slot, Problem> {
        let client = client.map(host);
        let mut taken = self.taken();
        let of_client = client.and_then(|client| taken.of_clients.get(&client)).copied().unwrap_or_default();
        if taken.all >= self.max || of_client >= self.max - self.max / 4 {
            return Err(Problem::busy("too many requests are being worked on; try again"));
        }
        taken.all += 1;
        if let Some(client) = client {
            *taken.of_clients.entry(client).or_default() += 1;
        }
        Ok(Slot { of: self.clone(), client })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.all -= 1;
        let Some(client) = self.client else { return };
        if let Some(of_client) = taken.of_clients.get_mut(&client) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.of_clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn one_client_leaves_a_quarter_to_others() {
        let slots = Slots::new(4);
        let (one, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        let held: Vec<_> = (0..3).map(|_| slots.enter(one).unwrap()).collect();
        assert_eq!(slots.enter(one).unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        let last = slots.enter(other).unwrap();
        assert!(slots.enter(None).is_err());
        drop((held, last));
        assert!(slots.taken().of_clients.is_empty());
        slots.enter(one).unwrap();
    }

    #[test]
    fn all_addresses_of_a_64_are_one_client() {
        let slots = Slots::new(4);
        let enter = |address: &str| slots.enter(address.parse().ok());
        let held = ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|address| enter(address).unwrap());
        assert!(enter("2001:db8::4").is_err());
        let other = enter("2001:db8:0:1::1").unwrap();
        drop((held, other));
        assert!(slots.taken().of_clients.is_empty());
    }
}
