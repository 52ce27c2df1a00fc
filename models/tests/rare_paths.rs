//! Paths that a cluster takes seldom: a follower behind its leader's log start, registrations that claim a clean stop,
//! a controlled shutdown nobody answers, sessions that have to go.

mod support;

use ktrial_models::config::Acks;
use ktrial_models::cuts;
use ktrial_models::documents::Document;
use ktrial_models::ids::{Offset, PartitionId, ServerId};
use ktrial_models::kafka::document;
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::mutation::{Mutation, Mutations};
use ktrial_models::notes::{ChangeReason, ClusterNote, LeaderNote, LogNote, Note, Phase, TruncationReason};
use ktrial_models::probe::Ask;
use ktrial_models::protocol::{
    ElectLeadersRequest, ElectionType, ErrorCode, FetchResponse, Request, Response, api,
};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{ArmedCut, Crash, Duration, Hold, PowerLoss, Status, Time};
use support::{Cluster, specification, topic};

const P: PartitionId = PartitionId(0);
const CONTROLLER: ServerId = ServerId(1);
const A: ServerId = ServerId(2);
const B: ServerId = ServerId(3);

fn two_brokers(change: impl FnOnce(&mut ClusterSpecification)) -> Cluster {
    two_brokers_with(1, change)
}

fn two_brokers_with(seed: u64, change: impl FnOnce(&mut ClusterSpecification)) -> Cluster {
    let mut specification = specification(1, 2);
    specification.topics = vec![topic("orders", &[&[2, 3]], 1)];
    change(&mut specification);
    let mut cluster = Cluster::running(specification, seed);
    cluster.run_for(Duration::secs(2));
    cluster
}

fn is_down(id: ServerId) -> impl Fn(&Cluster) -> bool {
    move |cluster| cluster.simulation.status(id.node()) == Status::Down
}

/// Whether the registrations of a broker since then proved that its last stop was clean.
fn registrations(cluster: &Cluster, id: ServerId, since: Time) -> Vec<bool> {
    let told = cluster.notes_of(CONTROLLER, since);
    told.filter_map(|note| match note {
        Note::Cluster(ClusterNote::Registered { broker, clean, .. }) if *broker == id => Some(*clean),
        _ => None,
    })
    .collect()
}

#[test]
fn a_follower_behind_its_leaders_log_start_asks_where_it_is_and_begins_there() {
    let mut cluster = two_brokers(|_| {});
    for _ in 0..10 {
        assert_eq!(cluster.write(P, Acks::All, 1).0, ErrorCode::None);
    }
    cluster.simulation.crash(B.node(), Crash::Disk);
    assert!(cluster.run_until(Duration::secs(20), |cluster| cluster.isr(P) == [A.0]));
    cluster.terminate(A);
    assert!(cluster.run_until(Duration::secs(30), is_down(A)));
    // As DeleteRecords up to 6 leaves it.
    cluster
        .simulation
        .disk_mut(A.node())
        .write_document(document::LOG_STARTS, Document::Offsets(vec![(P, Offset(6))]));
    let since = cluster.simulation.now();
    cluster.restart(A);
    assert!(cluster.run_until(Duration::secs(30), |cluster| cluster.runs(A)));
    cluster.restart(B);
    let copied = |cluster: &Cluster| cluster.runs(B) && cluster.ends(B, P) == (Offset(10), Offset(10));
    assert!(cluster.run_until(Duration::secs(60), copied));
    let log = cluster.broker(B).partition(P).expect("it follows").log();
    assert_eq!(log.start(), Offset(6));
    let cut = cluster.notes_of(B, since).any(|note| {
        matches!(
            note,
            Note::Log(
                _,
                LogNote::Truncated {
                    reason: TruncationReason::OutOfRange,
                    ..
                }
            )
        )
    });
    assert!(cut, "it began anew");
    let back = |cluster: &Cluster| cluster.isr(P).len() == 2;
    assert!(cluster.run_until(Duration::secs(30), back));
}

