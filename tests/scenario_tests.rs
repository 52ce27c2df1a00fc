//! `ktrial test` as a CI job uses it.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use support::{Folder, Run, ktrial};

/// Nothing happens here, and nothing can go wrong.
const QUIET: &str = "\
scenario: quiet
topics:
  orders: {partitions: 1, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 20}
duration: 2s
";

/// The followers stand still, and the leader dies in that time or after it: with acks=1 some seeds lose records.
const LOSES: &str = "\
scenario: loses
topics:
  orders: {partitions: 1, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 50, settings: {acks: 1}}
duration: 6s
faults:
  - {at: 1s, let: {old: leader of orders-0}}
  - {at: 2s, pause: replicas of orders-0 except $old, for: 500ms..2s}
  - {at: 2s..5s, kill: $old, for: 10s}
";

/// The only fault waits for an election that does not come.
const VACUOUS: &str = "\
scenario: vacuous
topics:
  orders: {partitions: 1, replication.factor: 3}
producers:
  p1: {topic: orders, rate: 20}
duration: 2s
faults:
  - {when: second election of orders-0, kill: b1}
";

fn test(arguments: &[&str]) -> Run {
    ktrial(&[&["test"], arguments].concat())
}

/// The lines that follow a mark, such as `again: `.
fn after<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| Some(line.split_once(mark)?.1))
        .collect()
}

