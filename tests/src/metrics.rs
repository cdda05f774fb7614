//! Parses the metrics of a process at `/metrics` strictly: any deviation from the OpenMetrics format is an
//! error.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};

/// A line of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name with its suffix.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// All lines of one metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Family {
    /// The type: `counter`, `gauge` and so on.
    pub kind: String,
    /// The help text.
    pub help: String,
    /// The lines.
    pub samples: Vec<Sample>,
}

/// A whole exposition, by metric name.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    /// The metrics by name.
    pub families: BTreeMap<String, Family>,
}

impl Exposition {
    /// Parses a whole exposition.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let body = text.strip_suffix("# EOF\n").context("it does not end with # EOF")?;
        let mut families = BTreeMap::<String, Family>::new();
        let mut current = String::new();
        for line in body.lines() {
            let read = || format!("the line {line:?}");
            if let Some(rest) = line.strip_prefix("# ") {
                let (keyword, rest) = rest.split_once(' ').with_context(read)?;
                let (name, said) = rest.split_once(' ').with_context(read)?;
                ensure!(!said.is_empty(), "{} says nothing", read());
                if keyword == "HELP" {
                    let known = families.insert(name.to_owned(), Family::default());
                    ensure!(known.is_none(), "{name} comes twice");
                    name.clone_into(&mut current);
                }
                let family = families.get_mut(name).filter(|_| name == current).with_context(read)?;
                match keyword {
                    "HELP" => said.clone_into(&mut family.help),
                    "TYPE" => said.clone_into(&mut family.kind),
                    "UNIT" => ensure!(name.ends_with(said), "{} ends otherwise", read()),
                    _ => bail!("{} is of no kind", read()),
                }
                continue;
            }
            let sample = sample(line).with_context(read)?;
            let family = families.get_mut(&current).with_context(read)?;
            let suffix = sample.name.strip_prefix(current.as_str()).with_context(read)?;
            ensure!(suffixes(&family.kind).contains(&suffix), "{} is no {}", read(), family.kind);
            family.samples.push(sample);
        }
        for (name, family) in &families {
            ensure!(!family.help.is_empty() && !family.kind.is_empty(), "{name} has no help or no type");
            let mut seen = BTreeSet::new();
            let twice = family.samples.iter().find(|one| !seen.insert((&one.name, &one.labels)));
            ensure!(twice.is_none(), "a line comes twice: {twice:?}");
        }
        Ok(Self { families })
    }

    /// Returns the sum of the samples with this name (suffix included) that have these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let all = self.families.values().flat_map(|family| &family.samples);
        let fits = |one: &&Sample| {
            one.name == name
                && labels.iter().all(|(label, value)| one.labels.get(*label).is_some_and(|is| is == value))
        };
        all.filter(fits).map(|one| one.value).sum()
    }

    /// Returns whether there is a metric whose samples have this name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.families.iter().any(|(prefix, family)| {
            name.strip_prefix(prefix.as_str()).is_some_and(|suffix| suffixes(&family.kind).contains(&suffix))
        })
    }

    /// Returns the metrics in the older Prometheus text format, where `_total` is a part of a counter's name.
    #[must_use]
    pub fn classic(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            let name = if family.kind == "counter" { format!("{name}_total") } else { name.clone() };
            text.push_str(&format!("# HELP {name} {}\n# TYPE {name} {}\n", family.help, family.kind));
            for Sample { name, labels, value } in &family.samples {
                let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                text.push_str(&format!("{name}{{{}}} {value}\n", labels.join(",")));
            }
        }
        text
    }
}

fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[],
    }
}

fn sample(line: &str) -> anyhow::Result<Sample> {
    let (named, value) = line.rsplit_once(' ').context("has no value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        other => other.parse().context("has no number")?,
    };
    let (name, labels) = match named.split_once('{') {
        None => (named, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').context("has no end of labels")?),
    };
    let is_word = |text: &str| {
        !text.is_empty()
            && text.chars().all(|one| one.is_ascii_alphanumeric() || one == '_' || one == ':')
            && !text.starts_with(|first: char| first.is_ascii_digit())
    };
    ensure!(is_word(name), "has no name");
    let mut read = BTreeMap::new();
    // Values of our labels contain no quotation mark and no comma; one that does is an error here.
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').context("has a label without a value")?;
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value =
            value.filter(|value| !value.contains(['"', '\\'])).context("has a value that is no text")?;
        ensure!(is_word(name), "has a label without a name");
        ensure!(read.insert(name.to_owned(), value.to_owned()).is_none(), "has a label twice");
    }
    Ok(Sample { name: name.to_owned(), labels: read, value })
}
