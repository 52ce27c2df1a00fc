//! Groups of the consumer protocol (KIP-848).

use ktrial_models::invariants::Invariant;
use ktrial_models::notes::ClientNote;
use ktrial_sim::Duration;

use super::trial::{Trial, processed};

/// Two members, a minute, and these settings and faults besides.
fn two(settings: &str, faults: &str) -> String {
    format!(
        "
consumers:
  bill: {{group: billing, topics: [orders], count: 2, processing: 1ms, settings:
    {{auto.offset.reset: earliest, group.protocol: consumer{settings}}}}}
duration: 60s
faults: [{faults}]
"
    )
}

/// When a member got all four partitions after this time.
fn all_after(trial: &Trial, client: &str, after: Duration) -> Duration {
    let assignments = trial.assignments(client).into_iter();
    let mut all = assignments.filter(|(at, count)| *at > after && *count == 4);
    all.next().expect("it gets everything").0
}

/// What a member's listener was told after the first 15 s: how many partitions it lost.
fn lost(trial: &Trial, client: &str) -> Vec<(Duration, usize)> {
    trial.told(client, |note| match note {
        ClientNote::Lost(partitions) => Some(partitions.len()),
        _ => None,
    })
}

fn all_processed(trial: &Trial) -> bool {
    processed(&trial.history()).iter().all(|(_, times)| *times >= 1)
}

#[test]
fn two_members_share_the_partitions_and_process_every_record_once() {
    let trial = Trial::of(&two("", ""), 1);
    for client in ["bill1", "bill2"] {
        let assignments = trial.assignments(client);
        assert_eq!(assignments.last().map(|(_, count)| *count), Some(2), "{client}");
        assert_eq!(lost(&trial, client), [], "{client}");
    }
    let counts = trial.counts();
    assert_eq!(counts.processed, trial.detailed.trial.counts.acknowledged);
    assert_eq!((counts.unprocessed, counts.processed_most), (0, 1));
    assert_eq!((counts.processed_places, counts.processed_reordered), (1, 0));
}

#[test]
fn a_killed_members_partitions_wait_for_its_session_to_end() {
    let killed = two("", "{at: 15s, kill: bill1}").replace("60s", "90s");
    let trial = Trial::of(&killed, 1);
    let at = all_after(&trial, "bill2", Duration::secs(15));
    // group.consumer.session.timeout.ms counts from the last heartbeat, at most 5 s before; the other one learns it by
    // a heartbeat of its own.
    assert!((Duration::secs(55)..Duration::secs(66)).contains(&at), "{at:?}");
    assert!(all_processed(&trial));
}

#[test]
fn a_groups_own_session_timeout_counts_for_its_members_and_no_others() {
    let of = |group: &str| {
        let config = format!("groups: {{{group}: {{config: {{consumer.session.timeout.ms: 60000}}}}}}\n");
        let audit =
            "  audit: {group: audit, topics: [orders], settings: {group.protocol: consumer}}\nduration";
        let killed = two("", "{at: 15s, kill: bill1}").replace("duration", audit);
        let trial = Trial::of(&(killed.replace("60s", "90s") + &config), 1);
        all_after(&trial, "bill2", Duration::secs(15))
    };
    assert!((Duration::secs(55)..Duration::secs(66)).contains(&of("audit")));
    assert!((Duration::secs(70)..Duration::secs(81)).contains(&of("billing")));
}

#[test]
fn a_member_that_closes_hands_over_with_the_others_next_heartbeat() {
    let trial = Trial::of(&two("", "{at: 15s, stop: bill1}"), 1);
    let at = all_after(&trial, "bill2", Duration::secs(15));
    assert!(at < Duration::secs(21), "{at:?}");
    assert!(processed(&trial.history()).iter().all(|(_, times)| *times == 1));
}

