//! The judges over the library: what they watch they do not change, and Kafka as it is breaks no promise.

use std::sync::atomic::AtomicBool;

use ktrial_models::invariants::Verdict;
use ktrial_scenarios::{Bench, Keep, LIBRARY, Overrides, Row, Scenario, Source, sweep};

fn library() -> impl Iterator<Item = Scenario> {
    LIBRARY.iter().map(|(name, _)| {
        let source = Source::parse(&format!("@{name}")).expect("a built-in scenario");
        let overrides = Overrides {
            allow_unmodelled: vec!["replica.lag.time.max.ms".to_owned()],
            ..Overrides::default()
        };
        let read = source.read(&overrides);
        read.unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
    })
}

#[test]
fn switching_the_judges_off_alters_no_run() {
    for scenario in library() {
        let arm = scenario.arm(&[]).expect("a library scenario resolves");
        let digest = |unjudged| {
            let keep = Keep {
                unjudged,
                ..Keep::default()
            };
            Bench::default().run(&arm.resolved, 1, keep).trial.digest
        };
        assert_eq!(digest(false), digest(true), "{}", scenario.name);
    }
}

#[test]
fn no_promise_is_broken_in_the_library() {
    let interrupted = AtomicBool::new(false);
    let mut broken = Vec::new();
    for scenario in library() {
        let arm = scenario.arm(&[]).expect("a library scenario resolves");
        let swept = sweep(&[arm.resolved], 0..8, 2, &interrupted, &|_| {});
        assert!(swept.errors.is_empty(), "{:?}", swept.errors);
        let rows = swept.rows;
        broken.extend(rows.iter().filter_map(|row| told(&scenario, row)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn told(scenario: &Scenario, row: &Row) -> Option<String> {
    let mut findings = row.trial.findings.iter();
    let finding = findings.find(|finding| finding.verdict == Verdict::Broken)?;
    Some(format!("{} seed {}: {finding:?}", scenario.name, row.trial.seed))
}
