//! The configuration of classifiers, and its limits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_access::{AccessConfig, DirectoryConfig, ProcessesConfig};
use vigie_classifiers::card::Source;
use vigie_classifiers::{Name, Sha256};
use vigie_net::check_endpoint;
use vigie_sandbox::Requirement;
use vigie_serving::ServingConfig;

use crate::oip::{OipModel, OipSettings};
use crate::onnx::{OnnxModel, OnnxSettings};
use crate::shape::{ModelShape, TensorShape};

/// The variable that names ONNX Runtime's library where the configuration does not: the one that other
/// programs with `ort` read.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";
/// The most models in files, servers, and models of one server.
const MODELS_MAX: usize = 64;
/// The most processes of one model.
const WORKERS_MAX: usize = 256;
/// The largest tensors of one run.
const TENSOR_BYTES_MAX: usize = vigie_classifiers::Tensor::BYTES_MAX;

/// Configuration of a classifier: the models that it runs, and how it is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The library of ONNX Runtime, such as `libonnxruntime.so.1.32.0`, which runs models in files; if it is
    /// not set, the one that `ORT_DYLIB_PATH` names. Requires a build with the feature `onnx`.
    #[schemars(extend("x-value" = "FILE"))]
    pub onnxruntime_library: Option<PathBuf>,
    /// The program of classifier processes, which is `vigie` of the same version; this process's own if it is
    /// not set.
    #[schemars(extend("x-value" = "FILE"))]
    pub program: Option<PathBuf>,
    /// The protection of classifier processes: `required` (full protection, or the model is not loaded) or
    /// `best_effort` (as much as the platform gives). A model always runs in a process of its own, so `off`
    /// means `best_effort`.
    pub sandbox: Requirement,
    /// Processes of each model; 0 for as many as the machine has cores. Each holds the model in memory.
    #[schemars(range(max = WORKERS_MAX))]
    pub workers: usize,
    /// The most runs of one model that wait for a process, each with its inputs; one more is refused.
    #[schemars(range(min = 1, max = 65_536))]
    pub waiting_max: usize,
    /// The largest model in a file, in bytes.
    #[schemars(range(min = 1))]
    pub model_bytes_max: u64,
    /// The most memory of a classifier process in addition to the library and the model's file, in bytes;
    /// beyond it the run fails. A model needs about twice the size of its file, and the memory of its
    /// tensors.
    #[schemars(range(min = 67_108_864))]
    pub memory_bytes_max: u64,
    /// The largest size of all inputs of one run together, and of all its outputs together, in bytes.
    #[schemars(range(min = 1, max = TENSOR_BYTES_MAX))]
    pub tensor_bytes_max: usize,
    /// The longest time of one run in a classifier process, in milliseconds; then the process is killed. A
    /// caller stops waiting at its own deadline, which may be earlier.
    #[schemars(range(min = 1, max = 600_000))]
    pub run_ms_max: u64,
    /// The longest time from the start of a classifier process until it has loaded its model, in
    /// milliseconds; then it is killed.
    #[schemars(range(min = 1, max = 600_000))]
    pub start_ms_max: u64,
    /// Models in files, at most 64.
    #[schemars(length(max = MODELS_MAX))]
    pub models: Vec<FileModelConfig>,
    /// Inference servers, at most 64.
    #[schemars(length(max = MODELS_MAX))]
    pub servers: Vec<ServerConfig>,
    /// The most items of all calls that are run or wait for a model at once, each with its inputs; one more
    /// is refused.
    #[schemars(range(min = 1, max = 65_536))]
    pub items_max: usize,
    /// Limits of the server.
    pub serving: ServingConfig,
    /// The directory, which has the cards of the models. With members it requires `processes`, which
    /// identifies frontends.
    pub directory: DirectoryConfig,
    /// The credentials of operators.
    pub access: AccessConfig,
    /// The processes of the deployment that may call this one, if a key or names are set.
    pub processes: ProcessesConfig,
}

/// A model in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileModelConfig {
    /// The name of its card.
    pub name: String,
    /// The ONNX file. Weights in further files are not read.
    #[schemars(extend("x-value" = "FILE"))]
    pub file: PathBuf,
    /// The SHA-256 of the file, in 64 hexadecimal digits: that of the card. Another file is not loaded.
    pub sha256: String,
}

