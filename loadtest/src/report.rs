//! Files about a run, one for each kind of reader: a page for people, a summary for a pull request, JUnit for
//! a build, and histograms for the tools of HdrHistogram.

pub(crate) mod machine;
pub(crate) mod rounding;
pub(crate) mod moment;
pub(crate) mod result;
pub(crate) mod sheet;
pub(crate) mod text;
pub(crate) mod page;
mod hdr;
mod junit;
mod markdown;
pub(crate) mod compare;
pub(crate) mod maximum;
pub(crate) mod progress;
pub(crate) mod view;

use std::path::Path;

use anyhow::Context as _;

use crate::report::result::RunResult;

/// Writes all files about a run into an existing folder.
pub(crate) fn write(folder: &Path, result: &RunResult) -> anyhow::Result<()> {
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    file("result.json", &serde_json::to_vec(result)?)?;
    file("report.html", page::run::page(result)?.as_bytes())?;
    file("summary.md", markdown::summary(result).as_bytes())?;
    file("junit.xml", junit::report(result).as_bytes())?;
    for (name, log) in hdr::logs(result)? {
        file(&name, &log)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::result;

    #[test]
    fn every_reader_gets_a_file_and_the_result_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let latencies: Vec<u64> = (0..500).map(|at| 1 + at % 40).collect();
        let result = result(&latencies, 0, &["p99 < 1s", "missed == 0", "p50 < 1ms"]);
        write(folder.path(), &result).unwrap();
        for name in
            ["result.json", "report.html", "summary.md", "junit.xml", "latency.hdr", "latency-from-send.hdr"]
        {
            assert!(folder.path().join(name).metadata().unwrap().len() > 100, "{name}");
        }
        let text = std::fs::read_to_string(folder.path().join("result.json")).unwrap();
        assert_eq!(serde_json::from_str::<RunResult>(&text).unwrap().record, result.record);
    }
}
