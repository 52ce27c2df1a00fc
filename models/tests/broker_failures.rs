//! What brokers do when brokers, disks, links and controllers fail.

mod support;

use ktrial_models::config::Acks;
use ktrial_models::ids::{Offset, PartitionId, ServerId};
use ktrial_models::kafka::document;
use ktrial_models::notes::{ClusterNote, LogNote, Note, Phase, TruncationReason};
use ktrial_models::probe::Ask;
use ktrial_models::protocol::{ErrorCode, Response};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Crash, DiskError, Duration, PowerLoss, Status, Time};
use support::{Cluster, specification, topic};

const P: PartitionId = PartitionId(0);
const A: ServerId = ServerId(2);
const B: ServerId = ServerId(3);
const C: ServerId = ServerId(4);

fn with_one_topic(min_insync_replicas: u32) -> ClusterSpecification {
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &[&[2, 3, 4]], min_insync_replicas)];
    specification
}

fn three_brokers(min_insync_replicas: u32) -> Cluster {
    Cluster::running(with_one_topic(min_insync_replicas), 1)
}

fn rejoin(cluster: &mut Cluster, id: ServerId) {
    let back =
        |cluster: &Cluster| cluster.runs(id) && cluster.leader(P).is_some() && cluster.isr(P).contains(&id.0);
    assert!(
        cluster.run_until(Duration::secs(60), back),
        "{id} does not come back: {:#?}",
        cluster.told
    );
}

