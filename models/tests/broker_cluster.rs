//! Brokers from their start to their replicated records, with hand-made requests.

mod support;

use ktrial_models::config::{Acks, BrokerSettings, IsolationLevel, ReplicaSelector};
use ktrial_models::ids::{LeaderEpoch, Offset, PartitionId, ServerId};
use ktrial_models::notes::{LeaderNote, Note, Phase};
use ktrial_models::probe::Ask;
use ktrial_models::protocol::{
    ErrorCode, ListOffsetsRequest, ListOffsetsTarget, MetadataRequest, OffsetForLeaderEpochRequest, Request,
    Response,
};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Closure, Duration, Time};
use smallvec::smallvec;
use support::{Cluster, specification, topic};

const P: PartitionId = PartitionId(0);

fn with_one_topic(min_insync_replicas: u32) -> ClusterSpecification {
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &[&[2, 3, 4]], min_insync_replicas)];
    specification
}

fn three_brokers(min_insync_replicas: u32) -> Cluster {
    Cluster::running(with_one_topic(min_insync_replicas), 1)
}

#[test]
fn three_brokers_form_a_cluster_and_replicate_what_is_written() {
    let mut cluster = three_brokers(2);
    assert_eq!(cluster.leader(P), Some(ServerId(2)));
    assert_eq!(
        cluster.write(P, Acks::Leader, 3),
        (ErrorCode::None, Some(Offset(0)))
    );
    assert_eq!(cluster.write(P, Acks::All, 2), (ErrorCode::None, Some(Offset(3))));
    cluster.run_for(Duration::secs(1));
    for id in cluster.brokers() {
        assert_eq!(cluster.ends(id, P), (Offset(5), Offset(5)), "broker {id}");
    }
}

#[test]
fn a_broker_goes_through_its_phases_in_order() {
    let cluster = three_brokers(1);
    let phases: Vec<Phase> = cluster
        .notes_of(ServerId(3), Time::ZERO)
        .filter_map(|note| match note {
            Note::Phase(phase) => Some(*phase),
            _ => None,
        })
        .collect();
    let expected = [
        Phase::Starting,
        Phase::CatchingUp,
        Phase::Recovering,
        Phase::Running,
    ];
    assert_eq!(phases, expected);
}

#[test]
fn acks_1_is_answered_before_followers_have_the_record_and_acks_all_after() {
    let mut cluster = three_brokers(2);
    let start = cluster.simulation.now();
    cluster.write(P, Acks::Leader, 1);
    let first = answered(&cluster, start);
    assert_eq!(
        first,
        [(Acks::Leader, Offset(0))],
        "the high watermark at the answer"
    );
    cluster.run_for(Duration::secs(1));
    let start = cluster.simulation.now();
    cluster.write(P, Acks::All, 1);
    assert_eq!(answered(&cluster, start), [(Acks::All, Offset(2))]);
}

fn answered(cluster: &Cluster, since: Time) -> Vec<(Acks, Offset)> {
    cluster
        .told
        .iter()
        .filter(|told| told.at >= since)
        .filter_map(|told| match &told.note {
            Note::Leader(
                _,
                LeaderNote::Answered {
                    acks, high_watermark, ..
                },
            ) => Some((*acks, *high_watermark)),
            _ => None,
        })
        .collect()
}

#[test]
fn acks_0_gets_no_answer_and_an_error_closes_the_connection() {
    let mut cluster = three_brokers(1);
    let quiet = cluster.produce(ServerId(2), P, Acks::None, 1);
    cluster.run_for(Duration::secs(1));
    assert_eq!(cluster.answer(quiet), None);
    assert_eq!(cluster.ends(ServerId(2), P).0, Offset(1));
    let to_follower = cluster.produce(ServerId(3), P, Acks::None, 1);
    cluster.run_for(Duration::secs(1));
    assert_eq!(cluster.answer(to_follower), Some(Err(Closure::Finished)));
}

