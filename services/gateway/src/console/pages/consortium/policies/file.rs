//! A policy as text, in TOML, or in JSON if it begins with a brace. `vigie policy set` reads and
//! `vigie policy get` writes the same text.

use serde::Serialize;
use vigie_clients::{CallError, PolicyFault};
use vigie_consortium::{BankRule, Policy, ScoreRule, VerdictRule};
use vigie_model::MatchRatio;

use crate::problem::Problem;
use crate::v1::members::policies::objects::PolicyObject;

/// The most bytes of a text. 16 conditions and 256 bank rules of the greatest length are half of that.
const BYTES_MAX: usize = 512 << 10;

/// A policy as it is serialised; absent fields are omitted.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bank: Vec<WrittenBank>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rule: Vec<WrittenRule<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    score: Vec<WrittenScore<'a>>,
}

#[derive(Serialize)]
struct WrittenBank {
    bank: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_distance: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    positives_min: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_disputed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<bool>,
}

#[derive(Serialize)]
struct WrittenRule<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    when: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<bool>,
}

#[derive(Serialize)]
struct WrittenScore<'a> {
    name: &'a str,
    model: &'a str,
    class: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most_one_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<bool>,
}

/// The reason for which a text is not a valid policy, or cannot be set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The message for a person. Begins with the line or the rule at fault, if known.
    pub(super) sentence: String,
    /// The first line of the part at fault, from 1.
    pub(super) line: Option<usize>,
    /// The text of the part at fault; empty if unknown.
    pub(super) part: String,
}

/// Returns the text that a browser sent, with its CRLF line endings converted.
pub(super) fn sent(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Returns the text of a policy.
pub(super) fn text(policy: &Policy) -> String {
    let bank = |rule: &BankRule| WrittenBank {
        bank: rule.bank.to_string(),
        ignored: rule.ignored.then_some(true),
        max_distance: rule.max_distance,
        positives_min: (rule.positives_min > 0).then_some(rule.positives_min),
        ignore_disputed: rule.ignore_disputed.then_some(true),
        ratio: (rule.ratio != MatchRatio::ALWAYS).then(|| rule.ratio.get()),
        shadow: rule.shadow.then_some(true),
    };
    fn rule(rule: &VerdictRule) -> WrittenRule<'_> {
        WrittenRule {
            name: rule.name(),
            when: rule.condition(),
            verdict: rule.verdict().name(),
            shadow: rule.is_shadow().then_some(true),
        }
    }
    fn score(rule: &ScoreRule) -> WrittenScore<'_> {
        WrittenScore {
            name: rule.name(),
            model: rule.model().as_str(),
            class: rule.class().as_str(),
            at_most_one_in: rule.at_most_one_in(),
            shadow: rule.is_shadow().then_some(true),
        }
    }
    let written = Written {
        bank: policy.banks().iter().map(bank).collect(),
        rule: policy.rules().iter().map(rule).collect(),
        score: policy.scores().iter().map(score).collect(),
    };
    // Tables of texts, numbers and booleans can always be written.
    toml::to_string_pretty(&written).unwrap_or_default()
}

/// Parses a text. Does not check that the conditions compile.
pub(super) fn read(text: &str) -> Result<(PolicyObject, Policy), Wrong> {
    let whole = |sentence: String, line: Option<usize>| Wrong { sentence, line, part: String::new() };
    if text.len() > BYTES_MAX {
        return Err(whole(format!("the policy has more than {BYTES_MAX} bytes"), None));
    }
    let text = text.trim_start_matches('\u{feff}');
    let object: PolicyObject = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| whole(error.to_string(), Some(error.line())))?
    } else {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| line_at(text, span.start));
            whole(error.message().trim_end().to_owned(), line)
        })?
    };
    match object.read() {
        Ok(policy) => Ok((object, policy)),
        Err(problem) => Err(of_problem(text, &problem)),
    }
}

/// Returns the part of a text that the bank refused; `None` if the call failed for another reason.
pub(super) fn refused(text: &str, object: &PolicyObject, error: &CallError) -> Option<Wrong> {
    Some(of_problem(text, &object.problem(&PolicyFault::of(error)?)))
}

