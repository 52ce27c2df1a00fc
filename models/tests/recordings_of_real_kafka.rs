//! The judges against recordings of Apache Kafka itself: they count what the table says, to the record.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use ktrial_models::history::{Counts, Course, Finding, History, Invariant, Report, Verdict, judge};

/// Where recordings are: their page and their folder.
const PLACES: [(&str, &str); 2] = [
    ("recordings/README.md", "recordings"),
    ("agreement/README.md", "agreement/recordings"),
];

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

/// The pages, one after the other.
fn readme() -> String {
    let pages =
        PLACES.map(|(page, _)| std::fs::read_to_string(tests().join(page)).expect("recordings have a page"));
    pages.join("\n")
}

fn recording(name: &str) -> History {
    let paths = PLACES.map(|(_, folder)| tests().join(folder).join(format!("{name}.jsonl.gz")));
    let path = paths
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no recording {name}"));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    History::read(file).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of the tables whose first column is the recording's name.
fn table(readme: &str) -> Vec<Vec<String>> {
    let (mut rows, mut inside) = (Vec::new(), false);
    for line in readme.lines() {
        inside = line.starts_with("| recording |") || inside && line.starts_with('|');
        let cells = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned());
        let cells: Vec<String> = cells.collect();
        if inside && cells[0] != "recording" && !cells[0].starts_with("---") {
            rows.push(cells);
        }
    }
    rows
}

fn violations(report: &Report, invariant: Invariant) -> String {
    report.finding(invariant).violations.to_string()
}

/// A report as a row of that table.
fn row(name: &str, report: &Report) -> Vec<String> {
    let counts = &report.counts;
    let errors = match counts.errors.iter().next() {
        None => "0".to_owned(),
        Some(_) => {
            let named: Vec<String> = counts
                .errors
                .iter()
                .map(|(error, count)| format!("{count} {error}"))
                .collect();
            named.join(", ")
        }
    };
    let mut row = vec![
        name.to_owned(),
        counts.sent.to_string(),
        counts.acknowledged.to_string(),
        errors,
    ];
    row.extend(
        [
            Invariant::LostWrite,
            Invariant::Duplicate,
            Invariant::NonmonotonicSend,
            Invariant::InconsistentOffset,
            Invariant::ReadTwice,
            Invariant::ReadThenGone,
            Invariant::ErrorButInTheLog,
        ]
        .map(|invariant| violations(report, invariant)),
    );
    row
}

/// The README's line on the transactions of a recording, for those that have any.
fn transactions(name: &str, report: &Report) -> Option<String> {
    let Counts {
        committed,
        aborted,
        inputs,
        ..
    } = report.counts;
    if report.counts.transactions == 0 {
        return None;
    }
    let mut line = format!("* {name}: {committed} transactions committed");
    if aborted > 0 {
        line += &format!(", {aborted} aborted by the application");
    }
    line += &format!(
        ", aborted but read {}",
        violations(report, Invariant::AbortedRead)
    );
    line += &format!(", torn {}", violations(report, Invariant::TornTransaction));
    if inputs > 0 {
        let missing = violations(report, Invariant::InputWithoutOutput);
        let twice = violations(report, Invariant::InputCountedTwice);
        line += &format!(", inputs {inputs}, without output {missing}, twice {twice}");
    }
    Some(line)
}

/// The name and report of every recording in the table.
fn reports() -> Vec<(String, Report)> {
    let names = table(&readme()).into_iter().map(|row| row[0].clone());
    names
        .map(|name| (name.clone(), judge(&recording(&name))))
        .collect()
}

#[test]
fn every_recording_has_a_row_and_every_row_a_recording() {
    let rows: Vec<String> = table(&readme()).into_iter().map(|row| row[0].clone()).collect();
    let mut files = Vec::new();
    for (_, folder) in PLACES {
        let entries = std::fs::read_dir(tests().join(folder)).expect("a folder of recordings");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.into_string().expect("a plain name"));
        let mut names: Vec<String> = names
            .filter_map(|name| name.strip_suffix(".jsonl.gz").map(str::to_owned))
            .collect();
        names.sort();
        files.extend(names);
    }
    assert_eq!(rows, files);
    assert!(rows.len() >= 30, "{} recordings", rows.len());
}

#[test]
fn the_judges_count_what_the_table_says_to_the_record() {
    let readme = readme();
    let rows: BTreeMap<String, Vec<String>> = table(&readme)
        .into_iter()
        .map(|row| (row[0].clone(), row))
        .collect();
    for (name, report) in reports() {
        assert_eq!(row(&name, &report), rows[&name]);
        if let Some(line) = transactions(&name, &report) {
            assert!(
                readme.lines().any(|told| told == line),
                "not in the README: {line}"
            );
        }
    }
}

#[test]
fn real_kafka_kept_every_promise_and_what_it_broke_it_had_not_promised() {
    for (name, report) in reports() {
        for finding in &report.findings {
            assert_ne!(finding.verdict(), Verdict::Broken, "{name}: {finding:?}");
            assert!(finding.witnesses.len() <= Finding::WITNESSES);
        }
        println!("{name}");
        for finding in report.findings.iter().filter(|finding| finding.violations > 0) {
            println!(
                "  {}: {} {:?}",
                finding.invariant, finding.violations, finding.reasons
            );
        }
    }
}

/// What partition 0 of the topic went through.
fn course(history: &History) -> Course {
    let topic = history
        .names
        .find_topic("orders")
        .expect("all recordings have it");
    Course::of(
        history,
        history
            .names
            .find_partition(topic, 0)
            .expect("it has a partition"),
    )
}

#[test]
fn the_course_of_partition_0_is_the_one_the_page_tells() {
    let readme = readme();
    for row in table(&readme) {
        let line = format!("* **{}**: {}", row[0], course(&recording(&row[0])));
        assert!(
            readme.lines().any(|told| told == line),
            "not in the README: {line}"
        );
    }
}

#[test]
fn runs_of_the_same_script_take_the_same_course_whoever_led_first() {
    let canonical = |name: &str| course(&recording(name)).canonical();
    let paused = canonical("acks_1_paused_followers");
    assert_eq!(paused, canonical("acks_all_paused_followers"));
    // Here broker 1 led with idempotence, and broker 2 without it.
    let idempotent = canonical("lost_responses_with_idempotence");
    assert_eq!(idempotent, canonical("lost_responses_without_idempotence"));
    // Another script, the same changes: the leader goes, a follower leads, the old leader joins it.
    assert_ne!(paused, canonical("quick_restart"));
    let changes = |name: &str| course(&recording(name)).changes().canonical();
    assert_eq!(changes("acks_1_paused_followers"), changes("quick_restart"));
    assert_ne!(
        changes("acks_1_paused_followers"),
        changes("exactly_once_transfer")
    );
}
