//! What each setting of a broker's file changes. Settings that other files show: `replica.lag.time.max.ms`,
//! `controlled.shutdown.enable` (broker_failures), `replica.selector.class`, `num.io.threads`, `flush.messages`
//! (broker_cluster), and those of `settings_modelled`.

mod support;

use ktrial_models::config::Acks;
use ktrial_models::documents::Document;
use ktrial_models::ids::{Offset, PartitionId, ServerId};
use ktrial_models::kafka::document;
use ktrial_models::notes::{ClusterNote, LogNote, Note, Phase};
use ktrial_models::protocol::{ErrorCode, Request, Response};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Closure, Duration, Status};
use support::{Cluster, specification, topic};

const P: PartitionId = PartitionId(0);
const A: ServerId = ServerId(2);
const C: ServerId = ServerId(4);

fn changed(change: impl FnOnce(&mut ClusterSpecification)) -> ClusterSpecification {
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &[&[2, 3, 4], &[2, 3, 4]], 1)];
    change(&mut specification);
    specification
}

fn cluster(change: impl FnOnce(&mut ClusterSpecification)) -> Cluster {
    Cluster::running(changed(change), 1)
}

#[test]
fn broker_heartbeat_interval_ms_beyond_the_session_gets_a_broker_fenced() {
    let fenced = |interval| {
        let mut cluster = cluster(|to| to.broker.broker_heartbeat_interval_ms = Duration::millis(interval));
        cluster.run_for(Duration::secs(30));
        let fenced = |note: &Note| matches!(note, Note::Cluster(ClusterNote::Fenced(_)));
        cluster.told.iter().any(|told| fenced(&told.note))
    };
    assert!(!fenced(2_000));
    assert!(fenced(12_000));
}

#[test]
fn initial_broker_registration_timeout_ms_is_how_long_a_broker_looks_for_a_controller() {
    let up_after_twelve_seconds = |timeout| {
        let specification = changed(|to| {
            to.broker.initial_broker_registration_timeout_ms = Duration::millis(timeout);
        });
        let mut cluster = Cluster::prepare(specification, 1);
        cluster.simulation.start(A.node());
        cluster.run_for(Duration::secs(12));
        cluster.simulation.status(A.node()) == Status::Up
    };
    assert!(!up_after_twelve_seconds(5_000));
    assert!(up_after_twelve_seconds(60_000));
}

#[test]
fn num_replica_fetchers_is_how_many_fetchers_share_the_partitions_of_one_leader() {
    for fetchers in [1, 2] {
        let cluster = cluster(|to| to.broker.num_replica_fetchers = fetchers);
        assert_eq!(cluster.broker(C).fetcher_count(), fetchers as usize);
    }
}

#[test]
fn replica_fetch_wait_max_ms_is_how_long_idle_fetches_are_parked() {
    let messages = |wait| {
        let mut cluster = cluster(|to| to.broker.replica_fetch_wait_max_ms = Duration::millis(wait));
        let before = cluster.simulation.counters().delivered;
        cluster.run_for(Duration::secs(10));
        cluster.simulation.counters().delivered - before
    };
    let (often, seldom) = (messages(100), messages(500));
    assert!(often > seldom + 2 * 2 * 70, "{often} {seldom}");
}

#[test]
fn replica_fetch_min_bytes_makes_records_wait_for_others() {
    let latency = |min_bytes| {
        let mut cluster = cluster(|to| to.broker.replica_fetch_min_bytes = min_bytes);
        // Followers that were quicker than their leader with a new topic come again after a second.
        cluster.run_for(Duration::secs(2));
        let start = cluster.simulation.now();
        cluster.write(P, Acks::All, 1);
        cluster.simulation.now() - start
    };
    let (one, many) = (latency(1), latency(1_000_000));
    assert!(
        one < Duration::millis(10) && many > Duration::millis(20),
        "{one} {many}"
    );
}