/// Returns the fault of a part with its position in the text, as in `rule[2].when: rule near: ...`.
fn of_problem(text: &str, problem: &Problem) -> Wrong {
    let sentence = problem.message.clone();
    let place = problem.field.as_deref().and_then(place);
    let found = place.and_then(|(list, index)| part(text, list, index));
    match found {
        Some((line, part)) => Wrong { sentence, line: Some(line), part },
        None => Wrong { sentence, line: None, part: String::new() },
    }
}

/// Parses a path such as `rule[2].when`. Returns its list and its index.
fn place(path: &str) -> Option<(&str, usize)> {
    let (list, rest) = path.split_once('[')?;
    Some((list, rest.split_once(']')?.0.parse().ok()?))
}

/// Returns the table with this index in a TOML list of tables, and its first line, from 1. A multi-line
/// condition may contain a line that looks like a header, so a text made for that purpose can yield the wrong
/// table; only its author sees it.
fn part(text: &str, list: &str, index: usize) -> Option<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_header = |line: &str| line.trim_start().starts_with("[[");
    let is_of_list = |line: &str| {
        let header = line.trim_start().strip_prefix("[[").and_then(|rest| rest.split_once("]]"));
        header.is_some_and(|(name, _)| name.trim() == list)
    };
    let begin = lines.iter().enumerate().filter(|(_, line)| is_of_list(line)).nth(index)?.0;
    let end = lines
        .iter()
        .skip(begin + 1)
        .position(|line| is_header(line))
        .map_or(lines.len(), |at| begin + 1 + at);
    Some((begin + 1, lines.get(begin..end)?.join("\n").trim_end().to_owned()))
}

fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
[[bank]]
bank = "acme/known"
max_distance = 10
ratio = 0.5

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
"#;

    #[test]
    fn a_policy_is_read_as_it_is_written_and_in_json_too() {
        let (object, policy) = read(WHOLE).unwrap();
        assert_eq!((policy.banks().len(), policy.rules().len(), policy.scores().len()), (1, 2, 1));
        let written = text(&policy);
        assert!(!written.contains("ignored") && !written.contains("positives_min"), "{written}");
        assert!(written.find("name").unwrap() < written.find("verdict").unwrap(), "{written}");
        assert_eq!(read(&written).unwrap().1, policy, "{written}");
        let json = serde_json::to_string(&object).unwrap();
        assert_eq!(read(&format!("\u{feff}\n{json}")).unwrap().1, policy);
        assert_eq!(read(&text(&Policy::default())).unwrap().1, Policy::default());
    }

    #[test]
    fn the_fault_of_a_text_has_its_line_or_its_rule() {
        let wrong = read("[[rule]]\nname = \"a\"\nwhen = 3\nverdict = \"BLOCK\"").unwrap_err();
        assert_eq!((wrong.line, wrong.part.as_str()), (Some(3), ""));
        let wrong = read("{\n\"rule\": [{\"name\": 3}]}").unwrap_err();
        assert_eq!(wrong.line, Some(2));
        let wrong = read(&WHOLE.replace("REVIEW", "STOP")).unwrap_err();
        assert!(wrong.sentence.starts_with("rule[1].verdict: a verdict is"), "{wrong:?}");
        assert_eq!(wrong.line, Some(14));
        assert!(
            wrong.part.starts_with("[[rule]]\nname = \"else\"") && !wrong.part.contains("near"),
            "{wrong:?}"
        );
        let wrong = read(&WHOLE.replace("\"nsfw\"", "\"NSFW\"")).unwrap_err();
        assert!(wrong.sentence.starts_with("score[0].model: the name of a model"), "{wrong:?}");
        assert_eq!((wrong.line, wrong.part.lines().count()), (Some(19), 5));
        let wrong = read(&WHOLE.replace("acme/known", "a b")).unwrap_err();
        assert_eq!((wrong.line, wrong.part.lines().count()), (Some(2), 4));
        assert!(read(&" ".repeat(BYTES_MAX + 1)).unwrap_err().sentence.contains("bytes"));
    }

    #[test]
    fn the_part_that_the_bank_names_is_found() {
        let (object, _) = read(WHOLE).unwrap();
        let fault = PolicyFault::within("rules[0].condition", "there is no `x`".to_owned()).unwrap();
        let wrong = of_problem(WHOLE, &object.problem(&fault));
        assert_eq!(
            (wrong.sentence.as_str(), wrong.line),
            ("rule[0].when: rule near: there is no `x`", Some(7))
        );
        assert!(wrong.part.ends_with("verdict = \"block\""), "{wrong:?}");
    }
}