/// An inference server that speaks the Open Inference Protocol (version 2 of KServe's) over gRPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// The endpoint of the server, such as `http://triton:8001`.
    #[schemars(extend("x-value" = "URL"))]
    pub endpoint: String,
    /// The most calls to the server at once.
    #[serde(default = "calls_max")]
    #[schemars(range(min = 1, max = 4_096))]
    pub calls_max: usize,
    /// The most calls that wait for one of those to end; one more is refused.
    #[serde(default = "waiting_max")]
    #[schemars(range(max = 65_536))]
    pub waiting_max: usize,
    /// The largest request and the largest answer, in bytes. A picture of 224 x 224 pixels in FP32 has
    /// 602,112 bytes.
    #[serde(default = "message_bytes_max")]
    #[schemars(range(min = 131_072, max = 1_073_741_824))]
    pub message_bytes_max: usize,
    /// The longest time of one call, in milliseconds. A caller's deadline may be earlier.
    #[serde(default = "call_ms_max")]
    #[schemars(range(min = 1, max = 600_000))]
    pub call_ms_max: u64,
    /// Its models, 1 to 64.
    #[schemars(length(min = 1, max = MODELS_MAX))]
    pub models: Vec<ServerModelConfig>,
}

/// A model of an inference server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerModelConfig {
    /// The name of its card.
    pub name: String,
    /// Its name at the server; `name` if it is not set.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Its version at the server, which must be that of the card. Without it, the model is not served.
    #[serde(default)]
    pub server_version: String,
    /// Its inputs. They must agree with the metadata that the server reports.
    #[schemars(length(min = 1, max = ModelShape::TENSORS_MAX))]
    pub inputs: Vec<TensorShape>,
    /// The outputs that are requested. They must agree with the metadata that the server reports.
    #[schemars(length(min = 1, max = ModelShape::TENSORS_MAX))]
    pub outputs: Vec<TensorShape>,
}

const fn calls_max() -> usize {
    16
}

const fn waiting_max() -> usize {
    64
}

const fn message_bytes_max() -> usize {
    32 << 20
}

const fn call_ms_max() -> u64 {
    10_000
}

impl Default for Config {
    fn default() -> Self {
        Self {
            onnxruntime_library: None,
            program: None,
            sandbox: Requirement::default(),
            workers: 0,
            waiting_max: waiting_max(),
            model_bytes_max: 1 << 30,
            memory_bytes_max: 2 << 30,
            tensor_bytes_max: 16 << 20,
            run_ms_max: 10_000,
            start_ms_max: 60_000,
            models: Vec::new(),
            servers: Vec::new(),
            items_max: 64,
            serving: ServingConfig::default(),
            directory: DirectoryConfig::default(),
            access: AccessConfig::default(),
            processes: ProcessesConfig::default(),
        }
    }
}

impl Config {
    /// The fault of a classifier that does not know where the cards are.
    pub(crate) const NO_BANK: &str =
        "directory.bank: has no endpoint; the bank's directory has the cards of the models";

