//! Arms that a scenario declares: compared side by side, run alone, recorded with their name.

mod support;

use support::{Folder, ktrial};

const SCENARIO: &str = "
scenario: two-deaths
topics:
  orders: {partitions: 1, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 50}
duration: 10s
faults:
  - {at: 2s, let: {old: leader of orders-0}}
  - {at: 2500ms, pause: replicas of orders-0 except $old, for: 1s}
  - {at: 3s, power_off: $old, for: 2s, unflushed: lost}
arms:
  power: {}
  process: {faults: [{at: 3s, kill: leader of orders-0, for: 2s}]}
  one-answer: {set: [acks=1]}
";

fn scenario(folder: &Folder, text: &str) -> String {
    let path = folder.path("two-deaths.yaml");
    std::fs::write(&path, text).expect("the folder can be written");
    path
}

#[test]
fn a_scenario_with_arms_is_compared_in_them_and_a_failing_one_says_how_to_run_it_again() {
    let folder = Folder::new();
    let path = scenario(&folder, SCENARIO);
    let run = ktrial(&["compare", &path, "--seeds", "5", "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let told: serde_json::Value = serde_json::from_str(&run.stdout).expect("one object");
    let arms = told["arms"].as_array().expect("arms");
    let names: Vec<&str> = arms
        .iter()
        .map(|arm| arm["arm"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["one-answer", "power", "process"]);
    let lost: Vec<u64> = arms
        .iter()
        .map(|arm| arm["records"]["lost"].as_u64().expect("a number"))
        .collect();
    assert!(lost[0] > 0 && lost[1..] == [0, 0], "{lost:?}");
    let vacuous = |arm: usize| {
        arms[arm]["vacuous"]
            .as_array()
            .expect("ids")
            .contains(&"REP-7".into())
    };
    assert!(vacuous(2) && !vacuous(1), "a kill loses no page cache");
    let again = arms[0]["reproduce"].as_str().expect("it lost records");
    assert!(again.contains(" --arm one-answer "), "{again}");
    let seed = again.rsplit(' ').next().expect("a seed");
    let alone = ktrial(&["run", &path, "--arm", "one-answer", "--seed", seed]);
    assert_eq!(alone.code, 0, "{}", alone.stderr);
    assert!(alone.stdout.contains("DUR-2"), "{}", alone.stdout);
}

#[test]
fn a_recorded_trial_of_an_arm_replays_as_that_arm() {
    let folder = Folder::new();
    let path = scenario(&folder, SCENARIO);
    let file = folder.path("trial.json");
    let run = ktrial(&["run", &path, "--arm", "process", "--seed", "1", "--record", &file]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let replay = ktrial(&["replay", &file]);
    assert_eq!(replay.code, 0, "{}{}", replay.stdout, replay.stderr);
}

#[test]
fn wrong_arms_are_refused_with_their_place() {
    let folder = Folder::new();
    let path = scenario(&folder, SCENARIO);
    let run = ktrial(&["run", &path, "--arm", "proces", "--seed", "1"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("did you mean process?"), "{}", run.stderr);
    for (wrong, says) in [
        ("set: [akcs=1]", "did you mean"),
        (
            "faults: [{at: 3s, kill: leader of order-0}]",
            "no partition order-0",
        ),
    ] {
        let text = SCENARIO.replace("set: [acks=1]", wrong);
        let path = scenario(&folder, &text);
        let run = ktrial(&["compare", &path, "--seeds", "1"]);
        assert_eq!(run.code, 2, "{wrong}: {}", run.stderr);
        assert!(
            run.stderr.contains("two-deaths.yaml:15:"),
            "{wrong}: {}",
            run.stderr
        );
        assert!(run.stderr.contains(says), "{wrong}: {}", run.stderr);
    }
}
