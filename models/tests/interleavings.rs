//! What each cut of the broker lets through: another thread goes first, and something is seen that is not seen else.

mod support;

use ktrial_models::config::Acks;
use ktrial_models::cuts;
use ktrial_models::ids::{Offset, PartitionId, ServerId};
use ktrial_models::notes::{LeaderNote, Note};
use ktrial_models::probe::Ask;
use ktrial_models::protocol::{
    Correlation, ErrorCode, FetchRequest, FetchedPartition, ProducedPartition, Request, Response,
};
use ktrial_sim::{ArmedCut, Duration, Time};
use support::{Cluster, specification, topic};

/// Two partitions that A leads, B and C follow.
const P: PartitionId = PartitionId(0);
const Q: PartitionId = PartitionId(1);
/// Two partitions that only A has.
const R: PartitionId = PartitionId(2);
const S: PartitionId = PartitionId(3);
const A: ServerId = ServerId(2);
const B: ServerId = ServerId(3);
const C: ServerId = ServerId(4);

const SOON: Duration = Duration::millis(5);

fn cluster() -> Cluster {
    let mut specification = specification(1, 3);
    specification.topics = vec![
        topic("orders", &[&[2, 3, 4], &[2, 3, 4]], 2),
        topic("alone", &[&[2], &[2]], 1),
    ];
    let mut cluster = Cluster::running(specification, 1);
    // Followers that were quicker than their leader with a new topic come again after a second.
    cluster.run_for(Duration::secs(2));
    cluster
}

/// From now on the cut opens on this broker, each time for up to so long.
fn open(cluster: &mut Cluster, cut: u16, on: ServerId, longest: Duration) {
    cluster.simulation.arm_cut(ArmedCut {
        cut,
        node: Some(on.node()),
        numerator: 1,
        denominator: 1,
        longest,
    });
}

/// Lets another client speak from now on.
fn as_another_client(cluster: &mut Cluster, number: u16) {
    cluster.use_probe(number);
}

fn produced(cluster: &mut Cluster, client: u16, asked: Correlation) -> Vec<ProducedPartition> {
    cluster.use_probe(client);
    match cluster.await_answer(asked) {
        Some(Ok(Response::Produce(answer))) => answer.partitions.to_vec(),
        other => panic!("no answer to the produce request: {other:?}"),
    }
}

fn fetched(cluster: &mut Cluster, client: u16, asked: Correlation) -> Vec<FetchedPartition> {
    cluster.use_probe(client);
    match cluster.await_answer(asked) {
        Some(Ok(Response::Fetch(answer))) => answer.partitions.to_vec(),
        other => panic!("no answer to the fetch: {other:?}"),
    }
}

/// A consumer's request for these partitions from their beginning.
fn reading(partitions: &[PartitionId], max_wait: Duration) -> FetchRequest {
    let mut request = Cluster::fetch_request(partitions[0], Offset(0), max_wait);
    let first = request.partitions[0];
    request.partitions = partitions
        .iter()
        .map(|partition| ktrial_models::protocol::FetchPartition {
            partition: *partition,
            ..first
        })
        .collect();
    request
}

fn send(cluster: &mut Cluster, to: ServerId, request: FetchRequest) -> Correlation {
    cluster.send(to, Ask::Request(Request::Fetch(Box::new(request))))
}

fn records_read(cluster: &mut Cluster, from: ServerId, partition: PartitionId) -> usize {
    let read = cluster.consume(from, partition, Offset(0), Duration::ZERO);
    read.batches.len()
}

/// The log ends that A has on record for its followers.
fn ends_known_to_a(cluster: &Cluster) -> Vec<Option<Offset>> {
    let partition = cluster.broker(A).partition(P).expect("it leads");
    partition
        .remotes()
        .iter()
        .map(|replica| replica.log_end)
        .collect()
}

