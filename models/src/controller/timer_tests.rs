//! What the active controller does by itself, and which settings say when.

use ktrial_sim::{Duration, Time};

use super::bench::Bench;
use crate::config::ControllerSettings;
use crate::controller::fixture::{P0, servers, specification};
use crate::ids::ServerId;
use crate::kafka::METADATA_LOG;
use crate::metadata::MetadataRecord;
use crate::notes::{ChangeReason, ClusterNote, Election};
use crate::protocol::{
    AlterPartitionProposal, AlterPartitionRequest, BrokerIdentity, ErrorCode, Request, Response,
};
use crate::records::LogEntry;

/// One topic with replicas on brokers 7 and 8, created; ELR off.
fn bench(shape: impl FnOnce(&mut ControllerSettings)) -> (Bench, BrokerIdentity, BrokerIdentity) {
    let mut specification = specification(false, 1);
    specification.topics[0].assignment = Some(vec![servers(&[7, 8])]);
    shape(&mut specification.controller);
    let mut bench = Bench::start(1, specification);
    let (seven, eight) = (bench.unfence(7), bench.unfence(8));
    let active = bench.await_active();
    assert_eq!(
        bench.call(active, Request::CreateTopic(0)),
        Response::CreateTopic(ErrorCode::None)
    );
    (bench, seven, eight)
}

/// The leader changes that were told: when, whom, why, how.
fn elections(bench: &Bench) -> Vec<(Time, Option<u16>, ChangeReason, Option<Election>)> {
    let mut leader = Some(ServerId(7));
    let told = bench.told.0.iter().filter_map(|(time, _, note)| match note {
        ClusterNote::Partition {
            registration,
            reason,
            election,
            ..
        } if registration.leader != leader => {
            leader = registration.leader;
            Some((*time, leader.map(|leader| leader.0), *reason, *election))
        }
        _ => None,
    });
    told.collect()
}

/// Broker 7 is silent until it is fenced, then returns and is taken back into the ISR by the new leader.
fn lose_and_regain(bench: &mut Bench, seven: BrokerIdentity, eight: BrokerIdentity) {
    bench.keep_alive(Duration::secs(12), &[eight]);
    let moved = elections(bench);
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].1, Some(8));
    bench.keep_alive(Duration::secs(2), &[seven, eight]);
    let active = bench.await_active();
    let partition = bench
        .controller(active)
        .committed()
        .partition(P0)
        .unwrap()
        .clone();
    let proposal = AlterPartitionProposal {
        partition: P0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: [(ServerId(7), Some(seven.epoch)), (ServerId(8), Some(eight.epoch))]
            .into_iter()
            .collect(),
        recovery: partition.recovery,
    };
    let request = AlterPartitionRequest {
        identity: eight,
        partitions: [proposal].into_iter().collect(),
    };
    let Response::AlterPartition(Ok(results)) =
        bench.call(active, Request::AlterPartition(Box::new(request)))
    else {
        panic!()
    };
    assert_eq!(
        (results[0].error, &results[0].isr),
        (ErrorCode::None, &servers(&[7, 8]))
    );
}

#[test]
fn leader_imbalance_check_interval_seconds_says_when_the_leadership_returns() {
    for seconds in [20, 60] {
        let (mut bench, seven, eight) = bench(|settings| {
            settings.leader_imbalance_check_interval_seconds = Duration::secs(seconds);
        });
        let started = bench.simulation.now();
        lose_and_regain(&mut bench, seven, eight);
        bench.keep_alive(Duration::secs(seconds + 2), &[seven, eight]);
        let returned = elections(&bench)[1];
        assert_eq!(returned.1, Some(7));
        assert_eq!(
            (returned.2, returned.3),
            (ChangeReason::PreferredElection, Some(Election::FromIsr))
        );
        let after = returned.0.since(started);
        assert!(
            after.0.abs_diff(Duration::secs(seconds).0) < Duration::millis(500).0,
            "{after}"
        );
    }
}

#[test]
fn without_auto_leader_rebalance_enable_the_leadership_stays() {
    let (mut bench, seven, eight) = bench(|settings| {
        settings.auto_leader_rebalance_enable = false;
        settings.leader_imbalance_check_interval_seconds = Duration::secs(20);
    });
    lose_and_regain(&mut bench, seven, eight);
    bench.keep_alive(Duration::secs(60), &[seven, eight]);
    assert_eq!(elections(&bench).len(), 1);
}

#[test]
fn unclean_leader_election_enable_in_the_controllers_file_says_whether_a_replica_outside_the_isr_leads() {
    for allowed in [true, false] {
        let (mut bench, seven, eight) = bench(|settings| settings.unclean_leader_election_enable = allowed);
        // 8 is silent and leaves the ISR; then 7 is, too; then 8 comes back alone.
        bench.keep_alive(Duration::secs(11), &[seven]);
        bench.run(Duration::secs(12));
        let leaderless = elections(&bench);
        assert_eq!(
            leaderless.last().map(|last| last.1),
            Some(None),
            "nobody is alive"
        );
        bench.keep_alive(Duration::secs(5), &[eight]);
        let after = elections(&bench);
        assert_eq!(after.len(), leaderless.len() + usize::from(allowed));
        if allowed {
            let (_, leader, reason, election) = after[after.len() - 1];
            assert_eq!((leader, election), (Some(8), Some(Election::Unclean)));
            assert_eq!(reason, ChangeReason::BrokerUnfenced(ServerId(8)));
        }
    }
}

#[test]
fn broker_session_timeout_ms_says_when_a_silent_broker_is_fenced() {
    for seconds in [3, 9, 20] {
        let (mut bench, ..) = bench(|settings| settings.broker_session_timeout_ms = Duration::secs(seconds));
        let heard = bench.simulation.now();
        bench.run(Duration::secs(2 * seconds));
        let fenced = bench.times_of(&ClusterNote::Fenced(ServerId(8)))[0].since(heard);
        let latest = Duration::secs(seconds).0 * 9 / 8 + Duration::millis(200).0;
        assert!(
            fenced.0 + Duration::millis(200).0 > Duration::secs(seconds).0 && fenced.0 < latest,
            "{fenced}"
        );
    }
}

#[test]
fn metadata_max_idle_interval_ms_says_how_often_an_idle_controller_writes() {
    let written = |interval: Duration| {
        let (mut bench, ..) = bench(|settings| settings.metadata_max_idle_interval_ms = interval);
        bench.run(Duration::secs(10));
        let active = bench.await_active();
        let log = bench.simulation.disk(active).existing(METADATA_LOG).unwrap();
        let contents = bench.simulation.arena();
        let batches = log.entries().iter().map(LogEntry::metadata);
        let records = batches.flat_map(|batch| contents.metadata(batch.records));
        records.filter(|record| **record == MetadataRecord::NoOp).count()
    };
    assert_eq!(written(Duration::ZERO), 0);
    assert!((10..=12).contains(&written(Duration::secs(1))));
    assert!((20..=23).contains(&written(Duration::millis(500))));
}
