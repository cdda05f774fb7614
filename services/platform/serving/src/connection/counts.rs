//! Bounded counts for each key (a host, or a client's identity). A guard releases each count.
//!
//! Handshakes and connections are counted by host, because a peer in its handshake has proved nothing but its
//! address: if one host could have all handshakes, it could keep all others out by sending nothing. After the
//! handshake, connections are counted by identity.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::connection::peer::host;

/// The key of a host. Peers whose address the network does not give share one key.
pub(crate) type Host = Option<IpAddr>;

/// Returns the key of the host at an address.
pub(crate) fn host_of(address: Option<SocketAddr>) -> Host {
    address.map(|address| host(address.ip()))
}

/// The counts, by key. No stored count is zero.
#[derive(Debug)]
pub(crate) struct Counts<K> {
    each_max: usize,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Hash + Eq + Clone> Counts<K> {
    /// Allows each key `each_max`, and at least one.
    pub(crate) fn new(each_max: usize) -> Self {
        Self { each_max: each_max.max(1), held: Arc::default() }
    }

    pub(crate) const fn each_max(&self) -> usize {
        self.each_max
    }

    /// Counts one more for `key`. Returns `None` if the key already has `each_max`.
    pub(crate) fn enter(&self, key: K) -> Option<Entered<K>> {
        let mut held = lock(&self.held);
        let count = held.get(&key).map_or(0, |count| *count);
        if count >= self.each_max {
            return None;
        }
        held.insert(key.clone(), count + 1);
        Some(Entered { key, held: Arc::clone(&self.held) })
    }
}

/// A unit of a key's count, which is subtracted when this is dropped.
#[derive(Debug)]
pub(crate) struct Entered<K: Hash + Eq> {
    key: K,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Hash + Eq> Drop for Entered<K> {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        if let Some(count) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

fn lock<K>(held: &Mutex<HashMap<K, usize>>) -> MutexGuard<'_, HashMap<K, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_its_number_and_gives_back_what_it_had() {
        let hosts = Counts::new(2);
        let enter =
            |address: &str| hosts.enter(host_of(Some((address.parse::<IpAddr>().unwrap(), 1).into())));
        let first = enter("2001:db8::1").unwrap();
        let second = enter("2001:db8::2").unwrap();
        assert!(enter("2001:db8::3").is_none(), "the /64 is one host");
        let other = enter("2001:db8:0:1::1").unwrap();
        drop(first);
        let third = enter("2001:db8::3").unwrap();
        drop((second, third, other));
        assert!(lock(&hosts.held).is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn each_has_one_at_least_and_loopback_is_no_exception() {
        let hosts = Counts::new(0);
        let near = host_of(Some(([127, 0, 0, 1], 1).into()));
        let entered = hosts.enter(near);
        assert!(entered.is_some() && hosts.enter(near).is_none());
        let unknown = hosts.enter(None);
        assert!(unknown.is_some() && hosts.enter(None).is_none());
    }
}
