//! Hosts of their own for processes of a cluster: network namespaces on one bridge, and ways to cut one off.
//!
//! Needs Linux, the right to make namespaces, and the program `ip`; where anything lacks, [`Network::new`] says what, and
//! the caller says loudly that it goes without. What is cut off drops what comes and goes without a word, as a firewall
//! does: no connection is refused and none is reset. By a rule of `nft` where that is installed, and otherwise by
//! taking the host's cable out of the bridge.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, ensure};

/// See the module. Bridge and namespaces go with the last host.
#[derive(Debug)]
pub struct Network {
    name: String,
    subnet: [u8; 3],
    has_firewall: bool,
}

/// One namespace with an address of its own.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: Ipv4Addr,
    network: Arc<Network>,
}

/// Networks of this process.
static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Drops everything; what is on its way through the host's own loopback, too.
const FIREWALL: &str = "add table inet cut; \
    add chain inet cut in { type filter hook input priority 0; policy drop; }; \
    add chain inet cut out { type filter hook output priority 0; policy drop; }";

impl Network {
    /// A bridge without hosts; this process is on it, too.
    pub fn new() -> anyhow::Result<Arc<Self>> {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let number = u8::try_from(NETWORKS.fetch_add(1, Ordering::Relaxed) % 64)?;
        // Names of links have at most 15 characters. Nothing else here uses the upper half of 10.0.0.0/8.
        let name = format!("vg{high:02x}{low:02x}{number:02x}");
        let subnet = [10, 128 | (high & 0x3f) | (number & 1) << 6, low.wrapping_add(number)];
        let has_firewall = run("nft", &["--version"]).is_ok();
        // From here on it is taken down when it goes.
        let network = Arc::new(Self { name, subnet, has_firewall });
        let Self { name, .. } = &*network;
        ip(&["link", "add", name, "type", "bridge"])?;
        ip(&["address", "add", &format!("{}/24", network.gateway()), "dev", name])?;
        ip(&["link", "set", name, "up"])?;
        Ok(network)
    }

    /// Where this process is.
    #[must_use]
    pub const fn gateway(&self) -> Ipv4Addr {
        let [a, b, c] = self.subnet;
        Ipv4Addr::new(a, b, c, 1)
    }

    /// One more host, by number.
    pub fn host(self: &Arc<Self>, number: u8) -> anyhow::Result<Host> {
        ensure!(number < 250, "a network has at most 250 hosts");
        let [a, b, c] = self.subnet;
        let host = Host {
            name: format!("{}-{number}", self.name),
            address: Ipv4Addr::new(a, b, c, number + 2),
            network: Arc::clone(self),
        };
        let Host { name, address, .. } = &host;
        ip(&["netns", "add", name])?;
        ip(&["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["link", "set", name, "master", &self.name, "up"])?;
        ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(host)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may never have come to be.
        let _ = ip(&["link", "del", &self.name]);
    }
}

impl Host {
    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        IpAddr::V4(self.address)
    }

    /// The beginning of a command that is to run there; it replaces itself by the rest.
    #[must_use]
    pub fn launcher(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name].map(str::to_owned).into()
    }

    /// Nothing comes in or out from now on, and nobody is told.
    pub fn cut_off(&self) -> anyhow::Result<()> {
        if self.network.has_firewall {
            self.firewall(FIREWALL)
        } else {
            ip(&["link", "set", &self.name, "nomaster"])
        }
    }

    /// Everything goes through again.
    pub fn mend(&self) -> anyhow::Result<()> {
        if self.network.has_firewall {
            self.firewall("delete table inet cut")
        } else {
            ip(&["link", "set", &self.name, "master", &self.network.name])
        }
    }

    fn firewall(&self, rules: &str) -> anyhow::Result<()> {
        run("ip", &["netns", "exec", &self.name, "nft", rules])
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Its end of the cable goes with it.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run `{program}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{program} {}` failed: {}", arguments.join(" "), said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    /// A listener in this process, asked from the host.
    fn reaches(host: &Host, listener: &TcpListener) -> bool {
        let address = listener.local_addr().unwrap();
        let talk = format!("exec 3<>/dev/tcp/{}/{} && echo hello >&3", address.ip(), address.port());
        let asked = Command::new("timeout")
            .args(["1"])
            .args(host.launcher())
            .args(["bash", "-c", &talk])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        asked.success()
    }

    #[test]
    fn a_host_that_is_cut_off_reaches_nobody_until_it_is_mended() {
        let network = match Network::new() {
            Ok(network) => network,
            Err(error) => return eprintln!("SKIPPED, there are no network namespaces: {error:#}"),
        };
        let host = network.host(0).unwrap();
        let other = network.host(1).unwrap();
        let listener = TcpListener::bind((network.gateway(), 0)).unwrap();
        assert!(reaches(&host, &listener));
        host.cut_off().unwrap();
        assert!(!reaches(&host, &listener));
        assert!(reaches(&other, &listener), "the others are not cut off");
        host.mend().unwrap();
        assert!(reaches(&host, &listener));
        drop(listener);
        // Silence, and no refusal.
        host.cut_off().unwrap();
        let closed = (host.address(), 1_u16).into();
        let error = TcpStream::connect_timeout(&closed, Duration::from_millis(300)).unwrap_err();
        assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
