//! The published JSON Schemas against what ktrial reads and writes. Their keys are held to the reader's in
//! `scenarios/src/schema.rs`.

#[path = "support/json_schema.rs"]
mod json_schema;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use json_schema::Schema;
use ktrial_scenarios::LIBRARY;
use serde_json::Value;
use support::{Folder, ktrial};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// As a user gets it.
fn schema(name: &str) -> Schema {
    let printed = ktrial(&["schema", name]);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let published = std::fs::read_to_string(root().join(format!("reports/schemas/{name}.schema.json")));
    assert_eq!(printed.stdout, published.expect("the schema is there"));
    Schema::new(&printed.stdout)
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

#[track_caller]
fn valid(schema: &mut Schema, value: &Value, what: &str) {
    let errors = schema.errors(value);
    assert!(errors.is_empty(), "{what}:\n{}", errors.join("\n"));
}

/// Every text between three backticks and `yaml`, and three backticks.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).expect("the page is there");
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_scenario_that_comes_with_ktrial_is_valid() {
    let mut schema = schema("scenario");
    for (name, text) in LIBRARY {
        valid(&mut schema, &yaml(text), name);
    }
    for file in std::fs::read_dir(root().join("scenarios/tests/mutants")).expect("the folder is there") {
        let path = file.expect("it can be read").path();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        valid(&mut schema, &yaml(&text), &path.display().to_string());
    }
}

#[test]
fn what_the_pages_show_is_valid() {
    let (mut scenarios, mut profiles) = (schema("scenario"), schema("profiles"));
    let (mut whole, mut parts, mut files) = (0, 0, 0);
    for block in ["README.md", "scenarios/README.md"].into_iter().flat_map(blocks) {
        let value = yaml(&block);
        if value.get("profiles").is_some() {
            valid(&mut profiles, &value, &block);
            files += 1;
        } else if value.get("scenario").is_some() {
            valid(&mut scenarios, &value, &block);
            whole += 1;
        } else {
            let least = "{scenario: part, topics: {orders: {}}, duration: 1s}";
            let mut scenario = yaml(least);
            let keys = value.as_object().expect("a part of a scenario").clone();
            scenario.as_object_mut().expect("a map").extend(keys);
            valid(&mut scenarios, &scenario, &block);
            parts += 1;
        }
    }
    assert!(whole > 0 && parts > 1 && files > 0, "{whole} {parts} {files}");
}

#[test]
fn what_init_writes_is_valid_and_names_the_schema_beside_it() {
    let folder = Folder::new();
    let output = folder.path("first/trial.yaml");
    let broker = root().join("models/tests/files/stock-4.3/server.properties");
    let init = ktrial(&[
        "init",
        "--broker-config",
        &broker.display().to_string(),
        "--output",
        &output,
    ]);
    assert_eq!(init.code, 0, "{}", init.stderr);
    let text = std::fs::read_to_string(&output).expect("it is written");
    let line = text.lines().next().expect("it has lines");
    let named = line.strip_prefix("# yaml-language-server: $schema=").expect(line);
    let beside = std::fs::read_to_string(Path::new(&output).with_file_name(named)).expect("it is beside it");
    valid(&mut Schema::new(&beside), &yaml(&text), &text);
}

const GOOD: &str = "\
scenario: mine
topics:
  orders: {partitions: 1, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 20, settings: {acks: all}}
duration: 2s
";

/// What the reader refuses because of its form the schema refuses too, so that an editor shows it.
#[test]
fn wrong_scenarios_are_refused_by_the_schema_and_by_the_reader() {
    let folder = Folder::new();
    let mut schema = schema("scenario");
    valid(&mut schema, &yaml(GOOD), "the good one");
    let more = |text: &str| format!("{GOOD}{text}\n");
    for wrong in [
        GOOD.replace("duration: 2s\n", ""),
        GOOD.replace("scenario: mine\n", ""),
        GOOD.replace("duration:", "duratoin:"),
        GOOD.replace("2s", "2"),
        GOOD.replace("2s", "two seconds"),
        GOOD.replace("min.insync.replicas", "min.insync.replica"),
        GOOD.replace("acks", "message.timeout.ms"),
        GOOD.replace("factor: 3", "factor: 0"),
        GOOD.replace("partitions: 1", "partitions: 0"),
        GOOD.replace("partitions: 1", "partitions: many"),
        GOOD.replace("rate: 20", "client: librdkafka"),
        GOOD.replace("rate: 20", "rate: 0"),
        GOOD.replace("topic: orders, ", ""),
        more("cluster: {brokers: 1000000000}"),
        more("cluster: {controllers: 60000}"),
        more("cluster: {release: \"3.9\"}"),
        more("cluster: {features: {transactions.version: 1}}"),
        more("network: {latency: 3}"),
        more("faults: [{kill: b1}]"),
        more("faults: [{at: 1s}]"),
        more("faults: [{at: 1s, when: first election of orders-0, kill: b1}]"),
        more("faults: [{when: last election of orders-0, kill: b1}]"),
        more("faults: [{at: 1s, open_cut: nowhere}]"),
        more("faults: [{at: 1s, hold: [Produced]}]"),
        more("faults: [{at: 1s, cut: b1, way: up}]"),
        more("random: [{faults: few, of: [kill], on: brokers, within: 1s..2s, for: 1s}]"),
        more("random: [{faults: 1, of: [murder], on: brokers, within: 1s..2s, for: 1s}]"),
        more("random: [{faults: 1, of: [], on: brokers, within: 1s..2s, for: 1s}]"),
        more("consumers: {c: {group: g, topics: [orders], count: 0}}"),
        more("consumers: {c: {group: g, topics: []}}"),
        more("consumers: {c: {group: g, topics: [orders], commit: later}}"),
        more("consumers: {c: {group: g, topics: [orders], commit: after, commit_every: 0}}"),
        more("consumers: {c: {group: g, topics: [orders], on_revoked: comit}}"),
        more("consumers: {c: {group: g, topics: [orders], poison: 1000}}"),
        more("consumers: {c: {group: g, topics: [orders], sink: upset}}"),
        more("consumers: {c: {group: g, topics: [orders], poison: 1 in 9, on_failure: sek}}"),
        more("assert: {invariants: [dur2]}"),
        more("assert: {unwriteable: <= 15s}"),
        more("assert: {unwritable: <= 15}"),
        more("assert: {ending: healed}"),
        more("arms: {a: {sets: [acks=1]}}"),
    ] {
        assert!(
            !schema.errors(&yaml(&wrong)).is_empty(),
            "the schema takes\n{wrong}"
        );
        let path = folder.file("wrong.yaml", wrong.as_bytes());
        let run = ktrial(&["compare", &path, "--seeds", "1"]);
        assert_eq!(run.code, 2, "the reader takes\n{wrong}");
    }
}

#[test]
fn wrong_profiles_are_refused_by_their_schema() {
    let mut schema = schema("profiles");
    valid(
        &mut schema,
        &yaml("profiles: {ci: {seeds: 5, format: text}}"),
        "a good one",
    );
    for wrong in [
        "profile: {}",
        "profiles: {ci: {seedz: 5}}",
        "profiles: {ci: {seeds: 0}}",
        "profiles: {ci: {workers: 0}}",
        "profiles: {ci: {format: [text, html]}}",
        "profiles: {ci: {time_budget: 5}}",
        "profiles: {ci: {fail_on_vacuous: perhaps}}",
    ] {
        assert!(!schema.errors(&yaml(wrong)).is_empty(), "{wrong}");
    }
}

/// Its only copy is gone, and there is no time to see whether anybody leads again.
const HURRIED: &str = "\
scenario: hurried
topics:
  orders: {partitions: 1, replication.factor: 1}
producers:
  p1: {topic: orders, rate: 10}
duration: 30s
heal: 1s
faults:
  - {at: 5s, lose_disk: leader of orders-0, for: 15s}
";

/// Something is lost in some seeds, and a group reads.
const LOSES: &str = "\
scenario: loses
topics:
  orders: {partitions: 1, replication.factor: 3}
producers:
  p1: {topic: orders, rate: 50, settings: {acks: 1, enable.idempotence: false}}
readers:
  r1: {topics: [orders]}
consumers:
  app: {group: billing, topics: [orders], count: 2, sink: plain, settings: {auto.commit.interval.ms: 100}}
duration: 40s
arms:
  twice: {set: [enable.idempotence=false]}
faults:
  - {at: 1s, let: {old: leader of orders-0}}
  - {at: 1s, hold: [ProduceResponse], for: 3s}
  - {at: 1s, reset: p1}
  - {at: 2s, pause: replicas of orders-0 except $old, for: 40s}
  - {at: 3s, kill: $old, for: 30s}
assert:
  unwritable: <= 1s in 90% of trials
  lost: 0
  ending: converged
";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// All keys of a schema were written by some run: what nothing writes is taken out, or a run is added.
#[track_caller]
fn all_seen(schema: &Schema, but: &[&str]) {
    let mut unseen = schema.unseen();
    unseen.retain(|pointer| !but.iter().any(|known| pointer.ends_with(known)));
    assert!(unseen.is_empty(), "nothing wrote {unseen:#?}");
}

/// A scenario whose fault waits for what never comes.
fn calm() -> String {
    GOOD.replace("scenario: ", "scenario: calm-") + "faults: [{when: fifth election of orders-0, kill: b1}]\n"
}

#[test]
fn comparisons_and_results_are_as_their_schemas_say() {
    let folder = Folder::new();
    let scenario = folder.file("loses.yaml", LOSES.as_bytes());
    let (mut compare, mut results) = (schema("compare"), schema("results"));
    let (out, deleted) = (folder.path("compared"), folder.path("deleted"));
    let workers = folder.path("workers");
    for arguments in [
        &[
            "compare", &scenario, "--seeds", "4", "--format", "json", "--output", &out,
        ][..],
        &[
            "compare",
            "@claims/H03",
            "--seeds",
            "1",
            "--format",
            "json",
            "--output",
            &deleted,
        ],
        &[
            "compare",
            "@claims/C133",
            "--seeds",
            "1",
            "--format",
            "json",
            "--output",
            &workers,
        ],
        &[
            "compare",
            "@leader-loss",
            "--seeds",
            "1",
            "--format",
            "json",
            "--vary",
            "acks=0,1",
            "--set",
            "enable.idempotence=true",
        ],
    ] {
        let run = ktrial(arguments);
        valid(&mut compare, &json(&run.stdout), &run.stderr);
    }
    let swept = folder.path("swept");
    let sweep = ktrial(&[
        "sweep", &scenario, "--seeds", "8", "--shard", "1/2", "--output", &swept, "--format", "json",
    ]);
    valid(&mut compare, &json(&sweep.stdout), &sweep.stderr);
    for folder in [out, deleted, workers, swept] {
        let lines = std::fs::read_to_string(Path::new(&folder).join("trials.jsonl")).expect("it is written");
        for line in lines.lines() {
            valid(&mut results, &json(line), line);
        }
    }
    all_seen(&compare, &[]);
    all_seen(&results, &[]);
}

#[test]
fn a_told_trial_is_as_its_schema_says() {
    let folder = Folder::new();
    let scenario = folder.file("loses.yaml", LOSES.as_bytes());
    let mut schema = schema("run");
    for seed in ["1", "2", "3"] {
        let run = ktrial(&[
            "run", &scenario, "--seed", seed, "--at", "5s", "--at", "1h", "--format", "json",
        ]);
        valid(&mut schema, &json(&run.stdout), &run.stderr);
    }
    let commits = GOOD.replace(
        "duration: 2s",
        "consumers: {c: {group: g, topics: [orders], buffer: 50}}\nduration: 20s",
    );
    let commits = folder.file("commits.yaml", commits.as_bytes());
    let group = ktrial(&["run", &commits, "--seed", "1", "--at", "18s", "--format", "json"]);
    valid(&mut schema, &json(&group.stdout), &group.stderr);
    let lost = ktrial(&["run", "@leader-loss", "--set", "acks=1", "--format", "json"]);
    valid(&mut schema, &json(&lost.stdout), &lost.stderr);
    let calm = folder.file("calm.yaml", calm().as_bytes());
    let vacuous = ktrial(&["run", &calm, "--format", "json"]);
    valid(&mut schema, &json(&vacuous.stdout), &vacuous.stderr);
    let deleted = ktrial(&["run", "@claims/H03", "--format", "json"]);
    valid(&mut schema, &json(&deleted.stdout), &deleted.stderr);
    all_seen(&schema, &[]);
}

#[test]
fn an_agreement_is_as_its_schema_says() {
    let mut schema = schema("agree");
    for (folder, name) in [
        ("tests/recordings", "zombie_leader"),
        ("tests/recordings", "unclean_election"),
        ("tests/agreement/recordings", "group_coordinator_killed"),
    ] {
        let recording = root().join(format!("{folder}/{name}.jsonl.gz"));
        let scenario = format!("@real/{name}");
        let run = ktrial(&[
            "agree",
            &recording.display().to_string(),
            &scenario,
            "--seeds",
            "2",
            "--format",
            "json",
        ]);
        valid(&mut schema, &json(&run.stdout), &run.stderr);
    }
    all_seen(&schema, &[]);
}

/// What no recording has.
const RARE: &str = r#"{"schema":"ktrial.history/1","features":{"group.version":1},"topics":{"orders":{"partitions":1}}}
{"t":1,"op":"start","process":"c1","group":"billing"}
{"t":2,"op":"send","process":"p1","id":"p1-0","topic":"orders"}
{"t":3,"op":"error","id":"p1-0","error":"TimeoutException","message":"120000 ms has passed","outcome":"unknown"}
{"t":4,"op":"begin","process":"p1","txn":"p1/1"}
{"t":5,"op":"txn-error","process":"p1","txn":"p1/1","error":"ProducerFencedException","message":"fenced"}
{"t":6,"op":"abort-error","process":"p1","txn":"p1/1","error":"ProducerFencedException","message":"fenced"}
{"t":7,"op":"begin","process":"p1","txn":"p1/2"}
{"t":8,"op":"committed","process":"p1","txn":"p1/2","offsets":[["orders",0,0]]}
{"t":9,"op":"begin","process":"p1","txn":"p1/3"}
{"t":10,"op":"aborted","process":"p1","txn":"p1/3"}
{"t":11,"op":"commit","process":"c1","offsets":[["orders",0,0]]}
{"t":12,"op":"commit-error","process":"c1","offsets":[["orders",0,0]],"error":"CommitFailedException","message":"left"}
{"t":13,"op":"seek","process":"c1","partitions":[["orders",0]]}
{"t":14,"op":"lost","process":"c1","partitions":[["orders",0]]}
{"t":15,"op":"died","process":"c1","error":"NoOffsetForPartitionException","message":"no policy"}
{"t":16,"op":"final","topic":"orders","partition":0,"isolation":"read_committed","error":"TimeoutException","message":"no leader"}
{"t":16,"op":"final","topic":"orders","partition":0,"isolation":"read_uncommitted","start":0,"end":0,"reached":0,"records":[]}
"#;

#[test]
fn histories_recorded_and_simulated_are_as_their_schema_says() {
    let folder = Folder::new();
    let mut schema = schema("history");
    let loses = folder.file("loses.yaml", LOSES.as_bytes());
    let simulated = folder.path("simulated.jsonl");
    ktrial(&["run", &loses, "--seed", "1", "--history", &simulated]);
    let histories = std::fs::read_dir(root().join("tests/recordings")).expect("the folder is there");
    let recorded = histories.map(|file| file.expect("it can be read").path());
    let rare = folder.file("rare.jsonl", RARE.as_bytes());
    assert_ne!(ktrial(&["check", &rare]).code, 2, "check reads every line");
    for path in recorded.chain([PathBuf::from(simulated), PathBuf::from(rare)]) {
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => {
                let file = std::fs::File::open(&path).expect("it is there");
                std::io::read_to_string(MultiGzDecoder::new(file))
            }
            Some("jsonl") => std::fs::read_to_string(&path),
            _ => continue,
        };
        let text = text.expect("it can be read");
        // A history has thousands of lines of one form.
        let mut of_form = BTreeMap::<String, u32>::new();
        for line in text.lines() {
            let line = json(line);
            let form = line["op"].as_str().unwrap_or_default().to_owned();
            let seen = of_form.entry(form).or_default();
            *seen += 1;
            if *seen <= 50 {
                valid(&mut schema, &line, &path.display().to_string());
            }
        }
    }
    all_seen(&schema, &[]);
}

