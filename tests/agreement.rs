//! Agreement with Apache Kafka itself: every recording of a real cluster beside the simulation of its experiment,
//! `@real/NAME`, as `ktrial agree` sets them side by side, and the table of it in `tests/agreement/README.md`.
//!
//! Each experiment has 40 seeds, and more, up to 200, while a row disagrees. With 200 each:
//!
//! ```text
//! KTRIAL_AGREEMENT_SEEDS=200 cargo test --test agreement -- --nocapture
//! ```
//!
//! `KTRIAL_RENEW_GOLDEN=1` writes the table anew; its last column is kept.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use ktrial_models::history::History;
use ktrial_reports::{AGREEMENT_HEADING, ToldAgreement, agreement_row, agreement_text};
use ktrial_scenarios::{Agreement, AgreementSeeds, Overrides, Source, agree, comparable};
use support::{Folder, ktrial};

/// Rows that disagree: experiment, row, and what is known. A disagreement that is not listed fails, and so does one
/// that is listed and gone.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "first_batches_at_a_replaced_leader",
        "acknowledged",
        "The first send of a JVM waits 0.43 s for metadata, a simulated one 0.01 s, and the first batch is larger by that.",
    ),
    (
        "first_batches_at_a_replaced_leader",
        "REQUEST_TIMED_OUT",
        "The same batch.",
    ),
    (
        "leader_paused_acks_1",
        "acknowledged but lost",
        "The woken leader takes 0.2 s to learn that it was replaced, a simulated one at most 0.07 s.",
    ),
    (
        "refused_writes_overtake",
        "at two offsets",
        "At three cuts the five batches in flight stand twice, and one of them really held two records.",
    ),
];

/// Recordings that are judged and cannot be simulated yet, with what they wait for.
const OPEN: &[(&str, &str)] = &[
    ("exactly_once_transfer", "transactions are not simulated yet"),
    (
        "reassignment_under_load",
        "reassignment of replicas is not simulated yet",
    ),
    (
        "transaction_coordinator_killed",
        "transactions are not simulated yet",
    ),
    (
        "transactional_producer_paused",
        "transactions are not simulated yet",
    ),
    ("transactions_leader_killed", "transactions are not simulated yet"),
];

const DEFAULT_SEEDS: u64 = 40;
const MOST_SEEDS: u64 = 200;

/// How many seeds each experiment has at least.
fn seeds() -> u64 {
    let given = std::env::var("KTRIAL_AGREEMENT_SEEDS").ok();
    given.map_or(DEFAULT_SEEDS, |text| {
        text.parse().expect("KTRIAL_AGREEMENT_SEEDS is a number")
    })
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every recording by its name.
fn recordings() -> BTreeMap<String, PathBuf> {
    let folders = ["tests/recordings", "tests/agreement/recordings"];
    let folders = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(here(folder)).ok());
    let files = folders.flatten().map(|entry| entry.expect("an entry").path());
    let named = files.filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix(".jsonl.gz")?.to_owned();
        Some((name, path))
    });
    named.collect()
}

/// The experiments that are simulated.
fn experiments() -> Vec<(String, PathBuf)> {
    let is_simulated = |name: &String| Source::parse(&format!("@real/{name}")).is_ok();
    recordings()
        .into_iter()
        .filter(|(name, _)| is_simulated(name))
        .collect()
}

fn set_side_by_side(name: &str, path: &Path) -> Agreement {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let history = History::read(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let source = Source::parse(&format!("@real/{name}")).unwrap_or_else(|error| panic!("{error}"));
    let scenario = source
        .read(&Overrides::default())
        .unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
    let arm = scenario
        .arm(&[])
        .unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
    comparable(name, &history, &arm).unwrap_or_else(|errors| panic!("{errors:?}"));
    let seeds = AgreementSeeds {
        first: 1,
        count: seeds(),
        most: MOST_SEEDS,
    };
    agree(&history, &arm, seeds, 1, &AtomicBool::new(false), &|_| {})
}

/// Every experiment beside its recording, run once for all tests.
fn agreements() -> &'static BTreeMap<String, Agreement> {
    static AGREEMENTS: OnceLock<BTreeMap<String, Agreement>> = OnceLock::new();
    AGREEMENTS.get_or_init(|| {
        let experiments = experiments();
        let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some((name, path)) = experiments.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let agreement = set_side_by_side(name, path);
                        done.lock()
                            .expect("no other thread failed")
                            .insert(name.clone(), agreement);
                    }
                });
            }
        });
        done.into_inner().expect("no thread failed")
    })
}

#[test]
fn what_kafka_did_the_simulation_does_too_but_for_what_is_known() {
    let mut wrong = BTreeSet::new();
    for (name, agreement) in agreements() {
        let told = ToldAgreement {
            history: name,
            scenario: &format!("@real/{name}"),
            agreement,
            interrupted: false,
        };
        println!("{}", agreement_text(&told));
        wrong.extend(
            agreement
                .disagreements()
                .into_iter()
                .map(|row| (name.clone(), row)),
        );
    }
    let known = KNOWN
        .iter()
        .map(|(name, row, _)| ((*name).to_owned(), (*row).to_owned()));
    let known: BTreeSet<(String, String)> = known.collect();
    let new: Vec<_> = wrong.difference(&known).collect();
    let gone: Vec<_> = known.difference(&wrong).collect();
    assert!(new.is_empty(), "these rows disagree: {new:#?}");
    assert!(gone.is_empty(), "these rows agree and are listed: {gone:#?}");
}

