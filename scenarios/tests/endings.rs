//! When a trial is over.

mod support;

use ktrial_models::history::judge;
use ktrial_models::invariants::{Exposure, Invariant, Verdict};
use ktrial_scenarios::{Bench, Detailed, Ending, Keep, history};
use ktrial_sim::Duration;

fn trial(text: &str) -> Detailed {
    let arm = support::arm(text);
    Bench::default().run(&arm.resolved, 1, Keep::default())
}

#[test]
fn a_cluster_without_an_active_controller_has_not_converged() {
    let lost = trial(
        "
scenario: the only voter's disk
cluster: {brokers: 2, controllers: 1}
topics:
  orders: {partitions: 1, replication.factor: 2}
producers:
  p1: {topic: orders, rate: 10}
duration: 10s
heal: 10min
faults:
  - {at: 2s, lose_disk: c1, for: 3s}
",
    );
    assert_eq!(lost.trial.ending, Ending::Stalled);
    assert_eq!(lost.trial.pending, ["no controller is active"]);
    let found = lost.trial.findings.iter();
    let verdicts: Vec<(Invariant, Verdict)> = found
        .map(|finding| (finding.invariant, finding.verdict))
        .collect();
    let lost = Verdict::Exposed(Exposure::QuorumMajorityLost);
    assert_eq!(verdicts, [(Invariant::Converges, lost)]);
}

/// Every invariant that did not hold, with its verdict, each once.
fn verdicts(trial: &Detailed) -> Vec<(Invariant, Verdict)> {
    let found = trial.trial.findings.iter();
    let mut verdicts: Vec<(Invariant, Verdict)> = found
        .map(|finding| (finding.invariant, finding.verdict))
        .collect();
    verdicts.dedup();
    verdicts
}

/// What was put to the test and not judged.
fn unjudged(trial: &Detailed) -> Vec<Invariant> {
    let unjudged = trial.trial.unjudged.iter();
    unjudged.map(|unjudged| unjudged.invariant).collect()
}

/// The only disk of a partition is lost; its broker is started again, and may be elected when leaders are looked at the
/// next time.
const ONLY_COPY: &str = "
scenario: the only copy
topics:
  orders: {partitions: 1, replication.factor: 1}
producers:
  p1: {topic: orders, rate: 10}
duration: 30s
faults:
  - {at: 5s, lose_disk: leader of orders-0, for: 15s}
";

#[test]
fn records_whose_only_copy_is_gone_are_lost_even_if_nobody_leads_in_the_end() {
    let hurried = trial(&format!("{ONLY_COPY}heal: 1s\n"));
    let lost = Verdict::Exposed(Exposure::TooManyLossyStops);
    let expected = [(Invariant::AckedSurvives, lost), (Invariant::LostWrite, lost)];
    assert_eq!(verdicts(&hurried), expected);
    let counts = hurried.trial.counts;
    assert!(
        counts.lost > 0 && counts.lost == counts.acknowledged,
        "{counts:?}"
    );
    assert_eq!(unjudged(&hurried), [Invariant::Converges], "there was no time to");
}

#[test]
fn without_a_word_on_healing_there_is_as_much_time_as_what_happened_may_take() {
    let patient = trial(ONLY_COPY);
    let healed = patient.trial.ended.since(patient.trial.clients_started);
    assert!(
        healed.as_millis() > 200_000,
        "leaders are looked at every five minutes: {healed}"
    );
    assert_eq!(
        (patient.trial.ending, unjudged(&patient)),
        (Ending::Converged, vec![])
    );
}

/// An application that tries records again where they stand.
fn trying(failing: &str) -> Detailed {
    trial(&format!(
        "
scenario: a downstream service is away for a while
cluster: {{brokers: 1, controllers: 1}}
settings:
  broker: {{offsets.topic.replication.factor: 1}}
topics:
  orders: {{partitions: 1, replication.factor: 1}}
producers:
  p1: {{topic: orders, rate: 10}}
consumers:
  bill: {{group: billing, topics: [orders], commit: after, {failing}}}
duration: 5s
"
    ))
}

