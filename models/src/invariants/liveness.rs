//! LIV-1 send-resolves, LIV-2 converges-after-heal.

use std::sync::Arc;

use ktrial_sim::{Duration, NodeId, Time};

use super::judges::Judges;
use super::sends::Told;
use super::witness::{Detail, Ground, Place};
use crate::ids::RecordId;
use crate::invariants::{Exposure, Invariant};
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
    /// It did not, and nobody promised it at all: an application never gets past a record.
    Unpromised,
}

/// How long a cluster may take to converge once it is healed: everybody who waits for an answer that will not come
/// gives up, processes start, the quorum elects twice, sessions end, followers are found lagging, and half a minute
/// for the rest (retransmissions, pauses between attempts, copying). A replica on a replaced disk that nobody else can
/// stand in for can have to wait for the next look for preferred leaders: it may be unfenced before the controller knows
/// its directory (`AssignmentsManager`), and being told of that elects nobody.
///
/// Groups wait for the sessions of members that are none any more, for applications that work on what a poll returned,
/// and then one of them may have to work on all of `records`. A classic group that has become empty waits
/// `group.initial.rebalance.delay.ms` for the first member, and once more while others join meanwhile, up to the
/// members' `max.poll.interval.ms` (`GroupMetadataManager.tryCompleteInitialRebalanceElseSchedule`).
pub fn time_to_converge(
    cluster: &ClusterSpecification,
    producers: &[ProducerSpecification],
    readers: &[ReaderSpecification],
    (members, records): (&[Arc<ConsumerSpecification>], u64),
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
        .chain(members.iter().map(|member| &member.reader))
        .map(|reader| reader.settings.request_timeout_ms);
    let answers = servers.into_iter().chain(producers).chain(readers).max();
    let groups = members.iter().map(|member| {
        let work = member.application.processing.1.saturating_mul(records);
        let polled = member.work_of_a_poll().min(member.member.max_poll_interval_ms);
        let delay = broker.group_initial_rebalance_delay_ms;
        let delays = delay
            .saturating_mul(members.len() as u64)
            .min(member.member.max_poll_interval_ms.max(delay));
        [member.member.session_timeout_ms, polled, work, delays]
            .into_iter()
            .fold(Duration::ZERO, Duration::saturating_add)
    });
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
        cluster.capacity.process_start.1,
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

impl Judges {
    /// Something made a client's own clock and its progress differ from the trial's time: it was paused or resumed,
    /// its wall clock was moved, its clocks run fast or slow, or all that is over. Its sends get their time anew.
    pub fn disturbed(&mut self, at: Time, client: NodeId) {
        if let Some(client) = self.sends.client_mut(client) {
            client.undisturbed = client.undisturbed.max(at);
        }
    }

    /// LIV-1 of a send that was told of.
    pub(super) fn resolves_in_time(&mut self, record: RecordId) {
        if self.is_late(record) {
            self.unresolved(record, "it was told after delivery.timeout.ms");
        }
    }

    fn is_late(&self, record: RecordId) -> bool {
        let (Some(send), Some(client)) = (self.sends.get(record), self.sends.client(record.producer)) else {
            return false;
        };
        client.has_waited_too_long(send, self.witnesses.at)
    }

    fn unresolved(&mut self, record: RecordId, text: &'static str) {
        let place = Place {
            record: Some(record),
            ..Place::default()
        };
        self.witnesses
            .add(Invariant::SendResolves, place, Ground::Always, Detail::Text(text));
    }

    pub(super) fn finish_liveness(&mut self, convergence: Convergence, pending: usize) {
        let untold = self.sends.iter().filter(|(_, send)| send.told == Told::Nothing);
        let untold: Vec<RecordId> = untold.map(|(record, _)| record).collect();
        for record in untold {
            if self.is_late(record) {
                self.unresolved(record, "it has no outcome although delivery.timeout.ms is over");
            }
        }
        let ground = match convergence {
            Convergence::Missed(settings) => Some(settings.map_or(Ground::Quorum, Ground::Exposed)),
            Convergence::Unread(settings) => {
                let threw = self.reader_threw.then_some(Exposure::ReaderThrew);
                let excuse = self.groups.excuse().or(threw).or(settings);
                Some(excuse.map_or(Ground::Quorum, Ground::Exposed))
            }
            Convergence::Reached | Convergence::TooShort(..) | Convergence::Unpromised => None,
        };
        self.convergence_unjudged = match convergence {
            Convergence::TooShort(heal, needed) => Some(format!(
                "`heal: {heal}` is shorter than the {needed} that time-outs, sessions and elections may take"
            )),
            Convergence::Unpromised => Some(
                "an application never gets past a record that always fails, and nobody promises that it does"
                    .to_owned(),
            ),
            _ => None,
        };
        if let Some(ground) = ground {
            for number in 0..pending.max(1) {
                let (place, detail) = (Place::default(), Detail::Pending(number));
                self.witnesses.add(Invariant::Converges, place, ground, detail);
            }
        }
    }
}
