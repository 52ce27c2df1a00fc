//! What a user gets for wrong input: one clear error with place and remedy, the documented exit code, nothing run.

mod support;

use support::{Folder, ktrial};

const GOOD: &str = "\
scenario: mine
topics:
  orders: {partitions: 1, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 20}
duration: 2s
";

/// Runs a comparison of one trial over a scenario of this text.
fn refused(text: &str, expected: &[&str]) {
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", text.as_bytes());
    let run = ktrial(&["compare", &scenario, "--seeds", "1"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert_eq!(run.stdout, "", "nothing is printed as a result");
    for part in expected {
        assert!(run.stderr.contains(part), "expected `{part}` in:\n{}", run.stderr);
    }
}

#[test]
fn the_scenario_all_the_others_are_spoilt_from_is_good() {
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", GOOD.as_bytes());
    assert_eq!(ktrial(&["compare", &scenario, "--seeds", "1"]).code, 0);
}

#[test]
fn a_misspelt_key_is_shown_with_its_line() {
    refused(
        &GOOD.replace("duration:", "duratoin:"),
        &["mine.yaml:6:", "duratoin", "did you mean duration?"],
    );
}

#[test]
fn a_misspelt_setting_is_answered_with_the_nearest_one() {
    refused(
        &GOOD.replace("min.insync.replicas", "min.insync.replica"),
        &["mine.yaml:3:59: no topic setting", "min.insync.replicas"],
    );
}

#[test]
fn a_setting_is_shown_by_its_name_if_nobody_knows_it_and_by_its_value_if_that_is_wrong() {
    refused(
        &GOOD.replace("rate: 20", "settings: {acks: all, linger.ns: 5}"),
        &["mine.yaml:5:45: no producer setting linger.ns"],
    );
    let folder = Folder::new();
    let text = GOOD.replace("rate: 20", "settings: {acks: all, linger.ms: soon}");
    let scenario = folder.file("mine.yaml", text.as_bytes());
    let run = ktrial(&["run", &scenario]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("Invalid value soon"), "{}", run.stderr);
    assert!(run.stderr.contains("mine.yaml:5:56)"), "{}", run.stderr);
}

#[test]
fn more_replicas_than_brokers_are_refused() {
    refused(
        &GOOD.replace("factor: 3", "factor: 4"),
        &[
            "mine.yaml:3:",
            "replication.factor 4 with 3 brokers",
            "INVALID_REPLICATION_FACTOR",
        ],
    );
}

#[test]
fn zero_partitions_are_refused() {
    refused(
        &GOOD.replace("partitions: 1", "partitions: 0"),
        &["mine.yaml:3:", "zero partitions"],
    );
}

#[test]
fn an_unknown_topic_of_a_producer_is_refused_with_the_nearest() {
    refused(
        &GOOD.replace("topic: orders", "topic: order"),
        &["mine.yaml:5:", "no topic order", "did you mean orders?"],
    );
}

#[test]
fn a_fault_on_a_node_that_is_not_there_is_refused() {
    let text = format!("{GOOD}faults:\n  - {{at: 1s, kill: b4}}\n");
    refused(&text, &["no node b4"]);
}

#[test]
fn a_fault_without_a_moment_is_refused_with_its_line() {
    let text = format!("{GOOD}faults:\n  - {{kill: b1}}\n");
    refused(&text, &["mine.yaml:8:", "no moment", "at: 3s"]);
}

#[test]
fn a_length_of_time_without_a_unit_is_refused() {
    refused(
        &GOOD.replace("2s", "2"),
        &["mine.yaml:6:", "`2` is not a length of time"],
    );
}

#[test]
fn librdkafka_is_refused_by_name() {
    refused(
        &GOOD.replace("rate: 20", "client: librdkafka"),
        &["mine.yaml:5:", "librdkafka is not modelled"],
    );
}

#[test]
fn another_release_of_brokers_is_refused() {
    let text = format!("{GOOD}cluster: {{release: \"3.9\"}}\n");
    refused(&text, &["mine.yaml:7:", "release 3.9", "profile: upgraded"]);
}

#[test]
fn an_assertion_on_an_unknown_invariant_is_refused_with_the_nearest() {
    let text = format!("{GOOD}assert:\n  invariants: [ORD-1, lost-wirte]\n");
    refused(
        &text,
        &[
            "mine.yaml:8:23: no invariant lost-wirte",
            "did you mean lost-write?",
        ],
    );
    let text = format!("{GOOD}assert: {{invariants: [dur2]}}\n");
    refused(
        &text,
        &["mine.yaml:7:23: no invariant dur2", "did you mean DUR-2?"],
    );
}

#[test]
fn an_assertion_on_an_unknown_metric_is_refused_with_the_nearest() {
    let text = format!("{GOOD}assert:\n  lost: 0\n  unwriteable: <= 15s\n");
    refused(
        &text,
        &[
            "mine.yaml:9:3: nothing called unwriteable is measured",
            "did you mean unwritable?",
        ],
    );
    let text = format!("{GOOD}assert:\n  p99: <= 15s\n");
    refused(&text, &["mine.yaml:8:3:", "acknowledged.p99"]);
}

#[test]
fn a_bound_in_another_unit_is_refused_with_its_place() {
    let text = format!("{GOOD}assert:\n  lost: 15s\n  unwritable: <= 15\n  ending: healed\n");
    refused(
        &text,
        &[
            "mine.yaml:8:9: lost: `15s` is no number of records",
            "mine.yaml:9:15: unwritable: `15` is not a length of time",
            "mine.yaml:10:11: ending: `healed` is no ending",
        ],
    );
}

#[test]
fn a_share_of_trials_without_a_percent_sign_is_refused() {
    let text = format!("{GOOD}assert:\n  lost: 0 in 95 of trials\n");
    refused(&text, &["mine.yaml:8:9:", "expected `in 95% of trials`"]);
}

#[test]
fn an_unknown_built_in_scenario_is_answered_with_the_nearest() {
    let run = ktrial(&["compare", "@leader-los"]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("did you mean @leader-loss?"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_trailing_comment_in_a_properties_file_is_explained() {
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", GOOD.as_bytes());
    let server = folder.file(
        "server.properties",
        b"num.io.threads=8\nreplica.lag.time.max.ms=30000 # half a minute\n",
    );
    let run = ktrial(&["compare", &scenario, "--seeds", "1", "--broker-config", &server]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("server.properties:2:"), "{}", run.stderr);
    assert!(run.stderr.contains("part of the value"), "{}", run.stderr);
}

#[test]
fn a_bad_unicode_escape_in_a_properties_file_is_shown_with_line_and_column() {
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", GOOD.as_bytes());
    let server = folder.file("server.properties", b"broker.rack=\\u12x4\n");
    let run = ktrial(&["compare", &scenario, "--seeds", "1", "--broker-config", &server]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("server.properties:1:"), "{}", run.stderr);
}

#[test]
fn a_contradictory_client_is_refused_with_kafkas_reason_and_the_other_arms_run() {
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", GOOD.as_bytes());
    let producer = folder.file("producer.properties", b"enable.idempotence=true\n");
    let run = ktrial(&[
        "compare",
        &scenario,
        "--seeds",
        "1",
        "--producer-config",
        &producer,
        "--vary",
        "acks=1,all",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("REFUSED") && run.stdout.contains("ConfigException"),
        "{}",
        run.stdout
    );
    let alone = ktrial(&[
        "compare",
        &scenario,
        "--seeds",
        "1",
        "--producer-config",
        &producer,
        "--vary",
        "acks=1",
    ]);
    assert_eq!(alone.code, 2, "all arms are refused");
}

#[test]
fn what_kafka_refuses_is_said_on_standard_error_and_nothing_is_swept() {
    let folder = Folder::new();
    let text = GOOD.replace("rate: 20", "settings: {acks: 1, enable.idempotence: true}");
    let scenario = folder.file("mine.yaml", text.as_bytes());
    for command in [
        vec!["run", &scenario],
        vec!["sweep", &scenario, "--output", &folder.path("results")],
    ] {
        let run = ktrial(&command);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{command:?}");
        assert!(
            run.stderr.starts_with("REFUSED  producer p1: ConfigException"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn an_output_folder_that_cannot_be_written_is_told_before_anything_runs() {
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", GOOD.as_bytes());
    let file = folder.file("taken", b"");
    let run = ktrial(&[
        "compare",
        &scenario,
        "--seeds",
        "1",
        "--output",
        &format!("{file}/results"),
    ]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("nothing was run"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[test]
fn a_setting_that_is_not_modelled_stops_the_run_until_it_is_accepted() {
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", GOOD.as_bytes());
    let topic = folder.file("topic.properties", b"segment.jitter.ms=1000\n");
    let arguments = ["compare", &scenario, "--seeds", "1", "--topic-config", &topic];
    let run = ktrial(&arguments);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("segment.jitter.ms") && run.stderr.contains("--allow-unmodelled"),
        "{}",
        run.stderr
    );
    let accepted = ktrial(&[&arguments[..], &["--allow-unmodelled", "segment.jitter.ms"]].concat());
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
}

#[test]
fn an_impossible_command_line_is_told_by_usage() {
    for wrong in [
        &["compare"][..],
        &["compar", "@leader-loss"],
        &["compare", "@leader-loss", "--vary", "acks"],
    ] {
        assert_eq!(ktrial(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_cluster_of_a_billion_brokers_is_refused_at_once() {
    for (field, number) in [
        ("brokers", "1000000000"),
        ("brokers", "60000"),
        ("controllers", "60000"),
    ] {
        refused(
            &format!("{GOOD}cluster: {{{field}: {number}}}\n"),
            &["mine.yaml:7:"],
        );
    }
}

#[test]
fn hostile_files_are_refused_before_they_are_read_to_their_end() {
    let folder = Folder::new();
    let huge = folder.path("huge");
    let file = std::fs::File::create(&huge).unwrap();
    file.set_len(1 << 30).unwrap();
    for command in [
        vec!["run", &huge],
        vec!["run", "@t0", "--broker-config", &huge],
        vec!["replay", &huge],
        vec!["check", &huge],
        vec!["merge", &huge, "--output", "nowhere"],
    ] {
        let run = ktrial(&command);
        assert_eq!(run.code, 2, "{command:?}: {}", run.stdout);
        assert!(
            run.stderr.starts_with("error: ") && run.stderr.len() < 1_000,
            "{command:?}: {}",
            run.stderr
        );
    }
    let deep = folder.file("deep.yaml", "[".repeat(1 << 20).as_bytes());
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for number in 1..12 {
        let before = number - 1;
        let aliases = vec![format!("*a{before}"); 10].join(", ");
        laughs.push_str(&format!("a{number}: &a{number} [{aliases}]\n"));
    }
    let laughs = folder.file("laughs.yaml", laughs.as_bytes());
    for hostile in [deep, laughs] {
        let run = ktrial(&["run", &hostile]);
        assert_eq!(run.code, 2);
        assert!(
            run.stderr.starts_with("error: ") && run.stderr.len() < 1_000,
            "{}",
            run.stderr
        );
    }
}

#[test]
fn aliases_that_would_unfold_to_millions_of_values_are_refused() {
    let folder = Folder::new();
    let mut topics = String::from("scenario: a\ntopics:\n  t0: &t0 {partitions: 1}\n");
    for number in 1..9 {
        let before = vec![format!("*t{}", number - 1); 10].join(", ");
        topics.push_str(&format!("  t{number}: &t{number} {{<<: [{before}]}}\n"));
    }
    let run = ktrial(&["run", &folder.file("merges.yaml", topics.as_bytes())]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("more than 50000 values"), "{}", run.stderr);
}

/// Runs `ktrial agree` and expects an error with these parts.
fn disagreeable(history: &str, scenario: &str, expected: &[&str]) {
    let run = ktrial(&["agree", history, scenario, "--seeds", "1"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert_eq!(run.stdout, "", "nothing is printed as a result");
    for part in expected {
        assert!(run.stderr.contains(part), "expected `{part}` in:\n{}", run.stderr);
    }
}

const ZOMBIE: &str = "tests/recordings/zombie_leader.jsonl.gz";

#[test]
fn agree_refuses_a_history_that_is_not_there() {
    disagreeable(
        "not/there.jsonl",
        "@real/zombie_leader",
        &["cannot read not/there.jsonl", "ktrial run --history"],
    );
}

#[test]
fn agree_refuses_a_history_that_breaks_off_with_its_line() {
    let folder = Folder::new();
    let whole = std::fs::read(ZOMBIE).expect("a recording");
    let half = folder.file("half.jsonl.gz", &whole[..whole.len() / 2]);
    disagreeable(
        &half,
        "@real/zombie_leader",
        &["half.jsonl.gz: line ", "one JSON object a line"],
    );
}

#[test]
fn agree_answers_an_unknown_scenario_with_the_nearest() {
    disagreeable(
        ZOMBIE,
        "@real/zombie_leder",
        &["did you mean @real/zombie_leader?"],
    );
}

#[test]
fn agree_refuses_a_scenario_of_other_topics_or_settings() {
    disagreeable(
        ZOMBIE,
        "@real/rolling_restart",
        &[
            "topic orders has 1 partitions of 3 replicas, not 3 partitions of 3 replicas as in scenario rolling_restart",
            "topic min.insync.replicas is 1, not 2 as in scenario rolling_restart",
            "give the scenario of the same experiment",
        ],
    );
    let other = GOOD.replace("orders", "others");
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", other.as_bytes());
    disagreeable(
        ZOMBIE,
        &scenario,
        &[
            "its topic orders is not in scenario mine",
            "it has no topic others as there is in scenario mine",
        ],
    );
}

#[test]
fn agree_refuses_a_history_with_transactions_and_one_without_sends() {
    let transactions = "tests/recordings/transactions_leader_killed.jsonl.gz";
    disagreeable(
        transactions,
        "@real/quick_restart",
        &["it has transactions", "ktrial check"],
    );
    let folder = Folder::new();
    let header = br#"{"schema":"ktrial.history/1","source":"nobody","topics":{}}"#;
    let empty = folder.file("empty.jsonl", header);
    disagreeable(
        &empty,
        "@real/quick_restart",
        &["empty.jsonl: nobody sends anything"],
    );
}

#[test]
fn agree_refuses_no_seeds_at_all() {
    let run = ktrial(&["agree", ZOMBIE, "@real/zombie_leader", "--seeds", "0"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("--seeds"), "{}", run.stderr);
}