#[test]
fn what_holds_ends_with_0_and_says_what_was_asserted() {
    let folder = Folder::new();
    let text = format!(
        "{QUIET}assert:\n  lost: 0\n  acknowledged: at least 30\n  acknowledged.p99: <= 1s in 90% of trials\n"
    );
    let run = test(&[&folder.file("quiet.yaml", text.as_bytes()), "--seeds", "3"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for part in [
        "quiet (",
        "): held, 3 trials",
        "held     22 asserted invariants",
        "held     lost = 0: 0",
        "held     acknowledged >= 30: ",
        "held     acknowledged.p99 <= 1s in 90% of trials: ",
        " acknowledged; 0 refused or failed)",
        "1 scenario: 1 held; profile default, seeds 1..3",
    ] {
        assert!(run.stdout.contains(part), "expected `{part}` in:\n{}", run.stdout);
    }
}

#[test]
fn an_asserted_invariant_that_is_exposed_fails_and_its_line_reproduces_it() {
    let folder = Folder::new();
    let scenario = folder.file("loses.yaml", LOSES.as_bytes());
    let run = test(&[&scenario, "--seeds", "1..12"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("FAILED   DUR-2 lost-write: EXPOSED in "),
        "{}",
        run.stdout
    );
    // Each failure is three lines: what failed, its first witness, and what to paste.
    let lines: Vec<&str> = run.stdout.lines().collect();
    let mut pasted = 0;
    for failure in lines.windows(3) {
        let Some(rest) = failure[0].strip_prefix("  FAILED   ") else {
            continue;
        };
        let invariant = rest.split_once(':').expect("its name comes first").0;
        let again = failure[2]
            .split_once("again: ktrial ")
            .expect("a line to paste")
            .1;
        let story = ktrial(&again.split(' ').collect::<Vec<_>>());
        let expected = format!("EXPOSED  {invariant} (");
        assert!(story.stdout.contains(&expected), "{again}:\n{}", story.stdout);
        pasted += 1;
    }
    assert!(pasted >= 3, "{}", run.stdout);
}

#[test]
fn settings_of_the_command_line_are_in_the_line_that_reproduces() {
    let folder = Folder::new();
    let scenario = folder.file("loses.yaml", LOSES.as_bytes());
    let safe = test(&[&scenario, "--seeds", "12", "--set", "acks=all"]);
    assert_eq!(safe.code, 0, "acks=all keeps what acks=1 loses:\n{}", safe.stdout);
    let run = test(&[&scenario, "--seeds", "12", "--set", "linger.ms=7"]);
    let again = after(&run.stdout, "again: ");
    assert!(
        again[0].starts_with(&format!("ktrial run {scenario} --set linger.ms=7 --seed ")),
        "{again:?}"
    );
}

#[test]
fn what_is_exposed_and_not_asserted_is_told_and_does_not_fail() {
    let folder = Folder::new();
    let text = format!("{LOSES}assert: {{invariants: [LOG-1]}}\n");
    let run = test(&[&folder.file("loses.yaml", text.as_bytes()), "--seeds", "12"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for part in [
        "told     DUR-2 lost-write, not asserted: EXPOSED in ",
        "held     1 asserted invariant",
    ] {
        assert!(run.stdout.contains(part), "expected `{part}` in:\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("FAILED"), "{}", run.stdout);
}

#[test]
fn a_threshold_fails_in_every_trial_or_in_too_many_of_them() {
    let folder = Folder::new();
    let with = |bounds: &str| {
        let text = format!("{LOSES}assert: {{invariants: [], {bounds}}}\n");
        test(&[&folder.file("loses.yaml", text.as_bytes()), "--seeds", "12"])
    };
    let every = with("lost: 0");
    assert_eq!(every.code, 1, "{}", every.stdout);
    assert!(every.stdout.contains("FAILED   lost: "), "{}", every.stdout);
    assert!(
        every.stdout.contains("FAILED   lost: = 0 is missed in "),
        "{}",
        every.stdout
    );
    let few = with("lost: 0 in 1% of trials");
    assert_eq!(few.code, 0, "{}", few.stdout);
    let two = with("lost: 0 in 1% of trials and = 0 in 99% of trials");
    assert_eq!(two.code, 1, "{}", two.stdout);
    assert!(
        two.stdout.contains("= 0 in 99% of trials is missed in "),
        "{}",
        two.stdout
    );
}

#[test]
fn a_seed_that_failed_is_kept_by_pasting_a_line_and_runs_first_from_then_on() {
    let folder = Folder::new();
    let scenario = folder.file("loses.yaml", LOSES.as_bytes());
    let first = test(&[&scenario, "--seeds", "12"]);
    let keep = after(&first.stdout, "echo ");
    assert!(!keep.is_empty(), "{}", first.stdout);
    for line in &keep {
        let pasted = Command::new("sh").args(["-c", &format!("echo {line}")]).status();
        assert!(pasted.expect("there is a shell").success(), "{line}");
    }
    let kept = std::fs::read_to_string(folder.path("loses.seeds")).expect("the line wrote it");
    assert!(kept.contains("DUR-2/exposed/acks-one"), "{kept}");
    let seed = kept.split_once(' ').expect("a seed and a comment").0;

    let output = folder.path("out");
    let range = "1000..1000";
    let again = test(&[
        &scenario,
        "--seeds",
        range,
        "--format",
        "jsonl,text",
        "--output",
        &output,
    ]);
    assert_eq!(
        again.code, 1,
        "the regression seed fails again:\n{}",
        again.stdout
    );
    assert!(again.stdout.contains("seed"), "{}", again.stdout);
    assert_eq!(
        after(&again.stdout, "echo "),
        Vec::<&str>::new(),
        "it is kept already"
    );
    let lines = std::fs::read_to_string(folder.path("out/results.jsonl")).unwrap();
    let scenario: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(scenario["trials"]["regression_seeds"][0], seed);
    assert_eq!(scenario["trials"]["ran"], keep.len() + 1);
}

#[test]
fn a_share_of_trials_leaves_out_seeds_that_were_kept_because_they_failed() {
    let folder = Folder::new();
    let text = format!("{LOSES}assert: {{invariants: [], lost: 0 in 99% of trials}}\n");
    let scenario = folder.file("loses.yaml", text.as_bytes());
    let found = test(&[
        &folder.file("all.yaml", LOSES.as_bytes()),
        "--seeds",
        "12",
        "--format",
        "jsonl",
    ]);
    let seeds = |failing: bool| -> Vec<u64> {
        let line = found
            .stdout
            .lines()
            .find(|line| line.contains("\"check\":\"DUR-2\""))
            .unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let listed: Vec<u64> = line["failures"][0]["seeds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|seed| seed.as_str().unwrap().parse().unwrap())
            .collect();
        (1..=12).filter(|seed| listed.contains(seed) == failing).collect()
    };
    let (failing, good) = (seeds(true)[0], seeds(false)[0]);
    folder.file("loses.seeds", format!("{failing}  # lost-write\n").as_bytes());
    let good = format!("{good}..{good}");
    let run = test(&[&scenario, "--seeds", &good]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    let failing = format!("{failing}..{failing}");
    assert_eq!(
        test(&[&scenario, "--seeds", &failing]).code,
        1,
        "it counts where it is in the range"
    );
}

/// Every case of a JUnit file as (class, name, what came of it), and the sums that its suites claim.
fn junit(text: &str) -> (Vec<(String, String, String)>, u32) {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut cases, mut tests) = (Vec::new(), 0);
    let mut open: Vec<String> = Vec::new();
    loop {
        let event = reader.read_event().expect("the XML is well formed");
        let (element, empty) = match &event {
            Event::Start(element) => (element, false),
            Event::Empty(element) => (element, true),
            Event::End(_) => {
                open.pop();
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        let name = element.name().as_ref().to_owned();
        let attribute = |key: &str| {
            element
                .attributes()
                .map(|attribute| attribute.expect("attributes are well formed"))
                .find(|attribute| attribute.key.as_ref() == key)
                .map(|attribute| attribute.value.into_owned())
        };
        match name.as_str() {
            "testsuite" => tests += attribute("tests").unwrap().parse::<u32>().unwrap(),
            "testcase" => cases.push((
                attribute("classname").unwrap(),
                attribute("name").unwrap(),
                "passed".to_owned(),
            )),
            "failure" | "error" | "skipped" => cases.last_mut().expect("inside a case").2 = name.clone(),
            _ => {}
        }
        if !empty {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "all elements are closed");
    (cases, tests)
}

#[test]
fn junit_is_well_formed_and_its_names_do_not_depend_on_seeds_or_bounds() {
    let folder = Folder::new();
    let cases = |seeds: &str, bound: &str| {
        let text = format!("{LOSES}assert: {{lost: {bound}}}\n")
            .replace("scenario: loses", "scenario: \"a<b & \\\"c\\\"\"");
        let scenario = folder.file("loses.yaml", text.as_bytes());
        let broken = folder.file("wrong.yaml", b"scenario: wrong\n");
        let run = test(&[&scenario, &broken, "--seeds", seeds, "--format", "junit"]);
        assert_eq!(run.code, 2, "one of them is wrong: {}", run.stderr);
        let (cases, tests) = junit(&run.stdout);
        assert_eq!(cases.len(), tests as usize);
        cases
    };
    let one = cases("12", "0");
    let other = cases("13..18", "<= 5 in 10% of trials");
    let names = |cases: &[(String, String, String)]| -> Vec<(String, String)> {
        cases
            .iter()
            .map(|(class, name, _)| (class.clone(), name.clone()))
            .collect()
    };
    assert_eq!(names(&one), names(&other));
    assert_eq!(
        names(&one).iter().collect::<BTreeSet<_>>().len(),
        one.len(),
        "no name stands twice"
    );
    let of = |name: &str| one.iter().find(|(_, known, _)| known == name).unwrap().2.as_str();
    assert_eq!(of("DUR-2 lost-write"), "failure");
    assert_eq!(of("LOG-1 log-matching"), "passed");
    assert_eq!(of("lost"), "failure");
    assert_eq!(one.last().unwrap().2, "error", "the wrong scenario");
}

#[test]
fn an_annotation_points_at_the_line_that_asserts() {
    let folder = Folder::new();
    let text = format!("{LOSES}assert:\n  invariants:\n    - LOG-1\n    - DUR-2\n  lost: 0\n");
    let scenario = folder.file("loses.yaml", text.as_bytes());
    let run = test(&[&scenario, "--seeds", "12", "--format", "github"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "one for each failure:\n{}", run.stdout);
    assert!(
        lines[0].starts_with("::error file=")
            && lines[0].contains(",line=14,col=7,title=loses%3A DUR-2 lost-write::EXPOSED in "),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains(",line=15,col=3,title=loses%3A lost::"),
        "{}",
        lines[1]
    );
    assert!(lines[1].contains("%0Aagain: ktrial run "), "{}", lines[1]);
}

#[test]
fn json_lines_have_a_line_for_each_scenario_and_check() {
    let folder = Folder::new();
    let run = test(&[
        &folder.file("quiet.yaml", QUIET.as_bytes()),
        "--seeds",
        "2",
        "--format",
        "jsonl",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let lines: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1 + 22);
    assert!(
        lines
            .iter()
            .all(|line| line["schema"] == "ktrial.test/1" && line["scenario"] == "quiet")
    );
    assert_eq!(lines[0]["line"], "scenario");
    assert_eq!(lines[0]["status"], "held");
    assert_eq!(lines[2]["check"], "DUR-2");
    assert_eq!(lines[2]["status"], "held");
    let again = test(&[
        &folder.path("quiet.yaml"),
        "--seeds",
        "2",
        "--format",
        "jsonl",
        "--workers",
        "1",
    ]);
    assert_eq!(again.stdout, run.stdout, "the same bytes on every run");
}

#[test]
fn files_beside_other_formats_need_a_folder() {
    let folder = Folder::new();
    let scenario = folder.file("quiet.yaml", QUIET.as_bytes());
    let run = test(&[&scenario, "--seeds", "1", "--format", "text,junit"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("--output DIR"), "{}", run.stderr);
    let output = folder.path("out");
    let run = test(&[
        &scenario,
        "--seeds",
        "1",
        "--format",
        "text,junit,github,jsonl",
        "--output",
        &output,
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("1 held") && !run.stdout.contains("<?xml"),
        "{}",
        run.stdout
    );
    junit(&std::fs::read_to_string(folder.path("out/junit.xml")).unwrap());
    assert!(std::fs::metadata(folder.path("out/results.jsonl")).is_ok());
}

/// Runs the command in a folder.
fn test_in(folder: &str, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_ktrial"))
        .current_dir(folder)
        .arg("test")
        .args(arguments)
        .output()
        .expect("the command starts");
    Run {
        code: output.status.code().expect("it is not killed"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

#[test]
fn a_vacuous_scenario_fails_under_the_profile_ci() {
    let folder = Folder::new();
    folder.file("quiet.yaml", QUIET.as_bytes());
    folder.file("vacuous.yaml", VACUOUS.as_bytes());
    let run = test_in(&folder.path("."), &[".", "--seeds", "2"]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stdout.contains("2 scenarios: 1 VACUOUS, 1 held"),
        "{}",
        run.stdout
    );
    let run = test_in(&folder.path("."), &[".", "--seeds", "2", "--profile", "ci"]);
    assert_eq!(run.code, 5, "{}", run.stdout);
}

#[test]
fn a_profile_is_found_above_the_working_directory() {
    let folder = Folder::new();
    folder.file(
        "ktrial.yaml",
        b"profiles:\n  mine: {extends: ci, seeds: 4..5, format: [text, junit], output: out}\n",
    );
    std::fs::create_dir_all(folder.path("below/scenarios")).unwrap();
    folder.file("below/scenarios/quiet.yaml", QUIET.as_bytes());
    let run = test_in(&folder.path("below"), &["scenarios", "--profile", "mine"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("profile mine, seeds 4..5"), "{}", run.stdout);
    assert!(
        std::fs::metadata(folder.path("out/junit.xml")).is_ok(),
        "beside ktrial.yaml"
    );
    let wrong = test_in(&folder.path("below"), &["scenarios", "--profile", "mien"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("did you mean mine?"), "{}", wrong.stderr);
    folder.file("ktrial.yaml", b"profiles:\n  mine: {extends: ci, sedes: 4}\n");
    let wrong = test_in(&folder.path("below"), &["scenarios"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("ktrial.yaml:2:23: unknown field `sedes`")
            && wrong.stderr.contains("did you mean seeds?"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn two_scenarios_of_one_name_are_refused_and_the_others_run() {
    let folder = Folder::new();
    let one = folder.file("a.yaml", QUIET.as_bytes());
    let other = folder.file("b.yaml", QUIET.as_bytes());
    let run = test(&[&one, &other, &one, "--seeds", "1"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(
        run.stderr.contains("b.yaml:1:11: the name quiet is taken by ") && run.stderr.contains("a.yaml:1:11"),
        "{}",
        run.stderr
    );
    assert!(
        run.stdout.contains("2 scenarios: 1 ERROR, 1 held"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_scenario_that_kafka_refuses_is_an_error_and_the_others_run() {
    let folder = Folder::new();
    folder.file("quiet.yaml", QUIET.as_bytes());
    let text = LOSES.replace("acks: 1", "acks: 1, enable.idempotence: true");
    folder.file("refused.yaml", text.as_bytes());
    folder.file("refused.seeds", b"");
    let run = test(&[&folder.path("."), "--seeds", "1"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(
        run.stdout.contains("REFUSED") && run.stdout.contains("ConfigException"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("1 ERROR, 1 held"), "{}", run.stdout);
}

#[test]
fn a_file_of_seeds_that_is_spoilt_is_shown_with_its_place() {
    let folder = Folder::new();
    let scenario = folder.file("quiet.yaml", QUIET.as_bytes());
    folder.file("quiet.seeds", b"17 # lost\nseed 4\n");
    let run = test(&[&scenario, "--seeds", "1"]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("quiet.seeds:2:1: `seed 4` is no seed"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_folder_without_scenarios_selects_nothing() {
    let folder = Folder::new();
    folder.file("ktrial.yaml", b"profiles: {}\n");
    let run = test(&[&folder.path(".")]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("nothing selected"), "{}", run.stderr);
}

#[test]
fn wrong_words_of_the_command_line_are_told_and_nothing_runs() {
    let folder = Folder::new();
    let scenario = folder.file("quiet.yaml", QUIET.as_bytes());
    for (wrong, expected) in [
        (&["nowhere.yaml"][..], "cannot read nowhere.yaml"),
        (&[&scenario, "@leader-los"], "did you mean @leader-loss?"),
        (&[&scenario, "--seeds", "9..1"], "there is no seed in it"),
        (&[&scenario, "--format", "html"], "no format html"),
        (&[&scenario, "--time-budget", "5"], "not a length of time"),
        (&[&scenario, "--seeds", "20000000"], "ktrial sweep"),
    ] {
        let run = test(wrong);
        assert_eq!(run.code, 2, "{wrong:?}");
        assert!(
            run.stderr.contains(expected),
            "expected `{expected}` in:\n{}",
            run.stderr
        );
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn a_time_budget_ends_the_run_with_as_much_of_every_scenario() {
    let folder = Folder::new();
    folder.file("quiet.yaml", QUIET.as_bytes());
    folder.file("other.yaml", QUIET.replace("quiet", "other").as_bytes());
    let run = test(&[&folder.path("."), "--seeds", "100000", "--time-budget", "2s"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("The time budget of 2s was used up"),
        "{}",
        run.stdout
    );
    assert_eq!(
        run.stdout.matches(" of 100000 trials").count(),
        2,
        "{}",
        run.stdout
    );
}

#[test]
fn an_interruption_prints_what_there_is() {
    let folder = Folder::new();
    let text = format!("{QUIET}settings: {{broker: {{log.dirs: /data}}}}\n");
    let scenario = folder.file("quiet.yaml", text.as_bytes());
    let mut child = Command::new(env!("CARGO_BIN_EXE_ktrial"))
        .args(["test", &scenario, "--seeds", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // What it has to say of the settings comes when it listens to signals already, and before the first trial.
    let mut note = String::new();
    let stderr = child.stderr.take().expect("it is piped");
    BufReader::new(stderr).read_line(&mut note).expect("a line");
    assert!(note.contains("log.dirs"), "{note}");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let pid = child.id().to_string();
    Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .expect("there is kill");
    let mut stdout = String::new();
    child
        .stdout
        .take()
        .expect("it is piped")
        .read_to_string(&mut stdout)
        .expect("UTF-8");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(
        stdout.contains("): held, ") && stdout.contains(" of 100000 trials"),
        "{stdout}"
    );
    assert!(
        stdout.contains("Interrupted: the scenarios have only the seeds that were run."),
        "{stdout}"
    );
}

#[test]
fn hostile_profiles_and_seeds_are_refused_before_they_are_read_to_their_end() {
    let folder = Folder::new();
    folder.file("quiet.yaml", QUIET.as_bytes());
    let huge = |name: &str| {
        let file = std::fs::File::create(folder.path(name)).unwrap();
        file.set_len(1 << 30).unwrap();
    };
    let refused = |expected: &str| {
        let run = test_in(&folder.path("."), &["quiet.yaml", "--seeds", "1"]);
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(
            run.stderr.contains(expected) && run.stderr.len() < 1_000,
            "{}",
            run.stderr
        );
    };
    huge("quiet.seeds");
    refused("quiet.seeds: it is larger than 1 MiB");
    std::fs::remove_file(folder.path("quiet.seeds")).unwrap();
    huge("ktrial.yaml");
    refused("ktrial.yaml: it is larger than 1 MiB");
    folder.file("ktrial.yaml", "[".repeat(1 << 19).as_bytes());
    refused("recursion limit");
    let chain: String = (0..10_000)
        .map(|at| format!("  p{at}: {{extends: p{}}}\n", at + 1))
        .collect();
    folder.file("ktrial.yaml", format!("profiles:\n{chain}").as_bytes());
    refused("10000 profiles; a file can have at most 200");
    let twice = |at: u32| {
        format!(
            "  p{at}: &a{at} {{<<: [{}]}}\n",
            vec![format!("*a{}", at - 1); 10].join(", ")
        )
    };
    let laughs: String = (1..12).map(twice).collect();
    folder.file(
        "ktrial.yaml",
        format!("profiles:\n  p0: &a0 {{seeds: 1}}\n{laughs}").as_bytes(),
    );
    refused("more than 50000 values");
}
