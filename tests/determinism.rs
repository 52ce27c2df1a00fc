//! Law 1 from the outside: another process, another number of workers, another profile, the same digests.

mod support;

use std::path::Path;

use ktrial_scenarios::{Bench, Keep, Overrides, Source};
use support::{Folder, ktrial};

/// Ten manifests and their digests. `.ci/run` holds the release build against the same file.
const GOLDEN: &str = "tests/golden/digests.txt";

#[test]
fn another_process_with_another_number_of_workers_writes_the_same_bytes() {
    let folder = Folder::new();
    let compare = |name: &str, workers: &str| {
        let output = folder.path(name);
        let arguments = [
            "compare",
            "@leader-loss",
            "--vary",
            "acks=1,all",
            "--seeds",
            "6",
            "--format",
            "json",
        ];
        let run = ktrial(&[&arguments[..], &["--workers", workers, "--output", &output]].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let file = |name: &str| std::fs::read(Path::new(&output).join(name)).expect("it was written");
        (
            run.stdout,
            file("trials.jsonl"),
            file("comparison.svg"),
            file("comparison.json"),
        )
    };
    let one = compare("one", "1");
    assert!(one == compare("two", "2"), "two workers gave something else");
    assert!(
        one == compare("again", "1"),
        "another process gave something else"
    );
}

/// Renew with `KTRIAL_RENEW_GOLDEN=1 cargo test --test determinism`, and say in the commit why they changed.
#[test]
fn ten_manifests_have_the_digests_they_had() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    let golden = std::fs::read_to_string(&path).expect("the file is committed");
    let mut bench = Bench::default();
    let mut now = String::new();
    for line in golden.lines() {
        let mut words = line.split_whitespace();
        let (scenario, seed) = (words.next().expect("a scenario"), words.next().expect("a seed"));
        let read = Source::parse(scenario)
            .unwrap()
            .read(&Overrides::default())
            .unwrap();
        let resolved = read.arm(&[]).unwrap().resolved;
        let trial = bench
            .run(&resolved, seed.parse().expect("a number"), Keep::default())
            .trial;
        now.push_str(&format!("{scenario} {seed} {:016x}\n", trial.digest));
    }
    if std::env::var_os("KTRIAL_RENEW_GOLDEN").is_some() {
        std::fs::write(&path, &now).expect("it can be written");
    }
    assert_eq!(now, std::fs::read_to_string(&path).expect("it is there"));
    assert_eq!(now.lines().count(), 10);
}
