//! Agreement with Apache Kafka itself: the experiments that `tests/recordings` and `tests/agreement/recordings` hold, run as
//! `@real/NAME`, one row each. The same judges read both.
//!
//! * A column of violations that is zero in the recording is zero in every seed, and one that is not is not in some
//!   seed.
//! * Some seed takes the course of leader, ISR, ELR and last known ELR that partition 0 took. The real cluster was
//!   asked every quarter of a second, so its course may lack states: it is looked for as a subsequence, with its
//!   brokers renamed.
//! * *Read twice* waits for groups.
//!
//! Here each experiment has 20 seeds; the search for its course goes on up to 200. With 200 each, told row by row:
//!
//! ```text
//! KTRIAL_AGREEMENT_SEEDS=200 cargo test --package ktrial-scenarios --test agreement -- --nocapture
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;

use ktrial_models::history::{Course, History, Invariant, NodeId, Replicas, Report, Step, judge};
use ktrial_scenarios::{Arm, Bench, Keep, Overrides, Source, history};

/// The columns of the recordings' table that groups have nothing to do with.
const COLUMNS: [(&str, Invariant); 6] = [
    ("ok but lost", Invariant::LostWrite),
    ("at two offsets", Invariant::Duplicate),
    ("out of order", Invariant::NonmonotonicSend),
    ("offsets with two records", Invariant::InconsistentOffset),
    ("read, then gone", Invariant::ReadThenGone),
    ("error but in the log", Invariant::ErrorButInTheLog),
];

/// Where a row disagrees, and why: experiment, column, what is known. A disagreement that is not listed fails, and
/// so does one that is listed and gone.
const KNOWN: [(&str, &str, &str); 1] = [(
    "delivery_timeout_leader_cut",
    "error but in the log",
    "The old connection's requests reach the leader with a retransmission 12.6 s after the cut, and are in the log \
     unless the producer was back with a new epoch by then (INVALID_PRODUCER_EPOCH in the broker's log). It gives up \
     connecting after 8 to 12 s, drawn; really after 9936 and 9768 ms, so that it was back within 0.25 s both times. \
     Of 60 seeds 3 have none in the log.",
)];

/// Up to this many seeds are tried for a course.
const COURSE_SEEDS: u64 = 200;

/// How many seeds each experiment has, from seed 0.
fn seeds() -> u64 {
    let given = std::env::var("KTRIAL_AGREEMENT_SEEDS").ok();
    given.map_or(20, |text| {
        text.parse().expect("KTRIAL_AGREEMENT_SEEDS is a number")
    })
}

/// Where recordings are.
fn recordings() -> [PathBuf; 2] {
    let folder = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../tests")
            .join(name)
    };
    [folder("recordings"), folder("agreement/recordings")]
}

fn recording(name: &str) -> History {
    let paths = recordings().map(|folder| folder.join(format!("{name}.jsonl.gz")));
    let path = paths
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no recording {name}"));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    History::read(file).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn arm(name: &str) -> Arm {
    let source = Source::parse(&format!("@real/{name}")).expect("it is built in");
    let scenario = source
        .read(&Overrides::default())
        .unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
    scenario
        .arm(&[])
        .unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
}

/// What brokers (or the controllers) told of partition 0 of the topic, one after the other.
fn states(history: &History) -> Vec<Replicas> {
    let topic = history
        .names
        .find_topic("orders")
        .expect("every experiment has it");
    let partition = history.names.find_partition(topic, 0).expect("it was told of");
    let steps = Course::of(history, partition).steps;
    let changes = steps.into_iter().filter_map(|(_, step)| match step {
        Step::Changed(replicas) => Some(replicas),
        Step::Fault { .. } => None,
    });
    changes.collect()
}

/// A state with every broker under its other name.
fn renamed(replicas: &Replicas, names: [i32; 3]) -> Replicas {
    let name = |node: &NodeId| NodeId(names[node.0 as usize - 1]);
    let set = |nodes: &[NodeId]| {
        let mut nodes: Vec<NodeId> = nodes.iter().map(name).collect();
        nodes.sort_unstable();
        nodes
    };
    Replicas {
        leader: replicas.leader.as_ref().map(name),
        isr: set(&replicas.isr),
        elr: set(&replicas.elr),
        last_known_elr: set(&replicas.last_known_elr),
    }
}

