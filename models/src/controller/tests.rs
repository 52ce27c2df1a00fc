//! The event queue over a real quorum: what is answered when, and what a failover leaves.

use ktrial_sim::{ArmedCut, Crash, Duration, NodeId};

use super::bench::{Bench, heartbeat, registration};
use crate::controller::fixture::{P0, servers, specification};
use crate::cuts;
use crate::ids::{LeaderEpoch, PartitionId, ServerId, TopicId};
use crate::kafka::METADATA_LOG;
use crate::metadata::{ConfigResource, DynamicSetting, MetadataRecord};
use crate::notes::ClusterNote;
use crate::protocol::{
    AlterPartitionProposal, AlterPartitionRequest, BrokerIdentity, ErrorCode, Request, Response,
};
use crate::records::LogEntry;

const CREATE: Request = Request::CreateTopic(0);
const REFUSED: Response = Response::CreateTopic(ErrorCode::NotController);

fn bench(seed: u64) -> Bench {
    Bench::start(seed, specification(true, 2))
}

/// A topic whose only replica is broker 7.
fn bench_with_one_replica(seed: u64) -> Bench {
    let mut specification = specification(true, 1);
    specification.topics[0].assignment = Some(vec![servers(&[7])]);
    Bench::start(seed, specification)
}

fn records_of(bench: &Bench, node: NodeId) -> Vec<MetadataRecord> {
    let log = bench.simulation.disk(node).existing(METADATA_LOG);
    let entries = log.map_or(&[][..], |log| log.entries());
    let batches = entries.iter().map(LogEntry::metadata);
    let contents = bench.simulation.arena();
    batches
        .flat_map(|batch| contents.metadata(batch.records).to_vec())
        .collect()
}

#[test]
fn the_first_active_controller_bootstraps_the_cluster_and_later_ones_do_not() {
    let mut bench = bench(1);
    bench.run(Duration::secs(2));
    let first = bench.await_active();
    bench.simulation.crash(first, Crash::Process);
    let second = bench.await_active();
    assert_ne!(first, second);
    bench.run(Duration::secs(2));
    let written = records_of(&bench, second);
    let features = written
        .iter()
        .filter(|record| matches!(record, MetadataRecord::FeatureLevel { .. }));
    assert_eq!(features.count(), 3);
    for node in bench.controllers().filter(|node| *node != first) {
        let image = bench.controller(node).committed();
        let cluster = image.setting(ConfigResource::Cluster, DynamicSetting::MinInsyncReplicas);
        assert_eq!((cluster, image.eligible_leader_replicas()), (Some(2), true));
    }
}

#[test]
fn an_idle_controller_writes_two_no_op_records_a_second() {
    let mut bench = bench(2);
    let active = bench.await_active();
    let count = |bench: &Bench| {
        let written = records_of(bench, active);
        written
            .iter()
            .filter(|record| **record == MetadataRecord::NoOp)
            .count()
    };
    bench.run(Duration::secs(1));
    let before = count(&bench);
    bench.run(Duration::secs(30));
    assert_eq!(count(&bench) - before, 60);
}

#[test]
fn only_the_active_controller_answers() {
    let mut bench = bench(3);
    let active = bench.await_active();
    for node in bench.controllers() {
        let Response::BrokerRegistration(answer) = bench.call(node, registration(7)) else {
            panic!()
        };
        assert_eq!(answer.err(), (node != active).then_some(ErrorCode::NotController));
        assert_eq!(bench.call(node, Request::ApiVersions), Response::ApiVersions);
    }
}

#[test]
fn an_answer_comes_with_the_commit_and_a_lost_epoch_fails_it() {
    let mut bench = bench(4);
    let old = bench.await_active();
    bench.isolate(old, true);
    let call = bench.ask(old, registration(7));
    bench.run(Duration::secs(1));
    assert_eq!(bench.answer(call), None, "no majority has it");
    bench.run(Duration::secs(9));
    let failed = Response::BrokerRegistration(Err(ErrorCode::NotController));
    assert_eq!(bench.answer(call), Some(failed));
    assert_eq!(bench.told.0, []);
}