fn messages_to_catch_up(change: impl FnOnce(&mut ClusterSpecification)) -> u64 {
    let mut cluster = cluster(|to| {
        to.broker.replica_lag_time_max_ms = Duration::secs(2);
        change(to);
    });
    cluster.kill(C);
    let alone = |cluster: &Cluster| cluster.isr(P).len() == 2;
    assert!(cluster.run_until(Duration::secs(20), alone));
    for _ in 0..60 {
        cluster.write(P, Acks::Leader, 10);
    }
    // It fetches as soon as it knows its role, before it serves.
    let before = cluster.simulation.counters().delivered;
    cluster.restart(C);
    cluster.run_for(Duration::secs(10));
    assert_eq!(cluster.ends(C, P).0, Offset(600));
    cluster.simulation.counters().delivered - before
}

#[test]
fn replica_fetch_max_bytes_limits_what_a_fetch_brings_of_one_partition() {
    let (small, large) = (
        messages_to_catch_up(|to| to.broker.replica_fetch_max_bytes = 1_000),
        messages_to_catch_up(|_| {}),
    );
    assert!(small > large + 60, "{small} {large}");
}

#[test]
fn replica_fetch_response_max_bytes_limits_what_a_fetch_brings_in_all() {
    let (small, large) = (
        messages_to_catch_up(|to| to.broker.replica_fetch_response_max_bytes = 1_000),
        messages_to_catch_up(|_| {}),
    );
    assert!(small > large + 60, "{small} {large}");
}

#[test]
fn replica_fetch_backoff_ms_is_how_often_a_dead_leader_is_tried() {
    let events = |backoff| {
        let mut cluster = cluster(|to| to.broker.replica_fetch_backoff_ms = Duration::millis(backoff));
        cluster.kill(A);
        let before = cluster.simulation.counters().events;
        cluster.run_for(Duration::secs(5));
        cluster.simulation.counters().events - before
    };
    let (often, seldom) = (events(50), events(1_000));
    assert!(often > seldom + 200, "{often} {seldom}");
}

#[test]
fn replica_high_watermark_checkpoint_interval_ms_decides_how_old_a_restarted_high_watermark_is() {
    let restarted_with = |interval| {
        let mut cluster = cluster(|to| {
            to.broker.replica_high_watermark_checkpoint_interval_ms = Duration::millis(interval);
        });
        cluster.write(P, Acks::All, 3);
        cluster.run_for(Duration::secs(3));
        cluster.kill(C);
        cluster.restart(C);
        let since = cluster.simulation.now();
        assert!(cluster.run_until(Duration::secs(40), |cluster| cluster.runs(C)));
        cluster
            .notes_of(C, since)
            .find_map(|note| match note {
                Note::Log(
                    PartitionId(0),
                    LogNote::Loaded {
                        high_watermark, end, ..
                    },
                ) => Some((*high_watermark, *end)),
                _ => None,
            })
            .expect("it was loaded")
    };
    assert_eq!(restarted_with(1_000), (Offset(3), Offset(3)));
    assert_eq!(restarted_with(3_600_000), (Offset(0), Offset(3)));
}

#[test]
fn fetch_max_bytes_limits_an_answer_whatever_the_consumer_allows() {
    let read = |limit| {
        let mut cluster = cluster(|to| to.broker.fetch_max_bytes = limit);
        for _ in 0..5 {
            cluster.write(P, Acks::All, 10);
        }
        cluster.consume(A, P, Offset(0), Duration::ZERO).batches.len()
    };
    assert_eq!((read(1_024), read(57_671_680)), (1, 5));
}

#[test]
fn max_incremental_fetch_session_cache_slots_is_how_many_sessions_there_can_be() {
    let session = |slots| {
        let mut cluster = cluster(|to| to.broker.max_incremental_fetch_session_cache_slots = slots);
        let mut request = Cluster::fetch_request(P, Offset(0), Duration::ZERO);
        request.session_epoch = 0;
        match cluster.ask(A, Request::Fetch(Box::new(request))) {
            Some(Ok(Response::Fetch(answer))) => answer.session,
            other => panic!("no answer to the fetch: {other:?}"),
        }
    };
    assert_eq!(session(0), 0);
    assert_ne!(session(1_000), 0);
}

#[test]
fn connections_max_idle_ms_closes_connections_nobody_uses() {
    let closed = |idle| {
        let mut cluster = cluster(|to| to.broker.connections_max_idle_ms = Some(Duration::millis(idle)));
        let asked = cluster.produce(A, P, Acks::None, 1);
        cluster.run_for(Duration::secs(8));
        cluster.answer(asked)
    };
    assert_eq!(closed(5_000), Some(Err(Closure::Finished)));
    assert_eq!(closed(600_000), None);
}

