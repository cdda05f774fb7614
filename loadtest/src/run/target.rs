//! What is put under load: it is asked, and answers or refuses.

pub(crate) mod hma;
mod unary;
pub(crate) mod vigie;
pub(crate) mod wire;
pub(crate) mod noop;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::Uri;
use serde::{Deserialize, Serialize};
use tonic::Code;
use vigie_clients::Network;
use vigie_model::Sequence;

use crate::Hash;
use crate::judge::oracle::Hit;
use crate::judge::truth::Ask;
use crate::run::lanes::request::Endpoint;
use crate::run::scenario::Scenario;
use crate::run::target::hma::{Contents, Lookups};
use crate::run::target::vigie::{Frontend, Options};

/// One call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) asks: &'a [Asked<'a>],
    /// The answer has to hold the log up to here.
    pub(crate) min_sequence: Sequence,
    /// On the stream of the connection, where the protocol has one.
    pub(crate) streamed: bool,
}

/// What one question asks about.
pub(crate) enum Asked<'a> {
    Pool(&'a Ask),
    Hash(Hash),
}

impl std::fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pool(_) => "Pool",
            Self::Hash(_) => "Hash",
        })
    }
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// The matches of each question, or the code with which it failed alone.
    pub(crate) results: Vec<Result<Vec<Hit>, Code>>,
    /// The share of shards that answered, where the protocol tells it.
    pub(crate) coverage: Option<f64>,
    /// Whether it says that nothing is missing.
    pub(crate) complete: bool,
    /// Up to where it holds the log, where the protocol tells it.
    pub(crate) sequence: Option<Sequence>,
}

/// Why nothing came back, or not all.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// When to ask again.
    pub(crate) retry_after: Option<Duration>,
    /// The answer of those shards that did answer.
    pub(crate) partial: Option<Answer>,
}

impl Refusal {
    pub(crate) const fn new(code: Code) -> Self {
        Self { code, retry_after: None, partial: None }
    }
}

/// Where the lanes of a run send.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    pub(crate) endpoints: Vec<Uri>,
    protocol: Protocol,
    network: Network,
    plan: TargetPlan,
}

#[derive(Debug, Clone)]
enum Protocol {
    Vigie(Arc<Options>),
    Hma(Arc<Contents>),
}

/// The same in a form that travels to other generators.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TargetPlan {
    endpoints: Vec<String>,
    /// The banks that are asked, of a target that speaks Vigie's protocol.
    banks: Option<Vec<String>>,
    contents: Option<Contents>,
}

impl TargetPlan {
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }
}

impl Targets {
    pub(crate) fn vigie(urls: &[String], network: &Network, options: Options) -> anyhow::Result<Self> {
        let plan = TargetPlan { endpoints: urls.to_vec(), banks: Some(options.banks()), contents: None };
        let protocol = Protocol::Vigie(Arc::new(options));
        Ok(Self { endpoints: endpoints(urls)?, protocol, network: network.clone(), plan })
    }

    pub(crate) fn hma(urls: &[String], network: &Network, contents: Contents) -> anyhow::Result<Self> {
        let plan = TargetPlan { endpoints: urls.to_vec(), banks: None, contents: Some(contents.clone()) };
        let protocol = Protocol::Hma(Arc::new(contents));
        Ok(Self { endpoints: endpoints(urls)?, protocol, network: network.clone(), plan })
    }

    pub(crate) fn plan(&self) -> TargetPlan {
        self.plan.clone()
    }

    pub(crate) fn from_plan(
        plan: &TargetPlan,
        network: &Network,
        scenario: &Scenario,
    ) -> anyhow::Result<Self> {
        match (&plan.banks, &plan.contents) {
            (Some(banks), _) => Self::vigie(&plan.endpoints, network, Options::new(scenario, banks.clone())),
            (None, Some(contents)) => Self::hma(&plan.endpoints, network, contents.clone()),
            (None, None) => bail!("the plan names no protocol"),
        }
    }

    /// Begins to open `connections`, the first of which is number `first` of all, on the event loop of this thread.
    pub(crate) fn open(&self, first: usize, connections: usize) -> anyhow::Result<Vec<Endpoint>> {
        match &self.protocol {
            Protocol::Vigie(options) => (first..first + connections)
                .map(|number| {
                    let endpoint = &self.endpoints[number % self.endpoints.len()];
                    Ok(Endpoint::Vigie(Box::new(Frontend::new(
                        endpoint,
                        &self.network,
                        Arc::clone(options),
                    )?)))
                })
                .collect(),
            // Their connections carry one request at a time, so they are shared by all requests of a lane.
            Protocol::Hma(contents) => {
                let endpoint = &self.endpoints[first % self.endpoints.len()];
                Ok(vec![Endpoint::Hma(Lookups::new(endpoint, connections, Arc::clone(contents))?)])
            }
        }
    }

    /// One connection to the first of them.
    pub(crate) fn open_one(&self) -> anyhow::Result<Endpoint> {
        self.open(0, 1)?.pop().context("there is nothing to send to")
    }
}

fn endpoints(urls: &[String]) -> anyhow::Result<Vec<Uri>> {
    if urls.is_empty() {
        bail!("there is nothing to send to; name it with --target");
    }
    urls.iter().map(|url| url.parse().with_context(|| format!("`{url}` is no endpoint"))).collect()
}