#[test]
fn what_was_not_committed_is_forgotten_when_the_controller_comes_back() {
    let mut bench = bench_with_one_replica(5);
    bench.unfence(7);
    let old = bench.await_active();
    bench.isolate(old, true);
    let (first, again) = (bench.ask(old, CREATE), bench.ask(old, CREATE));
    bench.run(Duration::secs(9));
    assert_eq!(bench.answer(first), Some(REFUSED));
    assert_eq!(
        bench.answer(again),
        Some(REFUSED),
        "it read what was not committed"
    );
    bench.isolate(old, false);
    bench.run(Duration::secs(3));
    let new = bench.await_active();
    assert_ne!(old, new);
    assert_eq!(bench.controller(old).committed().topics().count(), 0);
    assert_eq!(bench.call(new, CREATE), Response::CreateTopic(ErrorCode::None));
    bench.run(Duration::secs(1));
    let committed = bench.controller(old).committed();
    assert_eq!(committed.partition(P0), None, "its number was given away");
    assert_eq!(
        committed.partition(PartitionId(1)).unwrap().replicas,
        servers(&[7])
    );
}

#[test]
fn an_event_that_only_reads_waits_for_what_it_read_to_be_committed() {
    let mut bench = bench_with_one_replica(6);
    let identity = bench.unfence(7);
    let active = bench.await_active();
    for node in bench.controllers().filter(|node| *node != active) {
        bench.isolate(node, true);
    }
    bench.ask(active, CREATE);
    bench.run(Duration::millis(50));
    let read = bench.ask(active, heartbeat(identity));
    bench.run(Duration::millis(700));
    assert_eq!(bench.answer(read), None);
    for node in bench.controllers() {
        bench.isolate(node, false);
    }
    bench.run(Duration::secs(1));
    assert!(matches!(
        bench.answer(read),
        Some(Response::BrokerHeartbeat(Ok(_)))
    ));
}

#[test]
fn a_broker_is_fenced_within_an_eighth_of_its_session_after_it_ended() {
    for seed in 0..5 {
        let mut bench = bench(seed);
        bench.unfence(7);
        let last_heard = bench.simulation.now();
        bench.run(Duration::secs(12));
        let fenced = bench.times_of(&ClusterNote::Fenced(ServerId(7)));
        assert_eq!(fenced.len(), 1, "seed {seed}");
        let silence = fenced[0].since(last_heard);
        assert!(
            silence > Duration::millis(8_900) && silence < Duration::millis(10_300),
            "{silence}"
        );
    }
}

#[test]
fn heartbeats_keep_a_broker_unfenced() {
    let mut bench = bench(8);
    let identity = bench.unfence(7);
    let active = bench.await_active();
    for _ in 0..10 {
        bench.run(Duration::secs(2));
        bench.call(active, heartbeat(identity));
    }
    assert_eq!(bench.times_of(&ClusterNote::Fenced(ServerId(7))), []);
}

#[test]
fn a_new_active_controller_fences_a_broker_that_died_under_the_old_one() {
    let mut bench = bench(9);
    bench.unfence(7);
    bench.run(Duration::secs(3));
    let old = bench.await_active();
    bench.simulation.crash(old, Crash::Process);
    bench.await_active();
    let claimed = bench.simulation.now();
    bench.run(Duration::secs(12));
    let fenced = bench.times_of(&ClusterNote::Fenced(ServerId(7)));
    assert_eq!(fenced.len(), 1);
    let session = fenced[0].since(claimed);
    assert!(
        session > Duration::secs(8) && session < Duration::millis(10_300),
        "a full session: {session}"
    );
}

#[test]
fn an_overloaded_event_queue_fences_nobody() {
    let mut bench = bench(10);
    let identity = bench.unfence(7);
    let active = bench.await_active();
    bench.simulation.arm_cut(ArmedCut {
        cut: cuts::CONTROLLER_EVENT,
        node: Some(active),
        numerator: 1,
        denominator: 1,
        longest: Duration::secs(60),
    });
    let mut calls = Vec::new();
    for _ in 0..8 {
        bench.run(Duration::secs(2));
        calls.push(bench.ask(active, heartbeat(identity)));
    }
    assert!(bench.simulation.cuts_opened() > 0);
    assert!(
        calls.iter().any(|call| bench.answer(*call).is_none()),
        "answers are late"
    );
    assert_eq!(bench.times_of(&ClusterNote::Fenced(ServerId(7))), []);
}

#[test]
fn a_caller_that_hangs_up_gets_no_answer_and_what_it_asked_for_happens() {
    let mut bench = bench(11);
    let active = bench.await_active();
    let call = bench.ask(active, registration(7));
    bench.run(Duration::millis(6));
    bench.hang_up(call);
    bench.run(Duration::secs(1));
    assert_eq!(bench.answer(call), None);
    assert!(bench.controller(active).committed().broker(ServerId(7)).is_some());
}

