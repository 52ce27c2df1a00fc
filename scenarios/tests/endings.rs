//! When a trial is over.

use std::path::Path;

use ktrial_models::invariants::{Exposure, Invariant, Verdict};
use ktrial_scenarios::{Bench, Detailed, Ending, Keep, Overrides, Scenario};

fn trial(text: &str) -> Detailed {
    let scenario = Scenario::read("ending.yaml", text, Path::new("."), &Overrides::default());
    let arm = scenario.and_then(|scenario| scenario.arm(&[]));
    let arm = arm.unwrap_or_else(|errors| panic!("{errors:?}"));
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
