//! Every cut of the broker, armed: another lane goes first there, and nothing breaks that Kafka keeps.

mod support;

use ktrial_models::config::Acks;
use ktrial_models::cuts;
use ktrial_models::ids::{Offset, PartitionId, ServerId};
use ktrial_models::protocol::ErrorCode;
use ktrial_sim::{ArmedCut, DiskError, Duration, NodeId, Status};
use support::{Cluster, specification, topic};

const P: PartitionId = PartitionId(0);
const Q: PartitionId = PartitionId(1);
const A: ServerId = ServerId(2);

fn cluster() -> Cluster {
    let mut specification = specification(1, 3);
    specification.broker.replica_lag_time_max_ms = Duration::secs(4);
    specification.topics = vec![topic("orders", &[&[2, 3, 4], &[2, 4, 3]], 2)];
    Cluster::running(specification, 1)
}

fn arm(cluster: &mut Cluster, cut: u16, node: Option<NodeId>, longest: Duration) {
    cluster.simulation.arm_cut(ArmedCut {
        cut,
        node,
        numerator: 1,
        denominator: 1,
        longest,
    });
}

#[test]
fn with_any_cut_open_records_are_still_replicated_in_order() {
    let all = [
        cuts::PRODUCE_NEXT_PARTITION,
        cuts::PRODUCE_BEFORE_HIGH_WATERMARK,
        cuts::PRODUCE_BEFORE_PARKING,
        cuts::FETCH_NEXT_PARTITION,
        cuts::FETCH_BEFORE_FOLLOWER_STATE,
        cuts::FETCH_BEFORE_EXPAND_ISR,
        cuts::FETCH_BEFORE_HIGH_WATERMARK,
        cuts::FETCH_BEFORE_PARKING,
        cuts::PUBLISH_BEFORE_ROLES,
        cuts::PUBLISH_NEXT_PARTITION,
        cuts::FOLLOWER_BEFORE_APPLYING,
        cuts::FOLLOWER_BEFORE_WAKING,
        cuts::SHRINK_NEXT_PARTITION,
    ];
    for cut in all {
        let mut cluster = cluster();
        arm(&mut cluster, cut, None, Duration::millis(20));
        assert_eq!(cluster.write_both([P, Q], 2), [ErrorCode::None; 2], "cut {cut}");
        cluster.kill(A);
        let led = |cluster: &Cluster| cluster.leader(P).is_some() && cluster.leader(Q).is_some();
        assert!(cluster.run_until(Duration::secs(30), led), "cut {cut}");
        cluster.restart(A);
        for _ in 0..3 {
            assert_eq!(cluster.write(P, Acks::All, 1).0, ErrorCode::None, "cut {cut}");
            assert_eq!(cluster.write(Q, Acks::All, 1).0, ErrorCode::None, "cut {cut}");
        }
        let back =
            |cluster: &Cluster| cluster.runs(A) && cluster.isr(P).len() == 3 && cluster.isr(Q).len() == 3;
        assert!(cluster.run_until(Duration::secs(60), back), "cut {cut}");
        cluster.run_for(Duration::secs(2));
        for id in cluster.brokers() {
            for partition in [P, Q] {
                let ends = cluster.ends(id, partition);
                assert_eq!(ends, (Offset(5), Offset(5)), "cut {cut}, broker {id}");
            }
        }
        assert!(cluster.simulation.cuts_opened() > 0, "cut {cut} never opened");
    }
}

#[test]
fn a_change_of_role_waits_for_the_append_in_hand() {
    let mut cluster = cluster();
    arm(
        &mut cluster,
        cuts::PRODUCE_BEFORE_HIGH_WATERMARK,
        Some(A.node()),
        Duration::secs(60),
    );
    let asked = cluster.produce(A, P, Acks::Leader, 1);
    cluster.terminate(A);
    let elsewhere = |cluster: &Cluster| cluster.broker(ServerId(3)).leads(P).is_some();
    assert!(cluster.run_until(Duration::secs(10), elsewhere));
    cluster.run_for(Duration::secs(1));
    assert!(
        cluster.broker(A).leads(P).is_some(),
        "the lock is held: it does not know yet"
    );
    assert!(cluster.answer(asked).is_none());
    let done = |cluster: &Cluster| cluster.simulation.status(A.node()) == Status::Down;
    assert!(cluster.run_until(Duration::secs(90), done));
    assert!(cluster.answer(asked).is_some());
}

#[test]
fn clients_hear_of_a_failed_log_directory_if_the_process_lives_long_enough() {
    let mut cluster = cluster();
    arm(
        &mut cluster,
        cuts::LOG_DIRECTORY_FAILED,
        Some(A.node()),
        Duration::secs(1),
    );
    cluster.simulation.disk_mut(A.node()).health.refuses = Some(DiskError::Full);
    assert_eq!(cluster.write(P, Acks::Leader, 1).0, ErrorCode::KafkaStorageError);
    cluster.run_for(Duration::secs(2));
    assert_eq!(cluster.simulation.status(A.node()), Status::Down);
}