const NAMES: [[i32; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];

/// Whether the real course is what a watcher can have seen of the simulated one.
fn is_seen_in(real: &[Replicas], simulated: &[Replicas]) -> bool {
    NAMES.iter().any(|names| {
        let mut told = simulated.iter();
        real.iter().all(|state| {
            let state = renamed(state, *names);
            told.any(|other| *other == state)
        })
    })
}

/// What trials showed in one column: least, most, and how many seeds had any.
#[derive(Clone, Copy, Default)]
struct Seen {
    least: u64,
    most: u64,
    with: u64,
}

#[derive(Default)]
struct Trials {
    columns: BTreeMap<&'static str, Vec<u64>>,
    errors: BTreeMap<String, Vec<u64>>,
    sent: Vec<u64>,
    acknowledged: Vec<u64>,
    /// How many of how many seeds took the real course.
    course: (u64, u64),
}

fn seen(counts: &[u64], trials: u64) -> Seen {
    Seen {
        least: if (counts.len() as u64) < trials {
            0
        } else {
            counts.iter().copied().min().unwrap_or(0)
        },
        most: counts.iter().copied().max().unwrap_or(0),
        with: counts.iter().filter(|count| **count > 0).count() as u64,
    }
}

fn run(name: &str, real: &[Replicas]) -> Trials {
    let arm = arm(name);
    let mut bench = Bench::default();
    let mut trials = Trials::default();
    let keep = Keep {
        story: true,
        unjudged: true,
        ..Keep::default()
    };
    for seed in 0..seeds().max(COURSE_SEEDS) {
        if seed >= seeds() && trials.course.0 > 0 {
            break;
        }
        let detailed = bench.run(&arm.resolved, seed, keep);
        let told = history(&arm, &detailed);
        trials.course.0 += u64::from(is_seen_in(real, &states(&told)));
        trials.course.1 += 1;
        if seed >= seeds() {
            continue;
        }
        let report: Report = judge(&told);
        for (column, invariant) in COLUMNS {
            let violations = report.finding(invariant).violations;
            trials.columns.entry(column).or_default().push(violations);
        }
        for (error, count) in &report.counts.errors {
            trials.errors.entry(error.clone()).or_default().push(*count);
        }
        trials.sent.push(report.counts.sent);
        trials.acknowledged.push(report.counts.acknowledged);
    }
    trials
}

/// Runs one experiment, tells its row, and returns in which columns it disagrees.
fn disagreements(name: &str) -> BTreeSet<String> {
    let recorded = recording(name);
    let real = judge(&recorded);
    let trials = run(name, &states(&recorded));
    let mut wrong = BTreeSet::new();
    let range = |counts: &[u64]| {
        let seen = seen(counts, seeds());
        format!("{}..{} in {}", seen.least, seen.most, seen.with)
    };
    println!("{name}, {} seeds", seeds());
    println!("  sent: real {}, {}", real.counts.sent, range(&trials.sent));
    println!(
        "  ok: real {}, {}",
        real.counts.acknowledged,
        range(&trials.acknowledged)
    );
    for (error, count) in &real.counts.errors {
        let counts = trials.errors.get(error).map_or(&[][..], Vec::as_slice);
        println!("  {error}: real {count}, {}", range(counts));
        if seen(counts, seeds()).with == 0 {
            wrong.insert(error.clone());
        }
    }
    for (error, counts) in &trials.errors {
        if !real.counts.errors.contains_key(error) {
            println!("  {error}: real 0, {}", range(counts));
        }
        if real.counts.errors.is_empty() {
            wrong.insert(error.clone());
        }
    }
    for (column, invariant) in COLUMNS {
        let there = real.finding(invariant).violations;
        let counts = &trials.columns[column];
        println!("  {column}: real {there}, {}", range(counts));
        if (there > 0) != (seen(counts, seeds()).with > 0) {
            wrong.insert(column.to_owned());
        }
    }
    println!("  course: {} of {} seeds", trials.course.0, trials.course.1);
    if trials.course.0 == 0 {
        wrong.insert("course".to_owned());
    }
    wrong
}

fn agrees(name: &str) {
    let known = KNOWN.iter().filter(|(experiment, ..)| *experiment == name);
    let known: BTreeSet<String> = known.map(|(_, column, _)| (*column).to_owned()).collect();
    assert_eq!(
        disagreements(name),
        known,
        "{name}: left what differs from the recording, right what is known to"
    );
}

macro_rules! experiments {
    ($($name:ident),* $(,)?) => {
        const EXPERIMENTS: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { agrees(stringify!($name)); })*
    };
}

