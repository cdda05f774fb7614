//! `vigie up`: runs a whole cluster in this process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use vigie_clients::{Code, ConsortiumClient, Deadline, IdempotencyKey, Network, NewCredential, NewPrincipal};
use vigie_consortium::{Expiry, Role, Roles, Text};
use vigie_credentials::api_key::ApiKey;
use vigie_telemetry::TelemetryConfig;

use crate::cli::UpArgs;
use crate::commands::members::new_key::{KeyFile, may_have_succeeded};
use crate::commands::stop::StopRequests;
use crate::config::load_classifiers;
use crate::local_cluster::{Calls, LocalCluster, LocalClusterConfig, Ports};
use crate::output::{Exit, Output};

/// Maximum time until the cluster is ready. Loading a large bank takes a while, but a cluster that is not
/// ready after this time is stuck.
const READY_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Timeout of one call to the bank of a ready cluster.
const ASKED_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: UpArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let data = match args.data {
        Some(data) => data,
        None => default_data()?,
    };
    let ports = if args.port == 0 { Ports::Any } else { Ports::From(args.port) };
    let telemetry = TelemetryConfig {
        listen: args.telemetry_listen,
        otlp_endpoint: args.otlp_endpoint,
        trace_ratio: 1.0,
        ..TelemetryConfig::default()
    };
    if let Some(fault) = telemetry.faults().first() {
        bail!("--otlp-endpoint: {}", fault.trim_start_matches("otlp_endpoint: "));
    }
    let mut config = LocalClusterConfig {
        shard_count: args.shards,
        calls: Calls::AsFunctions,
        ports,
        http: args.http.unwrap_or_default(),
        telemetry,
        ..LocalClusterConfig::new(&data)
    };
    config.gateway.fetch.private_hosts = args.fetch_private;
    config.gateway.hosts = args.http_host;
    // The gateway and the exchanges share one folder, so that the exchanges use the credentials that are set
    // over HTTP.
    let credentials = args.exchange_credentials.unwrap_or_else(|| data.join("credentials"));
    config.gateway.credentials_folder = Some(credentials.clone());
    let exchange = vigie_exchange::Config {
        credentials_folder: Some(credentials),
        files_folder: args.exchange_files,
        origins: args.exchange_origin,
        ..vigie_exchange::Config::default()
    };
    if let Some(fault) = exchange.faults().first() {
        bail!("exchange.{fault}");
    }
    config.exchange = Some(exchange);
    config.classifier = args.classifiers.as_deref().map(load_classifiers).transpose()?;
    let mut requests = StopRequests::listen();
    let mut cluster = LocalCluster::start(config).await?;
    output.note(format!("starting; the bank's data is in {}", data.display()));
    tokio::select! {
        ready = cluster.wait_ready(Deadline::now() + READY_WITHIN) => ready?,
        () = requests.next() => return stop(cluster, output).await,
    }
    let operator = if args.consortium { Some(operator_key(&cluster, &data).await?) } else { None };
    announce(&cluster, operator.as_deref(), output)?;
    let ended = tokio::select! {
        ended = cluster.wait_ended() => Some(ended),
        () = requests.next() => None,
    };
    let stopped = stop(cluster, output).await;
    ended.map_or(stopped, Err)
}

