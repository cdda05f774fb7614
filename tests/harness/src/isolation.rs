//! Separate hosts for processes of a cluster: network namespaces on one bridge, and ways to cut one off.
//!
//! This needs Linux, the right to make namespaces, and the program `ip`; if one is missing, [`Network::new`]
//! names it in its error, and the caller reports that it goes on without. A host that is cut off drops all
//! packets silently, as a firewall does: no connection is refused and none is reset. This is done by a rule
//! of `nft` where that is installed, and otherwise by taking the host's link out of the bridge.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, ensure};

/// A bridge between hosts. Bridge and namespaces are removed with the last host.
#[derive(Debug)]
pub struct Network {
    name: String,
    subnet: [u8; 3],
    has_firewall: bool,
}

/// A network namespace with an address of its own.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: Ipv4Addr,
    network: Arc<Network>,
}

/// The number of networks that this process has made.
static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Rules that drop every packet, also on the host's own loopback.
const FIREWALL: &str = "add table inet cut; \
    add chain inet cut in { type filter hook input priority 0; policy drop; }; \
    add chain inet cut out { type filter hook output priority 0; policy drop; }";

impl Network {
    /// Makes a bridge without hosts; this process is connected to it too.
    pub fn new() -> anyhow::Result<Arc<Self>> {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let number = u8::try_from(NETWORKS.fetch_add(1, Ordering::Relaxed) % 64)?;
        // Names of links have at most 15 characters. Nothing else here uses the upper half of 10.0.0.0/8.
        let name = format!("vg{high:02x}{low:02x}{number:02x}");
        let subnet = [10, 128 | (high & 0x3f) | (number & 1) << 6, low.wrapping_add(number)];
        let has_firewall = run("nft", &["--version"]).is_ok();
        // From here on the bridge is removed on drop.
        let network = Arc::new(Self { name, subnet, has_firewall });
        let Self { name, .. } = &*network;
        ip(&["link", "add", name, "type", "bridge"])?;
        ip(&["address", "add", &format!("{}/24", network.gateway()), "dev", name])?;
        ip(&["link", "set", name, "up"])?;
        Ok(network)
    }

    /// Returns the address of this process on the bridge.
    #[must_use]
    pub const fn gateway(&self) -> Ipv4Addr {
        let [a, b, c] = self.subnet;
        Ipv4Addr::new(a, b, c, 1)
    }

    /// Adds a host with this number.
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
        // An error is ignored, because the bridge may not exist.
        let _ = ip(&["link", "del", &self.name]);
    }
}

impl Host {
    /// Returns its address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        IpAddr::V4(self.address)
    }

    /// Returns the start of a command line that runs the rest of it on this host, in the same process.
    #[must_use]
    pub fn launcher(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name].map(str::to_owned).into()
    }

    /// Drops all packets in both directions from now on, without a refusal or a reset.
    pub fn cut_off(&self) -> anyhow::Result<()> {
        if self.network.has_firewall {
            self.firewall(FIREWALL)
        } else {
            ip(&["link", "set", &self.name, "nomaster"])
        }
    }

    /// Ends the cut; packets pass again.
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
        // The host's end of the link is removed with it.
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

    /// Returns whether the host can connect to a listener in this process.
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
        // The connection times out; it is not refused.
        host.cut_off().unwrap();
        let closed = (host.address(), 1_u16).into();
        let error = TcpStream::connect_timeout(&closed, Duration::from_millis(300)).unwrap_err();
        assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
