//! Tests for people.

use ktrial_scenarios::{
    CheckStatus, Checked, InternalError, ScenarioReport, Status, SuiteReport, TestOutcome, Tested,
};

use super::words;

/// What tests showed, as text.
pub fn suite_text(suite: &SuiteReport) -> String {
    let mut lines = Vec::new();
    for report in &suite.scenarios {
        scenario(report, &mut lines);
        lines.push(String::new());
    }
    lines.push(summary(suite));
    if let Some(budget) = suite.out_of_time {
        lines.push(format!(
            "The time budget of {budget} was used up: the scenarios have only the seeds that were run."
        ));
    }
    if suite.interrupted {
        lines.push("Interrupted: the scenarios have only the seeds that were run.".to_owned());
    }
    lines.join("\n") + "\n"
}

fn scenario(report: &ScenarioReport, lines: &mut Vec<String>) {
    let status = words::status(report.status());
    let shown = match &report.name {
        Some(name) => format!("{name} ({})", report.shown),
        None => report.shown.clone(),
    };
    match &report.outcome {
        TestOutcome::Wrong(errors) => {
            lines.push(format!("{shown}: {status}"));
            // All of them were told on standard error before anything ran.
            let more = match errors.len() {
                1 => String::new(),
                all => format!(" (and {} more)", all - 1),
            };
            lines.push(format!("  {}{more}", errors[0]));
        }
        TestOutcome::Refused(reasons) => {
            lines.push(format!("{shown}: {status}"));
            lines.extend(reasons.iter().map(|reason| format!("  REFUSED  {reason}")));
        }
        TestOutcome::Ran(tested) => {
            lines.push(format!("{shown}: {status}, {}", words::trials(tested)));
            ran(report, tested, lines);
        }
    }
}

fn ran(report: &ScenarioReport, tested: &Tested, lines: &mut Vec<String>) {
    if tested.is_vacuous() {
        lines.push(format!("  VACUOUS  {}", words::vacuous(tested)));
    }
    for words in tested.never_fired() {
        lines.push(format!("  note     never happened in any trial: {words}"));
    }
    for InternalError { seed, message } in &tested.panics {
        lines.push(format!(
            "  INTERNAL  seed {seed}: {message}; please report it\n           again: {}",
            report.again(*seed)
        ));
    }
    for (check, failure) in words::failures(tested) {
        lines.push(format!(
            "  FAILED   {}: {}",
            words::name(check),
            words::failure(tested, check, failure)
        ));
        if let Some(witness) = &failure.witness {
            lines.push(format!(
                "           first with seed {} at {}",
                failure.seeds[0],
                words::witness(witness)
            ));
        }
        lines.push(format!("           again: {}", report.again(failure.seeds[0])));
    }
    for (check, failure) in words::told(tested) {
        lines.push(format!(
            "  told     {}, not asserted: {} (first with seed {})",
            words::name(check),
            words::failure(tested, check, failure),
            failure.seeds[0]
        ));
    }
    unjudged(tested, lines);
    held(tested, lines);
    let keep = words::keep(report);
    if !keep.is_empty() {
        lines.push("  To run what failed first from now on:".to_owned());
        lines.extend(keep.into_iter().map(|line| format!("           {line}")));
    }
}

/// Trials that did not come to an end, and what could not be judged in them.
fn unjudged(tested: &Tested, lines: &mut Vec<String>) {
    if let Some(stalled) = words::stalled(tested) {
        lines.push(format!("  STALLED  {stalled}"));
    }
    for check in &tested.checks {
        if let Some(not_judged) = &check.unjudged {
            let not_judged = words::not_judged(tested, not_judged);
            lines.push(format!("  VACUOUS  {} is {not_judged}", words::name(check)));
        }
    }
}

fn held(tested: &Tested, lines: &mut Vec<String>) {
    let held = || {
        tested
            .checks
            .iter()
            .filter(|check| check.status == CheckStatus::Held)
    };
    let invariants = held().filter(|check| matches!(check.checked, Checked::Invariant(_)));
    let (mut asserted, mut promised) = (0, 0);
    for check in invariants {
        match check.place {
            Some(_) => asserted += 1,
            None => promised += 1,
        }
    }
    if tested.trials.is_empty() || tested.is_vacuous() {
        return;
    }
    if asserted > 0 {
        let plural = if asserted == 1 { "" } else { "s" };
        lines.push(format!("  held     {asserted} asserted invariant{plural}"));
    }
    if promised > 0 {
        let plural = if promised == 1 { "" } else { "s" };
        lines.push(format!(
            "  held     {promised} invariant{plural} that the scenario does not assert"
        ));
    }
    for check in held() {
        if let Checked::Threshold(threshold, extremes) = &check.checked {
            let seen = extremes.map_or(String::new(), |(least, most)| match least == most {
                true => format!(": {}", words::value(least)),
                false => format!(": {} to {}", words::value(least), words::value(most)),
            });
            let beside = words::beside(tested, threshold.measure);
            lines.push(format!("  held     {}{seen}{beside}", words::title(check)));
        }
    }
}

fn summary(suite: &SuiteReport) -> String {
    let all = suite.scenarios.len();
    let plural = if all == 1 { "" } else { "s" };
    let counted = [
        Status::Panicked,
        Status::Broken,
        Status::Wrong,
        Status::Failed,
        Status::Vacuous,
        Status::Held,
    ]
    .into_iter()
    .filter_map(|status| {
        let with = suite.scenarios.iter().filter(|report| report.status() == status);
        let count = with.count();
        (count > 0).then(|| format!("{count} {}", words::status(status)))
    });
    let counted: Vec<String> = counted.collect();
    format!(
        "{all} scenario{plural}: {}; profile {}, seeds {}, Kafka 4.3, {}",
        counted.join(", "),
        suite.profile,
        suite.seeds,
        ktrial_scenarios::ENGINE
    )
}
