//! The file format of a policy: JSON if the text begins with a brace, otherwise TOML.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};
use vigie_clients::{CallError, PolicyFault};
use vigie_consortium::{BankRule, Policy, PolicyDraft, ScoreRuleDraft, VerdictRuleDraft};
use vigie_model::MatchRatio;

/// Maximum size of a policy file in bytes; 16 conditions and 256 bank rules of maximum length take half of
/// it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A policy in the form of its file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyForm {
    /// The bank rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bank: Vec<BankForm>,
    /// The verdict rules, in the order in which they are evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rule: Vec<RuleForm>,
    /// The score rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    score: Vec<ScoreForm>,
}

/// A bank rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BankForm {
    /// The bank: `owner/name`, an alias, or the name of one of the member's own banks.
    bank: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignored: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_distance: Option<u16>,
    #[serde(default, skip_serializing_if = "is_zero")]
    positives_min: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignore_disputed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shadow: bool,
}

/// A verdict rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleForm {
    name: String,
    /// The condition as a CEL expression; left out for a rule that always holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    when: String,
    verdict: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shadow: bool,
}

/// A score rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoreForm {
    name: String,
    /// Name of the model.
    model: String,
    /// Name of the class.
    class: String,
    /// The rule uses the threshold for a rate of 1 in this many; left out to use the threshold of the model's
    /// card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most_one_in: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shadow: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl From<&Policy> for PolicyForm {
    fn from(policy: &Policy) -> Self {
        let bank = |rule: &BankRule| BankForm {
            bank: rule.bank.to_string(),
            ignored: rule.ignored,
            max_distance: rule.max_distance,
            positives_min: rule.positives_min,
            ignore_disputed: rule.ignore_disputed,
            ratio: (rule.ratio != MatchRatio::ALWAYS).then(|| rule.ratio.get()),
            shadow: rule.shadow,
        };
        let rules = policy.rules().iter().map(|rule| RuleForm {
            name: rule.name().to_owned(),
            when: rule.condition().to_owned(),
            verdict: rule.verdict().to_string(),
            shadow: rule.is_shadow(),
        });
        let scores = policy.scores().iter().map(|rule| ScoreForm {
            name: rule.name().to_owned(),
            model: rule.model().to_string(),
            class: rule.class().to_string(),
            at_most_one_in: rule.at_most_one_in().map(u64::from),
            shadow: rule.is_shadow(),
        });
        Self {
            bank: policy.banks().iter().map(bank).collect(),
            rule: rules.collect(),
            score: scores.collect(),
        }
    }
}