#[test]
fn every_recording_that_waits_is_there_and_not_simulated() {
    let recordings = recordings();
    assert!(recordings.len() >= 19, "{} recordings", recordings.len());
    for (name, _) in OPEN {
        assert!(recordings.contains_key(*name), "{name}");
        let source = Source::parse(&format!("@real/{name}"));
        assert!(source.is_err(), "{name} is simulated: compare it");
    }
}

/// The table as the runs give it. Commits are taken from the table that is there.
fn table(there: &str) -> String {
    let since = |name: &str| {
        let row = there
            .lines()
            .find(|line| line.starts_with(&format!("| {name} |")));
        row.and_then(|row| row.trim_end_matches([' ', '|']).rsplit('|').next())
            .map_or("?".to_owned(), |cell| cell.trim().to_owned())
    };
    let mut table = AGREEMENT_HEADING.to_owned();
    for name in recordings().keys() {
        let open = OPEN.iter().find(|(open, _)| open == name);
        let waits = open.map_or("there is no scenario of it yet", |(_, waits)| waits);
        table += &match agreements().get(name) {
            Some(agreement) => agreement_row(name, agreement, &since(name)),
            None => format!("| {name} | - | | | | | open: {waits} | - |\n"),
        };
    }
    table
}

const BEGIN: &str =
    "<!-- the table begins: KTRIAL_RENEW_GOLDEN=1 cargo test --test agreement writes it -->\n";
const END: &str = "<!-- the table ends -->\n";

#[test]
fn the_table_is_what_the_runs_give() {
    if seeds() != DEFAULT_SEEDS {
        return;
    }
    let path = here("tests/agreement/README.md");
    let page = std::fs::read_to_string(&path).expect("the page of the agreement");
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("the page has a place for the table");
    let (there, after) = rest.split_once(END).expect("the table has an end");
    let table = table(there);
    if std::env::var_os("KTRIAL_RENEW_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))
            .expect("the page can be written");
        return;
    }
    let lines = there.trim().lines().zip(table.trim().lines());
    for (line, run) in lines {
        assert_eq!(line, run, "left the page, right the runs");
    }
    assert_eq!(there.trim(), table.trim());
    let unsaid = there.contains("| ? |");
    assert!(!unsaid, "a row does not say since which commit it stands so");
}

const QUICK: [&str; 3] = [
    "agree",
    "tests/recordings/zombie_leader.jsonl.gz",
    "@real/zombie_leader",
];

#[test]
fn the_command_says_in_its_last_line_and_exit_code_whether_all_agrees() {
    let run = ktrial(&[&QUICK[..], &["--seeds", "5"]].concat());
    let last = run.stdout.lines().last().expect("a last line");
    assert_eq!((run.code, last), (0, "agrees"), "{}", run.stdout);
    // acks=0 instead of acks=1: the recording is not of this experiment, and that is said before anything runs.
    let other = ktrial(&[&QUICK[..], &["--seeds", "5", "--set", "acks=0"]].concat());
    assert_eq!(other.code, 2);
    assert!(
        other
            .stderr
            .contains("producer acks is 1, not 0 as in scenario zombie_leader"),
        "{}",
        other.stderr
    );
}

#[test]
fn a_fault_that_is_left_out_is_a_disagreement() {
    let folder = Folder::new();
    let path = here("scenarios/library/real/zombie_leader.yaml");
    let text = std::fs::read_to_string(path).expect("a built-in scenario");
    let without = text.lines().filter(|line| !line.contains("cut:"));
    let scenario = folder.file("mine.yaml", without.collect::<Vec<_>>().join("\n").as_bytes());
    let run = ktrial(&["agree", QUICK[1], &scenario, "--seeds", "3"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let last = run.stdout.lines().last().expect("a last line");
    let expected = "disagrees in: fault cut b3; verdict of DUR-2 lost-write; ";
    assert!(last.starts_with(expected), "{last}");
    assert!(
        last.contains("acknowledged but lost; ") && last.ends_with("course of orders-0"),
        "{last}"
    );
}

#[test]
fn json_is_the_same_bytes_whatever_the_threads() {
    let json = |workers: &str| {
        let run = ktrial(
            &[
                &QUICK[..],
                &["--seeds", "4", "--format", "json", "--workers", workers],
            ]
            .concat(),
        );
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stdout
    };
    let one = json("1");
    assert_eq!(one, json("3"));
    let value: serde_json::Value = serde_json::from_str(&one).expect("one JSON object");
    assert_eq!(value["schema"], "ktrial.agree/1");
    assert_eq!(value["agrees"], true);
    assert_eq!(value["seeds"]["count"], 4);
}