fn checkpointed(cluster: &Cluster) -> Offset {
    match cluster
        .simulation
        .disk(A.node())
        .document(document::RECOVERY_POINTS)
    {
        Some(Document::Offsets(lines)) => lines[0].1,
        other => panic!("no checkpoint: {other:?}"),
    }
}

#[test]
fn log_flush_offset_checkpoint_interval_ms_is_how_often_recovery_points_are_written() {
    let written = |interval| {
        let mut cluster = cluster(|to| {
            to.broker.log_flush_offset_checkpoint_interval_ms = Duration::millis(interval);
            to.topics[0].settings.flush_messages = 1;
        });
        cluster.run_for(Duration::secs(35));
        cluster.write(P, Acks::All, 4);
        cluster.run_for(Duration::secs(3));
        checkpointed(&cluster)
    };
    assert_eq!((written(1_000), written(60_000)), (Offset(4), Offset(0)));
}

#[test]
fn log_initial_task_delay_ms_is_when_recovery_points_are_written_first() {
    let there = |delay| {
        let mut cluster = cluster(|to| to.broker.log_initial_task_delay_ms = Duration::millis(delay));
        cluster.run_for(Duration::secs(5));
        let disk = cluster.simulation.disk(A.node());
        disk.document(document::RECOVERY_POINTS).is_some()
    };
    assert!(there(1_000));
    assert!(!there(30_000));
}

#[test]
fn log_retention_check_interval_ms_is_how_often_retention_looks() {
    let start_of_log = |interval| {
        let mut cluster = cluster(|to| {
            to.topics[0].settings.retention_ms = Some(Duration::millis(500));
            to.broker.log_retention_check_interval_ms = Duration::millis(interval);
            to.broker.log_initial_task_delay_ms = Duration::millis(100);
        });
        cluster.write(P, Acks::All, 4);
        cluster.run_for(Duration::secs(3));
        let broker = cluster.broker(A);
        broker.partition(P).expect("it hosts it").log().start()
    };
    assert_eq!(
        (start_of_log(1_000), start_of_log(300_000)),
        (Offset(4), Offset(0))
    );
}

#[test]
fn flush_ms_flushes_only_if_log_flush_scheduler_interval_ms_lets_the_flusher_look() {
    let flushed = |flush_ms, interval: Duration| {
        let mut cluster = cluster(|to| {
            to.topics[0].settings.flush_ms = flush_ms;
            to.broker.log_flush_scheduler_interval_ms = interval;
            to.broker.log_initial_task_delay_ms = Duration::millis(100);
        });
        cluster.write(P, Acks::All, 4);
        cluster.run_for(Duration::secs(4));
        let log = cluster.broker(A).partition(P).expect("it leads").log();
        log.recovery_point()
    };
    let second = Duration::secs(1);
    assert_eq!(flushed(second, second), Offset(4));
    assert_eq!(flushed(second, Duration::FOREVER), Offset(0));
    assert_eq!(flushed(Duration::FOREVER, second), Offset(0));
}

#[test]
fn num_recovery_threads_per_data_dir_share_the_reading_of_logs() {
    let recovery = |threads| {
        let mut cluster = cluster(|to| {
            to.broker.num_recovery_threads_per_data_dir = threads;
            to.capacity.recovery_per_mib = Duration::secs(5);
        });
        for partition in [P, PartitionId(1)] {
            for _ in 0..10 {
                assert_eq!(cluster.write(partition, Acks::All, 1_000).0, ErrorCode::None);
            }
        }
        cluster.kill(C);
        cluster.restart(C);
        let since = cluster.simulation.now();
        assert!(cluster.run_until(Duration::secs(60), |cluster| cluster.runs(C)));
        let at = |phase| {
            let mut told = cluster.told.iter().filter(|told| told.at >= since);
            let told = told.find(|told| told.by == C.node() && told.note == Note::Phase(phase));
            told.expect("it was told").at
        };
        at(Phase::Running) - at(Phase::Recovering)
    };
    let (one, two) = (recovery(1), recovery(2));
    assert!(one > two.saturating_add(Duration::secs(2)), "{one} {two}");
}