#[test]
fn members_keep_their_partitions_when_their_coordinator_dies() {
    for commit in ["auto", "after"] {
        let died = two("", "{at: 20s, kill: coordinator of group billing, for: 20s}")
            .replace("count: 2", &format!("count: 2, commit: {commit}"));
        let trial = Trial::of(&died, 1);
        for client in ["bill1", "bill2"] {
            assert_eq!(lost(&trial, client), [], "{client}");
            let late = trial.assignments(client).into_iter();
            assert_eq!(late.filter(|(at, _)| *at > Duration::secs(20)).count(), 0);
        }
        assert!(processed(&trial.history()).iter().all(|(_, times)| *times == 1));
    }
}

#[test]
fn an_application_that_stalls_is_thrown_out_learns_it_late_and_processes_twice() {
    // With a listener the client waits for its application; without one it has let go long before.
    let stalled = two(
        ", max.poll.interval.ms: 10000",
        "{at: 15s, stall: bill1, by: 30s}",
    )
    .replace("processing: 1ms", "processing: 1ms, on_revoked: note");
    let trial = Trial::of(&stalled, 1);
    let left = trial.told("bill1", |note| {
        matches!(note, ClientNote::PollTimeout).then_some(())
    });
    // The background looks when it wakes up for a heartbeat.
    assert!(
        (Duration::secs(24)..Duration::secs(31)).contains(&left[0].0),
        "{left:?}"
    );
    assert!(lost(&trial, "bill1")[0].0 > Duration::secs(44));
    let at = all_after(&trial, "bill2", Duration::secs(15));
    assert!(at < Duration::secs(37), "{at:?}");
    let counts = trial.counts();
    assert_eq!(counts.unprocessed, 0);
    assert!(
        counts.processed_twice > 0,
        "it goes on with what it was given before"
    );
    assert_eq!(counts.processed_places, 2);
}

#[test]
fn a_member_that_stood_still_for_longer_than_its_session_is_fenced_when_it_wakes() {
    let paused = two("", "{at: 10s, pause: bill1, for: 52s}").replace("60s", "70s");
    let trial = Trial::of(&paused, 1);
    let lost = lost(&trial, "bill1");
    assert!(
        lost.len() == 1 && lost[0].0 > Duration::secs(61) && lost[0].0 < Duration::secs(68),
        "{lost:?}"
    );
    assert!(all_processed(&trial));
    let last = trial.assignments("bill1").last().map(|(_, count)| *count);
    assert_eq!(last, Some(2), "and a member again");
}

#[test]
fn a_static_member_that_comes_back_in_time_takes_its_partitions_up_again() {
    let fixed = two(", group.instance.id: bill", "{at: 20s, stop: bill1, for: 5s}");
    let trial = Trial::of(&fixed, 1);
    let mut others = trial.assignments("bill2").into_iter();
    assert!(others.all(|(_, count)| count <= 2 || count == 4));
    let last = trial.assignments("bill1").last().map(|(_, count)| *count);
    assert_eq!(last, Some(2));
    assert!(processed(&trial.history()).iter().all(|(_, times)| *times == 1));
}

#[test]
fn group_members_come_through_a_rolling_restart_of_the_brokers() {
    let rolling = two(
        "",
        "{at: 15s, rolling_restart: brokers, down: 500ms, between: 8s}",
    )
    .replace("60s", "70s");
    let trial = Trial::of(&rolling, 1);
    assert!(all_processed(&trial));
    for client in ["bill1", "bill2"] {
        assert_eq!(lost(&trial, client), [], "{client}");
    }
}

