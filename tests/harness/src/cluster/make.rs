//! The processes of a cluster: their settings, arguments and environment.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;

use super::Builder;
use crate::isolation::Host;
use crate::process::{Process, Program};

/// Makes the processes of one cluster.
pub(super) struct Make<'a> {
    pub(super) of: &'a Builder,
    pub(super) folder: &'a Path,
}

impl Make<'_> {
    pub(super) fn process(
        &self,
        name: &str,
        role: &str,
        addresses: (SocketAddr, Option<SocketAddr>),
        mut set: Vec<String>,
        host: Option<Host>,
    ) -> anyhow::Result<Process> {
        let of_role = |setting: &&String| {
            [role, "telemetry"].iter().any(|table| setting.starts_with(&format!("{table}.")))
        };
        set.extend(self.of.settings.iter().filter(of_role).cloned());
        if let (_, Some(telemetry)) = addresses {
            set.push(format!("telemetry.listen={telemetry}"));
        }
        if self.of.network.is_some() {
            // The hosts are on this machine although their addresses are not loopback addresses.
            set.push("allow_plaintext=true".to_owned());
        }
        if let Some(certificates) = &self.of.certificates {
            for (key, file) in [("certificate", "localhost.crt"), ("key", "localhost.key"), ("ca", "ca.crt")]
            {
                set.push(format!("tls.{key}={}", certificates.join(file).display()));
            }
        }
        let mut config_file = None;
        let arguments = if self.of.config_files {
            let file = self.folder.join(format!("{name}.toml"));
            std::fs::write(&file, as_file(addresses.0, &set))
                .with_context(|| format!("cannot write {}", file.display()))?;
            let arguments = vec![role.to_owned(), "--config".to_owned(), file.display().to_string()];
            config_file = Some(file);
            arguments
        } else {
            let listen = [role.to_owned(), "--listen".to_owned(), addresses.0.to_string()];
            let set = set.into_iter().flat_map(|setting| ["--set".to_owned(), setting]);
            listen.into_iter().chain(set).collect()
        };
        let mut environment = Vec::new();
        if let Some((filter, format)) = &self.of.log {
            environment.push(("VIGIE_LOG".to_owned(), filter.clone()));
            environment.push(("VIGIE_LOG_FORMAT".to_owned(), (*format).to_owned()));
        }
        let own_group = self.of.own_group;
        let program = Program { path: self.of.vigie.clone(), arguments, config_file, environment, own_group };
        let log = self.folder.join(format!("{name}.log"));
        Ok(Process::new(name.to_owned(), addresses, program, log, host))
    }
}

/// Returns the settings of a role as the text of a configuration file.
fn as_file(listen: SocketAddr, set: &[String]) -> String {
    let lines = set.iter().filter_map(|setting| setting.split_once('=')).map(|(key, value)| {
        let is_text =
            !value.starts_with('[') && value.parse::<f64>().is_err() && value.parse::<bool>().is_err();
        if is_text { format!("{key} = '{value}'\n") } else { format!("{key} = {value}\n") }
    });
    format!("listen = '{listen}'\n") + &lines.collect::<String>()
}
