//! The service under load, which answers or refuses requests.

pub(crate) mod call;
pub(crate) mod hma;
mod unary;
pub(crate) mod vigie;
pub(crate) mod wire;
pub(crate) mod endpoint;
pub(crate) mod live_bank;
pub(crate) mod noop;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use http::Uri;
use serde::{Deserialize, Serialize};
use vigie_clients::Network;

use crate::cli::HmaCall;
use crate::run::scenario::Scenario;
use crate::run::target::endpoint::Endpoint;
use crate::run::target::hma::Lookups;
use crate::run::target::hma::contents::Contents;
use crate::run::target::vigie::{Frontend, Options};

/// A member in whose name a run sends requests.
#[derive(Debug, Clone)]
pub(crate) struct Searching {
    /// The network whose calls carry the member's credential.
    pub(crate) network: Network,
    /// Whether the member has a policy, so that its answers contain verdicts.
    pub(crate) has_policy: bool,
}

/// The services that the lanes of a run send to.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    pub(crate) endpoints: Vec<Uri>,
    protocol: Protocol,
    network: Network,
    /// The members, which are assigned to connections in rotation; empty where there are no members.
    members: Vec<Searching>,
    plan: TargetPlan,
}

#[derive(Debug, Clone)]
enum Protocol {
    Vigie(Arc<Options>),
    Hma(HmaCall, Arc<Contents>),
}

/// The targets in a form that can be sent to other generators.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TargetPlan {
    endpoints: Vec<String>,
    /// The banks to search, for a target that speaks Vigie's protocol.
    banks: Option<Vec<String>>,
    /// The call and the content ids, for a target that speaks HMA's protocol.
    hma: Option<(HmaCall, Contents)>,
}

impl TargetPlan {
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }
}

impl Targets {
    pub(crate) fn vigie(urls: &[String], network: &Network, options: Options) -> anyhow::Result<Self> {
        let plan = TargetPlan { endpoints: urls.to_vec(), banks: Some(options.banks()), hma: None };
        let protocol = Protocol::Vigie(Arc::new(options));
        Ok(Self {
            endpoints: endpoints(urls)?,
            protocol,
            network: network.clone(),
            members: Vec::new(),
            plan,
        })
    }

    pub(crate) fn hma(
        urls: &[String],
        network: &Network,
        call: HmaCall,
        contents: Contents,
    ) -> anyhow::Result<Self> {
        let plan = TargetPlan { endpoints: urls.to_vec(), banks: None, hma: Some((call, contents.clone())) };
        let protocol = Protocol::Hma(call, Arc::new(contents));
        Ok(Self {
            endpoints: endpoints(urls)?,
            protocol,
            network: network.clone(),
            members: Vec::new(),
            plan,
        })
    }

    /// Returns the same targets, with requests in the names of these members.
    pub(crate) fn by(self, members: Vec<Searching>) -> Self {
        Self { members, ..self }
    }

    pub(crate) fn plan(&self) -> TargetPlan {
        self.plan.clone()
    }

    pub(crate) fn from_plan(
        plan: &TargetPlan,
        network: &Network,
        scenario: &Scenario,
    ) -> anyhow::Result<Self> {
        match (&plan.banks, &plan.hma) {
            (Some(banks), _) => Self::vigie(&plan.endpoints, network, Options::new(scenario, banks.clone())),
            (None, Some((call, contents))) => Self::hma(&plan.endpoints, network, *call, contents.clone()),
            (None, None) => bail!("the plan names no protocol"),
        }
    }

    /// Starts to open `connections` on the event loop of this thread. The first is number `first` of all
    /// connections.
    pub(crate) fn open(&self, first: usize, connections: usize) -> anyhow::Result<Vec<Endpoint>> {
        match &self.protocol {
            Protocol::Vigie(options) => (first..first + connections)
                .map(|number| {
                    let endpoint = &self.endpoints[number % self.endpoints.len()];
                    let member = self.members.get(number % self.members.len().max(1));
                    let network = member.map_or(&self.network, |member| &member.network);
                    let frontend = Frontend::new(endpoint, network, Arc::clone(options))?;
                    Ok(Endpoint::Vigie(Box::new(frontend.of(member.map(|member| member.has_policy)))))
                })
                .collect(),
            // An HMA connection carries one request at a time, so all requests of a lane share the lane's
            // connections.
            Protocol::Hma(call, contents) => {
                let endpoint = &self.endpoints[first % self.endpoints.len()];
                let contents = Arc::clone(contents);
                let lookups = Lookups::new(endpoint, &self.network, connections, *call, contents)?;
                Ok(vec![Endpoint::Hma(lookups)])
            }
        }
    }

    /// Opens one connection to the first target.
    pub(crate) fn open_one(&self) -> anyhow::Result<Endpoint> {
        self.open(0, 1)?.pop().context("there is no target")
    }
}

/// Returns every service that a run reaches: its targets, and the bank if there is one.
pub(crate) fn reached<'a>(targets: &'a [String], bank: Option<&'a str>) -> Vec<&'a str> {
    targets.iter().map(String::as_str).chain(bank).collect()
}

fn endpoints(urls: &[String]) -> anyhow::Result<Vec<Uri>> {
    if urls.is_empty() {
        bail!("there is no target: name it with --target");
    }
    urls.iter().map(|url| url.parse().with_context(|| format!("`{url}` is no endpoint"))).collect()
}