    /// Every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.engine_faults();
        faults.extend(self.serving.faults());
        let within = [
            ("directory", self.directory.faults()),
            ("access", self.access.faults()),
            ("processes", self.processes.faults()),
        ];
        for (table, of_table) in within {
            faults.extend(of_table.into_iter().map(|fault| format!("{table}.{fault}")));
        }
        if self.directory.bank.is_empty() {
            faults.push(Self::NO_BANK.to_owned());
        }
        faults
    }

    /// Every fault of what is said of the models.
    #[must_use]
    pub fn engine_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |is_fit: bool, fault: String| {
            if !is_fit {
                faults.push(fault);
            }
        };
        let within = |name: &str, is_fit| (is_fit, format!("{name}: out of its bounds"));
        for (is_fit, fault) in [
            within("workers", self.workers <= WORKERS_MAX),
            within("waiting_max", (1..=65_536).contains(&self.waiting_max)),
            within("model_bytes_max", self.model_bytes_max > 0),
            within("memory_bytes_max", self.memory_bytes_max >= 64 << 20),
            within("tensor_bytes_max", (1..=TENSOR_BYTES_MAX).contains(&self.tensor_bytes_max)),
            within("run_ms_max", (1..=600_000).contains(&self.run_ms_max)),
            within("start_ms_max", (1..=600_000).contains(&self.start_ms_max)),
            within("models", self.models.len() <= MODELS_MAX),
            within("servers", self.servers.len() <= MODELS_MAX),
            within("items_max", (1..=65_536).contains(&self.items_max)),
        ] {
            expect(is_fit, fault);
        }
        for model in &self.models {
            let is_digest = digest(&model.sha256).is_some();
            expect(is_digest, format!("models.{}.sha256: it is not 64 hexadecimal digits", model.name));
        }
        for server in &self.servers {
            let endpoint = &server.endpoint;
            let own = server.faults().into_iter().map(|fault| format!("servers.{endpoint}.{fault}"));
            own.for_each(|fault| expect(false, fault));
        }
        let mut seen = BTreeSet::new();
        for name in self.names() {
            let is_name = name.parse::<Name>().is_ok();
            expect(
                is_name,
                format!(
                    "models: `{}` is not the name of a card, which is 1 to 64 of a-z 0-9 - _",
                    name.escape_debug()
                ),
            );
            expect(seen.insert(name), format!("models: `{name}` is configured twice"));
        }
        faults
    }

    /// The names of all models, of files and of servers.
    fn names(&self) -> impl Iterator<Item = &str> {
        let of_servers = self.servers.iter().flat_map(|server| &server.models);
        let files = self.models.iter().map(|model| model.name.as_str());
        files.chain(of_servers.map(|model| model.name.as_str()))
    }

    /// Which model each name stands for, as far as the configuration is without faults.
    #[must_use]
    pub fn sources(&self) -> BTreeMap<String, Source> {
        let file = |model: &FileModelConfig| {
            Some((model.name.clone(), Source::File(Sha256(digest(&model.sha256)?))))
        };
        let of_servers = self.servers.iter().flat_map(|server| &server.models);
        let of_servers = of_servers
            .map(|model| (model.name.clone(), Source::Server(model.server_version.as_str().into())));
        self.models.iter().filter_map(file).chain(of_servers).collect()
    }

    /// How processes are started and bounded.
    #[must_use]
    pub fn onnx_settings(&self) -> OnnxSettings {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let library = || std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty());
        OnnxSettings {
            library: self.onnxruntime_library.clone().or_else(|| library().map(PathBuf::from)),
            program: self.program.clone(),
            requirement: self.sandbox,
            workers: if self.workers == 0 { cores() } else { self.workers },
            waiting_max: self.waiting_max,
            model_bytes_max: self.model_bytes_max,
            memory_bytes_max: self.memory_bytes_max,
            tensor_bytes_max: self.tensor_bytes_max,
            run_within: Duration::from_millis(self.run_ms_max),
            start_within: Duration::from_millis(self.start_ms_max),
        }
    }

    /// The models in files, by name. `None` where a digest is none.
    #[must_use]
    pub fn onnx_models(&self) -> Option<BTreeMap<String, OnnxModel>> {
        let model = |model: &FileModelConfig| {
            let sha256 = digest(&model.sha256)?;
            Some((model.name.clone(), OnnxModel { file: model.file.clone(), sha256, trial: None }))
        };
        self.models.iter().map(model).collect()
    }
}

impl ServerConfig {
    fn faults(&self) -> Vec<String> {
        let within = [
            ("calls_max", (1..=4_096).contains(&self.calls_max)),
            ("waiting_max", self.waiting_max <= 65_536),
            ("message_bytes_max", (128 << 10..=1 << 30).contains(&self.message_bytes_max)),
            ("call_ms_max", (1..=600_000).contains(&self.call_ms_max)),
            ("models", (1..=MODELS_MAX).contains(&self.models.len())),
        ];
        let within = within.into_iter().filter(|(_, is_fit)| !is_fit);
        let endpoint = check_endpoint(&self.endpoint).err().map(|error| format!("endpoint: {error}"));
        let shapes = self.models.iter().filter_map(|model| {
            let fault = model.shape().checked().err()?;
            Some(format!("models.{}: {fault}", model.name))
        });
        let within = within.map(|(name, _)| format!("{name}: out of its bounds"));
        endpoint.into_iter().chain(within).chain(shapes).collect()
    }