#[test]
fn produce_next_partition_lets_another_clients_records_in_between_two_partitions_of_one_request() {
    let mut cluster = cluster();
    open(&mut cluster, cuts::PRODUCE_NEXT_PARTITION, A, Duration::secs(3));
    let both = cluster.send(A, Ask::ProduceTo([P, Q], 1));
    cluster.run_for(SOON);
    assert_eq!(
        (cluster.ends(A, P).0, cluster.ends(A, Q).0),
        (Offset(1), Offset(0))
    );
    as_another_client(&mut cluster, 1);
    assert_eq!(
        cluster.write(Q, Acks::Leader, 1),
        (ErrorCode::None, Some(Offset(0)))
    );
    let answers = produced(&mut cluster, 0, both);
    let offsets: Vec<_> = answers.iter().map(|answer| answer.base_offset).collect();
    assert_eq!(
        offsets,
        [Some(Offset(0)), Some(Offset(1))],
        "second in the second partition"
    );
}

#[test]
fn produce_before_high_watermark_lets_a_consumer_find_nothing_although_the_record_is_written() {
    let mut cluster = cluster();
    open(
        &mut cluster,
        cuts::PRODUCE_BEFORE_HIGH_WATERMARK,
        A,
        Duration::secs(3),
    );
    let asked = cluster.produce(A, R, Acks::Leader, 1);
    cluster.run_for(SOON);
    assert_eq!(cluster.ends(A, R), (Offset(1), Offset(0)));
    as_another_client(&mut cluster, 1);
    assert_eq!(records_read(&mut cluster, A, R), 0);
    produced(&mut cluster, 0, asked);
    as_another_client(&mut cluster, 1);
    assert_eq!(records_read(&mut cluster, A, R), 1);
}

#[test]
fn produce_before_parking_lets_consumers_read_a_committed_record_long_before_its_acknowledgement() {
    let mut cluster = cluster();
    open(&mut cluster, cuts::PRODUCE_BEFORE_PARKING, A, Duration::secs(20));
    let asked = cluster.produce(A, P, Acks::All, 1);
    // The handler wakes nobody before it is done; parked fetches of followers end by themselves.
    cluster.run_for(Duration::millis(1_100));
    assert_eq!(cluster.ends(A, P), (Offset(1), Offset(1)), "committed");
    as_another_client(&mut cluster, 1);
    assert_eq!(records_read(&mut cluster, A, P), 1);
    as_another_client(&mut cluster, 0);
    assert_eq!(
        cluster.answer(asked),
        None,
        "nobody is there yet to be told of it"
    );
    assert_eq!(produced(&mut cluster, 0, asked)[0].error, ErrorCode::None);
}

#[test]
fn fetch_next_partition_lets_one_answer_show_two_partitions_at_different_times() {
    let mut cluster = cluster();
    open(&mut cluster, cuts::FETCH_NEXT_PARTITION, A, Duration::secs(3));
    let asked = send(&mut cluster, A, reading(&[R, S], Duration::ZERO));
    cluster.run_for(SOON);
    as_another_client(&mut cluster, 1);
    for partition in [R, S] {
        cluster.write(partition, Acks::Leader, 1);
    }
    let answer = fetched(&mut cluster, 0, asked);
    let batches: Vec<usize> = answer.iter().map(|partition| partition.batches.len()).collect();
    assert_eq!(batches, [0, 1], "the record that was written first is not there");
}

#[test]
fn fetch_before_follower_state_leaves_the_leader_ignorant_of_what_its_followers_have() {
    let mut cluster = cluster();
    open(
        &mut cluster,
        cuts::FETCH_BEFORE_FOLLOWER_STATE,
        A,
        Duration::secs(3),
    );
    cluster.write(P, Acks::Leader, 1);
    cluster.run_for(Duration::millis(20));
    assert_eq!(
        (cluster.ends(B, P).0, cluster.ends(C, P).0),
        (Offset(1), Offset(1))
    );
    assert_eq!(ends_known_to_a(&cluster), [Some(Offset(0)); 2]);
    assert_eq!(cluster.ends(A, P), (Offset(1), Offset(0)));
    cluster.run_for(Duration::secs(4));
    assert_eq!(cluster.ends(A, P), (Offset(1), Offset(1)));
}

