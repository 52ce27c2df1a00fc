//! Groups of the classic protocol.

use std::path::Path;

use ktrial_models::history::{Operation, ProcessId};
use ktrial_models::invariants::{Exposure, Invariant, Verdict};
use ktrial_models::notes::ClientNote;
use ktrial_scenarios::{Bench, Ending, Keep, Overrides, Scenario};
use ktrial_sim::Duration;

use super::trial::{HEAD, Trial, processed};

const TWO: &str = "
consumers:
  bill: {group: billing, topics: [orders], count: 2, settings: {auto.offset.reset: earliest}}
duration: 30s
";

#[test]
fn two_consumers_share_the_partitions_and_process_every_record_once() {
    let trial = Trial::of(TWO, 1);
    for client in ["bill1", "bill2"] {
        let assignments = trial.assignments(client);
        assert_eq!(assignments.last().map(|(_, count)| *count), Some(2), "{client}");
    }
    assert!(processed(&trial.history()).iter().all(|(_, times)| *times == 1));
    let counts = trial.counts();
    assert_eq!(counts.processed, trial.detailed.trial.counts.acknowledged);
    assert_eq!((counts.unprocessed, counts.processed_most), (0, 1));
    assert_eq!((counts.processed_places, counts.processed_reordered), (1, 0));
    let rebalances: usize = ["bill1", "bill2"]
        .map(|client| trial.assignments(client).len())
        .iter()
        .sum();
    assert_eq!(counts.rebalances, rebalances as u64);
    // group.initial.rebalance.delay.ms, which a second member may prolong.
    let longest = Duration(counts.rebalance_max_ns);
    assert!(
        (Duration::secs(3)..Duration::secs(7)).contains(&longest),
        "{longest}"
    );
}

#[test]
fn a_killed_consumers_partitions_wait_for_its_session_to_end() {
    let killed = format!(
        "{}faults:\n  - {{at: 15s, kill: bill1}}\n",
        TWO.replace("30s", "90s")
    );
    let trial = Trial::of(&killed, 1);
    let all = trial
        .assignments("bill2")
        .into_iter()
        .find(|(_, count)| *count == 4);
    let (at, _) = all.expect("the other gets everything");
    // session.timeout.ms counts from the last heartbeat, at most 3 s before.
    assert!((Duration::secs(56)..Duration::secs(62)).contains(&at), "{at:?}");
    // Ten records a second come to a partition meanwhile, to one that keys fall to by chance half as many more.
    let lag = trial.counts().lag_max;
    assert!((400..900).contains(&lag), "{lag}");
    assert!(processed(&trial.history()).iter().all(|(_, times)| *times >= 1));
}

#[test]
fn a_consumer_that_closes_hands_over_at_once_and_nothing_is_processed_twice() {
    let closed = format!("{TWO}faults:\n  - {{at: 15s, stop: bill1}}\n");
    let trial = Trial::of(&closed, 1);
    let all = trial
        .assignments("bill2")
        .into_iter()
        .find(|(_, count)| *count == 4);
    let (at, _) = all.expect("the other gets everything");
    assert!(at < Duration::secs(19), "{at:?}");
    assert!(processed(&trial.history()).iter().all(|(_, times)| *times == 1));
}

#[test]
fn a_group_goes_on_when_its_coordinator_dies() {
    let died = format!(
        "{}faults:\n  - {{at: 15s, kill: coordinator of group billing, for: 20s}}\n",
        TWO.replace("30s", "60s")
    );
    let trial = Trial::of(&died, 1);
    assert!(processed(&trial.history()).iter().all(|(_, times)| *times >= 1));
    let failed = trial.told("bill1", |note| match note {
        ClientNote::CommitFailed { error, .. } => Some(*error),
        _ => None,
    });
    assert!(
        failed
            .iter()
            .all(|(_, error)| *error == "RetriableCommitFailedException"),
        "{failed:?}"
    );
}

const STALLED: &str = "
consumers:
  bill: {group: billing, topics: [orders], count: 2, processing: 1ms, settings:
    {auto.offset.reset: earliest, max.poll.interval.ms: 10000}}
duration: 60s
faults:
  - {at: 15s, stall: bill1, by: 30s}
";

