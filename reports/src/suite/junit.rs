//! Tests as JUnit XML: one suite for each scenario, one case for each check. Names hold neither seeds nor bounds, so
//! that a CI server recognises a case from run to run.

use ktrial_scenarios::{
    Check, CheckStatus, Checked, ENGINE, Failure, InternalError, ScenarioReport, SuiteReport, TestOutcome,
    Tested,
};

use super::words;
use super::xml::Xml;

/// One case of a suite.
struct Case {
    name: String,
    result: Result,
}

/// What came of it, with a line and a text.
enum Result {
    Passed,
    Skipped(String),
    Failed(&'static str, String, String),
    Wrong(&'static str, String, String),
}

/// What tests showed, as JUnit XML. The same bytes for the same results: neither times nor hosts are told.
pub fn suite_junit(suite: &SuiteReport) -> String {
    let suites: Vec<(&ScenarioReport, Vec<Case>)> = suite
        .scenarios
        .iter()
        .map(|report| (report, cases(suite, report)))
        .collect();
    let mut xml = Xml::new();
    let all = || suites.iter().flat_map(|(_, cases)| cases);
    let counts = counts(all());
    xml.open(
        "testsuites",
        &[
            ("name", "ktrial"),
            ("tests", &counts[0]),
            ("failures", &counts[1]),
            ("errors", &counts[2]),
            ("skipped", &counts[3]),
        ],
    );
    for (report, cases) in &suites {
        scenario(&mut xml, suite, report, cases);
    }
    xml.close();
    xml.finish()
}

/// How many cases there are, failed, are wrong, are skipped.
fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> [String; 4] {
    let mut counts = [0; 4];
    for case in cases {
        counts[0] += 1;
        match case.result {
            Result::Passed => {}
            Result::Failed(..) => counts[1] += 1,
            Result::Wrong(..) => counts[2] += 1,
            Result::Skipped(_) => counts[3] += 1,
        }
    }
    counts.map(|count: u32| count.to_string())
}

fn scenario(xml: &mut Xml, suite: &SuiteReport, report: &ScenarioReport, cases: &[Case]) {
    let [tests, failures, errors, skipped] = counts(cases.iter());
    let label = report.label();
    xml.open(
        "testsuite",
        &[
            ("name", label),
            ("tests", &tests),
            ("failures", &failures),
            ("errors", &errors),
            ("skipped", &skipped),
        ],
    );
    xml.open("properties", &[]);
    let seeds = suite.seeds.to_string();
    for (name, value) in [
        ("scenario", report.shown.as_str()),
        ("engine", ENGINE),
        ("kafka", "4.3"),
        ("profile", &suite.profile),
        ("seeds", &seeds),
    ] {
        xml.empty("property", &[("name", name), ("value", value)]);
    }
    xml.close();
    for case in cases {
        let mut attributes = vec![("classname", label), ("name", case.name.as_str())];
        if report.place.is_some() {
            attributes.push(("file", &report.shown));
        }
        match &case.result {
            Result::Passed => xml.empty("testcase", &attributes),
            other => {
                xml.open("testcase", &attributes);
                match other {
                    Result::Passed => {}
                    Result::Skipped(message) => xml.empty("skipped", &[("message", message)]),
                    Result::Failed(kind, message, text) => {
                        xml.element("failure", &[("type", kind), ("message", message)], text)
                    }
                    Result::Wrong(kind, message, text) => {
                        xml.element("error", &[("type", kind), ("message", message)], text)
                    }
                }
                xml.close();
            }
        }
    }
    xml.close();
}

fn cases(suite: &SuiteReport, report: &ScenarioReport) -> Vec<Case> {
    let runs = |result| Case {
        name: "runs".to_owned(),
        result,
    };
    let tested = match &report.outcome {
        TestOutcome::Wrong(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            return vec![runs(Result::Wrong(
                "scenario",
                lines[0].clone(),
                lines.join("\n"),
            ))];
        }
        TestOutcome::Refused(reasons) => {
            return vec![runs(Result::Wrong(
                "REFUSED",
                reasons[0].clone(),
                reasons.join("\n"),
            ))];
        }
        TestOutcome::Ran(tested) => tested,
    };
    let mut cases = vec![runs(internal(report, tested)), put_on_trial(suite, tested)];
    let missing = missing(suite, tested);
    cases.extend(tested.checks.iter().map(|check| Case {
        name: words::name(check),
        result: result(report, tested, check, missing.as_deref()),
    }));
    cases
}

/// Whether ktrial itself failed.
fn internal(report: &ScenarioReport, tested: &Tested) -> Result {
    let Some(InternalError { seed, message }) = tested.panics.first() else {
        return Result::Passed;
    };
    let text = format!("again: {}", report.again(*seed));
    Result::Wrong("internal", format!("seed {seed}: {message}"), text)
}

/// Whether there was anything to judge.
fn put_on_trial(suite: &SuiteReport, tested: &Tested) -> Case {
    let result = match (tested.is_vacuous(), suite.interrupted) {
        (false, _) => Result::Passed,
        (true, true) if tested.is_cut_short() => Result::Skipped("interrupted".to_owned()),
        (true, _) if suite.fail_on_vacuous => {
            Result::Failed("VACUOUS", words::vacuous(tested), words::trials(tested))
        }
        (true, _) => Result::Skipped(format!("VACUOUS: {}", words::vacuous(tested))),
    };
    Case {
        name: "is put on trial".to_owned(),
        result,
    }
}

/// Why a check that found nothing is no pass, if so.
fn missing(suite: &SuiteReport, tested: &Tested) -> Option<String> {
    if suite.interrupted && tested.is_cut_short() {
        return Some(format!("interrupted: {}", words::trials(tested)));
    }
    let vacuous = tested.is_vacuous();
    vacuous.then(|| format!("VACUOUS: {}", words::vacuous(tested)))
}

fn result(report: &ScenarioReport, tested: &Tested, check: &Check, missing: Option<&str>) -> Result {
    let line = |failure: &Failure| words::failure(tested, check, failure);
    match check.status {
        CheckStatus::Held => missing.map_or(Result::Passed, |why| Result::Skipped(why.to_owned())),
        CheckStatus::Unjudged => {
            let not_judged = check.unjudged.as_ref();
            Result::Skipped(not_judged.map_or_else(String::new, |of| words::not_judged(tested, of)))
        }
        CheckStatus::Told => {
            let told: Vec<String> = check.failures.iter().map(line).collect();
            Result::Skipped(format!("not asserted; {}", told.join("; ")))
        }
        CheckStatus::Failed | CheckStatus::Broken => {
            let failures: Vec<&Failure> = words::failures(tested)
                .filter(|(of, _)| std::ptr::eq(*of, check))
                .map(|(_, failure)| failure)
                .collect();
            let text = failures
                .iter()
                .map(|failure| told(report, tested, check, failure));
            let text: Vec<String> = text.collect();
            Result::Failed(words::kind(failures[0]), line(failures[0]), text.join("\n\n"))
        }
    }
}

/// A failure in full.
fn told(report: &ScenarioReport, tested: &Tested, check: &Check, failure: &Failure) -> String {
    let mut lines = Vec::new();
    if let Checked::Invariant(invariant) = &check.checked {
        lines.push(format!("{invariant}: {}", invariant.about()));
    }
    if let Checked::Threshold(..) = &check.checked {
        lines.push(words::title(check));
    }
    lines.push(words::failure(tested, check, failure));
    if let Some(witness) = &failure.witness {
        lines.push(format!(
            "first with seed {} at {}",
            failure.seeds[0],
            words::witness(witness)
        ));
    }
    lines.push(format!("fingerprint: {}", failure.fingerprint));
    lines.push(format!("seeds: {}", words::seeds(failure)));
    lines.push(format!("again: {}", report.again(failure.seeds[0])));
    lines.join("\n")
}
