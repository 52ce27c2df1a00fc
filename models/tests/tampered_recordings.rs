//! Recordings of real Kafka with one lie each: every lie is found and named, or refused with its line.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use ktrial_models::history::{History, Invariant, ReadError, Report, judge};
use serde_json::Value;

/// The lines of a recording.
fn lines(name: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/recordings/{name}.jsonl.gz"));
    let mut text = String::new();
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("the recording is whole");
    text.lines().map(str::to_owned).collect()
}

fn read(lines: &[String]) -> Result<History, ReadError> {
    History::read(lines.join("\n").as_bytes())
}

/// The report on a tampered recording, with its names for the witnesses.
fn report(lines: &[String]) -> (History, Report) {
    let history = read(lines).expect("it is still a history");
    let report = judge(&history);
    (history, report)
}

/// Changes the line of a final read.
fn change_final(lines: &mut [String], isolation: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let is_it = |line: &&mut String| {
        line.contains(r#""op":"final""#) && line.contains(&format!(r#""isolation":"{isolation}""#))
    };
    let line = lines
        .iter_mut()
        .find(is_it)
        .expect("a final read of this isolation");
    let mut value: Value = serde_json::from_str(line).expect("a line");
    change(value["records"].as_array_mut().expect("its records"));
    *line = value.to_string();
}

/// The violations of an invariant, and its witnesses in words.
fn found(told: &(History, Report), invariant: Invariant) -> (u64, String) {
    let finding = told.1.finding(invariant);
    let words: Vec<String> = finding
        .witnesses
        .iter()
        .map(|witness| finding.describe(witness, &told.0.names))
        .collect();
    (finding.violations, words.join("\n"))
}

/// What the tampering added, everything that is not named stays as it was: zero.
fn assert_only(told: &(History, Report), expected: &[(Invariant, u64)]) {
    for invariant in Invariant::ALL {
        let count = expected
            .iter()
            .find(|(named, _)| *named == invariant)
            .map_or(0, |(_, count)| *count);
        let (violations, words) = found(told, invariant);
        assert_eq!(violations, count, "{invariant}:\n{words}");
    }
}

/// N of a final read's record `p1-N`.
fn number(record: &Value) -> u64 {
    let digits = record[1].as_str().and_then(|id| id.strip_prefix("p1-"));
    digits
        .and_then(|digits| digits.parse().ok())
        .expect("an id of the producer")
}

const CLEAN: &str = "quick_restart";

#[test]
fn a_clean_recording_has_no_violation_at_all() {
    assert_only(&report(&lines(CLEAN)), &[]);
}

#[test]
fn a_record_dropped_from_the_final_read_is_a_lost_write_and_named() {
    let mut lines = lines(CLEAN);
    change_final(&mut lines, "read_uncommitted", |records| {
        drop(records.remove(1_000))
    });
    let told = report(&lines);
    assert_only(&told, &[(Invariant::LostWrite, 1), (Invariant::ReadThenGone, 1)]);
    let (_, words) = found(&told, Invariant::LostWrite);
    assert!(
        words.starts_with("p1-1000 was acknowledged at orders-0 offset 1000 at "),
        "{words}"
    );
}

#[test]
fn a_record_dropped_from_the_committed_read_alone_is_skipped_by_it() {
    for at in [0, 1_000, 2_967] {
        let mut lines = lines(CLEAN);
        change_final(&mut lines, "read_committed", |records| drop(records.remove(at)));
        let told = report(&lines);
        assert_only(&told, &[(Invariant::PollSkip, 1)]);
        let (_, words) = found(&told, Invariant::PollSkip);
        assert_eq!(
            words,
            format!("the final reader was not given p1-{at} at orders-0 offset {at}")
        );
    }
}

#[test]
fn two_swapped_offsets_hold_two_records_each_and_are_out_of_order() {
    let mut lines = lines(CLEAN);
    change_final(&mut lines, "read_uncommitted", |records| {
        let (first, second) = (records[1_000][1].clone(), records[1_001][1].clone());
        records[1_000][1] = second;
        records[1_001][1] = first;
    });
    let told = report(&lines);
    assert_only(
        &told,
        &[
            (Invariant::InconsistentOffset, 2),
            (Invariant::NonmonotonicSend, 1),
        ],
    );
    let (_, words) = found(&told, Invariant::InconsistentOffset);
    assert!(words.contains("p1-1000") && words.contains("p1-1001"), "{words}");
    let (_, words) = found(&told, Invariant::NonmonotonicSend);
    assert!(
        words.starts_with("p1-1000 stands at orders-0 offset 1001 behind p1-1001 at offset 1000"),
        "{words}"
    );
}

#[test]
fn an_offset_with_two_records_is_named() {
    let mut lines = lines(CLEAN);
    change_final(&mut lines, "read_uncommitted", |records| {
        let offset = records[1_000][0].clone();
        records[1_001][0] = offset;
    });
    let told = report(&lines);
    // Offset 1000 now has both; at 1001 everybody else still saw what the final read moved away.
    assert_only(
        &told,
        &[
            (Invariant::InconsistentOffset, 1),
            (Invariant::NonmonotonicPoll, 1),
        ],
    );
    let (_, words) = found(&told, Invariant::InconsistentOffset);
    assert!(
        words.ends_with("were both told at orders-0 offset 1000") && words.contains("p1-1001"),
        "{words}"
    );
}

#[test]
fn a_record_repeated_in_the_final_read_is_a_duplicate() {
    let mut lines = lines(CLEAN);
    change_final(&mut lines, "read_uncommitted", |records| {
        let last = records.last().expect("records")[0].as_u64().expect("an offset");
        records.push(serde_json::json!([last + 1, "p1-1000"]));
    });
    let told = report(&lines);
    let expected = [(Invariant::Duplicate, 1), (Invariant::NonmonotonicSend, 1)];
    assert_only(&told, &expected);
    let (_, words) = found(&told, Invariant::Duplicate);
    assert!(
        words.starts_with("p1-1000 stands at orders-0 offset 1000 and "),
        "{words}"
    );
    assert!(words.ends_with("at offset 2968"), "{words}");
}

#[test]
fn a_record_repeated_in_a_poll_is_read_twice() {
    let mut lines = lines(CLEAN);
    let poll = lines
        .iter_mut()
        .find(|line| line.contains(r#""op":"poll""#))
        .expect("a poll");
    let mut value: Value = serde_json::from_str(poll).expect("a line");
    let records = value["records"].as_array_mut().expect("its records");
    records.push(records[records.len() - 1].clone());
    *poll = value.to_string();
    assert_only(
        &report(&lines),
        &[(Invariant::ReadTwice, 1), (Invariant::NonmonotonicPoll, 1)],
    );
}

#[test]
fn a_committed_read_that_shows_an_aborted_record_is_named_with_the_transaction() {
    let mut lines = lines("transactions_leader_killed");
    let mut hidden = Value::Null;
    change_final(&mut lines, "read_uncommitted", |records| {
        // Ten records a transaction, of which every fifth is aborted by its application.
        let aborted = |record: &&Value| number(record) / 10 % 5 == 4;
        hidden = records.iter().find(aborted).expect("one was appended").clone();
    });
    change_final(&mut lines, "read_committed", |records| {
        let at = records.partition_point(|record| record[0].as_u64() < hidden[0].as_u64());
        records.insert(at, hidden.clone());
    });
    let told = report(&lines);
    assert_only(
        &told,
        &[(Invariant::AbortedRead, 1), (Invariant::TornTransaction, 1)],
    );
    let (_, words) = found(&told, Invariant::AbortedRead);
    let id = hidden[1].as_str().expect("an id");
    let transaction = format!("transaction p1-t{}", number(&hidden) / 10);
    assert!(
        words.starts_with(&format!("the final reader was given {id} at orders-0 offset ")),
        "{words}"
    );
    assert!(
        words.ends_with(&format!("of the aborted {transaction}")),
        "{words}"
    );
    let (_, words) = found(&told, Invariant::TornTransaction);
    assert!(
        words.starts_with(&format!("{id} stands alone")) && words.ends_with(&transaction),
        "{words}"
    );
}

#[test]
fn an_output_dropped_from_the_committed_read_is_missed_and_one_repeated_is_counted_twice() {
    let clean = lines("exactly_once_transfer");
    let is_output = |line: &&mut String| {
        line.contains(r#""op":"final","topic":"orders.out""#) && line.contains("read_committed")
    };
    let mut without = clean.clone();
    let line = without
        .iter_mut()
        .find(is_output)
        .expect("a final read of outputs");
    let mut value: Value = serde_json::from_str(line).expect("a line");
    let dropped = value["records"].as_array_mut().expect("its records").remove(7);
    *line = value.to_string();
    let told = report(&without);
    let expected = [
        (Invariant::InputWithoutOutput, 1),
        (Invariant::TornTransaction, 1),
        (Invariant::PollSkip, 1),
    ];
    assert_only(&told, &expected);
    let input = dropped[1]
        .as_str()
        .and_then(|id| id.split_once(':'))
        .expect("an output's id")
        .1;
    assert!(
        found(&told, Invariant::InputWithoutOutput)
            .1
            .starts_with(&format!("{input}, an input "))
    );

    let mut twice = clean;
    let line = twice.iter_mut().find(is_output).expect("a final read of outputs");
    let mut value: Value = serde_json::from_str(line).expect("a line");
    let records = value["records"].as_array_mut().expect("its records");
    let last = records.last().expect("records")[0].as_u64().expect("an offset");
    records.push(serde_json::json!([last + 1, format!("x9-t0:{input}")]));
    *line = value.to_string();
    assert_only(&report(&twice), &[(Invariant::InputCountedTwice, 1)]);
}

#[test]
fn a_truncated_line_is_refused_with_its_number() {
    let mut lines = lines(CLEAN);
    let middle = lines[4_321].len() / 2;
    lines[4_321].truncate(middle);
    let told = read(&lines).expect_err("a line is cut").to_string();
    assert!(told.starts_with("line 4322: no JSON object"), "{told}");
}

#[test]
fn reversed_time_is_refused_with_the_line() {
    let mut lines = lines(CLEAN);
    lines.swap(4_321, 4_322);
    let told = read(&lines).expect_err("time runs backwards").to_string();
    assert!(told.starts_with("line 4323: time runs backwards"), "{told}");
}

#[test]
fn an_acknowledgement_taken_away_is_a_send_that_never_resolved() {
    let mut lines = lines(CLEAN);
    lines.retain(|line| !line.contains(r#""op":"ok","id":"p1-1000""#));
    let told = report(&lines);
    assert_only(&told, &[(Invariant::SendResolves, 1)]);
    assert!(
        found(&told, Invariant::SendResolves)
            .1
            .starts_with("p1-1000, sent by p1 at ")
    );
}