#[test]
fn an_application_that_stalls_is_thrown_out_learns_it_late_and_processes_twice() {
    let trial = Trial::of(STALLED, 1);
    let left = trial.told("bill1", |note| {
        matches!(note, ClientNote::PollTimeout).then_some(())
    });
    assert!(
        (Duration::secs(24)..Duration::secs(27)).contains(&left[0].0),
        "{left:?}"
    );
    let lost = trial.told("bill1", |note| matches!(note, ClientNote::Lost(_)).then_some(()));
    assert!(lost[0].0 > Duration::secs(44), "{lost:?}");
    let counts = processed(&trial.history());
    assert!(counts.iter().all(|(_, times)| *times >= 1));
    assert!(
        counts.iter().any(|(_, times)| *times > 1),
        "it goes on with what it was given before"
    );
    let counted = trial.counts();
    let twice = counts.iter().filter(|(_, times)| *times > 1).count() as u64;
    assert_eq!((counted.processed_twice, counted.unprocessed), (twice, 0));
    assert_eq!(
        counted.processed_places, 2,
        "the other works on what it still holds"
    );
    assert!((1..twice).contains(&counted.processed_together), "{counted:?}");
}

/// A record that the member held while others went on comes behind later ones of its key only if nobody processed it
/// meanwhile: its position must have been committed before.
#[test]
fn order_by_key_is_lost_where_a_stalled_member_had_committed_before_it_worked() {
    let committed = STALLED
        .replace("processing: 1ms,", "processing: 40ms, commit: before,")
        .replace("earliest,", "earliest, enable.auto.commit: false,");
    let of = |text: &str, seed| Trial::of(text, seed).counts().processed_reordered;
    let reordered = |text: &str| (1..=6).map(|seed| of(text, seed)).sum::<u64>();
    assert_eq!(reordered(STALLED), 0);
    assert!(reordered(&committed) > 0);
}

/// Records that were never processed, and such that were processed more than once.
fn lost_and_twice(commit: &str) -> (u64, u64) {
    let rest = format!(
        "
consumers:
  bill: {{group: billing, topics: [orders], processing: 2ms..4ms, commit: {commit}, settings:
    {{auto.offset.reset: earliest, enable.auto.commit: false}}}}
duration: 60s
faults:
  - {{at: 14s, pause: bill, for: 3s}}
  - {{at: 17100ms, kill: bill, for: 2s}}
"
    );
    let (mut lost, mut twice) = (0, 0);
    for seed in 1..=4 {
        let counts = Trial::of(&rest, seed).counts();
        lost += counts.unprocessed;
        twice += counts.processed_twice;
    }
    (lost, twice)
}

#[test]
fn committing_before_loses_what_a_crash_finds_in_hand_and_committing_after_repeats_it() {
    let (lost, twice) = lost_and_twice("before");
    assert!(lost > 0 && twice == 0, "before: {lost} lost, {twice} twice");
    let (lost, twice) = lost_and_twice("after");
    assert!(lost == 0 && twice > 0, "after: {lost} lost, {twice} twice");
}

#[test]
fn a_history_names_the_group_of_each_consumer_and_what_its_listener_was_told() {
    let trial = Trial::of(TWO, 1);
    let history = trial.history();
    let group = history.names.find_text("billing").expect("it is named");
    let of_group = |process: &ProcessId| {
        history.events().iter().any(|event| {
            matches!(&event.operation, Operation::Start { process: one, group: Some(known) }
                if one == process && *known == group)
        })
    };
    let assigned: Vec<ProcessId> = history
        .events()
        .iter()
        .filter_map(|event| match &event.operation {
            Operation::Assigned { process, .. } => Some(*process),
            _ => None,
        })
        .collect();
    assert!(assigned.len() >= 2);
    assert!(assigned.iter().all(of_group));
}

#[test]
fn a_static_member_that_comes_back_in_time_takes_its_partitions_up_again_without_a_rebalance() {
    let fixed = "
consumers:
  bill: {group: billing, topics: [orders], count: 2, settings:
    {auto.offset.reset: earliest, group.instance.id: bill}}
duration: 60s
faults:
  - {at: 20s, kill: bill1, for: 5s}
";
    let trial = Trial::of(fixed, 1);
    assert_eq!(trial.assignments("bill2").len(), 1, "the other notices nothing");
    assert_eq!(trial.assignments("bill1").len(), 2);
    assert!(processed(&trial.history()).iter().all(|(_, times)| *times >= 1));
}