/// Starts A again and waits; whether its registrations were clean.
fn restarted(cluster: &mut Cluster, until: impl Fn(&Cluster, &[bool]) -> bool) -> Vec<bool> {
    let since = cluster.simulation.now();
    cluster.restart(A);
    assert!(cluster.run_until(Duration::secs(40), |cluster| {
        until(cluster, &registrations(cluster, A, since))
    }));
    registrations(cluster, A, since)
}

#[test]
fn a_registration_is_clean_only_with_the_epoch_of_the_stop_before_in_the_clean_shutdown_file() {
    let mut cluster = two_brokers(|_| {});
    cluster.kill(A);
    let killed = restarted(&mut cluster, |cluster, _| cluster.runs(A));
    assert_eq!(killed, [false], "there is no file");
    cluster.terminate(A);
    assert!(cluster.run_until(Duration::secs(30), is_down(A)));
    // The session of the process before is over, so that the next one registers at once; it is slow with its logs.
    cluster.run_for(Duration::secs(12));
    cluster.simulation.arm_cut(ArmedCut {
        cut: cuts::PUBLISH_BEFORE_ROLES,
        node: Some(A.node()),
        numerator: 1,
        denominator: 1,
        longest: Duration::secs(20),
    });
    let stopped = restarted(&mut cluster, |_, registered| !registered.is_empty());
    assert_eq!(stopped, [true]);
    cluster.kill(A);
    cluster.simulation.disarm_cuts();
    let disk = cluster.simulation.disk(A.node());
    let file = disk.document(document::CLEAN_SHUTDOWN);
    assert!(
        file.is_some(),
        "killed before it loaded its logs, which removes the file"
    );
    let killed = restarted(&mut cluster, |cluster, _| cluster.runs(A));
    assert_eq!(killed, [false], "the file is of an older epoch");
}

/// Two replicas have ten records. One stops in an orderly way; the other, now the only member of the ISR, loses power
/// and comes back first. Whether it claims a clean stop, and how many records are left when both are back.
fn left_after_a_power_loss(mutations: Mutations, seed: u64) -> (bool, Offset) {
    let mut cluster = two_brokers_with(seed, |to| {
        to.mutations = mutations;
        to.features.eligible_leader_replicas = 1;
        to.topics = vec![topic("orders", &[&[2, 3]], 2)];
    });
    for _ in 0..10 {
        assert_eq!(cluster.write(P, Acks::All, 1).0, ErrorCode::None);
    }
    cluster.terminate(B);
    assert!(cluster.run_until(Duration::secs(30), is_down(B)));
    cluster.simulation.crash(A.node(), Crash::Power(PowerLoss::Drawn));
    let registered = restarted(&mut cluster, |cluster, _| cluster.runs(A));
    cluster.run_for(Duration::secs(2));
    cluster.restart(B);
    let led = |cluster: &Cluster| cluster.runs(B) && cluster.leader(P).is_some() && cluster.isr(P).len() == 2;
    assert!(cluster.run_until(Duration::secs(60), led));
    (registered == [true], cluster.ends(A, P).0)
}

#[test]
fn a_broker_that_claims_a_clean_stop_it_did_not_have_is_elected_without_the_records_it_lost() {
    let claims = Mutations::only(Mutation::ClaimCleanShutdown);
    let mut lacking = 0;
    for seed in 1..=20 {
        assert_eq!(
            left_after_a_power_loss(Mutations::default(), seed),
            (false, Offset(10)),
            "who stopped cleanly is waited for"
        );
        let (claimed, left) = left_after_a_power_loss(claims, seed);
        assert!(
            claimed || left == Offset(10),
            "its metadata log may be gone as well"
        );
        lacking += u32::from(left < Offset(10));
    }
    assert!(lacking > 0);
}