#[test]
fn everything_committed_is_told_once_also_over_restarts_of_all_controllers() {
    let mut bench = bench_with_one_replica(12);
    let identity = bench.unfence(7);
    let active = bench.await_active();
    assert_eq!(bench.call(active, CREATE), Response::CreateTopic(ErrorCode::None));
    bench.run(Duration::secs(2));
    for node in bench.controllers() {
        bench.simulation.crash(node, Crash::Process);
    }
    bench.run(Duration::secs(1));
    for node in bench.controllers() {
        bench.simulation.start(node);
    }
    bench.run(Duration::secs(4));
    let active = bench.await_active();
    bench.call(active, heartbeat(identity));
    bench.run(Duration::secs(2));
    let told: Vec<_> = bench.told.0.iter().map(|(_, _, note)| note).collect();
    let [registered, unfenced, topic, partition] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(matches!(registered, ClusterNote::Registered { .. }));
    assert_eq!(**unfenced, ClusterNote::Unfenced(ServerId(7)));
    assert_eq!(**topic, ClusterNote::TopicCreated(TopicId(0), 0));
    assert!(matches!(partition, ClusterNote::Partition { .. }));
}

#[test]
fn what_the_old_controller_could_not_tell_is_told_by_the_new_one() {
    for seed in 0..10 {
        let mut bench = bench(seed);
        let old = bench.await_active();
        bench.ask(old, registration(7));
        let registers = |record: &MetadataRecord| matches!(record, MetadataRecord::RegisterBroker { .. });
        let others: Vec<_> = bench.controllers().filter(|node| *node != old).collect();
        while !others
            .iter()
            .any(|node| records_of(&bench, *node).iter().any(registers))
        {
            bench.run(Duration::micros(20));
        }
        assert_eq!(
            bench.told.0,
            [],
            "the old controller does not know that it is committed"
        );
        bench.simulation.crash(old, Crash::Process);
        let new = bench.await_active();
        bench.run(Duration::secs(1));
        assert!(bench.controller(new).committed().broker(ServerId(7)).is_some());
        assert_eq!(bench.told.0.len(), 1, "seed {seed}");
    }
}

#[test]
fn a_single_controller_comes_back_with_what_it_had_committed() {
    let mut specification = specification(false, 1);
    specification.servers.truncate(1);
    specification.topics[0].assignment = Some(vec![servers(&[7])]);
    let mut bench = Bench::start(13, specification);
    bench.unfence(7);
    assert_eq!(
        bench.call(NodeId(1), CREATE),
        Response::CreateTopic(ErrorCode::None)
    );
    bench.simulation.crash(NodeId(1), Crash::Process);
    bench.simulation.start(NodeId(1));
    bench.run(Duration::secs(4));
    let exists = Response::CreateTopic(ErrorCode::TopicAlreadyExists);
    assert_eq!(bench.call(NodeId(1), CREATE), exists);
    assert!(bench.controller(NodeId(1)).committed().partition(P0).is_some());
}

#[test]
fn requests_of_brokers_reach_what_they_ask_for() {
    let mut bench = bench_with_one_replica(14);
    let identity = bench.unfence(7);
    let active = bench.await_active();
    bench.call(active, CREATE);
    let block = bench.call(active, Request::AllocateProducerIds(identity));
    assert_eq!(block, Response::AllocateProducerIds(Ok((0, 1_000))));
    let partition = bench
        .controller(active)
        .committed()
        .partition(P0)
        .unwrap()
        .clone();
    let request = Request::AlterPartition(Box::new(AlterPartitionRequest {
        identity,
        partitions: [AlterPartitionProposal {
            partition: P0,
            leader_epoch: LeaderEpoch(9),
            partition_epoch: partition.partition_epoch,
            isr: [(ServerId(7), None)].into_iter().collect(),
            recovery: partition.recovery,
        }]
        .into_iter()
        .collect(),
    }));
    let Response::AlterPartition(Ok(results)) = bench.call(active, request) else {
        panic!()
    };
    assert_eq!(results[0].error, ErrorCode::NotController);
    let stranger = BrokerIdentity {
        broker: ServerId(8),
        ..identity
    };
    let refused = Response::BrokerHeartbeat(Err(ErrorCode::StaleBrokerEpoch));
    assert_eq!(bench.call(active, heartbeat(stranger)), refused);
}

#[test]
fn the_log_stands_still_without_an_active_controller() {
    let mut bench = bench(15);
    let controllers: Vec<_> = bench.controllers().collect();
    bench.simulation.crash(controllers[0], Crash::Process);
    bench.simulation.crash(controllers[1], Crash::Process);
    bench.run(Duration::secs(10));
    assert_eq!(bench.active(), []);
    let before = records_of(&bench, controllers[2]).len();
    bench.run(Duration::secs(5));
    assert_eq!(records_of(&bench, controllers[2]).len(), before);
}
