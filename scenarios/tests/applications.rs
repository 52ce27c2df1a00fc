//! Applications above consumers in whole clusters: failing records, sinks, redeploys, scaling.

use std::path::Path;

use ktrial_models::notes::{ClientNote, Note};
use ktrial_scenarios::{Bench, Detailed, Ending, Keep, Overrides, Scenario, SinkCounts, Told};
use ktrial_sim::Duration;

const HEAD: &str = "
scenario: test
topics:
  orders: {partitions: 4, replication.factor: 3, config: {min.insync.replicas: 2}}
  dead: {partitions: 1}
producers:
  p1: {topic: orders, rate: 40, keys: 16}
";

fn read(rest: &str) -> Result<Scenario, String> {
    let text = format!("{HEAD}{rest}");
    let scenario = Scenario::read("test.yaml", &text, Path::new("."), &Overrides::default());
    scenario.map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn trial(rest: &str, seed: u64) -> Detailed {
    let scenario = read(rest).unwrap_or_else(|errors| panic!("{errors}"));
    let arm = scenario.arm(&[]).unwrap_or_else(|errors| panic!("{errors:?}"));
    let keep = Keep {
        story: true,
        ..Keep::default()
    };
    let detailed = Bench::default().run(&arm.resolved, seed, keep);
    let pending = &detailed.trial.pending;
    assert_eq!(detailed.trial.ending, Ending::Converged, "{pending:?}");
    detailed
}

/// What clients told, with the time since the clients' start and their names.
fn told<T>(trial: &Detailed, wanted: impl Fn(&ClientNote) -> Option<T>) -> Vec<(Duration, String, T)> {
    let start = trial.trial.clients_started;
    let notes = trial.story.told().iter().filter_map(|(at, told)| match told {
        Told::Note(node, _, Note::Client(note)) => {
            let name = trial.layout.name(*node).to_owned();
            Some((at.since(start), name, wanted(note)?))
        }
        _ => None,
    });
    notes.collect()
}

/// Starts (+) and ends (-) of processes of consumers.
fn lives(trial: &Detailed) -> Vec<(Duration, String, char)> {
    let mut lives = told(trial, |note| match note {
        ClientNote::Started => Some('+'),
        ClientNote::Closed | ClientNote::Exited(_) => Some('-'),
        _ => None,
    });
    lives.retain(|(_, name, _)| name.starts_with("bill"));
    lives
}

/// How many partitions each consumer was assigned last.
fn last_assignments(trial: &Detailed) -> Vec<(String, usize)> {
    let assigned = told(trial, |note| match note {
        ClientNote::Assigned { all, .. } => Some(all.len()),
        _ => None,
    });
    let mut last: Vec<(String, usize)> = Vec::new();
    for (_, name, count) in assigned {
        last.retain(|(known, _)| *known != name);
        last.push((name, count));
    }
    last.sort();
    last
}

#[test]
fn a_group_is_scaled_out_and_in_and_stays_so_when_everything_heals() {
    let trial = trial(
        "
consumers:
  bill: {group: billing, topics: [orders], count: 4, running: 2, settings: {auto.offset.reset: earliest}}
duration: 40s
faults:
  - {at: 10s, scale: consumers of billing, to: 4}
  - {at: 25s, scale: consumers of billing, to: 1}
",
        1,
    );
    let count = |sign, from: u64, to: u64| {
        let lives = lives(&trial);
        let within = lives
            .iter()
            .filter(|(at, _, what)| *what == sign && (Duration::secs(from)..Duration::secs(to)).contains(at));
        within.map(|(_, name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(count('+', 0, 1), ["bill1", "bill2"]);
    assert_eq!(count('+', 10, 11), ["bill3", "bill4"]);
    assert_eq!(count('-', 25, 30).len(), 3);
    assert!(count('+', 25, 1_000).is_empty());
    assert_eq!(last_assignments(&trial)[0], ("bill1".to_owned(), 4));
}

const TWO: &str = "
consumers:
  bill: {group: billing, topics: [orders], count: 2, settings: {auto.offset.reset: earliest}}
duration: 40s
faults:
";

#[test]
fn a_rolling_redeploy_takes_one_process_after_the_other_and_another_all_at_once() {
    let signs = |how: &str| {
        let brokers = format!("{TWO}  - {{at: 3s, scale: brokers, to: 1}}\n");
        assert!(read(&brokers).unwrap_err().contains("no group is to be scaled"));
        let more = format!("{TWO}  - {{at: 3s, scale: consumers of billing, to: 3}}\n");
        assert!(read(&more).unwrap_err().contains("3 of 2 consumers are to run"));
        let redeploy = format!("  - {{at: 10s, redeploy: consumers of billing, how: {how}, down: 2s}}\n");
        let lives = lives(&trial(&format!("{TWO}{redeploy}"), 1));
        lives[2..].iter().map(|(.., sign)| *sign).collect::<String>()
    };
    assert_eq!(signs("rolling"), "-+-+");
    assert_eq!(signs("all at once"), "--++");
}

/// One consumer, whose application works on 40 records a second.
fn failing(policy: &str) -> Detailed {
    let text = format!(
        "
consumers:
  bill:
    group: billing
    topics: [orders]
    commit: after
    failing: 1 in 250 for 1 try
    {policy}
    settings: {{auto.offset.reset: earliest, enable.auto.commit: false, session.timeout.ms: 10000}}
duration: 30s
"
    );
    trial(&text, 1)
}

fn failures(trial: &Detailed) -> usize {
    let failed = told(trial, |note| {
        matches!(note, ClientNote::ProcessingFailed { .. }).then_some(())
    });
    failed.len()
}

#[test]
fn a_supervisor_starts_an_application_again_that_dies_of_a_record() {
    let trial = failing("on_failure: die\n    restart: 2s");
    let lives = lives(&trial);
    let signs: String = lives.iter().map(|(.., sign)| *sign).collect();
    assert!(failures(&trial) >= 2);
    assert!(signs.starts_with("+-+-+"), "{signs}");
    assert_eq!(lives[2].0.saturating_sub(lives[1].0), Duration::secs(2));
}

const CLASSIC: (&str, &str) = ("session.timeout.ms: 6000, heartbeat.interval.ms: 2000", "");
const CONSUMER: (&str, &str) = (
    "group.protocol: consumer",
    "group.consumer.min.session.timeout.ms: 6000, group.consumer.session.timeout.ms: 6000,
    group.consumer.min.heartbeat.interval.ms: 2000, group.consumer.heartbeat.interval.ms: 2000",
);

/// Two consumers of which one is paused in the middle of its work and loses its partitions meanwhile: what a sink
/// came to.
fn zombie((member, broker): (&str, &str), sink: &str) -> SinkCounts {
    let text = format!(
        "
settings: {{broker: {{{broker}}}}}
consumers:
  bill:
    group: billing
    topics: [orders]
    count: 2
    processing: 5ms..15ms
    applying: 5ms..15ms
    sink: {sink}
    settings: {{auto.offset.reset: earliest, {member}}}
duration: 40s
faults:
  - {{at: 10s, stall: bill1, by: 1s}}
  - {{at: 10500ms, stall: bill1, by: 1s}}
  - {{at: 12s, pause: bill1, for: 15s}}
"
    );
    let mut sum = SinkCounts::default();
    for seed in 1..=2 {
        let groups = trial(&text, seed).trial.groups.expect("there is a group");
        sum.add(&groups.sink.expect("it has a sink"));
    }
    assert_eq!(sum.missing, 0);
    sum
}

#[test]
fn an_owner_that_was_paused_repeats_effects_overwrites_newer_values_or_is_refused_by_a_fence() {
    for protocol in [CLASSIC, CONSUMER] {
        let zombie = |sink| zombie(protocol, sink);
        assert!(zombie("plain").repeated > 0);
        let upsert = zombie("upsert");
        assert!(upsert.repeated == 0 && upsert.reordered > 0, "{upsert:?}");
        let versioned = zombie("versioned");
        assert_eq!((versioned.reordered, versioned.stale), (0, 0));
        assert_eq!(zombie("insert").repeated, 0);
        let own = zombie("own_offsets\n    fenced: true");
        assert_eq!((own.repeated, own.reordered), (0, 0), "{own:?}");
    }
}

#[test]
fn records_that_always_fail_are_sent_to_another_topic_and_the_others_are_processed() {
    for more in ["", ", group.protocol: consumer"] {
        let dead = TO_DEAD.replace("POISON", "poison: 1 in 20");
        goes_to_the_dead(&dead.replace("commit: false}", &format!("commit: false{more}}}")));
    }
}

fn goes_to_the_dead(text: &str) {
    let trial = trial(text, 1);
    let groups = trial.trial.groups.expect("there is a group");
    let sink = groups.sink.expect("it has a sink");
    let sent_on = failures(&trial) as u64;
    assert!(sent_on > 10, "{sent_on}");
    assert_eq!(sink.missing, sent_on);
    assert_eq!(groups.unprocessed, 0, "they are there to be looked at");
    let topic = trial.partitions.iter().filter(|(_, name)| name.topic == "dead");
    let copies: usize = topic
        .filter_map(|(id, _)| trial.finals.iter().find(|log| log.partition == id))
        .map(|log| log.records.len())
        .sum();
    assert_eq!(copies as u64, sent_on);
}

#[test]
fn an_application_sends_records_on_for_as_long_as_it_lives() {
    let text = TO_DEAD.replace("POISON", "poison: 1 in 20");
    let trial = trial(&text.replace("duration: 20s", "duration: 100s"), 1);
    let failed = told(&trial, |note| match note {
        ClientNote::ProcessingFailed { .. } => Some(()),
        _ => None,
    });
    let (first, last) = (failed[0].0, failed[failed.len() - 1].0);
    assert!(
        last > first.saturating_add(Duration::secs(70)),
        "its first send waited for metadata, with a timer of max.block.ms=60000"
    );
    assert_eq!(trial.trial.ending, Ending::Converged);
    assert_eq!(trial.trial.groups.expect("there is a group").unprocessed, 0);
}

const TO_DEAD: &str = "
consumers:
  bill:
    group: billing
    topics: [orders]
    commit: after
    POISON
    on_failure: dead_letter
    dead_letter: dead
    sink: plain
    settings: {auto.offset.reset: earliest, enable.auto.commit: false}
duration: 20s
";

#[test]
fn a_retry_topic_brings_a_record_back_after_its_delay_without_holding_the_others_up() {
    let text = TO_DEAD.replace("POISON", "failing: 1 in 20 for 1 try").replace(
        "consumers:",
        "consumers:
  again:
    group: billing
    topics: [dead]
    delay: 3s
    commit: after
    sink: plain
    settings: {auto.offset.reset: earliest, enable.auto.commit: false}",
    );
    let trial = trial(&text, 1);
    let groups = trial.trial.groups.expect("there is a group");
    let sink = groups.sink.expect("it has a sink");
    let failed = told(&trial, |note| match note {
        ClientNote::ProcessingFailed { .. } => Some(()),
        _ => None,
    });
    let again = told(&trial, |note| {
        matches!(note, ClientNote::Processed { .. }).then_some(())
    });
    let first = again
        .iter()
        .find(|(_, name, ())| name == "again")
        .expect("it comes");
    assert!(
        first.0 >= failed[0].0.saturating_add(Duration::secs(3)),
        "{first:?} {:?}",
        failed[0]
    );
    assert_eq!((groups.unprocessed, sink.missing, sink.repeated), (0, 0, 0));
    assert!(sink.reordered > 0, "order by key is what it costs");
}

/// Two members whose workers take longer than records come, one of which dies.
const WORKERS: &str = "
consumers:
  bill:
    group: billing
    topics: [orders]
    count: 2
    COMMIT
    processing: 40ms..80ms
    buffer: 20
    settings: {auto.offset.reset: earliest, max.poll.records: 10, session.timeout.ms: 6000, PROTOCOL}
duration: 30s
faults:
  - {at: 12s, kill: bill1, for: 10s}
";

fn with_workers(commit: &str, settings: &str) -> ktrial_scenarios::GroupCounts {
    // Sessions of the consumer protocol are the brokers' affair.
    let text = match settings.contains("group.protocol=consumer") {
        true => WORKERS.replace("session.timeout.ms: 6000, ", ""),
        false => WORKERS.to_owned(),
    };
    let settings = settings.replace('=', ": ");
    let text = text.replace("COMMIT", commit).replace("PROTOCOL", &settings);
    trial(&text, 1).trial.groups.expect("there is a group")
}

#[test]
fn a_process_that_dies_with_a_full_buffer_loses_nothing_if_it_commits_what_its_worker_has_finished_with() {
    for protocol in ["group.protocol=classic", "group.protocol=consumer"] {
        let settings = format!("enable.auto.commit=false, {protocol}");
        let counts = with_workers("commit: after", &settings);
        assert_eq!(counts.unprocessed, 0, "{protocol}");
        let in_hand = counts.in_hand_most.expect("there are workers");
        assert!((20..40).contains(&in_hand), "{protocol}: {in_hand}");
    }
}

#[test]
fn a_process_that_dies_with_a_full_buffer_loses_what_the_client_has_committed_of_it() {
    for protocol in ["group.protocol=classic", "group.protocol=consumer"] {
        let settings = format!("enable.auto.commit=true, auto.commit.interval.ms=100, {protocol}");
        let lost = with_workers("commit: auto", &settings).unprocessed;
        // And what the listener drops at each rebalance, too.
        assert!(lost >= 10, "{protocol}: {lost}");
    }
}

#[test]
fn a_rolling_redeploy_repeats_only_what_workers_had_finished_with_since_the_last_commit() {
    for protocol in ["group.protocol=classic", "group.protocol=consumer"] {
        let fault = "redeploy: consumers of billing, how: rolling}";
        let text = WORKERS.replace("kill: bill1, for: 10s}", fault);
        let text = text.replace("session.timeout.ms: 6000, ", "");
        let text = text.replace("COMMIT", "commit: after");
        let settings = format!("enable.auto.commit: false, {}", protocol.replace('=', ": "));
        let trial = trial(&text.replace("PROTOCOL", &settings), 1);
        let counts = trial.trial.groups.expect("there is a group");
        assert_eq!(counts.unprocessed, 0, "{protocol}");
        // Each of five rebalances finds at most what 200 ms are enough for, and the record at hand, of both members.
        assert!(
            counts.processed_twice <= 60,
            "{protocol}: {}",
            counts.processed_twice
        );
    }
}

#[test]
fn a_key_that_means_nothing_is_refused_with_the_nearest_that_does() {
    let refused = |keys: &str| {
        let text = format!("consumers:\n  bill: {{group: g, topics: [orders], {keys}}}\nduration: 10s\n");
        read(&text).err().unwrap_or_default()
    };
    for (keys, why) in [
        ("poison: 1 in 100, on_failure: sek", "did you mean `seek`?"),
        ("on_failure: seek", "no record fails"),
        ("poison: 1000", "like `1 in 1000`"),
        ("sink: upset", "did you mean `upsert`?"),
        ("fenced: true", "name a `sink`"),
        ("poison: 1 in 9, on_failure: dead_letter", "to which topic?"),
        (
            "poison: 1 in 9, dead_letter: dead",
            "say `on_failure: dead_letter`",
        ),
        (
            "poison: 1 in 9, on_failure: dead_letter, dead_letter: ded",
            "did you mean dead?",
        ),
        ("applying: 5ms", "name a `sink`"),
        ("sink: own_offsets, commit: after", "does not commit"),
        ("commit: after, commit_every: 0", "no 0th poll"),
        ("commit_every: 3", "does not commit behind polls"),
        ("commit: before, commit_every: 3", "say how it does"),
        ("commit: after, commit_evry: 3", "commit_every"),
        ("on_revoked: comit", "did you mean `commit`?"),
        ("instance_ids: sme", "did you mean `same`?"),
        ("sink: own_offsets, on_revoked: commit", "does not commit"),
        ("count: 2, running: 3", "give at most `count`"),
        ("poisson: 1 in 100", "poison"),
        ("pause: once", "`buffer: 500`"),
        ("buffer: 9, pause: onse", "did you mean `once`?"),
        ("buffer: 9, given_up: dropp", "did you mean `drop`?"),
        ("buffer: 9, commit: before", "before it is handed over"),
        (
            "buffer: 9, on_revoked: commit",
            "is told by `given_up` what to do",
        ),
        (
            "buffer: 9, commit: after, commit_every: 3",
            "behind the next poll",
        ),
        ("buffer: 9, sink: plain, fenced: true", "for its generation"),
        (
            "buffer: 9, poison: 1 in 9, on_failure: seek",
            "it has no consumer",
        ),
    ] {
        assert!(refused(keys).contains(why), "{keys}: {}", refused(keys));
    }
    assert_eq!(
        refused("poison: 1 in 100, on_failure: seek, sink: plain, fenced: true"),
        ""
    );
    assert_eq!(
        refused("buffer: 9, pause: never, given_up: finish, commit: async"),
        ""
    );
    let arm = "consumers: {bill: {group: g, topics: [orders], poison: 1 in 9}}
duration: 10s
arms: {dead: {consumers: {on_failure: dead_letter}}}
";
    assert!(read(arm).err().unwrap_or_default().contains("to which topic?"));
    let config = "consumers: {bill: {group: billing, topics: [orders]}}
duration: 10s
groups: {biling: {config: {consumer.session.timeout.ms: 50000}}}
";
    assert!(read(config).unwrap_err().contains("did you mean `billing`?"));
    let scale = format!("{TWO}  - {{at: 3s, scale: consumers of billing}}\n");
    assert!(read(&scale).unwrap_err().contains("to how many?"));
    let redeploy = format!("{TWO}  - {{at: 3s, redeploy: bill1, how: slowly}}\n");
    assert!(
        read(&redeploy)
            .unwrap_err()
            .contains("expected rolling, or all at once")
    );
}
