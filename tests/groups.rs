//! Groups of consumers in comparisons, stories and tests.

mod support;

use serde_json::Value;
use support::{Folder, ktrial};

const SCENARIO: &str = "
scenario: consumer-dies
topics:
  orders: {partitions: 4, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 40, keys: 16}
consumers:
  bill: {group: billing, topics: [orders], count: 2, processing: 2ms..6ms, settings: {auto.offset.reset: earliest}}
duration: 40s
faults:
  - {at: 17s, kill: bill1, for: 2s}
";

fn scenario(folder: &Folder, rest: &str) -> String {
    folder.file("consumer-dies.yaml", format!("{SCENARIO}{rest}").as_bytes())
}

fn compared(path: &str, vary: &str) -> Vec<Value> {
    let run = ktrial(&[
        "compare", path, "--seeds", "3", "--vary", vary, "--format", "json",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let told: Value = serde_json::from_str(&run.stdout).expect("one object");
    let arms = told["arms"].as_array().expect("arms").iter();
    arms.map(|arm| arm["groups"]["records"].clone()).collect()
}

#[test]
fn settings_of_consumers_are_compared_like_those_of_brokers() {
    let folder = Folder::new();
    let path = scenario(&folder, "");
    let of = |arm: &Value, name: &str| arm[name].as_u64().expect("a number");

    let committed = compared(&path, "enable.auto.commit=true,false");
    let twice: Vec<u64> = committed.iter().map(|arm| of(arm, "processed_twice")).collect();
    assert!(
        0 < twice[0] && twice[0] < twice[1],
        "without commits all is read again: {twice:?}"
    );
    assert!(committed.iter().all(|arm| of(arm, "unprocessed") == 0));

    let sessions = compared(&path, "session.timeout.ms=6000,45000");
    let lags: Vec<u64> = sessions.iter().map(|arm| of(arm, "lag_max")).collect();
    assert!(
        lags[0] < lags[1],
        "partitions of the dead wait for its session: {lags:?}"
    );

    let polls = compared(&path, "max.poll.records=1,500");
    let rebalances: Vec<u64> = polls.iter().map(|arm| of(arm, "rebalances")).collect();
    assert!(
        rebalances.iter().all(|rebalances| *rebalances > 0),
        "{rebalances:?}"
    );
}

#[test]
fn a_comparison_tells_what_groups_did_in_words_of_their_users() {
    let folder = Folder::new();
    let path = scenario(&folder, "");
    let vary = "enable.auto.commit=true,false";
    let run = ktrial(&["compare", &path, "--seeds", "2", "--vary", vary]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for part in [
        "What groups did with the records",
        "at two members at once",
        "How groups came along",
        "enable.auto.commit=false",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}

#[test]
fn a_story_has_lags_and_rebalances_over_time_and_groups_as_their_tool_prints_them() {
    let folder = Folder::new();
    let path = scenario(&folder, "");
    let run = ktrial(&["run", &path, "--seed", "1", "--at", "30s"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for part in [
        "group billing  processed ",
        "- processed more than once: ",
        "kafka-consumer-groups --describe at 30.000 s",
        "CURRENT-OFFSET",
        "last-rebalance-seconds-ago",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let run = ktrial(&["run", &path, "--seed", "1", "--format", "json"]);
    let told: Value = serde_json::from_str(&run.stdout).expect("one object");
    let instants = told["groups_over_time"].as_array().expect("instants");
    let rebalances: Vec<u64> = instants
        .iter()
        .map(|instant| instant["rebalances"].as_u64().expect("a number"))
        .collect();
    assert!(rebalances.is_sorted() && rebalances[0] < rebalances[instants.len() - 1]);
}

#[test]
fn what_users_ask_of_groups_is_asserted_and_fails_where_it_does_not_hold() {
    let folder = Folder::new();
    let asserted = "assert: {invariants: [], unprocessed: 0, processed.twice: 0, rebalance.max: <= 60s}\n";
    let path = scenario(&folder, asserted);
    let run = ktrial(&["test", &path, "--seeds", "2"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("processed.twice"), "{}", run.stdout);
    assert!(!run.stdout.contains("threshold/unprocessed"), "{}", run.stdout);

    let without = folder.file(
        "none.yaml",
        b"scenario: none\ntopics: {orders: {}}\nproducers: {p1: {topic: orders}}\nduration: 5s\nassert: {unprocessed: 0}\n",
    );
    let run = ktrial(&["test", &without, "--seeds", "1"]);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout
            .contains("none.yaml:5:10: unprocessed is measured of groups")
            || run
                .stderr
                .contains("none.yaml:5:10: unprocessed is measured of groups"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}