#[test]
fn an_application_that_tries_records_hundreds_of_times_is_given_the_time() {
    let patient = trying("failing: 1 in 9 for 400 tries");
    let healed = patient.trial.ended.since(patient.trial.clients_started);
    assert!(
        healed > Duration::secs(800),
        "more than two records fail: {healed}"
    );
    assert_eq!(
        (patient.trial.ending, verdicts(&patient), unjudged(&patient)),
        (Ending::Converged, vec![], vec![])
    );
}

#[test]
fn nobody_is_blamed_for_an_application_that_is_told_to_try_for_longer_than_a_day() {
    let endless = trying("failing: 1 in 9 for 100000 tries");
    assert_eq!(
        (endless.trial.ending, verdicts(&endless), unjudged(&endless)),
        (Ending::Stalled, vec![], vec![Invariant::Converges])
    );
    let because = &endless.trial.unjudged[0].because;
    assert!(
        because.contains("86400s of healing are less than the"),
        "{because}"
    );
}

#[test]
fn what_stands_above_the_high_watermark_in_the_end_is_not_lost_by_anybodys_word() {
    let text = "
scenario: acknowledged and invisible
cluster: {brokers: 2, controllers: 1}
topics:
  orders: {replication.factor: 2, assignment: [[1, 2]], config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 10, settings: {acks: 1, enable.idempotence: false}}
duration: 20s
heal: 100ms
faults:
  - {at: 10s, kill: b2}
";
    let arm = support::arm(text);
    let keep = Keep {
        story: true,
        ..Keep::default()
    };
    let trial = Bench::default().run(&arm.resolved, 1, keep);
    let acknowledged = trial.trial.counts.acknowledged;
    let readable: usize = trial.finals.iter().map(|log| log.records.len()).sum();
    assert!(
        (readable as u64) < acknowledged,
        "{readable} of {acknowledged} can be read"
    );
    assert_eq!((verdicts(&trial), trial.trial.counts.lost), (vec![], 0));
    assert_eq!(unjudged(&trial), [Invariant::LostWrite, Invariant::Converges]);
    let report = judge(&history(&arm, &trial));
    let lost = report.findings.iter();
    let lost = lost.filter(|found| found.invariant == ktrial_models::history::Invariant::LostWrite);
    assert_eq!(lost.map(|found| found.violations).sum::<u64>(), 0);
}

#[test]
fn a_group_without_a_coordinator_for_want_of_brokers_was_not_promised_to_read() {
    let alone = trial(
        "
scenario: one broker
cluster: {brokers: 1, controllers: 1}
topics:
  orders: {partitions: 1, replication.factor: 1}
producers:
  p1: {topic: orders, rate: 10}
consumers:
  bill: {group: billing, topics: [orders]}
duration: 10s
",
    );
    let refused = Verdict::Exposed(Exposure::NoOffsetsTopic);
    assert_eq!(verdicts(&alone), [(Invariant::Converges, refused)]);
}

#[test]
fn a_reader_without_a_policy_for_positions_was_not_promised_to_read() {
    let trial = trial(
        "
scenario: no policy
topics:
  orders: {partitions: 1, replication.factor: 3}
producers:
  p1: {topic: orders, rate: 10}
readers:
  r1: {topics: [orders], settings: {auto.offset.reset: none}}
duration: 10s
",
    );
    let threw = Verdict::Exposed(Exposure::ReaderThrew);
    assert_eq!(verdicts(&trial), [(Invariant::Converges, threw)]);
}

#[test]
fn a_trial_goes_on_until_what_was_sent_without_acknowledgement_has_arrived() {
    let sent_into_a_cut = trial(
        "
scenario: the retransmission comes behind the end of the faults
topics:
  orders: {partitions: 1, replication.factor: 3}
producers:
  p1: {topic: orders, rate: 100, settings: {acks: 0}}
duration: 20s
faults:
  - {at: 15s, cut: leader of orders-0, from: producers, for: 4s}
",
    );
    assert_eq!(sent_into_a_cut.trial.ending, Ending::Converged);
    assert_eq!(sent_into_a_cut.trial.counts.lost, 0);
}