/// Whether A proposes C for the ISR, which comes back, catches up and dies a second and a half later for good.
fn proposes_the_returned(with_the_cut_open: bool) -> bool {
    let mut cluster = cluster();
    cluster.kill(C);
    let alone = |cluster: &Cluster| cluster.isr(P) == [2, 3];
    assert!(cluster.run_until(Duration::secs(20), alone));
    cluster.restart(C);
    assert!(cluster.run_until(Duration::secs(30), |cluster| {
        cluster.broker(C).partition(P).is_some()
    }));
    if with_the_cut_open {
        open(&mut cluster, cuts::FETCH_BEFORE_EXPAND_ISR, A, Duration::secs(28));
    }
    let since = cluster.simulation.now();
    assert!(cluster.run_until(Duration::secs(30), |cluster| cluster.runs(C)));
    cluster.run_for(Duration::millis(1_500));
    assert_eq!(
        ends_known_to_a(&cluster)[1],
        Some(cluster.ends(A, P).0),
        "it has caught up"
    );
    cluster.kill(C);
    cluster.run_for(Duration::secs(40));
    let proposes = |note: &Note| matches!(note, Note::Leader(_, LeaderNote::ProposedIsr { isr, .. }) if isr.contains(&C));
    cluster.notes_of(A, since).any(proposes)
}

#[test]
fn fetch_before_expand_isr_lets_a_follower_die_between_catching_up_and_being_proposed() {
    assert!(proposes_the_returned(false));
    assert!(!proposes_the_returned(true), "by then it is fenced");
}

#[test]
fn fetch_before_high_watermark_leaves_a_record_unreadable_that_every_replica_is_known_to_have() {
    let mut cluster = cluster();
    open(
        &mut cluster,
        cuts::FETCH_BEFORE_HIGH_WATERMARK,
        A,
        Duration::secs(3),
    );
    cluster.write(P, Acks::Leader, 1);
    cluster.run_for(Duration::millis(20));
    assert_eq!(ends_known_to_a(&cluster), [Some(Offset(1)); 2]);
    as_another_client(&mut cluster, 1);
    assert_eq!(records_read(&mut cluster, A, P), 0);
    cluster.run_for(Duration::secs(4));
    assert_eq!(records_read(&mut cluster, A, P), 1);
}

#[test]
fn fetch_before_parking_lets_a_record_come_that_nobody_is_woken_for_and_it_is_found_all_the_same() {
    let mut cluster = cluster();
    open(&mut cluster, cuts::FETCH_BEFORE_PARKING, A, Duration::secs(3));
    let asked = send(&mut cluster, A, reading(&[R], Duration::secs(30)));
    let start = cluster.simulation.now();
    cluster.run_for(SOON);
    as_another_client(&mut cluster, 1);
    cluster.write(R, Acks::Leader, 1);
    cluster.run_for(SOON);
    as_another_client(&mut cluster, 0);
    assert_eq!(cluster.answer(asked), None, "a parked one would have its answer");
    assert_eq!(fetched(&mut cluster, 0, asked)[0].batches.len(), 1);
    let took = cluster.simulation.now().since(start);
    assert!(
        took < Duration::secs(4),
        "looked at again before it was parked: {took}"
    );
}

/// A dies, and B has been elected as far as its metadata cache knows, or its role in P.
fn elected(cluster: &mut Cluster, knows: impl Fn(&Cluster) -> bool) {
    cluster.kill(A);
    assert!(cluster.run_until(Duration::secs(20), knows));
    cluster.run_for(Duration::millis(2));
}

fn error_of_a_write(cluster: &mut Cluster, to: ServerId, partition: PartitionId) -> ErrorCode {
    let asked = cluster.produce(to, partition, Acks::Leader, 1);
    match cluster.await_answer(asked) {
        Some(Ok(Response::Produce(answer))) => answer.partitions[0].error,
        other => panic!("no answer to the produce request: {other:?}"),
    }
}

#[test]
fn publish_before_roles_lets_a_broker_name_itself_the_leader_and_refuse_the_records() {
    let mut cluster = cluster();
    open(&mut cluster, cuts::PUBLISH_BEFORE_ROLES, B, Duration::secs(3));
    elected(&mut cluster, |cluster| {
        let known = cluster.broker(B).metadata().partition(P);
        known.is_some_and(|known| known.leader == Some(B))
    });
    assert_eq!(
        error_of_a_write(&mut cluster, B, P),
        ErrorCode::NotLeaderOrFollower
    );
    cluster.run_for(Duration::secs(4));
    assert_eq!(error_of_a_write(&mut cluster, B, P), ErrorCode::None);
}