fn truncations(cluster: &Cluster, id: ServerId, since: Time) -> Vec<(Offset, Offset, TruncationReason)> {
    cluster
        .notes_of(id, since)
        .filter_map(|note| match note {
            Note::Log(_, LogNote::Truncated { to, from, reason, .. }) => Some((*from, *to, *reason)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_killed_follower_leaves_the_isr_when_its_session_ends_and_acks_all_goes_on() {
    let mut cluster = three_brokers(2);
    cluster.kill(C);
    let killed = cluster.simulation.now();
    assert_eq!(cluster.write(P, Acks::All, 1).0, ErrorCode::None);
    let took = cluster.simulation.now() - killed;
    assert!(
        took > Duration::secs(6) && took < Duration::secs(12),
        "the record waited {took}"
    );
    assert_eq!(cluster.isr(P), [2, 3]);
    cluster.restart(C);
    rejoin(&mut cluster, C);
    assert_eq!(cluster.ends(C, P).0, Offset(1));
}

#[test]
fn a_stalled_follower_is_expelled_by_its_leader_after_replica_lag_time() {
    for (lag, out) in [(4_000, true), (30_000, false)] {
        let mut specification = with_one_topic(1);
        specification.broker.replica_lag_time_max_ms = Duration::millis(lag);
        let mut cluster = Cluster::running(specification, 1);
        // Its heartbeats get through, its fetches do not.
        cluster.simulation.cut(C.node(), A.node());
        cluster.write(P, Acks::Leader, 1);
        cluster.run_for(Duration::secs(10));
        assert_eq!(!cluster.isr(P).contains(&4), out);
        cluster.simulation.mend_all();
        rejoin(&mut cluster, C);
    }
}

#[test]
fn a_killed_leader_is_replaced_and_cuts_what_only_it_had() {
    let mut cluster = three_brokers(1);
    assert_eq!(cluster.write(P, Acks::All, 2).0, ErrorCode::None);
    cluster.run_for(Duration::secs(1));
    // Their fetches do not arrive; those parked at the leader end before it is written to.
    cluster.simulation.cut(B.node(), A.node());
    cluster.simulation.cut(C.node(), A.node());
    cluster.run_for(Duration::secs(1));
    assert_eq!(
        cluster.write(P, Acks::Leader, 3),
        (ErrorCode::None, Some(Offset(2)))
    );
    cluster.kill(A);
    cluster.simulation.mend_all();
    let another = |cluster: &Cluster| cluster.leader(P).is_some();
    assert!(cluster.run_until(Duration::secs(20), another));
    assert_eq!(cluster.leader(P), Some(B));
    assert_eq!(cluster.write(P, Acks::All, 1), (ErrorCode::None, Some(Offset(2))));
    let since = cluster.simulation.now();
    cluster.restart(A);
    rejoin(&mut cluster, A);
    assert_eq!(
        truncations(&cluster, A, since),
        [(Offset(5), Offset(2), TruncationReason::Diverging)]
    );
    cluster.run_for(Duration::secs(1));
    for id in [A, B, C] {
        assert_eq!(cluster.ends(id, P), (Offset(3), Offset(3)), "broker {id}");
    }
}

#[test]
fn a_leader_whose_link_to_everybody_is_cut_is_replaced_and_learns_of_it_when_the_link_is_mended() {
    let mut cluster = three_brokers(1);
    for other in [ServerId(1), B, C] {
        cluster.simulation.cut(A.node(), other.node());
        cluster.simulation.cut(other.node(), A.node());
    }
    assert_eq!(cluster.write(P, Acks::Leader, 1).0, ErrorCode::None);
    let deposed = |cluster: &Cluster| cluster.broker(B).leads(P).is_some();
    assert!(cluster.run_until(Duration::secs(30), deposed));
    assert!(cluster.broker(A).leads(P).is_some(), "it does not know yet");
    cluster.simulation.mend_all();
    rejoin(&mut cluster, A);
    assert_eq!(cluster.broker(A).leads(P), None);
}

#[test]
fn controlled_shutdown_moves_leadership_before_the_process_ends_and_is_clean() {
    let mut cluster = three_brokers(2);
    cluster.write(P, Acks::All, 1);
    cluster.terminate(A);
    let start = cluster.simulation.now();
    let moved = |cluster: &Cluster| cluster.broker(B).leads(P).is_some();
    assert!(cluster.run_until(Duration::secs(5), moved));
    let ended = |cluster: &Cluster| cluster.simulation.status(A.node()) == Status::Down;
    assert!(cluster.run_until(Duration::secs(5), ended));
    assert!(
        cluster.simulation.now() - start < Duration::secs(5),
        "no session had to end"
    );
    let phases: Vec<_> = cluster
        .notes_of(A, start)
        .filter(|note| matches!(note, Note::Phase(_)))
        .collect();
    assert_eq!(
        phases,
        [&Note::Phase(Phase::ShuttingDown), &Note::Phase(Phase::Stopped)]
    );
    let disk = cluster.simulation.disk(A.node());
    assert!(disk.document(document::CLEAN_SHUTDOWN).is_some());
    cluster.restart(A);
    rejoin(&mut cluster, A);
    let disk = cluster.simulation.disk(A.node());
    assert!(
        disk.document(document::CLEAN_SHUTDOWN).is_none(),
        "read once, then deleted"
    );
    let clean = cluster.told.iter().rev().find_map(|told| match &told.note {
        Note::Cluster(ktrial_models::notes::ClusterNote::Registered { broker, clean, .. })
            if *broker == A =>
        {
            Some(*clean)
        }
        _ => None,
    });
    assert_eq!(clean, Some(true));
}

#[test]
fn without_controlled_shutdown_leadership_moves_only_when_the_session_ends() {
    let mut specification = with_one_topic(1);
    specification.broker.controlled_shutdown_enable = false;
    let mut cluster = Cluster::running(specification, 1);
    cluster.terminate(A);
    let start = cluster.simulation.now();
    let moved = |cluster: &Cluster| cluster.broker(B).leads(P).is_some();
    assert!(cluster.run_until(Duration::secs(20), moved));
    assert!(cluster.simulation.now() - start > Duration::secs(6));
}

/// The leader died 14 s ago, one second after this follower began to flush what it had fetched, for 20 s.
fn replaced_while_a_follower_flushes(follower: ServerId) -> Cluster {
    let mut specification = with_one_topic(1);
    specification.topics[0].settings.flush_messages = 1;
    specification.capacity.flush = (Duration::millis(1), Duration::millis(1));
    let mut cluster = Cluster::running(specification, 1);
    cluster.simulation.disk_mut(follower.node()).health.slowness = 20_000;
    cluster.write(P, Acks::Leader, 1);
    cluster.run_for(Duration::secs(1));
    cluster.kill(A);
    cluster.run_for(Duration::secs(14));
    cluster
}

#[test]
fn a_follower_leads_only_when_its_fetcher_is_done_with_the_disk() {
    let mut cluster = replaced_while_a_follower_flushes(B);
    let registration = |cluster: &Cluster| cluster.broker(B).metadata().partition(P).and_then(|p| p.leader);
    assert_eq!(registration(&cluster), Some(B), "its cache shows it");
    assert_eq!(cluster.broker(B).leads(P), None);
    cluster.run_for(Duration::secs(6));
    assert!(cluster.broker(B).leads(P).is_some());
}

#[test]
fn a_follower_follows_another_leader_only_when_its_fetcher_is_done_with_the_disk() {
    let mut cluster = replaced_while_a_follower_flushes(C);
    cluster.simulation.disk_mut(C.node()).health.slowness = 1;
    assert_eq!(cluster.leader(P), Some(B));
    assert_eq!(
        cluster.write(P, Acks::Leader, 1),
        (ErrorCode::None, Some(Offset(1)))
    );
    cluster.run_for(Duration::secs(1));
    assert_eq!(
        cluster.ends(C, P).0,
        Offset(1),
        "it does not fetch from the new leader yet"
    );
    cluster.run_for(Duration::secs(6));
    assert_eq!(cluster.ends(C, P).0, Offset(2));
}

#[test]
fn a_stop_drops_the_requests_that_no_handler_has_begun() {
    let mut specification = with_one_topic(1);
    specification.broker.controlled_shutdown_enable = false;
    specification.broker.num_io_threads = 1;
    specification.capacity.request_service = Duration::millis(50);
    let mut cluster = Cluster::running(specification, 1);
    // The followers' fetches would take the only handler.
    cluster.kill(B);
    cluster.kill(C);
    cluster.run_for(Duration::secs(1));
    let since = cluster.simulation.now();
    for probe in 0..3 {
        cluster.use_probe(probe);
        cluster.produce(A, P, Acks::Leader, 1);
    }
    cluster.run_for(Duration::millis(10));
    cluster.terminate(A);
    cluster.run_for(Duration::secs(1));
    let appended = |note: &&Note| matches!(note, Note::Log(P, LogNote::Appended { .. }));
    assert_eq!(cluster.notes_of(A, since).filter(appended).count(), 1);
}

#[test]
fn a_broker_leaves_a_silent_controller_before_the_next_ones_session_for_it_ends() {
    let fenced = |seed| {
        let mut specification = specification(3, 3);
        specification.broker.controller_quorum_fetch_timeout_ms = Duration::secs(5);
        specification.controller.controller_quorum_fetch_timeout_ms = Duration::secs(5);
        let mut cluster = Cluster::running(specification, seed);
        let is_active = |id: &ServerId| {
            let controller = cluster.server(*id).controller();
            controller.is_some_and(|controller| controller.is_active())
        };
        let active = [1, 2, 3].map(ServerId).into_iter().find(is_active);
        let silent = active.expect("a controller is active").node();
        // Nobody is told, and whoever connects to it gets no answer.
        let loss = Crash::Power(PowerLoss::EverythingUnflushed);
        cluster.simulation.crash(silent, loss);
        cluster.run_for(Duration::secs(40));
        let fenced = |note: &Note| matches!(note, Note::Cluster(ClusterNote::Fenced(_)));
        cluster.told.iter().filter(|told| fenced(&told.note)).count()
    };
    // With these seeds every broker hears of the next leader within seconds; one that hears of it late itself is
    // fenced all the same.
    assert_eq!([2, 9, 10].map(fenced), [0; 3]);
}

#[test]
fn a_process_told_to_stop_before_it_serves_leaves_no_clean_shutdown_file() {
    let mut cluster = Cluster::start(with_one_topic(1), 1);
    let catching_up = |cluster: &Cluster| {
        cluster
            .notes_of(A, Time::ZERO)
            .any(|note| *note == Note::Phase(Phase::CatchingUp))
    };
    assert!(cluster.run_until(Duration::secs(10), catching_up));
    cluster.terminate(A);
    cluster.run_for(Duration::millis(10));
    assert_eq!(cluster.simulation.status(A.node()), Status::Down);
    let disk = cluster.simulation.disk(A.node());
    assert!(disk.document(document::CLEAN_SHUTDOWN).is_none());
}

#[test]
fn after_a_power_loss_everywhere_acknowledged_records_are_there_only_if_they_were_flushed() {
    for (flush_messages, kept) in [(1, Offset(2)), (u64::MAX, Offset(0))] {
        let mut specification = with_one_topic(2);
        specification.topics[0].settings.flush_messages = flush_messages;
        let mut cluster = Cluster::running(specification, 1);
        assert_eq!(cluster.write(P, Acks::All, 2).0, ErrorCode::None);
        cluster.run_for(Duration::secs(1));
        for id in [A, B, C] {
            let loss = Crash::Power(PowerLoss::EverythingUnflushed);
            cluster.simulation.crash(id.node(), loss);
        }
        for id in [A, B, C] {
            cluster.restart(id);
        }
        let all_run =
            |cluster: &Cluster| [A, B, C].iter().all(|id| cluster.runs(*id)) && cluster.leader(P).is_some();
        assert!(cluster.run_until(Duration::secs(60), all_run));
        let leader = cluster.leader(P).expect("it was waited for");
        assert_eq!(cluster.ends(leader, P).0, kept, "flush.messages={flush_messages}");
    }
}

#[test]
fn an_unclean_start_takes_longer_the_more_there_is_to_read_and_heartbeats_go_on_meanwhile() {
    let recovering = |per_mib: u64| {
        let mut specification = with_one_topic(1);
        specification.capacity.recovery_per_mib = Duration::secs(per_mib);
        let mut cluster = Cluster::running(specification, 1);
        for _ in 0..20 {
            cluster.write(P, Acks::All, 1_000);
        }
        cluster.kill(C);
        cluster.restart(C);
        let since = cluster.simulation.now();
        rejoin(&mut cluster, C);
        let at = |phase: Phase| {
            let told = cluster.told.iter();
            let mut told = told.filter(|told| told.by == C.node() && told.at >= since);
            told.find(|told| told.note == Note::Phase(phase))
                .expect("it was told")
                .at
        };
        at(Phase::Running) - at(Phase::Recovering)
    };
    let (short, long) = (recovering(1), recovering(12));
    assert!(long > short.saturating_add(Duration::secs(15)), "{short} {long}");
}

#[test]
fn a_broker_whose_disk_fails_ends_itself() {
    let mut cluster = three_brokers(1);
    cluster.simulation.disk_mut(A.node()).health.refuses = Some(DiskError::Failing);
    cluster.produce(A, P, Acks::Leader, 1);
    cluster.run_for(Duration::millis(100));
    assert_eq!(cluster.simulation.status(A.node()), Status::Down);
    let why = Phase::Exited("all log directories have failed");
    assert!(
        cluster
            .notes_of(A, Time::ZERO)
            .any(|note| *note == Note::Phase(why))
    );
    cluster.simulation.disk_mut(A.node()).health.refuses = None;
    cluster.restart(A);
    rejoin(&mut cluster, A);
}

#[test]
fn a_broker_that_finds_no_controller_gives_up_after_the_registration_timeout() {
    let mut specification = with_one_topic(1);
    specification.broker.initial_broker_registration_timeout_ms = Duration::secs(5);
    let mut cluster = Cluster::prepare(specification, 1);
    cluster.simulation.start(A.node());
    cluster.run_for(Duration::secs(12));
    assert_eq!(cluster.simulation.status(A.node()), Status::Down);
}

#[test]
fn a_broker_cut_from_the_controller_goes_on_serving_and_is_unfenced_afterwards() {
    let mut cluster = three_brokers(1);
    let controller = ServerId(1);
    for id in [A, B, C] {
        cluster.simulation.cut(id.node(), controller.node());
        cluster.simulation.cut(controller.node(), id.node());
    }
    cluster.run_for(Duration::secs(20));
    assert_eq!(cluster.write(P, Acks::All, 1).0, ErrorCode::None);
    cluster.simulation.mend_all();
    cluster.run_for(Duration::secs(40));
    assert_eq!(cluster.write(P, Acks::All, 1).0, ErrorCode::None);
    assert_eq!(cluster.isr(P), [2, 3, 4]);
}

#[test]
fn a_quick_restart_waits_for_the_session_of_the_process_before() {
    let mut cluster = three_brokers(1);
    cluster.kill(A);
    cluster.restart(A);
    let since = cluster.simulation.now();
    rejoin(&mut cluster, A);
    assert!(
        cluster.simulation.now() - since > Duration::secs(6),
        "DUPLICATE_BROKER_REGISTRATION until then"
    );
}

#[test]
fn too_small_an_isr_refuses_acks_all_and_takes_acks_1() {
    let mut cluster = three_brokers(3);
    cluster.kill(C);
    let shrunk = |cluster: &Cluster| cluster.isr(P).len() == 2;
    assert!(cluster.run_until(Duration::secs(20), shrunk));
    assert_eq!(cluster.write(P, Acks::All, 1).0, ErrorCode::NotEnoughReplicas);
    assert_eq!(cluster.write(P, Acks::Leader, 1).0, ErrorCode::None);
    assert_eq!(
        cluster.ends(A, P),
        (Offset(1), Offset(0)),
        "the high watermark waits too (KIP-966)"
    );
}

#[test]
fn a_produce_request_that_waits_when_its_leader_is_deposed_is_answered_not_leader() {
    let mut cluster = three_brokers(2);
    // The leader cannot be heard by its followers, and still hears the controller.
    cluster.simulation.cut(A.node(), B.node());
    cluster.simulation.cut(A.node(), C.node());
    let ask = Ask::Produce {
        partition: P,
        acks: Acks::All,
        records: 1,
        numbering: None,
        timeout: Duration::secs(300),
    };
    let asked = cluster.send(A, ask);
    cluster.run_for(Duration::secs(1));
    cluster.simulation.cut(A.node(), ServerId(1).node());
    assert!(cluster.run_until(Duration::secs(40), |cluster| {
        cluster.broker(B).leads(P).is_some() || cluster.broker(C).leads(P).is_some()
    }));
    cluster.simulation.mend_all();
    let Some(Ok(Response::Produce(answer))) = cluster.await_answer(asked) else {
        panic!("no answer");
    };
    assert_eq!(answer.partitions[0].error, ErrorCode::NotLeaderOrFollower);
    assert_eq!(
        answer.partitions[0].base_offset,
        Some(Offset(0)),
        "it was appended"
    );
}
