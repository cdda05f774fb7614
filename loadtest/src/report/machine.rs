//! Facts of the machine, without which a figure has no meaning.

use serde::{Deserialize, Serialize};

/// The instruction sets between which the kernels choose.
const FEATURES: [&str; 8] =
    ["popcnt", "bmi2", "avx2", "avx512bw", "avx512_bitalg", "avx512_vpopcntdq", "asimd", "sve"];

/// The machine of a measurement. Fields are empty or 0 where the system does not report them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) features: Vec<String>,
    pub(crate) kernel: String,
    pub(crate) memory_bytes: u64,
    pub(crate) huge_pages: String,
    /// The load average of the last minute (processes that are ready to run) before the run.
    pub(crate) load_before: f64,
    /// The load average of the last minute after the run. Each busy thread of the run adds one.
    pub(crate) load_after: f64,
}

impl Machine {
    pub(crate) fn now() -> Self {
        let processors = read("/proc/cpuinfo");
        let field = |name: &str| value(&processors, name).unwrap_or_default();
        let flags = format!("{} {}", field("flags"), field("Features"));
        let has = |feature: &str| flags.split(' ').any(|flag| flag == feature);
        let kilobytes = value(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
        let load = load();
        Self {
            processor: field("model name"),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            features: FEATURES.into_iter().filter(|feature| has(feature)).map(str::to_owned).collect(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_bytes: kilobytes.unwrap_or_default() * 1_024,
            huge_pages: chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
            load_before: load,
            load_after: load,
        }
    }

    /// Records the load at the end of the run.
    pub(crate) fn finish(&mut self) {
        self.load_after = load();
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Returns the value of the first line `name : value`.
fn value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// Returns the word in brackets in a line such as `always [madvise] never`.
fn chosen(line: &str) -> String {
    line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).unwrap_or_default().0.to_owned()
}

fn load() -> f64 {
    read("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_from_the_systems_files() {
        assert_eq!(value("a\t: 1\nmodel name\t: X: Y\n", "model name"), Some("X: Y".to_owned()));
        assert_eq!(value("a\t: 1\n", "b"), None);
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen(""), "");
        assert!(Machine::now().cores > 0);
    }
}