impl PolicyForm {
    /// Returns the text of the file.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        toml::to_string_pretty(self).context("cannot write the policy as TOML")
    }

    /// Parses the text of a file. The error names the line or the field.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') {
            // Errors of the JSON parser contain the line.
            return Ok(serde_json::from_str(text)?);
        }
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
            let line = error.span().map(|span| format!("line {}: ", line(span.start))).unwrap_or_default();
            anyhow!("{line}{}", error.message().trim_end())
        })
    }

    fn policy(&self) -> anyhow::Result<Policy> {
        let mut draft = PolicyDraft::default();
        for (at, form) in self.bank.iter().enumerate() {
            let field = |name: &str| format!("bank[{at}].{name}");
            let ratio = form.ratio.map(MatchRatio::try_from).transpose().with_context(|| field("ratio"))?;
            draft.banks.push(BankRule {
                bank: form.bank.parse().with_context(|| field("bank"))?,
                ignored: form.ignored,
                max_distance: form.max_distance,
                positives_min: form.positives_min,
                ignore_disputed: form.ignore_disputed,
                ratio: ratio.unwrap_or(MatchRatio::ALWAYS),
                shadow: form.shadow,
            });
        }
        for (at, form) in self.rule.iter().enumerate() {
            draft.rules.push(VerdictRuleDraft {
                name: form.name.clone(),
                condition: form.when.clone(),
                verdict: form.verdict.parse().with_context(|| format!("rule[{at}].verdict"))?,
                shadow: form.shadow,
            });
        }
        let scores = self.score.iter().map(|form| ScoreRuleDraft {
            name: form.name.clone(),
            model: form.model.clone(),
            class: form.class.clone(),
            at_most_one_in: form.at_most_one_in.unwrap_or(0),
            shadow: form.shadow,
        });
        draft.scores.extend(scores);
        Policy::try_from(draft).map_err(|error| {
            // The error has a path of the protocol; `sentence` converts it to names of the file.
            let fault = PolicyFault::within(&error.field(), error.to_string());
            fault.map_or_else(|| error.into(), |fault| anyhow!(self.sentence(&fault)))
        })
    }

    /// Describes a fault with the names of the file and of the rule.
    fn sentence(&self, fault: &PolicyFault) -> String {
        let list = match fault.list.as_str() {
            "banks" => "bank",
            "rules" => "rule",
            "scores" => "score",
            other => other,
        };
        let PolicyFault { index, field, reason, .. } = fault;
        let field = if field == "condition" { "when" } else { field };
        let Some(index) = index else { return format!("{list}: {reason}") };
        let dot = if field.is_empty() { "" } else { "." };
        let path = format!("{list}[{index}]{dot}{field}");
        let name = match list {
            "rule" => self.rule.get(*index).map(|rule| rule.name.as_str()),
            "score" => self.score.get(*index).map(|rule| rule.name.as_str()),
            _ => None,
        };
        match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("{list} {name:?} ({path}): {reason}"),
            None => format!("{path}: {reason}"),
        }
    }
}

/// A policy that was read from a file.
#[derive(Debug)]
pub(super) struct PolicyFile {
    name: String,
    form: PolicyForm,
    /// The policy, whose conditions may not compile.
    pub(super) policy: Policy,
}

impl PolicyFile {
    /// Reads a policy from a file, or from standard input if the path is `-`.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = input_name(path);
        let form = read_input(path, FILE_BYTES_MAX).and_then(|text| {
            let form = PolicyForm::parse(&text)?;
            Ok((form.policy()?, form))
        });
        let (policy, form) = form.context(name.clone())?;
        Ok(Self { name, form, policy })
    }

    /// Converts the error of a call. If the bank refused a part of the policy, the part is named as in the
    /// file.
    pub(super) fn error(&self, error: CallError) -> anyhow::Error {
        match PolicyFault::of(&error) {
            Some(fault) => anyhow!("{}: {}", self.name, self.form.sentence(&fault)),
            None => error.into(),
        }
    }
}

/// Returns the name of an input for messages.
pub(super) fn input_name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}

