//! `ktrial run` and `ktrial replay`: stories, histories, replay files, and what wrong input gets.

mod support;

use support::{Folder, ktrial};

/// What was told of a trial that lost acknowledged records.
const LOSS: [&str; 6] = ["run", "@leader-loss", "--set", "acks=1", "--seed", "7"];

/// Arguments behind those of [`LOSS`].
fn loss(more: &[&str]) -> support::Run {
    ktrial(&[&LOSS, more].concat())
}

/// Compares a story with its golden copy, or renews the copy.
fn golden(name: &str, arguments: &[&str]) {
    let run = ktrial(arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("KTRIAL_RENEW_GOLDEN").is_some() {
        std::fs::write(&path, &run.stdout).expect("the golden stories can be written");
        return;
    }
    let golden = std::fs::read_to_string(&path).expect("there is a golden story");
    assert!(
        run.stdout == golden,
        "the story of {arguments:?} is not the golden one. If the change is meant, say in the commit why, renew it with\n\
         KTRIAL_RENEW_GOLDEN=1 cargo test --test run_and_replay\nand read the difference. It is told now:\n{}",
        run.stdout
    );
}

#[test]
fn golden_story_of_records_that_the_leader_alone_had() {
    let at = ["--at", "5s", "--at", "17s", "--at", "25s"];
    golden("leader-loss-acks-1", &[&LOSS[..], &at].concat());
}

#[test]
fn golden_story_of_retries_without_idempotence() {
    golden(
        "lost-responses-without-idempotence",
        &["run", "@real/lost_responses_without_idempotence", "--seed", "2"],
    );
}

#[test]
fn golden_story_of_a_power_loss_everywhere() {
    golden(
        "power-loss-everywhere",
        &[
            "run",
            "@real/power_loss_everywhere",
            "--seed",
            "1",
            "--at",
            "15600ms",
        ],
    );
}

#[test]
fn a_story_in_json_is_one_object_and_the_same_every_time() {
    let (one, other) = (loss(&["--format", "json"]), loss(&["--format", "json"]));
    assert_eq!(one.stdout, other.stdout);
    let story: serde_json::Value = serde_json::from_str(&one.stdout).expect("one JSON object");
    assert_eq!(story["schema"], "ktrial.run/1");
    assert_eq!(story["seed"], "7");
    assert!(story["losses"][0]["count"].as_u64().unwrap() > 0);
    assert!(
        story["losses"][0]["settings"][0]
            .as_str()
            .unwrap()
            .starts_with("acks=1")
    );
}

#[test]
fn a_recorded_trial_replays_where_its_property_files_are_gone() {
    let folder = Folder::new();
    let producer = folder.file("producer.properties", b"acks=1\nclient.id=caf\xe9\n");
    let record = folder.path("trial.json");
    let run = ktrial(&[
        "run",
        "@leader-loss",
        "--producer-config",
        &producer,
        "--seed",
        "3",
        "--record",
        &record,
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    std::fs::remove_file(&producer).unwrap();
    let replay = ktrial(&["replay", &record]);
    assert_eq!(replay.code, 0, "{}", replay.stderr);
    assert!(replay.stdout.contains("\nthe same: digest "), "{}", replay.stdout);
}

#[test]
fn a_replay_file_holds_no_passwords_and_replays_the_same() {
    let folder = Folder::new();
    let broker = folder.file(
        "server.properties",
        b"# ssl.key.password=hunter2\nsasl.jaas.config=org.Module required \\\n  password=\"hunter2\";\n\
          listener.name.internal.ssl.keystore.password=hunter2\nreplica.lag.time.max.ms=20000\n",
    );
    let record = folder.path("trial.json");
    let run = ktrial(&[
        "run",
        "@leader-loss",
        "--broker-config",
        &broker,
        "--set",
        "ssl.truststore.password=hunter2",
        "--record",
        &record,
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"));
    let text = std::fs::read_to_string(&record).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("replica.lag.time.max.ms=20000"));
    let replay = ktrial(&["replay", &record]);
    assert_eq!(replay.code, 0, "{}", replay.stderr);
    let place = format!("{broker}:5:25");
    assert!(replay.stdout.contains(&place), "places stay: {}", replay.stdout);
}

#[test]
fn a_replay_that_differs_says_so_with_both_digests() {
    let folder = Folder::new();
    let record = folder.path("trial.json");
    assert_eq!(loss(&["--record", &record]).code, 0);
    let text = std::fs::read_to_string(&record).unwrap();
    let mut recording: serde_json::Value = serde_json::from_str(&text).unwrap();
    let digest = recording["footprint"]["digest"].as_str().unwrap().to_owned();
    recording["footprint"]["digest"] = "0123456789abcdef".into();
    let spoilt = folder.file("spoilt.json", recording.to_string().as_bytes());
    let replay = ktrial(&["replay", &spoilt]);
    assert_eq!(replay.code, 6, "{}", replay.stdout);
    for part in ["DIVERGED", "0123456789abcdef", &digest] {
        assert!(replay.stdout.contains(part), "{part}");
    }
    let entries = recording["script"]["entries"].as_array().unwrap().len();
    recording["footprint"]["digest"] = digest.into();
    recording["script"]["entries"] = serde_json::json!([]);
    assert!(entries > 0);
    let without = folder.file("without.json", recording.to_string().as_bytes());
    assert_eq!(
        ktrial(&["replay", &without]).code,
        6,
        "another script is another trial"
    );
}

#[test]
fn a_file_of_another_engine_is_refused_with_what_can_be_done() {
    let folder = Folder::new();
    let record = folder.path("trial.json");
    assert_eq!(loss(&["--record", &record]).code, 0);
    let text = std::fs::read_to_string(&record).unwrap();
    let version = format!("ktrial {}", env!("CARGO_PKG_VERSION"));
    let old = folder.file("old.json", text.replace(&version, "ktrial 0.0.1").as_bytes());
    let replay = ktrial(&["replay", &old]);
    assert_eq!(replay.code, 2);
    assert_eq!(replay.stdout, "");
    for part in ["ktrial 0.0.1", &version, "--script-only"] {
        assert!(replay.stderr.contains(part), "{}", replay.stderr);
    }
    let script = ktrial(&["replay", &old, "--script-only"]);
    assert_eq!(script.code, 0, "{}", script.stderr);
    assert!(script.stdout.contains("compared with nothing"));
}

#[test]
fn a_scenario_and_a_seed_can_be_replayed() {
    let replay = ktrial(&["replay", "@leader-loss@7", "--set", "acks=1"]);
    assert_eq!(replay.code, 0, "{}", replay.stderr);
    assert!(replay.stdout.contains("\nthe same: digest "), "{}", replay.stdout);
    let story = loss(&[]).stdout;
    let happened = |text: &str| {
        let from = text.find("What happened").unwrap();
        text[from..text.find("What it means").unwrap()].to_owned()
    };
    assert_eq!(happened(&replay.stdout), happened(&story));
}

#[test]
fn determinism_can_be_checked() {
    let run = loss(&["--check-determinism"]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(run.stdout.contains("the same in five runs"), "{}", run.stdout);
}

#[test]
fn the_history_of_a_trial_is_judged_by_check() {
    let folder = Folder::new();
    let path = folder.path("history.jsonl");
    assert_eq!(loss(&["--history", &path]).code, 0);
    let check = ktrial(&["check", &path]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    assert!(check.stdout.contains("EXPOSED  DUR-2"), "{}", check.stdout);
}

#[test]
fn a_comparison_says_how_to_run_a_trial_that_failed() {
    let compare = ktrial(&["compare", "@leader-loss", "--vary", "acks=1", "--seeds", "5"]);
    let line = compare.stdout.lines().find(|line| line.contains("again:"));
    let line = line.expect("an arm with losses says how to see one");
    let command = line.split_once("again:").unwrap().1.trim();
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[0], "ktrial");
    let run = ktrial(&words[1..]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("EXPOSED"), "{}", run.stdout);
}

#[test]
fn a_trial_in_which_nothing_was_sent_is_vacuous() {
    let folder = Folder::new();
    let text = "scenario: idle\ntopics:\n  orders: {partitions: 1}\nproducers:\n  p1: {topic: orders, count: 0}\nduration: 2s\n";
    let scenario = folder.file("idle.yaml", text.as_bytes());
    assert_eq!(ktrial(&["run", &scenario]).code, 5);
}

#[test]
fn a_fault_that_never_happens_is_told_and_why_nothing_was_put_on_trial() {
    let folder = Folder::new();
    let text = "scenario: calm\ntopics:\n  orders: {partitions: 1}\nproducers:\n  p1: {topic: orders}\nduration: 5s\n\
                faults:\n  - {when: fifth election of orders-0, kill: leader of orders-0}\n";
    let scenario = folder.file("calm.yaml", text.as_bytes());
    let run = ktrial(&["run", &scenario]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    let never = "kill of leader of orders-0 (when: fifth election of orders-0)";
    for part in [
        &format!("5.000 s  never happened: {never}"),
        "VACUOUS  no fault of the script happened: nothing was put on trial",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let test = ktrial(&["test", &scenario, "--seeds", "2"]);
    for part in [
        &format!("never happened in any trial: {never}"),
        "VACUOUS  no fault of the script happened\n",
    ] {
        assert!(test.stdout.contains(part), "{part}: {}", test.stdout);
    }
}

#[test]
fn wrong_input_runs_nothing_and_says_what_is_wrong() {
    let folder = Folder::new();
    let here = folder.path("");
    let nowhere = folder.path("no/such/folder/file");
    let json = folder.file("other.json", b"{\"schema\": \"ktrial.history/1\"}");
    let cases: [(&[&str], &[&str]); 9] = [
        (
            &["run", "@leader-los"],
            &["no built-in scenario", "did you mean @leader-loss?"],
        ),
        (
            &["run", "@leader-loss", "--at", "soon"],
            &["--at soon", "not a length of time"],
        ),
        (
            &["run", "@leader-loss", "--history", &nowhere],
            &["cannot write", "nothing was run"],
        ),
        (
            &["run", "@leader-loss", "--record", &here],
            &["cannot write", "nothing was run"],
        ),
        (
            &[
                "run",
                "@leader-loss",
                "--set",
                "producer.acks=1",
                "--set",
                "enable.idempotence=true",
            ],
            &["REFUSED", "ConfigException"],
        ),
        (&["replay", &nowhere], &["cannot read", "@leader-loss@7"]),
        (
            &["replay", &json],
            &["the schema is ktrial.history/1, not ktrial.replay/1"],
        ),
        (
            &["replay", &json, "--set", "acks=1"],
            &["brings its own settings"],
        ),
        (
            &["replay", "@leader-loss@-1"],
            &["cannot read @leader-loss@-1", "SCENARIO@SEED"],
        ),
    ];
    for (arguments, expected) in cases {
        let run = ktrial(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
        for part in expected {
            assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
        }
    }
}
