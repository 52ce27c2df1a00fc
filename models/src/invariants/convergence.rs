//! Whether everything comes together again when the faults are over: how long that may take, and who promises it.

use std::collections::BTreeMap;

use ktrial_sim::Duration;

use crate::ids::GroupId;
use crate::invariants::Exposure;
use crate::specification::{
    ClusterSpecification, ConsumerSpecification, ProducerSpecification, ReaderSpecification,
};

/// Whether everything came together again when the faults were over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convergence {
    /// It did.
    Reached,
    /// It did not, and there was time enough; which settings allow that, if any do ([`convergence_excuse`]).
    Missed(Option<Exposure>),
    /// It did but for groups, and readers whose `poll` threw, which have not read everything to its end, and there was
    /// time enough; which settings allow that, if any do.
    Unread(Option<Exposure>),
    /// It did not, and nobody promised it in so short a time: how much there was, and how much it may take.
    TooShort(Duration, Duration),
    /// It did not, and nobody promised it at all: an application never gets past a record that always fails.
    Unpromised,
}

/// A member of a group that has to read everything to its end.
#[derive(Clone, Copy, Debug)]
pub struct MemberAtWork<'a> {
    /// What it was told.
    pub told: &'a ConsumerSpecification,
    /// The most that its application may have to work ([`ConsumerSpecification::longest_work`]).
    pub work: Duration,
}

/// How long a cluster may take to converge once it is healed: everybody who waits for an answer that will not come
/// gives up, processes start, the quorum elects twice, sessions end, followers are found lagging, and half a minute
/// for the rest (retransmissions, pauses between attempts, copying). A replica on a replaced disk that nobody else can
/// stand in for can have to wait for the next look for preferred leaders: it may be unfenced before the controller knows
/// its directory (`AssignmentsManager`), and being told of that elects nobody.
///
/// Groups wait for the sessions of members that are none any more, for applications that work on what a poll returned,
/// and then one of them may have to work on everything. A classic group that has become empty waits
/// `group.initial.rebalance.delay.ms` for the first member, and once more while others join meanwhile, up to the
/// members' `max.poll.interval.ms` (`GroupMetadataManager.tryCompleteInitialRebalanceElseSchedule`). What one group
/// works on may be what another has sent on, so that their work adds up.
pub fn time_to_converge(
    cluster: &ClusterSpecification,
    producers: &[ProducerSpecification],
    readers: &[ReaderSpecification],
    members: &[MemberAtWork<'_>],
    disks_replaced: bool,
) -> Duration {
    let (broker, controller) = (&cluster.broker, &cluster.controller);
    let servers = [
        broker.request_timeout_ms,
        broker.replica_socket_timeout_ms,
        broker.controller_socket_timeout_ms,
        broker.controller_quorum_request_timeout_ms,
        controller.controller_quorum_request_timeout_ms,
    ];
    let producers = producers
        .iter()
        .map(|producer| producer.settings.request_timeout_ms);
    let readers = readers
        .iter()
        .chain(members.iter().map(|member| &member.told.reader))
        .map(|reader| reader.settings.request_timeout_ms);
    let answers = servers.into_iter().chain(producers).chain(readers).max();
    let groups = members.iter().map(|MemberAtWork { told, .. }| {
        let patience = told.member.max_poll_interval_ms;
        let delay = broker.group_initial_rebalance_delay_ms;
        let delays = delay
            .saturating_mul(members.len() as u64)
            .min(patience.max(delay));
        let polled = told.work_of_a_poll().min(patience);
        told.member
            .session_timeout_ms
            .saturating_add(polled)
            .saturating_add(delays)
    });
    let mut work: BTreeMap<GroupId, Duration> = BTreeMap::new();
    for member in members {
        let most = work.entry(member.told.group).or_default();
        *most = member.work.max(*most);
    }
    let election = controller
        .controller_quorum_election_timeout_ms
        .saturating_add(controller.controller_quorum_fetch_timeout_ms);
    let directories = match disks_replaced {
        true => controller.leader_imbalance_check_interval_seconds,
        false => Duration::ZERO,
    };
    [
        directories,
        groups.max().unwrap_or_default(),
        work.into_values().fold(Duration::ZERO, Duration::saturating_add),
        cluster
            .capacity
            .process_start
            .1
            .max(cluster.capacity.client_start.1),
        election.saturating_mul(2),
        controller.broker_session_timeout_ms,
        broker.replica_lag_time_max_ms,
        Duration::secs(30),
    ]
    .into_iter()
    .fold(answers.unwrap_or_default(), Duration::saturating_add)
}

/// For how long a leader of the quorum may hold back a fetch (`KafkaRaftClient.MAX_FETCH_WAIT_MS`).
const QUORUM_FETCH_WAIT: Duration = Duration::millis(500);

/// Which settings let a healthy cluster go on changing for ever, so that nobody promises that it converges.
/// `round_trip`: the longest way of a request there and of its answer back.
///
/// * A follower of the quorum whose fetch timer runs out while the leader holds back its fetch stands for election
///   (`FollowerState.hasFetchTimeoutExpired`), and a request that times out before is no successful fetch; a candidate
///   needs its votes in time.
/// * A broker whose heartbeats are rarer than twice a session may be fenced between two of them; Kafka logs an error at
///   start (`KafkaConfig.validateValues`).
pub fn convergence_excuse(cluster: &ClusterSpecification, round_trip: Duration) -> Option<Exposure> {
    let (broker, controller) = (&cluster.broker, &cluster.controller);
    let answered = QUORUM_FETCH_WAIT.saturating_add(round_trip);
    let voters = cluster.servers.iter().filter(|server| server.controller).count();
    if voters > 1 && controller.controller_quorum_fetch_timeout_ms <= answered {
        return Some(Exposure::HastyQuorumFetch);
    }
    if voters > 1 && controller.controller_quorum_request_timeout_ms <= answered {
        return Some(Exposure::HastyQuorumRequest);
    }
    if voters > 1 && controller.controller_quorum_election_timeout_ms <= round_trip {
        return Some(Exposure::HastyQuorumElection);
    }
    let rare = broker.broker_heartbeat_interval_ms.saturating_mul(2) > controller.broker_session_timeout_ms;
    rare.then_some(Exposure::RareHeartbeats)
}
