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
fn a_group_of_four_billion_members_is_refused_at_once() {
    for count in ["4294967295", "101", "0"] {
        let consumers = format!("consumers: {{app: {{group: billing, topics: [orders], count: {count}}}}}");
        refused(
            &format!("{GOOD}{consumers}\n"),
            &["mine.yaml:7:", &format!("{count} consumers"), "give 1 to 100"],
        );
    }
}

#[test]
fn brokers_of_two_billion_threads_are_refused_at_once() {
    for name in [
        "num.io.threads",
        "num.network.threads",
        "num.recovery.threads.per.data.dir",
        "group.coordinator.threads",
        "offsets.topic.num.partitions",
    ] {
        let most = format!("settings: {{broker: {{{name}: 2147483647}}}}\n");
        refused(
            &format!("{GOOD}{most}"),
            &["mine.yaml:7:", name, "more than ktrial can hold", "give at most"],
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

/// A scenario of these topics and clients, each on a line of its own.
fn with_clients(topics: &str, clients: &str) -> String {
    format!("scenario: mine\ntopics:\n{topics}\n{clients}\nduration: 2s\n")
}

#[test]
fn a_client_that_has_the_name_of_another_machine_is_refused() {
    let orders = "  orders: {}";
    for (clients, expected) in [
        (
            "producers:\n  b1: {topic: orders}",
            "mine.yaml:5:7: producer b1: another machine",
        ),
        (
            "producers:\n  operator: {topic: orders}",
            "producer operator: another machine",
        ),
        (
            "producers:\n  x: {topic: orders}\nreaders:\n  x: {topics: [orders]}",
            "mine.yaml:7:6: reader x: another machine",
        ),
        (
            "readers:\n  bill2: {topics: [orders]}\nconsumers:\n  bill: {group: g, topics: [orders], count: 2}",
            "consumer bill2 (one of the bills, which are numbered): another machine",
        ),
        (
            "producers:\n  brokers: {topic: orders}",
            "producer brokers: this word means",
        ),
        (
            "producers:\n  leader of orders-0: {topic: orders}",
            "\"leader of orders-0\": no name",
        ),
        ("producers:\n  $x: {topic: orders}", "\"$x\": no name"),
        ("producers:\n  \"\": {topic: orders}", "producer \"\": no name"),
    ] {
        refused(&with_clients(orders, clients), &[expected]);
    }
}

#[test]
fn a_name_that_kafka_takes_for_no_topic_is_refused() {
    let long = format!("  {}: {{}}", "o".repeat(250));
    for (topics, expected) in [
        ("  \".\": {}", "mine.yaml:3:8: topic \".\": a name of dots only"),
        ("  or ders: {}", "topic \"or ders\": a character"),
        (long.as_str(), "a name that is too long"),
        ("  __consumer_offsets: {}", "Kafka makes it itself"),
        (
            "  a.b: {}\n  a_b: {}",
            "mine.yaml:4:8: topic a_b collides with topic a.b",
        ),
    ] {
        refused(&with_clients(topics, ""), &[expected]);
    }
}

#[test]
fn a_group_without_a_name_is_refused_as_kafka_refuses_it() {
    let clients = "consumers:\n  bill: {group: \"\", topics: [orders]}";
    let folder = Folder::new();
    let scenario = folder.file("mine.yaml", with_clients("  orders: {}", clients).as_bytes());
    let run = ktrial(&["run", &scenario]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    for part in ["REFUSED", "InvalidGroupIdException", "mine.yaml:5:17"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[test]
fn a_fault_that_can_never_do_anything_is_refused_with_its_place() {
    for (fault, expected) in [
        (
            "{at: 50s, pause: b1, for: 2s}",
            "mine.yaml:8:10: `50s` is after the end: the clients work for 2s",
        ),
        (
            "{when: first election of orders-0, after: 3s, kill: b1}",
            "`3s` is after the end",
        ),
        (
            "{at: 1s, pause: b1, for: 0s}",
            "mine.yaml:8:30: this lasts no time",
        ),
        ("{at: 1s, cut: b1, from: b1}", "no link goes from b1 to itself"),
        (
            "{at: 1s, slow: b1, latency: 0ms}",
            "links that are slower by nothing",
        ),
        ("{at: 1s, slow_disk: b1, times: 1}", "a disk as fast as before"),
        (
            "{when: first election of payments-0, kill: b1}",
            "mine.yaml:8:5: no partition payments-0",
        ),
        (
            "{when: first election of orders-7, kill: b1}",
            "no partition orders-7; there is orders-0",
        ),
    ] {
        refused(&format!("{GOOD}faults:\n  - {fault}\n"), &[expected]);
    }
    let random = "random:\n  - {faults: 1, of: [pause], on: brokers, within: 5s..9s, for: 1s}\n";
    refused(
        &format!("{GOOD}{random}"),
        &["mine.yaml:8:", "`5s..9s` is after the end"],
    );
}

#[test]
fn a_process_that_is_started_again_at_once_was_killed_all_the_same() {
    let folder = Folder::new();
    let text = format!("{GOOD}faults:\n  - {{at: 1s, kill: b1, for: 0s}}\n");
    let scenario = folder.file("mine.yaml", text.as_bytes());
    let run = ktrial(&["run", &scenario]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("b1 is killed"), "{}", run.stdout);
}

#[test]
fn what_a_role_names_and_is_not_there_is_shown_where_it_stands() {
    for (role, expected) in [
        (
            "leader of order-0",
            "no partition order-0; did you mean orders-0?",
        ),
        ("$X", "$X is not bound by an earlier `let`; bind it before"),
        (
            "consumers of billing",
            "no group billing; no `consumers` are declared",
        ),
        ("b9", "no node b9"),
    ] {
        let text = format!("{GOOD}faults:\n  - {{at: 1s, kill: {role}}}\n");
        refused(&text, &["mine.yaml:8:5: ", expected]);
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_shown_with_what_was_expected() {
    for (wrong, expected) in [
        (
            GOOD.replace("factor: 3", "factor: three"),
            "mine.yaml:3:47: `three`: expected a whole number from 0 to 65535",
        ),
        (
            GOOD.replace("rate: 20", "rate: 1e9"),
            "`1e9`: expected a whole number from 0 to 4294967295",
        ),
        (
            GOOD.replace("rate: 20", "rate: -5"),
            "`-5`: expected a whole number",
        ),
        (
            format!("{GOOD}duration: 3s\n"),
            "mine.yaml:7:1: the key duration stands twice; keep one",
        ),
    ] {
        refused(&wrong, &[expected]);
    }
}

#[test]
fn seeds_that_there_are_not_and_arms_that_are_one_are_refused() {
    let compare = |more: &[&str]| ktrial(&[&["compare", "@leader-loss"], more].concat());
    for (arguments, expected) in [
        (&["--seeds", "0"][..], "--seeds"),
        (
            &["--first-seed", "18446744073709551615", "--seeds", "2"],
            "--first-seed",
        ),
        (
            &["--vary", "acks=1,all", "--vary", "acks=0"],
            "the arms `acks=1 acks=0` and `acks=all acks=0` have the same settings",
        ),
        (&["--vary", "acsk=1,all"], "--vary acsk=1,all: no setting acsk"),
    ] {
        let run = compare(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains(expected), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn what_is_wrong_in_a_topics_file_is_told_once() {
    let folder = Folder::new();
    let topic = folder.file("topic.properties", b"min.insync.replica=2\n");
    let run = ktrial(&["run", "@leader-loss", "--topic-config", &topic]);
    assert_eq!(run.code, 2);
    assert_eq!(
        run.stderr.matches("min.insync.replica in").count(),
        1,
        "{}",
        run.stderr
    );
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_an_error_and_a_reader_that_goes_away_is_none() {
    use std::process::{Command, Stdio};
    let list = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ktrial"));
        command.args(["list", "settings"]).stderr(Stdio::piped());
        command
    };
    let full = std::fs::File::options().write(true).open("/dev/full");
    let run = list()
        .stdout(full.expect("Linux has it"))
        .output()
        .expect("it runs");
    assert_eq!(run.status.code(), Some(2));
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(told.contains("cannot write to standard output"), "{told}");
    let mut gone = list().stdout(Stdio::piped()).spawn().expect("it runs");
    drop(gone.stdout.take());
    let run = gone.wait_with_output().expect("it ends");
    assert_eq!((run.status.code(), run.stderr.as_slice()), (Some(0), &b""[..]));
}
