//! What the judges found in one history, for people.

use std::fmt::Write;

use ktrial_models::history::{Finding, History, Operation, Report, Verdict, gaps};

/// How many witnesses of one invariant are shown.
const WITNESSES: usize = 3;

/// The report of one file as text.
pub fn check_text(path: &str, history: &History, report: &Report) -> String {
    let counts = &report.counts;
    let mut text = format!(
        "{path}: {} sent, {} acknowledged, {} failed, {} unknown, {} without outcome",
        counts.sent, counts.acknowledged, counts.failed, counts.unknown, counts.pending
    );
    for (error, count) in &counts.errors {
        write!(text, ", {count} {error}").expect("writing to a string");
    }
    text.push('\n');
    let starts = history.events().iter().find_map(|event| match event.operation {
        Operation::Start { .. } => Some(event.time),
        _ => None,
    });
    let witnesses = report
        .findings
        .iter()
        .any(|finding| !finding.witnesses.is_empty());
    if let Some(start) = starts.filter(|_| witnesses) {
        writeln!(
            text,
            "  times are those of the file; its first client starts at {start}, which is 0 in the story of a run"
        )
        .expect("writing to a string");
    }
    if counts.transactions > 0 {
        writeln!(
            text,
            "  transactions: {} begun, {} committed, {} aborted, {} aborted after an error",
            counts.transactions, counts.committed, counts.aborted, counts.aborted_after_error
        )
        .expect("writing to a string");
    }
    for gap in gaps(history) {
        writeln!(text, "  note     {gap}").expect("writing to a string");
    }
    for finding in &report.findings {
        text.push_str(&line(finding, history));
    }
    text
}

fn line(finding: &Finding, history: &History) -> String {
    let of = format!("{} of {}", finding.violations, finding.exercised);
    let mut text = match finding.verdict() {
        Verdict::Pass => format!(
            "  holds    {} ({} looked at)\n",
            finding.invariant, finding.exercised
        ),
        Verdict::Vacuous => return String::new(),
        Verdict::Broken => format!(
            "  BROKEN   {}: {of}, {} of them promised\n",
            finding.invariant, finding.promised
        ),
        Verdict::Exposed(reasons) => {
            format!("  EXPOSED  {}: {of}; {}\n", finding.invariant, reasons.join("; "))
        }
    };
    for witness in finding.witnesses.iter().take(WITNESSES) {
        writeln!(text, "             {}", finding.describe(witness, &history.names))
            .expect("writing to a string");
    }
    let more = finding.violations.saturating_sub(WITNESSES as u64);
    if more > 0 && finding.violations > 0 {
        writeln!(text, "             and {more} more").expect("writing to a string");
    }
    text
}
