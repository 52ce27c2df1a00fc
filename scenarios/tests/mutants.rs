//! Every invariant is violated, against a promise, by at least one deliberate deviation from Kafka, under faults that
//! break no promise without it.
//!
//! Not found by these scenarios, and left to the tests of the machines that they change: SingleStepDivergence,
//! UnfencedFollowerFetch, JoinIsrBelowEpochStart, IgnoreBrokerEpochs and ForgetEpochStart. Each needs several faults
//! in a particular order within one round trip.

use std::path::Path;
use std::sync::Arc;

use ktrial_models::invariants::{Invariant, Verdict};
use ktrial_models::mutation::{Mutation, Mutations};
use ktrial_scenarios::{Bench, Keep, Overrides, Resolved, Scenario};

/// Seeds tried; a mutant must be found by one of three times as many.
const SEEDS: u64 = 40;

/// What finds each mutant: a scenario, and the invariants that it then breaks.
const KILLS: &[(Mutation, &str, &[Invariant])] = &[
    (
        Mutation::TruncateToHighWatermark,
        "one_at_a_time",
        &[Invariant::LostWrite, Invariant::LeaderCompleteness],
    ),
    (
        Mutation::HighWatermarkFromCommittedIsr,
        "refused",
        &[Invariant::HighWatermarkValid],
    ),
    (
        Mutation::HighWatermarkBelowMinIsr,
        "refused",
        &[Invariant::HighWatermarkValid],
    ),
    (
        Mutation::ReadToLogEnd,
        "refused",
        &[Invariant::ReadAboveHighWatermark],
    ),
    (
        Mutation::NoDeduplication,
        "responses",
        &[Invariant::DuplicateRecord, Invariant::NonmonotonicSend],
    ),
    (
        Mutation::AcknowledgeAfterAppend,
        "quick_failover",
        &[
            Invariant::AckNeedsMinIsr,
            Invariant::LostWrite,
            Invariant::AckedSurvives,
            Invariant::InconsistentOffsets,
        ],
    ),
    (Mutation::KeepFencedInIsr, "refused", &[Invariant::IsrLegal]),
    (
        Mutation::ElectAnyReplica,
        "clean_only",
        &[
            Invariant::LeaderCompleteness,
            Invariant::LogMatching,
            Invariant::AckedSurvives,
        ],
    ),
    (
        Mutation::KeepLeaderEpoch,
        "quick_failover",
        &[Invariant::ElectionSafety],
    ),
    (Mutation::VoteTwice, "split_votes", &[Invariant::ElectionSafety]),
    (
        Mutation::AppendRefused,
        "refused",
        &[Invariant::FailedWriteVisible],
    ),
    (
        Mutation::RetryAtTail,
        "one_at_a_time",
        &[Invariant::NonmonotonicSend],
    ),
    (
        Mutation::DropExpired,
        "refused",
        &[Invariant::SendResolves, Invariant::Converges],
    ),
    (
        Mutation::ReuseOffset,
        "refused",
        &[Invariant::LogWellFormed, Invariant::InconsistentOffsets],
    ),
    (
        Mutation::ClaimCleanShutdown,
        "chaos",
        &[Invariant::UncleanExclusion],
    ),
    (
        Mutation::SkipBatchOnFollower,
        "refused",
        &[Invariant::LogMatching],
    ),
    (Mutation::SkipOnPoll, "refused", &[Invariant::PollSkip]),
    (Mutation::RepeatOnPoll, "refused", &[Invariant::NonmonotonicPoll]),
    (
        Mutation::AcceptStaleCommits,
        "groups",
        &[Invariant::StaleCommitAccepted],
    ),
    (
        Mutation::AnswerBeforeCommit,
        "groups_cut_off",
        &[Invariant::LostOffsetCommit],
    ),
    (
        Mutation::LoadToHighWatermark,
        "groups",
        &[Invariant::LostOffsetCommit],
    ),
    (
        Mutation::AcceptStaleCommits,
        "members",
        &[Invariant::StaleCommitAccepted],
    ),
    (
        Mutation::AnswerBeforeCommit,
        "members_cut_off",
        &[Invariant::LostOffsetCommit],
    ),
    (
        Mutation::LoadToHighWatermark,
        "members",
        &[Invariant::LostOffsetCommit],
    ),
    (Mutation::AssignTwice, "groups", &[Invariant::DoubleAssignment]),
    (Mutation::SkipOnPoll, "groups", &[Invariant::PollSkip]),
    (Mutation::RepeatOnPoll, "groups", &[Invariant::NonmonotonicPoll]),
];

fn resolved(name: &str, mutations: Mutations) -> Arc<Resolved> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutants");
    let file = format!("{name}.yaml");
    let text = std::fs::read_to_string(directory.join(&file)).expect("one of the files beside this test");
    let overrides = Overrides {
        allow_unmodelled: vec!["replica.lag.time.max.ms".to_owned()],
        ..Overrides::default()
    };
    let scenario = Scenario::read(&file, &text, &directory, &overrides);
    let scenario = scenario.unwrap_or_else(|errors| panic!("{file}: {errors:?}"));
    let arm = scenario.mutated(mutations).arm(&[]);
    arm.unwrap_or_else(|errors| panic!("{file}: {errors:?}")).resolved
}

/// The invariants that a trial shows to be broken although they were promised.
fn broken(bench: &mut Bench, resolved: &Arc<Resolved>, seed: u64) -> Vec<Invariant> {
    let findings = bench.run(resolved, seed, Keep::default()).trial.findings;
    let broken = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Broken);
    broken.map(|finding| finding.invariant).collect()
}

#[test]
fn each_mutant_breaks_what_it_should() {
    let mut bench = Bench::default();
    let mut survivors = Vec::new();
    for (mutation, name, invariants) in KILLS {
        let resolved = resolved(name, Mutations::only(*mutation));
        let mut missing = invariants.to_vec();
        for seed in 0..3 * SEEDS {
            let seen = broken(&mut bench, &resolved, seed);
            missing.retain(|invariant| !seen.contains(invariant));
            if missing.is_empty() {
                break;
            }
        }
        if !missing.is_empty() {
            survivors.push(format!("{mutation:?} under {name} does not break {missing:?}"));
        }
    }
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}

#[test]
fn each_invariant_is_broken_by_some_mutant() {
    for invariant in Invariant::ALL {
        let found = KILLS
            .iter()
            .any(|(_, _, invariants)| invariants.contains(invariant));
        assert!(found, "{invariant}");
    }
}

#[test]
fn without_a_mutation_the_same_faults_break_no_promise() {
    let mut names: Vec<&str> = KILLS.iter().map(|(_, name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let mut bench = Bench::default();
    for name in names {
        let resolved = resolved(name, Mutations::default());
        for seed in 0..SEEDS {
            let findings = bench.run(&resolved, seed, Keep::default()).trial.findings;
            let broken = findings.iter().find(|finding| finding.verdict == Verdict::Broken);
            assert!(broken.is_none(), "{name} seed {seed}: {broken:?}");
        }
    }
}