#[test]
fn a_follower_names_the_leader_when_it_refuses_a_batch() {
    let mut cluster = three_brokers(1);
    let asked = cluster.produce(ServerId(3), P, Acks::All, 1);
    let Some(Ok(Response::Produce(answer))) = cluster.await_answer(asked) else {
        panic!("no answer");
    };
    assert_eq!(answer.partitions[0].error, ErrorCode::NotLeaderOrFollower);
    let hint = answer.partitions[0].current_leader.expect("KIP-951");
    assert_eq!((hint.leader, hint.epoch), (ServerId(2), LeaderEpoch(0)));
    let unknown = cluster.produce(ServerId(3), PartitionId(9), Acks::All, 1);
    let Some(Ok(Response::Produce(answer))) = cluster.await_answer(unknown) else {
        panic!("no answer");
    };
    assert_eq!(answer.partitions[0].error, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn acks_all_times_out_when_a_member_of_the_isr_does_not_fetch() {
    let mut cluster = three_brokers(1);
    cluster.simulation.pause(ServerId(4).node());
    let start = cluster.simulation.now();
    let asked = cluster.send(
        ServerId(2),
        Ask::Produce {
            partition: P,
            acks: Acks::All,
            records: 1,
            numbering: None,
            timeout: Duration::secs(3),
        },
    );
    let Some(Ok(Response::Produce(answer))) = cluster.await_answer(asked) else {
        panic!("no answer");
    };
    assert_eq!(answer.partitions[0].error, ErrorCode::RequestTimedOut);
    let took = cluster.simulation.now() - start;
    assert!(
        took >= Duration::secs(3) && took < Duration::millis(3_100),
        "{took}"
    );
}

#[test]
fn a_parked_fetch_of_a_consumer_ends_when_the_high_watermark_moves_and_not_before() {
    let mut cluster = three_brokers(1);
    let request = Cluster::fetch_request(P, Offset(0), Duration::secs(20));
    let fetch = cluster.send(ServerId(2), Ask::Request(Request::Fetch(Box::new(request))));
    cluster.run_for(Duration::secs(2));
    assert_eq!(cluster.answer(fetch), None, "there is nothing to read");
    let told = cluster.told.len();
    // The connection of a parked fetch is muted: another client writes.
    cluster.use_probe(1);
    cluster.write(P, Acks::Leader, 2);
    cluster.use_probe(0);
    assert!(cluster.run_until(Duration::secs(1), |cluster| cluster.answer(fetch).is_some()));
    let Some(Ok(Response::Fetch(answer))) = cluster.answer(fetch) else {
        panic!("no answer");
    };
    let read = &answer.partitions[0];
    assert_eq!((read.high_watermark, read.batches.len()), (Offset(2), 1));
    let moved = cluster.told[told..].iter().any(|told| {
        matches!(
            &told.note,
            Note::Leader(_, LeaderNote::HighWatermark(moved)) if moved.to == Offset(2)
        )
    });
    assert!(moved);
}

#[test]
fn a_follower_serves_consumers_up_to_its_own_high_watermark() {
    let mut cluster = three_brokers(1);
    cluster.write(P, Acks::All, 2);
    cluster.run_for(Duration::secs(1));
    let read = cluster.consume(ServerId(4), P, Offset(0), Duration::ZERO);
    assert_eq!((read.error, read.batches.len()), (ErrorCode::None, 1));
    let behind = cluster.consume(ServerId(4), P, Offset(9), Duration::ZERO);
    assert_eq!(behind.error, ErrorCode::OffsetOutOfRange);
}

#[test]
fn a_leader_sends_a_consumer_to_the_replica_of_its_rack_if_the_selector_is_set() {
    for (selector, expected) in [
        (ReplicaSelector::RackAware, Some(ServerId(3))),
        (BrokerSettings::default().replica_selector_class, None),
    ] {
        let mut specification = with_one_topic(1);
        specification.broker.replica_selector_class = selector;
        for server in &mut specification.servers {
            server.rack = Some(server.id.0 % 2);
        }
        specification.servers[2].rack = Some(9);
        let mut cluster = Cluster::running(specification, 1);
        cluster.write(P, Acks::All, 1);
        cluster.run_for(Duration::secs(1));
        let mut request = Cluster::fetch_request(P, Offset(0), Duration::ZERO);
        request.rack = Some(9);
        let same_rack = cluster.ask(ServerId(2), Request::Fetch(Box::new(request.clone())));
        assert_eq!(preferred(same_rack), expected);
        request.rack = Some(0);
        assert_eq!(
            preferred(cluster.ask(ServerId(2), Request::Fetch(Box::new(request.clone())))),
            None,
            "the leader is in that rack itself"
        );
        request.rack = Some(77);
        assert_eq!(
            preferred(cluster.ask(ServerId(2), Request::Fetch(Box::new(request)))),
            None,
            "nobody is in that rack"
        );
    }
}

fn preferred(answer: Option<Result<Response, Closure>>) -> Option<ServerId> {
    match answer {
        Some(Ok(Response::Fetch(answer))) => answer.partitions[0].preferred_read_replica,
        other => panic!("no answer to the fetch: {other:?}"),
    }
}

#[test]
fn metadata_offsets_epochs_and_producer_ids_are_answered() {
    let mut cluster = three_brokers(1);
    cluster.write(P, Acks::All, 4);
    let metadata = Request::Metadata(Box::new(MetadataRequest {
        topics: smallvec![0, 5],
    }));
    let Some(Ok(Response::Metadata(answer))) = cluster.ask(ServerId(4), metadata) else {
        panic!("no answer");
    };
    assert_eq!(answer.brokers.len(), 3);
    assert_eq!(answer.topics[0].partitions[0].leader, Some(ServerId(2)));
    assert_eq!(answer.topics[1].error, ErrorCode::UnknownTopicOrPartition);

    let list = |target| {
        Request::ListOffsets(Box::new(ListOffsetsRequest {
            replica: None,
            isolation: IsolationLevel::ReadUncommitted,
            partitions: smallvec![(P, None, target)],
        }))
    };
    let Some(Ok(Response::ListOffsets(latest))) = cluster.ask(ServerId(2), list(ListOffsetsTarget::Latest))
    else {
        panic!("no answer");
    };
    assert_eq!((latest[0].1, latest[0].2), (ErrorCode::None, Offset(4)));
    let Some(Ok(Response::ListOffsets(refused))) =
        cluster.ask(ServerId(3), list(ListOffsetsTarget::Earliest))
    else {
        panic!("no answer");
    };
    assert_eq!(refused[0].1, ErrorCode::NotLeaderOrFollower);

    let epochs = Request::OffsetForLeaderEpoch(Box::new(OffsetForLeaderEpochRequest {
        replica: None,
        partitions: smallvec![(P, None, LeaderEpoch(0))],
    }));
    let Some(Ok(Response::OffsetForLeaderEpoch(ends))) = cluster.ask(ServerId(2), epochs) else {
        panic!("no answer");
    };
    assert_eq!(ends[0].2, Some((LeaderEpoch(0), Offset(4))));

    let first = cluster.ask(ServerId(3), Request::InitProducerId);
    let loading = Response::InitProducerId(Err(ErrorCode::CoordinatorLoadInProgress));
    assert_eq!(first, Some(Ok(loading)), "the first block is only asked for");
    cluster.run_for(Duration::millis(200));
    let one = cluster.ask(ServerId(3), Request::InitProducerId);
    let other = cluster.ask(ServerId(3), Request::InitProducerId);
    assert!(
        matches!(one, Some(Ok(Response::InitProducerId(Ok(_))))),
        "{one:?}"
    );
    assert_ne!(one, other);
}

#[test]
fn one_handler_works_requests_off_one_by_one() {
    let took = |handlers: u32| {
        let mut specification = with_one_topic(1);
        specification.broker.num_io_threads = handlers;
        specification.capacity.request_service = Duration::millis(50);
        let mut cluster = Cluster::running(specification, 1);
        let start = cluster.simulation.now();
        let ask = |cluster: &mut Cluster, probe| {
            cluster.use_probe(probe);
            cluster.send(ServerId(2), Ask::Request(Request::ApiVersions))
        };
        let asked: Vec<_> = (0..3).map(|probe| ask(&mut cluster, probe)).collect();
        for (probe, asked) in asked.into_iter().enumerate() {
            cluster.use_probe(probe as u16);
            let answer = cluster.await_answer(asked);
            assert_eq!(answer, Some(Ok(Response::ApiVersions)));
        }
        cluster.simulation.now() - start
    };
    let (one, eight) = (took(1), took(8));
    assert!(one > eight, "{one} {eight}");
    assert!(one >= Duration::millis(150), "{one}");
}

#[test]
fn with_flush_messages_a_record_is_on_the_platter_before_it_is_acknowledged() {
    for (flush_messages, flushed) in [(1, Offset(1)), (u64::MAX, Offset(0))] {
        let mut specification = with_one_topic(1);
        specification.topics[0].settings.flush_messages = flush_messages;
        let mut cluster = Cluster::running(specification, 1);
        cluster.write(P, Acks::Leader, 1);
        let log = cluster.broker(ServerId(2)).partition(P).expect("it leads").log();
        assert_eq!(log.recovery_point(), flushed);
    }
}

#[test]
fn a_slow_disk_slows_acknowledgements_down_only_if_they_wait_for_it() {
    let latency = |flush_messages: u64, slowness: u32| {
        let mut specification = with_one_topic(1);
        specification.topics[0].settings.flush_messages = flush_messages;
        let mut cluster = Cluster::running(specification, 1);
        cluster.simulation.disk_mut(ServerId(2).node()).health.slowness = slowness;
        let start = cluster.simulation.now();
        cluster.write(P, Acks::Leader, 1);
        cluster.simulation.now() - start
    };
    assert!(latency(1, 100) >= Duration::millis(100));
    assert!(latency(u64::MAX, 100) < Duration::millis(20));
}

/// Three brokers, each append flushed; a flush takes `flush` on the leader and 100 us on its followers.
fn flushing_for(flush: u32, handlers: u32) -> Cluster {
    let mut specification = with_one_topic(1);
    specification.topics[0].settings.flush_messages = 1;
    specification.broker.num_io_threads = handlers;
    specification.capacity.flush = (Duration::micros(100), Duration::micros(100));
    let mut cluster = Cluster::running(specification, 1);
    cluster.simulation.disk_mut(ServerId(2).node()).health.slowness = flush;
    cluster
}

#[test]
fn appends_to_a_partition_flush_one_after_the_other() {
    let mut cluster = flushing_for(50, 8);
    let start = cluster.simulation.now();
    let send = |cluster: &mut Cluster, probe| {
        cluster.use_probe(probe);
        cluster.produce(ServerId(2), P, Acks::Leader, 1)
    };
    let sent: Vec<_> = (0..4).map(|probe| send(&mut cluster, probe)).collect();
    for (probe, sent) in sent.into_iter().enumerate() {
        cluster.use_probe(probe as u16);
        assert!(matches!(cluster.await_answer(sent), Some(Ok(_))));
    }
    let took = cluster.simulation.now() - start;
    assert!(took >= Duration::millis(4 * 5), "{took}");
    assert!(took < Duration::millis(4 * 5 + 10), "{took}");
}

#[test]
fn while_an_append_flushes_the_high_watermark_waits_and_with_it_the_handlers_of_followers() {
    let mut cluster = flushing_for(20_000, 3);
    let sent = cluster.produce(ServerId(2), P, Acks::Leader, 1);
    // Fetches that are parked end by their own time; the append looks after them when it is done.
    cluster.run_for(Duration::millis(1_200));
    assert_eq!(cluster.ends(ServerId(3), P).0, Offset(1), "reading needs no lock");
    // Both have told so, and stand at the log's lock; the third handler flushes.
    assert_eq!(cluster.ends(ServerId(2), P), (Offset(1), Offset(0)));
    cluster.use_probe(1);
    let asked = cluster.send(ServerId(2), Ask::Request(Request::ApiVersions));
    cluster.run_for(Duration::millis(100));
    assert_eq!(cluster.answer(asked), None);
    assert!(matches!(cluster.await_answer(asked), Some(Ok(_))));
    cluster.use_probe(0);
    assert!(matches!(cluster.await_answer(sent), Some(Ok(_))));
    assert_eq!(cluster.ends(ServerId(2), P), (Offset(1), Offset(1)));
}

#[test]
fn a_record_after_a_long_pause_is_flushed_by_the_next_look_of_the_flusher() {
    let mut specification = with_one_topic(1);
    specification.topics[0].settings.flush_ms = Duration::secs(20);
    specification.broker.log_flush_scheduler_interval_ms = Duration::secs(1);
    let mut cluster = Cluster::running(specification, 1);
    cluster.run_for(Duration::secs(35));
    cluster.write(P, Acks::All, 1);
    cluster.run_for(Duration::secs(2));
    let log = cluster.broker(ServerId(2)).partition(P).expect("it leads").log();
    assert_eq!(log.recovery_point(), Offset(1));
}

#[test]
fn of_replicas_that_are_equally_far_the_one_with_the_highest_id_is_preferred() {
    let mut specification = with_one_topic(1);
    specification.broker.replica_selector_class = ReplicaSelector::RackAware;
    for server in &mut specification.servers[2..] {
        server.rack = Some(9);
    }
    let mut cluster = Cluster::running(specification, 1);
    // Broker 3 was caught up later than broker 4, but within the same millisecond, which is how Kafka counts.
    let equal = |cluster: &Cluster| {
        let leader = cluster.broker(ServerId(2)).partition(P).expect("it leads");
        let caught_up = |id: u16| {
            let mut remotes = leader.remotes().iter();
            let replica = remotes.find(|replica| replica.server == ServerId(id));
            replica.and_then(|replica| replica.last_caught_up_time)
        };
        let (three, four) = (caught_up(3), caught_up(4));
        three > four && three.map(Time::millis) == four.map(Time::millis)
    };
    let mut found = false;
    for _ in 0..50 {
        cluster.write(P, Acks::All, 1);
        found = cluster.run_until(Duration::millis(50), equal);
        if found {
            break;
        }
    }
    assert!(found);
    let mut request = Cluster::fetch_request(P, Offset(0), Duration::ZERO);
    request.rack = Some(9);
    let answer = cluster.ask(ServerId(2), Request::Fetch(Box::new(request)));
    assert_eq!(preferred(answer), Some(ServerId(4)));
}

#[test]
fn a_combined_server_and_a_quorum_of_three_serve_too() {
    let mut combined = specification(0, 1);
    combined.servers[0].controller = true;
    combined.topics = vec![topic("orders", &[&[1]], 1)];
    let mut cluster = Cluster::running(combined, 3);
    assert_eq!(cluster.write(P, Acks::All, 1), (ErrorCode::None, Some(Offset(0))));

    let mut quorum = specification(3, 3);
    quorum.topics = vec![topic("orders", &[&[5, 6, 4], &[6, 4, 5]], 2)];
    let mut cluster = Cluster::running(quorum, 4);
    assert_eq!(
        cluster.write(PartitionId(1), Acks::All, 1),
        (ErrorCode::None, Some(Offset(0)))
    );
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    let digest = || {
        let mut cluster = three_brokers(2);
        cluster.write(P, Acks::All, 3);
        cluster.run_for(Duration::secs(5));
        cluster.simulation.digest()
    };
    assert_eq!(digest(), digest());
}
