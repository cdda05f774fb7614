//! The thresholds as test cases, in the XML format that build servers display.

use std::fmt::Write as _;

use crate::report::result::RunResult;

/// Returns one suite with a case for each threshold.
pub(super) fn report(result: &RunResult) -> String {
    let bad = result.thresholds.iter().filter(|judgement| !judgement.holds);
    // A JUnit error means that a case could not be tested.
    let errors = bad.clone().filter(|judgement| judgement.not_measurable).count();
    let failures = bad.count() - errors;
    let (name, time) = (escape(&result.scenario.name), result.measured_s);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "<testsuites>\n  <testsuite name=\"vigie-loadtest {name}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time:.3}\">",
        result.thresholds.len()
    );
    for judgement in &result.thresholds {
        let case = escape(&judgement.threshold.to_string());
        let _ = write!(out, "    <testcase classname=\"{name}\" name=\"{case}\"");
        if judgement.holds {
            out.push_str("/>\n");
            continue;
        }
        let mut message = format!("measured: {}", judgement.shown);
        if let Some(because) = &judgement.because {
            let _ = write!(message, "; {because}");
        }
        let element = if judgement.not_measurable { "error" } else { "failure" };
        let _ = writeln!(out, ">\n      <{element} message=\"{}\"/>\n    </testcase>", escape(&message));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::result;

    #[test]
    fn a_threshold_is_a_case_and_one_that_fails_says_what_was_measured() {
        let xml = report(&result(&[5; 200], 0, &["p99 < 1ms", "missed == 0"]));
        assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{xml}");
        assert!(xml.contains("name=\"p99 &lt; 1ms\">"), "{xml}");
        assert!(xml.contains("<failure message=\"measured: 5."), "{xml}");
        assert!(xml.contains("name=\"missed == 0\"/>"), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), 2);
        let late = report(&result(&[5; 200], 20, &["p99 < 1ms"]));
        assert!(late.contains("failures=\"0\" errors=\"1\"") && late.contains("<error message="), "{late}");
    }
}