#[test]
fn a_controlled_shutdown_that_nobody_answers_goes_on_serving_and_ends_after_five_minutes() {
    let mut cluster = two_brokers(|_| {});
    cluster.kill(CONTROLLER);
    cluster.terminate(A);
    let asked = cluster.simulation.now();
    cluster.run_for(Duration::secs(299));
    assert!(!is_down(A)(&cluster));
    assert_eq!(cluster.write(P, Acks::Leader, 1).0, ErrorCode::None);
    assert!(cluster.run_until(Duration::secs(3), is_down(A)));
    let phases: Vec<&Note> = cluster
        .notes_of(A, asked)
        .filter(|note| matches!(note, Note::Phase(_)))
        .collect();
    assert_eq!(
        phases,
        [&Note::Phase(Phase::ShuttingDown), &Note::Phase(Phase::Stopped)]
    );
    let disk = cluster.simulation.disk(A.node());
    assert!(
        disk.document(document::CLEAN_SHUTDOWN).is_some(),
        "orderly all the same"
    );
}

/// Asks for a new fetch session (epoch 0) or goes on with one.
fn session(cluster: &mut Cluster, id: u32, epoch: i32) -> Box<FetchResponse> {
    let mut request = Cluster::fetch_request(P, Offset(0), Duration::ZERO);
    (request.session, request.session_epoch) = (id, epoch);
    match cluster.ask(A, Request::Fetch(Box::new(request))) {
        Some(Ok(Response::Fetch(answer))) => answer,
        other => panic!("no answer to the fetch: {other:?}"),
    }
}

#[test]
fn a_fetch_session_unused_for_two_minutes_makes_room_for_a_new_one_and_its_owner_begins_again() {
    for (slots, survives) in [(8, false), (1_000, true)] {
        let mut cluster = two_brokers(|to| to.broker.max_incremental_fetch_session_cache_slots = slots);
        let sessions: Vec<u32> = (0..16).map(|_| session(&mut cluster, 0, 0).session).collect();
        let made = sessions.iter().filter(|id| **id != 0).count();
        assert!(
            if survives { made == 16 } else { made < 8 },
            "{made}: followers have some"
        );
        let first = *sessions.iter().find(|id| **id != 0).expect("there was room");
        assert_eq!(session(&mut cluster, first, 1).error, ErrorCode::None);
        // A session that was used a moment ago goes for nobody.
        for _ in 0..8 {
            session(&mut cluster, 0, 0);
        }
        assert_eq!(session(&mut cluster, first, 2).error, ErrorCode::None);
        cluster.run_for(Duration::secs(121));
        for _ in 0..8 {
            session(&mut cluster, 0, 0);
        }
        let expected = match survives {
            true => ErrorCode::None,
            false => ErrorCode::FetchSessionIdNotFound,
        };
        assert_eq!(session(&mut cluster, first, 3).error, expected);
    }
}

/// What became of the partition since then, and why.
fn changes(cluster: &Cluster, since: Time) -> Vec<(ChangeReason, PartitionRegistration)> {
    let told = cluster.notes_of(CONTROLLER, since);
    told.filter_map(|note| match note {
        Note::Cluster(ClusterNote::Partition {
            registration, reason, ..
        }) => Some((*reason, PartitionRegistration::clone(registration))),
        _ => None,
    })
    .collect()
}

/// A is the last member of the ISR and loses its disk; it is started on an empty one, the other stays dead.
fn with_a_replaced_disk(before_the_start: impl FnOnce(&mut Cluster)) -> (Cluster, Time) {
    let mut cluster = two_brokers(|_| {});
    cluster.write(P, Acks::All, 3);
    cluster.kill(B);
    assert!(cluster.run_until(Duration::secs(20), |cluster| cluster.isr(P) == [A.0]));
    cluster.run_for(Duration::secs(2));
    cluster.simulation.crash(A.node(), Crash::Disk);
    before_the_start(&mut cluster);
    let since = cluster.simulation.now();
    cluster.restart(A);
    assert!(cluster.run_until(Duration::secs(40), |cluster| cluster.runs(A)));
    (cluster, since)
}

