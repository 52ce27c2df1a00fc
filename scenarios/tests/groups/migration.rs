//! An application that goes over from one protocol of groups to the other, member by member (KIP-848's online
//! migration).

use ktrial_models::invariants::Verdict;
use ktrial_models::notes::ClientNote;
use ktrial_sim::Duration;

use super::trial::{Trial, processed};

/// Two members of the classic protocol; from 15 s on each is closed and one of the consumer protocol takes its place,
/// ten seconds apart. `policy`: further declarations.
fn upgrade(policy: &str) -> Trial {
    let scenario = format!(
        "
consumers:
  old: {{group: billing, topics: [orders], count: 2, settings: {{auto.offset.reset: earliest}}}}
  first: {{group: billing, topics: [orders], start: 16s, settings:
    {{auto.offset.reset: earliest, group.protocol: consumer}}}}
  second: {{group: billing, topics: [orders], start: 26s, settings:
    {{auto.offset.reset: earliest, group.protocol: consumer}}}}
duration: 60s
faults: [{{at: 15s, stop: old1}}, {{at: 25s, stop: old2}}]
{policy}"
    );
    Trial::of(&scenario, 1)
}

/// How many partitions a client has after its assignments between two points of time.
fn between(trial: &Trial, client: &str, from: u64, to: u64) -> Vec<usize> {
    let span = Duration::secs(from)..Duration::secs(to);
    let assignments = trial.assignments(client).into_iter();
    let within = assignments.filter(|(at, _)| span.contains(at));
    within.map(|(_, count)| count).collect()
}

#[test]
fn a_rolling_upgrade_to_the_consumer_protocol_goes_through_with_members_of_both_side_by_side() {
    let trial = upgrade("");
    assert_eq!(between(&trial, "first", 16, 26).last(), Some(&2));
    assert_eq!(between(&trial, "old2", 16, 25).last(), Some(&2), "beside it");
    assert_eq!(between(&trial, "second", 26, 60).last(), Some(&2));
    assert!(processed(&trial.history()).iter().all(|(_, times)| *times >= 1));
    assert_eq!(trial.counts().unprocessed, 0);
    let found = &trial.detailed.trial.findings;
    assert!(
        found.iter().all(|finding| finding.verdict != Verdict::Broken),
        "{found:?}"
    );
}

#[test]
fn with_the_policy_disabled_the_first_member_of_the_consumer_protocol_dies_of_group_id_not_found() {
    let trial = upgrade("settings: {broker: {group.consumer.migration.policy: disabled}}\n");
    let died = trial.told("first", |note| match note {
        ClientNote::Died(exception) => Some(*exception),
        _ => None,
    });
    let died: Vec<&str> = died.into_iter().map(|(_, exception)| exception).collect();
    assert_eq!(died, ["GROUP_ID_NOT_FOUND"]);
}
