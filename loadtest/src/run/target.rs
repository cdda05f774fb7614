//! What is put under load: it is asked, and answers or refuses.

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

/// A member as which a run asks.
#[derive(Debug, Clone)]
pub(crate) struct Searching {
    /// The network on which calls carry its credential.
    pub(crate) network: Network,
    /// Its answers come with verdicts.
    pub(crate) has_policy: bool,
}

/// Where the lanes of a run send.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    pub(crate) endpoints: Vec<Uri>,
    protocol: Protocol,
    network: Network,
    /// The members whose turn it is, connection by connection; none where there are no members.
    members: Vec<Searching>,
    plan: TargetPlan,
}

#[derive(Debug, Clone)]
enum Protocol {
    Vigie(Arc<Options>),
    Hma(HmaCall, Arc<Contents>),
}

/// The same in a form that travels to other generators.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TargetPlan {
    endpoints: Vec<String>,
    /// The banks that are asked, of a target that speaks Vigie's protocol.
    banks: Option<Vec<String>>,
    /// The call of a target that speaks HMA's protocol, and its content ids.
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

    /// The same, asked by these members.
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

    /// Begins to open `connections`, the first of which is number `first` of all, on the event loop of this thread.
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
            // Their connections carry one request at a time, so they are shared by all requests of a lane.
            Protocol::Hma(call, contents) => {
                let endpoint = &self.endpoints[first % self.endpoints.len()];
                let contents = Arc::clone(contents);
                let lookups = Lookups::new(endpoint, &self.network, connections, *call, contents)?;
                Ok(vec![Endpoint::Hma(lookups)])
            }
        }
    }

    /// One connection to the first of them.
    pub(crate) fn open_one(&self) -> anyhow::Result<Endpoint> {
        self.open(0, 1)?.pop().context("there is nothing to send to")
    }
}

/// Every service that a run reaches: its targets, and the bank if there is one.
pub(crate) fn reached<'a>(targets: &'a [String], bank: Option<&'a str>) -> Vec<&'a str> {
    targets.iter().map(String::as_str).chain(bank).collect()
}

fn endpoints(urls: &[String]) -> anyhow::Result<Vec<Uri>> {
    if urls.is_empty() {
        bail!("there is nothing to send to; name it with --target");
    }
    urls.iter().map(|url| url.parse().with_context(|| format!("`{url}` is no endpoint"))).collect()
}