#[test]
fn a_process_on_a_replaced_disk_takes_its_replicas_offline_before_the_session_of_the_last_one_ends() {
    // As in the recording of last_replica_loses_disk: without leader 2 s after the start, registered 4 s later.
    let (mut cluster, since) = with_a_replaced_disk(|_| {});
    assert!(cluster.run_until(Duration::secs(10), |cluster| cluster.leader(P).is_some()));
    let changes = changes(&cluster, since);
    let reasons: Vec<ChangeReason> = changes.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(
        reasons[..4],
        [
            ChangeReason::DirectoryAssigned(A),
            ChangeReason::DirectoryAssigned(A),
            ChangeReason::UncleanRegistration(A),
            ChangeReason::BrokerUnfenced(A)
        ]
    );
    let states: Vec<_> = changes
        .iter()
        .map(|(_, state)| (state.leader, state.isr.len(), state.elr.len()))
        .collect();
    assert_eq!(
        states[..4],
        [(Some(A), 1, 0), (None, 0, 1), (None, 0, 0), (Some(A), 1, 0)]
    );
    assert_ne!(changes[0].1.directory(A), changes[0].1.directory(B));
    assert_eq!(cluster.ends(A, P).0, Offset(0));
}

#[test]
fn a_replica_whose_directory_is_told_too_late_is_elected_only_when_somebody_asks() {
    let kind = api::NAMES.iter().position(|name| *name == "AssignReplicasToDirs");
    let mut hold = None;
    let (mut cluster, _) = with_a_replaced_disk(|cluster| {
        hold = Some(cluster.simulation.hold(Hold {
            kinds: 1 << kind.expect("it has a number"),
            from: Some(A.node()),
            to: None,
        }));
    });
    cluster.run_for(Duration::secs(5));
    assert_eq!(
        cluster.leader(P),
        None,
        "its registered directory is one it does not have"
    );
    let since = cluster.simulation.now();
    cluster.simulation.release(hold.expect("it was made"));
    cluster.run_for(Duration::secs(20));
    let reasons: Vec<_> = changes(&cluster, since)
        .iter()
        .map(|(reason, _)| *reason)
        .collect();
    assert_eq!(reasons, [ChangeReason::DirectoryAssigned(A)]);
    assert_eq!(
        cluster.leader(P),
        None,
        "PartitionChangeBuilder asks the directory before"
    );
    let elect = ElectLeadersRequest {
        kind: ElectionType::Preferred,
        partitions: Some(vec![P].into_iter().collect()),
    };
    // Another client: the connections of this one died with the machine.
    cluster.use_probe(1);
    let answer = cluster.ask(A, Request::ElectLeaders(Box::new(elect)));
    assert_eq!(
        answer,
        Some(Ok(Response::ElectLeaders(
            ErrorCode::None,
            vec![(P, ErrorCode::None)]
        )))
    );
    assert!(cluster.run_until(Duration::secs(5), |cluster| cluster.leader(P) == Some(A)));
}

#[test]
fn an_acknowledgement_shows_what_its_leader_saw_when_it_was_decided_and_not_when_it_left() {
    let c = ServerId(4);
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &[&[2, 3], &[2, 4]], 2)];
    let mut cluster = Cluster::running(specification, 1);
    cluster.run_for(Duration::secs(2));
    // C's fetches do not arrive, its heartbeats do.
    cluster.simulation.cut(c.node(), A.node());
    let asked = cluster.send(A, Ask::ProduceTo([P, PartitionId(1)], 1));
    let committed = |cluster: &Cluster| cluster.ends(A, P).1 == Offset(1);
    assert!(cluster.run_until(Duration::secs(5), committed));
    cluster.kill(B);
    assert!(cluster.run_until(Duration::secs(20), |cluster| cluster.isr(P) == [A.0]));
    assert_eq!(cluster.answer(asked), None, "the other partition waits for C");
    cluster.simulation.mend_all();
    assert!(cluster.await_answer(asked).is_some());
    let seen: Vec<_> = cluster
        .notes_of(A, Time::ZERO)
        .filter_map(|note| match note {
            Note::Leader(
                PartitionId(0),
                LeaderNote::Answered {
                    error,
                    maximal_isr,
                    min_isr,
                    ..
                },
            ) => Some((*error, *maximal_isr, *min_isr)),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [(ErrorCode::None, 2, 2)]);
}