experiments!(
    acks_1_paused_followers,
    acks_all_paused_followers,
    clock_client_forward,
    clock_controller_forward,
    clock_leader_forward,
    controllers_without_majority,
    last_replica_loses_disk,
    lost_responses_with_idempotence,
    lost_responses_without_idempotence,
    min_isr_refuses,
    power_loss_everywhere,
    power_loss_everywhere_flushed,
    quick_restart,
    rolling_restart,
    unclean_election,
    zombie_leader,
    zombie_leader_acks_all,
    acks_0_leader_killed,
    combined_node_killed,
    controlled_shutdown_of_the_last,
    delivery_timeout_leader_cut,
    double_failover,
    followers_cut_from_leader,
    idempotent_producer_forgotten,
    leader_cut_from_controllers,
    leader_paused_acks_1,
    leader_power_off_and_back,
    min_isr_3_one_paused,
    operator_elects_unclean,
    rack_cut_off,
    refused_writes_overtake,
    single_controller_killed,
    two_disks_lost_in_turn,
    two_replicas_last_in_isr,
);

/// Recordings that are judged and not simulated, and what they wait for.
const OPEN: [(&str, &str); 10] = [
    ("auto_commit_clients_paused", "groups"),
    ("clock_leader_forward_retention", "retention"),
    ("consumer_protocol_coordinator_killed", "groups"),
    ("exactly_once_transfer", "transactions"),
    ("group_coordinator_killed", "groups"),
    ("member_too_slow", "groups"),
    ("reassignment_under_load", "reassignment of replicas"),
    ("transaction_coordinator_killed", "transactions"),
    ("transactional_producer_paused", "transactions"),
    ("transactions_leader_killed", "transactions"),
];

#[test]
fn every_recording_is_an_experiment_here_or_waits_for_a_model() {
    let entries = recordings().map(|folder| std::fs::read_dir(folder).expect("a folder of recordings"));
    let names = entries.into_iter().flatten().filter_map(|entry| {
        let name = entry.expect("an entry").file_name().into_string().ok()?;
        Some(name.strip_suffix(".jsonl.gz")?.to_owned())
    });
    let names: BTreeSet<String> = names
        .filter(|name| OPEN.iter().all(|(open, _)| open != name))
        .collect();
    let experiments: BTreeSet<String> = EXPERIMENTS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(names, experiments);
}

#[test]
fn a_course_is_a_subsequence_under_other_names_and_nothing_less() {
    let state = |leader: i32, isr: &[i32]| Replicas {
        leader: Some(NodeId(leader)),
        isr: isr.iter().copied().map(NodeId).collect(),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    };
    let real = [state(1, &[1, 2, 3]), state(1, &[1])];
    let one_by_one = [state(3, &[1, 2, 3]), state(3, &[2, 3]), state(3, &[3])];
    assert!(is_seen_in(&real, &one_by_one));
    let another_leads = [state(3, &[1, 2, 3]), state(2, &[2])];
    assert!(!is_seen_in(&real, &another_leads));
    let back_to_front = [state(3, &[3]), state(3, &[1, 2, 3])];
    assert!(!is_seen_in(&real, &back_to_front));
}
