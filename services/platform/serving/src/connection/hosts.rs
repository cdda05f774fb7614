//! How many handshakes each host has under way.
//!
//! A peer in its handshake has proved nothing yet but its address. If one host could have all handshakes, it could keep
//! everybody else out by saying nothing.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::connection::peer::host;

/// The part of all handshakes that one host may have.
const PART: usize = 8;

/// The handshakes under way, by host.
#[derive(Debug)]
pub(crate) struct Hosts {
    each_max: usize,
    under_way: Arc<Mutex<UnderWay>>,
}

/// None of it is zero. Those of whom the network tells nothing are one host.
type UnderWay = HashMap<Option<IpAddr>, usize>;

impl Hosts {
    /// Each host may have an eighth of so many, and one at least.
    pub(crate) fn new(handshakes_max: usize) -> Self {
        Self { each_max: (handshakes_max / PART).max(1), under_way: Arc::default() }
    }

    /// None where the host has as many as it may.
    pub(crate) fn enter(&self, address: Option<SocketAddr>) -> Option<Entered> {
        let host = address.map(host);
        let mut under_way = lock(&self.under_way);
        let count = under_way.get(&host).map_or(0, |count| *count);
        if count >= self.each_max {
            return None;
        }
        under_way.insert(host, count + 1);
        Some(Entered { host, under_way: Arc::clone(&self.under_way) })
    }
}

/// A handshake that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    host: Option<IpAddr>,
    under_way: Arc<Mutex<UnderWay>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        if let Some(count) = under_way.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.host);
            }
        }
    }
}

fn lock(under_way: &Mutex<UnderWay>) -> MutexGuard<'_, UnderWay> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_an_eighth_and_gives_back_what_it_had() {
        let hosts = Hosts::new(16);
        let enter = |address: &str| hosts.enter(Some((address.parse::<IpAddr>().unwrap(), 1).into()));
        let first = enter("2001:db8::1").unwrap();
        let second = enter("2001:db8::2").unwrap();
        assert!(enter("2001:db8::3").is_none(), "the /64 is one host");
        let other = enter("2001:db8:0:1::1").unwrap();
        drop(first);
        let third = enter("2001:db8::3").unwrap();
        drop((second, third, other));
        assert!(lock(&hosts.under_way).is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn where_there_are_few_each_host_has_one_and_loopback_is_no_exception() {
        let hosts = Hosts::new(3);
        let near = Some(([127, 0, 0, 1], 1).into());
        let entered = hosts.enter(near);
        assert!(entered.is_some() && hosts.enter(near).is_none());
        let unknown = hosts.enter(None);
        assert!(unknown.is_some() && hosts.enter(None).is_none());
    }
}