#[test]
fn rebalances_and_commits_are_counted_and_what_members_are_told_is_put_to_the_test() {
    let restarts = two("", "{at: 15s, stop: bill1, for: 10s}").replace("count: 2", "count: 2, commit: after");
    let trial = Trial::of(&restarts, 1);
    let assigned = |client| {
        let told = trial.told(client, |note| match note {
            ClientNote::Assigned { .. } => Some(()),
            _ => None,
        });
        told.len() as u64
    };
    let counts = trial.counts();
    assert_eq!(counts.rebalances, assigned("bill1") + assigned("bill2"));
    assert!(counts.rebalances >= 5, "{counts:?}");
    assert_eq!(counts.rebalances_failed, 0);
    // From the target to the listener's return: a poll's work, and no session.
    let longest = Duration(counts.rebalance_max_ns);
    assert!(
        longest < Duration::secs(1) && counts.rebalance_mean() <= longest,
        "{longest}"
    );
    let told = |client| {
        trial.told(client, |note| {
            matches!(note, ClientNote::Committed { .. }).then_some(())
        })
    };
    let committed = told("bill1").len() + told("bill2").len();
    // By `commitSync`, and none by an answer that did not come.
    assert!(
        counts.commits >= committed as u64 && committed > 100,
        "{committed} {counts:?}"
    );
    let (mean, most) = (counts.commit_mean(), Duration(counts.commit_max_ns));
    assert!(
        Duration::ZERO < mean && mean <= most && most < Duration::secs(1),
        "{mean} {most}"
    );
    assert!(trial.detailed.trial.exercised.count(Invariant::LostOffsetCommit) >= 4);
}

#[test]
fn a_static_member_that_was_killed_is_refused_until_its_session_is_over() {
    let killed = two(", group.instance.id: bill", "{at: 15s, kill: bill1, for: 2s}")
        .replace("count: 2", "count: 2, restart: 3s")
        .replace("60s", "90s");
    let trial = Trial::of(&killed, 1);
    let died = trial.told("bill1", |note| match note {
        ClientNote::Died(error) => Some(*error),
        _ => None,
    });
    // It was killed and left nothing behind but its session.
    assert!(died.len() > 5, "{died:?}");
    assert!(died.iter().all(|(_, error)| *error == "UNRELEASED_INSTANCE_ID"));
    let (last, _) = died[died.len() - 1];
    assert!((Duration::secs(50)..Duration::secs(66)).contains(&last), "{last}");
    assert_eq!(
        trial.assignments("bill1").last().map(|(_, count)| *count),
        Some(2)
    );
    assert!(all_processed(&trial));
}

#[test]
fn records_that_always_fail_are_left_out_sought_back_or_stop_their_application() {
    let failing = |policy: &str| {
        let text = two("", "").replace(
            "count: 2",
            &format!("count: 2, commit: after, sink: plain, {policy}"),
        );
        Trial::of(&text, 1).counts()
    };
    let skipped = failing("poison: 1 in 50, on_failure: skip");
    let missing = skipped.sink.expect("it has a sink").missing;
    assert!(missing > 10 && skipped.unprocessed == missing, "{skipped:?}");
    let sought = failing("failing: 1 in 50 for 2 tries, on_failure: seek, backoff: 20ms");
    let sink = sought.sink.expect("it has a sink");
    assert_eq!((sought.unprocessed, sink.missing), (0, 0));
    assert_eq!(sink.repeated, 0, "what stood behind it in its poll was dropped");
    let dies = failing("failing: 1 in 500 for 1 try, on_failure: die, restart: 1s");
    assert_eq!(dies.unprocessed, 0);
    assert!(
        dies.processed_twice > 0,
        "what its poll had returned before was not committed"
    );
}

#[test]
fn a_second_process_with_the_same_instance_id_is_refused() {
    let modern =
        super::classic::TWICE.replace("group.instance.id", "group.protocol: consumer, group.instance.id");
    let trial = Trial::of(&modern, 1);
    let died = |client| {
        trial.told(client, |note| match note {
            ClientNote::Died(error) => Some(*error),
            _ => None,
        })
    };
    assert!(died("bill1").is_empty(), "the first goes on");
    assert_eq!(died("bill2")[0].1, "UNRELEASED_INSTANCE_ID");
    assert_eq!(trial.counts().unprocessed, 0);
}