/// Returns the file with an operator's key. The first start creates the operator and turns members on; later
/// starts return the existing file. If an answer was lost, it is not known whether the operator exists, so
/// the same key is used again.
async fn operator_key(cluster: &LocalCluster, data: &Path) -> anyhow::Result<PathBuf> {
    let path = data.join("operator.key");
    let client = ConsortiumClient::among(&[cluster.bank_url()], &Network::tcp())?;
    let deadline = || Deadline::now() + ASKED_WITHIN;
    match client.who_am_i(deadline()).await {
        Ok(who) if who.value.principal.is_none() => {}
        Err(error) if error.code() == Code::Unauthenticated && path.exists() => return Ok(path),
        Err(error) if error.code() == Code::Unauthenticated => bail!(
            "members are on, and {} is not there: start without --consortium, and use the key of an operator",
            path.display()
        ),
        Ok(_) => bail!("the bank returned a principal for a call without a credential"),
        Err(error) => return Err(error).context("cannot ask the bank whether there are members"),
    }
    let (key, file) = match std::fs::read_to_string(&path) {
        Ok(text) => {
            let key =
                ApiKey::parse(text.trim()).with_context(|| format!("{} has no API key", path.display()))?;
            (key, None)
        }
        Err(_) => {
            let (key, mut file) = (ApiKey::generate()?, KeyFile::create(path.clone())?);
            file.write(&key.reveal())?;
            (key, Some(file))
        }
    };
    let new = NewPrincipal {
        member: None,
        roles: Roles::one(Role::Operator),
        credential: NewCredential::OwnKey(key),
        expiry: Expiry::NEVER,
        note: Text::new("made by vigie up --consortium")?,
    };
    let made = client.create_principal(new, IdempotencyKey::random(), deadline()).await;
    if let Some(file) = file.filter(|_| made.as_ref().err().is_none_or(may_have_succeeded)) {
        file.keep();
    }
    made.context("cannot create an operator; run the command again")?;
    Ok(path)
}

fn announce(cluster: &LocalCluster, operator: Option<&Path>, output: &mut Output) -> anyhow::Result<()> {
    let (frontend, coordinator, bank) =
        (cluster.frontend_url(), cluster.coordinator_url(), cluster.bank_url());
    let console = cluster.console_url();
    output.object(&serde_json::json!({
        "ready": true, "frontend": frontend, "coordinator": coordinator, "bank": bank, "http": cluster.http_url(),
        "classifier": cluster.classifier_url(),
        "console": console, "telemetry": cluster.telemetry_url(), "operator_key": operator
    }))?;
    output.say("ready")?;
    output.say(format!("  frontend     {frontend}"))?;
    output.say(format!("  coordinator  {coordinator}"))?;
    output.say(format!("  bank         {bank}"))?;
    if let Some(classifier) = cluster.classifier_url() {
        output.say(format!("  classifier   {classifier}"))?;
    }
    if let Some(http) = cluster.http_url() {
        output.say(format!("  http         {http}"))?;
    }
    if let Some(console) = console {
        output.say(format!("  console      {console}"))?;
    }
    if let Some(telemetry) = cluster.telemetry_url() {
        output.say(format!("  metrics      {telemetry}/metrics"))?;
    }
    if let Some(operator) = operator {
        output.say(format!("  operator     the key in {}", operator.display()))?;
        let audit = operator.with_file_name("audit.key");
        output.say(format!("  audit        signed by the key in {}", audit.display()))?;
    }
    let elsewhere = frontend != "http://127.0.0.1:7740";
    if elsewhere {
        output.say("in another terminal, first:")?;
        output.say(format!(
            "  export VIGIE_FRONTEND={frontend} VIGIE_COORDINATOR={coordinator} VIGIE_BANK={bank}"
        ))?;
    }
    match operator {
        None => output.say(
            "then, for example: vigie bank create known; vigie item add known FILE...; vigie match FILE...",
        )?,
        Some(operator) => {
            output.say(format!("members are on: export VIGIE_API_KEY_FILE={}", operator.display()))?;
            output
                .say("then, for example: vigie whoami; vigie member add NAME; vigie principal add --help")?;
        }
    }
    output.say("stop with Ctrl-C; what was acknowledged is kept")?;
    Ok(())
}

async fn stop(cluster: LocalCluster, output: &Output) -> anyhow::Result<Exit> {
    output.note("stopping");
    cluster.stop().await?;
    Ok(Exit::Done)
}

fn default_data() -> anyhow::Result<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "vigie")
        .context("this platform has no data directory; use --data")?;
    Ok(folders.data_dir().to_owned())
}
