//! Elections that an operator orders (KIP-460), from the admin client over the broker that forwards them to the
//! active controller, and back.

mod support;

use ktrial_models::ids::{PartitionId, ServerId};
use ktrial_models::kafka::{KafkaNode, Signal};
use ktrial_models::operator::Election;
use ktrial_models::protocol::{ElectLeadersRequest, ElectionType, ErrorCode, Request, Response};
use ktrial_sim::{Crash, Duration, NodeId};
use smallvec::smallvec;
use support::{Cluster, specification, topic};

const OPERATOR: NodeId = NodeId(0);
const P: PartitionId = PartitionId(0);

/// Controllers 1, 2, 3; brokers 4, 5, 6; two partitions with replicas 4, 5, 6 and 5, 6, 4; the operator runs.
fn cluster(seed: u64) -> Cluster {
    let mut specification = specification(3, 3);
    specification.topics = vec![topic("orders", &[&[4, 5, 6], &[5, 6, 4]], 1)];
    // The controller gives leaderships back by itself every five minutes: longer than these tests last.
    let mut cluster = Cluster::running(specification, seed);
    cluster.simulation.start(OPERATOR);
    cluster.run_for(Duration::secs(10));
    cluster
}

fn results(cluster: &Cluster) -> Vec<(ElectionType, Election)> {
    match cluster.simulation.node(OPERATOR) {
        KafkaNode::Operator(operator) => operator.elections().to_vec(),
        _ => panic!("not an operator"),
    }
}

/// Orders an election and waits for what the operator is told.
fn ordered(cluster: &mut Cluster, signal: Signal) -> Election {
    let before = results(cluster).len();
    cluster.simulation.signal(OPERATOR, signal);
    let ended = |cluster: &Cluster| results(cluster).len() > before;
    assert!(cluster.run_until(Duration::secs(70), ended), "it has no end");
    let result = results(cluster).pop().expect("it has ended").1;
    cluster.run_for(Duration::secs(1));
    result
}

fn answered(partitions: &[(u32, ErrorCode)]) -> Election {
    let partitions = partitions.iter().map(|(id, error)| (PartitionId(*id), *error));
    Election::Answered(ErrorCode::None, partitions.collect())
}

fn active_controller(cluster: &Cluster) -> ServerId {
    let active = |id: &u16| {
        let up = cluster.simulation.status(NodeId(*id)) == ktrial_sim::Status::Up;
        let server = cluster.server(ServerId(*id));
        up && server
            .controller()
            .is_some_and(|controller| controller.is_active())
    };
    ServerId((1..=3).find(active).expect("a controller is active"))
}

#[test]
fn a_preferred_election_gives_the_leadership_back() {
    let mut cluster = cluster(1);
    cluster.kill(ServerId(4));
    cluster.run_for(Duration::secs(15));
    cluster.restart(ServerId(4));
    cluster.run_for(Duration::secs(15));
    assert_eq!(cluster.leader(P), Some(ServerId(5)));
    // Partition 1 is led as it should be and is not named.
    let told = ordered(&mut cluster, Signal::ElectPreferredLeaders);
    assert_eq!(told, answered(&[(0, ErrorCode::None)]));
    assert_eq!(cluster.leader(P), Some(ServerId(4)));
}

#[test]
fn where_the_preferred_replica_is_not_in_sync_there_is_no_election() {
    let mut cluster = cluster(2);
    cluster.kill(ServerId(4));
    cluster.run_for(Duration::secs(15));
    let told = ordered(&mut cluster, Signal::ElectPreferredLeaders);
    assert_eq!(told, answered(&[(0, ErrorCode::PreferredLeaderNotAvailable)]));
    assert_eq!(cluster.leader(P), Some(ServerId(5)));
}

#[test]
fn where_all_is_as_it_should_be_nothing_is_named() {
    let mut cluster = cluster(3);
    for signal in [Signal::ElectPreferredLeaders, Signal::ElectUncleanLeaders] {
        assert_eq!(ordered(&mut cluster, signal), answered(&[]));
    }
}

/// Partition 0 without a leader: its ISR was broker 4 alone, whose process is gone; brokers 5 and 6 run.
fn leaderless(seed: u64, back: &[u16]) -> Cluster {
    let mut cluster = cluster(seed);
    for id in [5, 6] {
        cluster.kill(ServerId(id));
    }
    cluster.run_for(Duration::secs(15));
    cluster.kill(ServerId(4));
    cluster.run_for(Duration::secs(15));
    for id in back {
        cluster.restart(ServerId(*id));
    }
    cluster.run_for(Duration::secs(15));
    cluster
}

#[test]
fn an_unclean_election_makes_an_old_replica_the_leader() {
    let mut cluster = leaderless(4, &[5, 6]);
    assert_eq!(cluster.leader(P), None);
    let told = ordered(&mut cluster, Signal::ElectUncleanLeaders);
    assert_eq!(told, answered(&[(0, ErrorCode::None), (1, ErrorCode::None)]));
    assert_eq!(cluster.leader(P), Some(ServerId(5)));
}

#[test]
fn without_a_live_replica_an_unclean_election_finds_nobody() {
    let mut specification = specification(3, 3);
    specification.topics = vec![topic("orders", &[&[4]], 1), topic("others", &[&[5, 6]], 1)];
    let mut cluster = Cluster::running(specification, 5);
    cluster.simulation.start(OPERATOR);
    cluster.kill(ServerId(4));
    cluster.run_for(Duration::secs(15));
    let told = ordered(&mut cluster, Signal::ElectUncleanLeaders);
    assert_eq!(told, answered(&[(0, ErrorCode::EligibleLeadersNotAvailable)]));
}

#[test]
fn a_partition_that_is_not_there_is_unknown_and_one_that_is_named_needs_no_election() {
    let mut cluster = cluster(6);
    let request = Request::ElectLeaders(Box::new(ElectLeadersRequest {
        kind: ElectionType::Preferred,
        partitions: Some(smallvec![P, PartitionId(77)]),
    }));
    let expected = vec![
        (P, ErrorCode::ElectionNotNeeded),
        (PartitionId(77), ErrorCode::UnknownTopicOrPartition),
    ];
    let answer = cluster.ask(ServerId(6), request);
    assert_eq!(
        answer,
        Some(Ok(Response::ElectLeaders(ErrorCode::None, expected)))
    );
}

#[test]
fn the_broker_finds_the_next_controller_when_the_active_one_dies() {
    let mut cluster = cluster(7);
    let active = active_controller(&cluster);
    cluster.kill(active);
    assert_eq!(
        ordered(&mut cluster, Signal::ElectPreferredLeaders),
        answered(&[])
    );
    assert_ne!(active_controller(&cluster), active);
}

#[test]
fn without_a_majority_of_controllers_the_order_ends_as_timed_out() {
    let mut cluster = cluster(8);
    for id in [1, 2, 3] {
        cluster.simulation.crash(ServerId(id).node(), Crash::Process);
    }
    let asked = cluster.simulation.now();
    assert_eq!(
        ordered(&mut cluster, Signal::ElectPreferredLeaders),
        Election::TimedOut
    );
    assert!(cluster.simulation.now().since(asked) > Duration::secs(60));
}

#[test]
fn an_order_survives_the_broker_that_was_to_forward_it() {
    for seed in 10..14 {
        let mut cluster = cluster(seed);
        for id in [4, 5] {
            cluster.kill(ServerId(id));
        }
        // Only broker 6 is left to be asked.
        let told = ordered(&mut cluster, Signal::ElectPreferredLeaders);
        assert!(matches!(told, Election::Answered(ErrorCode::None, _)), "{told:?}");
    }
}