#[test]
fn lines_of_histories_that_check_refuses_are_refused_by_the_schema() {
    let folder = Folder::new();
    let mut schema = schema("history");
    let header = "{\"schema\":\"ktrial.history/1\"}";
    for wrong in [
        r#"{"t":1,"op":"send","process":"p1","id":"p1-0"}"#,
        r#"{"t":1,"op":"ok","id":"p1-0","partition":0}"#,
        r#"{"t":1,"op":"ok","id":"p1-0","partition":-1,"offset":3}"#,
        r#"{"t":1,"op":"poll","process":"r1","records":[["orders",0,"p1-0"]]}"#,
        r#"{"t":1,"op":"assigned","process":"c1","partitions":[["orders",0,1]]}"#,
        r#"{"t":1,"op":"final","topic":"orders","partition":0,"isolation":"serializable","records":[]}"#,
        r#"{"t":-1,"op":"end","process":"p1"}"#,
    ] {
        assert!(
            !schema.errors(&json(wrong)).is_empty(),
            "the schema takes\n{wrong}"
        );
        let path = folder.file("wrong.jsonl", format!("{header}\n{wrong}\n").as_bytes());
        assert_eq!(ktrial(&["check", &path]).code, 2, "check takes\n{wrong}");
    }
}

#[test]
fn lines_of_tests_are_as_their_schema_says() {
    let folder = Folder::new();
    let good = folder.file("good.yaml", GOOD.as_bytes());
    let loses = folder.file("loses.yaml", LOSES.as_bytes());
    let wrong = folder.file("wrong.yaml", b"scenario: wrong\n");
    let calm = folder.file("calm.yaml", calm().as_bytes());
    let hurried = folder.file("hurried.yaml", HURRIED.as_bytes());
    let mut schema = schema("test");
    let out = folder.path("out");
    ktrial(&[
        "test", &good, &loses, &wrong, &calm, &hurried, "--seeds", "4", "--format", "jsonl", "--output", &out,
    ]);
    let lines = std::fs::read_to_string(Path::new(&out).join("results.jsonl")).expect("it is written");
    for line in lines.lines() {
        valid(&mut schema, &json(line), line);
    }
    // Only a bug in ktrial writes these.
    let of_bugs = [
        "internal_errors/items/properties/seed",
        "properties/message",
        "internal_errors/items/properties/reproduce",
    ];
    all_seen(&schema, &of_bugs);
}