/// Reads text from a file, or from standard input if the path is `-`.
pub(super) fn read_input(path: &Path, bytes_max: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    let reader: Box<dyn std::io::Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    reader.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        bail!("has more than {bytes_max} bytes");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use vigie_consortium::ScoreRule;

    use super::*;

    const WHOLE: &str = r#"
[[bank]]
bank = "acme/known"
max_distance = 10
positives_min = 2
ignore_disputed = true
ratio = 0.5
shadow = true

[[bank]]
bank = "old"
ignored = true

[[rule]]
name = "near"
when = '''
matches.exists(m, m.distance <= 10 &&
  m.labels.exists(l, l == "a\"b"))'''
verdict = "block"

[[rule]]
name = "else"
verdict = "REVIEW"
shadow = true

[[score]]
name = "nude"
model = "nsfw"
class = "nude"
at_most_one_in = 10000

[[score]]
name = "weapons"
model = "weapons_2"
class = "rifle"
shadow = true
"#;

    #[test]
    fn a_file_is_read_as_it_is_written_and_in_json_too() {
        let form = PolicyForm::parse(WHOLE).unwrap();
        let policy = form.policy().unwrap();
        assert_eq!((policy.banks().len(), policy.rules().len()), (2, 2));
        assert_eq!((policy.rules()[1].condition(), policy.rules()[1].is_shadow()), ("", true));
        let scores: Vec<_> = policy.scores().iter().map(ScoreRule::draft).collect();
        assert_eq!((scores[0].at_most_one_in, scores[0].shadow), (10_000, false));
        assert_eq!((scores[1].at_most_one_in, scores[1].shadow), (0, true));
        let written = PolicyForm::from(&policy);
        let json = serde_json::to_string(&written).unwrap();
        for text in [written.text().unwrap(), format!("\u{feff}\n {json}")] {
            assert_eq!(PolicyForm::parse(&text).unwrap().policy().unwrap(), policy, "{text}");
        }
        let empty = PolicyForm::from(&Policy::default());
        assert_eq!(PolicyForm::parse(&empty.text().unwrap()).unwrap().policy().unwrap(), Policy::default());
    }

    #[test]
    fn a_condition_of_any_letters_survives_the_file() {
        for condition in ["'''", "\"\"\"", "a\\n\n\tb", "'\"'\"", "\r\n", "é\u{7}"] {
            let draft = VerdictRuleDraft {
                name: "a".into(),
                condition: condition.into(),
                verdict: vigie_consortium::Verdict::Log,
                shadow: false,
            };
            let policy =
                Policy::try_from(PolicyDraft { rules: vec![draft], ..PolicyDraft::default() }).unwrap();
            let text = PolicyForm::from(&policy).text().unwrap();
            assert_eq!(PolicyForm::parse(&text).unwrap().policy().unwrap(), policy, "{text}");
        }
    }

    #[test]
    fn faults_are_named_by_line_or_field() {
        let fault = |text: &str| {
            let read = PolicyForm::parse(text).and_then(|form| form.policy());
            crate::output::sentence(&read.unwrap_err())
        };
        for (text, expected) in [
            ("[[rule]]\nname = \"a\"\nwhen = 3\nverdict = \"BLOCK\"", "line 3: invalid type"),
            ("[[rule]]\nname = \"a\"\nverdct = \"BLOCK\"", "line 3: unknown field `verdct`"),
            ("[[bank]]\nbank = \"a\"\nmax_distance = 70000", "line 3: "),
            ("[[rule]\n", "line 1: "),
            ("{\"rule\": [\n{\"name\": 3}]}", "at line 2"),
            ("[[rule]]\nname = \"a\"\nverdict = \"STOP\"", "rule[0].verdict: a verdict is ALLOW"),
            ("[[rule]]\nname = \"A\"\nverdict = \"LOG\"", "rule \"A\" (rule[0].name): the name of"),
            ("[[bank]]\nbank = \"a\"\n[[bank]]\nbank = \"a\"", "bank[1].bank: the bank a has a rule already"),
            ("[[bank]]\nbank = \"a b\"", "bank[0].bank: "),
            (
                "[[score]]\nname = \"a\"\nmodel = \"M\"\nclass = \"c\"",
                "score \"a\" (score[0].model): the name of a model",
            ),
            (
                "[[rule]]\nname = \"a\"\nverdict = \"LOG\"\n[[score]]\nname = \"a\"\nmodel = \"m\"\nclass = \"c\"",
                "score \"a\" (score[0].name): another rule has this name",
            ),
            ("[[bank]]\nbank = \"a\"\nratio = 2.0", "bank[0].ratio: "),
        ] {
            assert!(fault(text).contains(expected), "{text}: {}", fault(text));
        }
    }

    #[test]
    fn the_example_compiles() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/policies/platform.toml");
        let file = PolicyFile::read(&path).unwrap();
        vigie_policy::CompiledPolicy::compile(&file.policy).unwrap();
        assert_eq!((file.policy.banks().len(), file.policy.rules().len()), (2, 5));
    }

    #[test]
    fn a_condition_that_does_not_compile_is_named_by_its_rule() {
        let form = PolicyForm::parse(WHOLE).unwrap();
        let fault = PolicyFault::within("rules[0].condition", "there is no `x`".to_owned()).unwrap();
        assert_eq!(form.sentence(&fault), "rule \"near\" (rule[0].when): there is no `x`");
    }
}
