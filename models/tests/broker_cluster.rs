//! Brokers from their start to their replicated records, with hand-made requests.

mod support;

use ktrial_models::config::Acks;
use ktrial_models::ids::{Offset, PartitionId, ServerId};
use ktrial_models::protocol::ErrorCode;
use ktrial_sim::Duration;
use support::{Cluster, specification, topic};

const P: PartitionId = PartitionId(0);

fn three_brokers(min_insync_replicas: u32) -> Cluster {
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &[&[2, 3, 4]], min_insync_replicas)];
    Cluster::running(specification, 1)
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
        let log = cluster.broker(id).partition(P).expect("a replica").log();
        assert_eq!(
            (log.end(), log.high_watermark()),
            (Offset(5), Offset(5)),
            "broker {id}"
        );
    }
}