const SLOW: &str = "
consumers:
  bill: {group: billing, topics: [orders], processing: 100ms, settings:
    {auto.offset.reset: earliest, max.poll.interval.ms: 10000}}
duration: 30s
heal: 600s
faults:
  - {at: 5s, pause: bill, for: 20s}
";

#[test]
fn a_member_that_takes_longer_than_its_poll_interval_is_evicted_for_ever_and_kafka_promised_nothing_else() {
    let run = |text: &str| {
        let text = format!("{HEAD}{text}");
        let scenario = Scenario::read("test.yaml", &text, Path::new("."), &Overrides::default());
        let arm = scenario.unwrap().arm(&[]).unwrap();
        Bench::default().run(&arm.resolved, 1, Keep::default()).trial
    };
    let trial = run(SLOW);
    assert_eq!(trial.ending, Ending::Stalled);
    assert!(
        trial
            .pending
            .iter()
            .all(|pending| pending.starts_with("group billing has not read")),
        "{:?}",
        trial.pending
    );
    let converges = trial
        .findings
        .iter()
        .find(|finding| finding.invariant == Invariant::Converges);
    let verdict = converges.map(|finding| finding.verdict);
    assert_eq!(verdict, Some(Verdict::Exposed(Exposure::SlowApplication)));
    assert!(
        trial.groups.is_some_and(|groups| groups.processed_most > 5),
        "again and again"
    );
    let fewer = SLOW.replace(
        "max.poll.interval.ms: 10000",
        "max.poll.interval.ms: 10000, max.poll.records: 50",
    );
    assert_eq!(run(&fewer).ending, Ending::Converged);
}

#[test]
fn a_zombie_and_its_successor_own_one_partition_and_kafka_promised_nothing_else() {
    let trial = Trial::of(STALLED, 1);
    let found = &trial.detailed.trial.findings;
    let double: Vec<Verdict> = found
        .iter()
        .filter(|finding| finding.invariant == Invariant::DoubleAssignment)
        .map(|finding| finding.verdict)
        .collect();
    assert_eq!(double, [Verdict::Exposed(Exposure::MembershipOver); 2]);
    assert!(
        found.iter().all(|finding| finding.verdict != Verdict::Broken),
        "{found:?}"
    );
    let exercised = trial.detailed.trial.exercised;
    assert!(exercised.positions > 0 && exercised.commits > 0 && exercised.assigned > 0);
}

/// Two members with one instance id; the second starts at 15 s.
pub(super) const TWICE: &str = "
consumers:
  bill: {group: billing, topics: [orders], count: 2, running: 1, instance_ids: same,
    settings: {auto.offset.reset: earliest, group.instance.id: bill}}
duration: 30s
faults:
  - {at: 15s, start: bill2}
";

#[test]
fn a_second_process_with_the_same_instance_id_fences_the_first() {
    let trial = Trial::of(TWICE, 1);
    let died = |client| {
        trial.told(client, |note| match note {
            ClientNote::Died(error) => Some(*error),
            _ => None,
        })
    };
    let (at, error) = died("bill1")[0];
    assert_eq!(error, "FENCED_INSTANCE_ID");
    // It learns that from its next heartbeat.
    assert!((Duration::secs(15)..Duration::secs(20)).contains(&at), "{at}");
    let all = trial
        .assignments("bill2")
        .into_iter()
        .find(|(_, count)| *count == 4);
    assert!(
        all.is_some_and(|(then, _)| then < at),
        "the second has everything by then"
    );
}

#[test]
fn one_instance_id_for_two_members_is_refused_where_nobody_says_so() {
    let refused = |keys: &str, other: &str| {
        let text = format!(
            "{HEAD}
consumers:
  bill: {{group: billing, topics: [orders], {keys}settings: {{group.instance.id: bill}}}}
  ghost: {{group: {other}, topics: [orders], {keys}settings: {{group.instance.id: bill}}}}
duration: 10s
"
        );
        let scenario = Scenario::read("x.yaml", &text, Path::new("."), &Overrides::default());
        let errors = scenario.and_then(|scenario| scenario.arm(&[])).err();
        errors
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect::<String>()
    };
    let error = refused("", "billing");
    assert!(
        error.contains("one fences the other") && error.contains("instance_ids: same"),
        "{error}"
    );
    assert_eq!(refused("", "shipping"), "");
    assert_eq!(refused("instance_ids: same, ", "billing"), "");
}