    /// The server and its bounds.
    #[must_use]
    pub fn settings(&self) -> OipSettings {
        OipSettings {
            endpoint: self.endpoint.clone(),
            calls_max: self.calls_max,
            waiting_max: self.waiting_max,
            message_bytes_max: self.message_bytes_max,
            call_within: Duration::from_millis(self.call_ms_max),
        }
    }

    /// The server's models, by their names here.
    #[must_use]
    pub fn oip_models(&self) -> BTreeMap<String, OipModel> {
        let model = |model: &ServerModelConfig| {
            let name = model.server_name.clone().unwrap_or_else(|| model.name.clone());
            let (version, shape) = (model.server_version.clone(), model.shape());
            (model.name.clone(), OipModel { name, version, shape })
        };
        self.models.iter().map(model).collect()
    }
}

impl ServerModelConfig {
    fn shape(&self) -> ModelShape {
        ModelShape { inputs: self.inputs.clone(), outputs: self.outputs.clone() }
    }
}

/// The 32 bytes that 64 hexadecimal digits stand for.
fn digest(text: &str) -> Option<[u8; 32]> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written() -> Value {
        let scores = json!({ "name": "scores", "element": "FP32", "dimensions": [-1, 2] });
        json!({
            "onnxruntime_library": "/opt/libonnxruntime.so.1.32.0",
            "models": [{ "name": "nudity", "file": "/models/nudity.onnx", "sha256": "0A".repeat(32) }],
            "servers": [{
                "endpoint": "http://triton:8001",
                "models": [{
                    "name": "grooming",
                    "server_version": "7",
                    "inputs": [{ "name": "text", "element": "BYTES", "dimensions": [1] }],
                    "outputs": [scores],
                }],
            }],
        })
    }

    #[test]
    fn a_configuration_is_read_with_the_defaults_of_what_it_leaves_out() {
        let config: Config = serde_json::from_value(written()).unwrap();
        assert_eq!(config.engine_faults(), Vec::<String>::new());
        let settings = config.onnx_settings();
        assert_eq!(settings.library.unwrap(), PathBuf::from("/opt/libonnxruntime.so.1.32.0"));
        assert!(settings.workers >= 1);
        assert_eq!(config.onnx_models().unwrap()["nudity"].sha256, [10; 32]);
        assert_eq!(config.servers[0].settings().message_bytes_max, 32 << 20);
        let models = config.servers[0].oip_models();
        assert_eq!(
            (models["grooming"].name.as_str(), models["grooming"].version.as_str()),
            ("grooming", "7")
        );
        let again: Config = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
        assert_eq!(again, config);
        assert!(Config::default().engine_faults().is_empty());
        assert_eq!(Config::default().faults(), [Config::NO_BANK]);
        let sources = config.sources();
        assert_eq!(sources["nudity"], Source::File(Sha256([10; 32])));
        assert_eq!(sources["grooming"], Source::Server("7".into()));
    }

    // Endpoints are checked by making a channel, which needs a runtime.
    #[tokio::test]
    async fn every_fault_is_named_at_once() {
        let mut config: Config = serde_json::from_value(written()).unwrap();
        config.waiting_max = 0;
        config.models[0].sha256 = "0A".repeat(31);
        config.servers[0].endpoint = "triton".to_owned();
        config.servers[0].calls_max = 0;
        config.servers[0].models[0].name = "nudity".to_owned();
        config.servers[0].models[0].inputs.clear();
        assert_eq!(config.onnx_models(), None);
        let expected = [
            "waiting_max: out of its bounds",
            "models.nudity.sha256: it is not 64 hexadecimal digits",
            "servers.triton.endpoint: `triton` is no endpoint; write it as http://host:port or https://host:port",
            "servers.triton.calls_max: out of its bounds",
            "servers.triton.models.nudity: its description is out of bounds",
            "models: `nudity` is configured twice",
        ];
        assert_eq!(config.engine_faults(), expected);
        config.directory.bank = vec!["http://127.0.0.1:7742".to_owned()];
        assert_eq!(config.faults(), expected);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let mut unknown = written();
        unknown["servers"][0]["token"] = json!("x");
        assert!(serde_json::from_value::<Config>(unknown).is_err());
    }
}