#[test]
fn publish_next_partition_lets_a_broker_lead_one_partition_and_not_yet_the_other() {
    let mut cluster = cluster();
    open(&mut cluster, cuts::PUBLISH_NEXT_PARTITION, B, Duration::secs(3));
    elected(&mut cluster, |cluster| cluster.broker(B).leads(P).is_some());
    assert_eq!(error_of_a_write(&mut cluster, B, P), ErrorCode::None);
    assert_eq!(
        error_of_a_write(&mut cluster, B, Q),
        ErrorCode::NotLeaderOrFollower
    );
    cluster.run_for(Duration::secs(4));
    assert_eq!(error_of_a_write(&mut cluster, B, Q), ErrorCode::None);
}

#[test]
fn follower_before_applying_lets_an_election_drop_an_answer_with_an_acknowledged_record() {
    let mut cluster = cluster();
    cluster.run_for(Duration::secs(1));
    open(
        &mut cluster,
        cuts::FOLLOWER_BEFORE_APPLYING,
        B,
        Duration::secs(120),
    );
    cluster.run_for(Duration::secs(1));
    assert_eq!(cluster.write(P, Acks::Leader, 1).0, ErrorCode::None);
    cluster.run_for(Duration::millis(20));
    assert_eq!(cluster.ends(B, P).0, Offset(0));
    elected(&mut cluster, |cluster| cluster.broker(B).leads(P).is_some());
    cluster.run_for(Duration::secs(120));
    assert_eq!(
        cluster.ends(B, P).0,
        Offset(0),
        "what it held in its hands is of another epoch"
    );
    assert_eq!(records_read(&mut cluster, B, P), 0);
}

#[test]
fn follower_before_waking_lets_a_consumer_that_comes_later_read_first() {
    let mut cluster = cluster();
    let waiting = send(&mut cluster, B, reading(&[P], Duration::secs(30)));
    cluster.run_for(SOON);
    open(&mut cluster, cuts::FOLLOWER_BEFORE_WAKING, B, Duration::secs(3));
    as_another_client(&mut cluster, 1);
    cluster.write(P, Acks::Leader, 1);
    let moved = |cluster: &Cluster| cluster.ends(B, P).1 == Offset(1);
    assert!(cluster.run_until(Duration::secs(10), moved));
    as_another_client(&mut cluster, 2);
    assert_eq!(records_read(&mut cluster, B, P), 1);
    as_another_client(&mut cluster, 0);
    assert_eq!(cluster.answer(waiting), None);
    assert_eq!(fetched(&mut cluster, 0, waiting)[0].batches.len(), 1);
}

/// Of which partitions A has proposed ISRs without B since then.
fn thrown_out(cluster: &Cluster, since: Time) -> Vec<PartitionId> {
    let thrown = cluster.notes_of(A, since).filter_map(|note| match note {
        Note::Leader(partition, LeaderNote::ProposedIsr { isr, .. }) if !isr.contains(&B) => Some(*partition),
        _ => None,
    });
    thrown.collect()
}

#[test]
fn shrink_next_partition_lets_a_follower_wake_and_stay_in_the_second_of_two_isrs() {
    for cut_open in [false, true] {
        let mut specification = specification(1, 3);
        specification.broker.replica_lag_time_max_ms = Duration::secs(4);
        specification.topics = vec![topic("orders", &[&[2, 3, 4], &[2, 3, 4]], 2)];
        let mut cluster = Cluster::running(specification, 1);
        cluster.run_for(Duration::secs(3));
        if cut_open {
            open(&mut cluster, cuts::SHRINK_NEXT_PARTITION, A, Duration::secs(1));
        }
        let since = cluster.simulation.now();
        cluster.simulation.pause(B.node());
        for partition in [P, Q] {
            assert_eq!(cluster.write(partition, Acks::Leader, 1).0, ErrorCode::None);
        }
        let shrunk = |cluster: &Cluster| !cluster.isr(P).contains(&B.0);
        assert!(cluster.run_until(Duration::secs(8), shrunk));
        cluster.simulation.resume(B.node());
        cluster.run_for(Duration::secs(2));
        let both = if cut_open { &[P][..] } else { &[P, Q][..] };
        assert_eq!(thrown_out(&cluster, since), both, "cut open: {cut_open}");
    }
}
