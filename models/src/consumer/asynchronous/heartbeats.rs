//! Heartbeats, which are all a member and its coordinator say about the group: `ConsumerHeartbeatRequestManager` and
//! `AbstractHeartbeatRequestManager`.
//!
//! | timer | clock | starts | ends |
//! |---|---|---|---|
//! | heartbeat | wall | a heartbeat is made | after the interval the coordinator told another is due |
//! | `max.poll.interval.ms` | wall | the call of the poll that the background heard of last | the member leaves |
//!
//! A heartbeat is made at once when there is something to say (JOINING, ACKNOWLEDGING, LEAVING), else when it is due.
//! It carries what has changed since the last one; all of it when joining or after an error.
//!
//! | answer | becomes |
//! |---|---|
//! | NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE | the coordinator is unknown; again as soon as it is known |
//! | COORDINATOR_LOAD_IN_PROGRESS | again after a back-off |
//! | FENCED_MEMBER_EPOCH, UNKNOWN_MEMBER_ID | fenced |
//! | GROUP_ID_NOT_FOUND after leaving | nothing |
//! | others | fatal |
//! | the connection is lost, or it could not be sent | the coordinator is unknown; again after a back-off |

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::background::Background;
use super::membership::{LocalAssignment, MemberState};
use super::request_state::HeartbeatState;
use super::requests::What;
use crate::client::Environment;
use crate::consumer::exception::Exception;
use crate::consumer::timer::Timer;
use crate::notes::ClientNote;
use crate::protocol::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode, Request, ServerAssignor,
};

/// What the last heartbeat said (`SentFields`).
#[derive(Debug, Default)]
struct SentFields {
    rebalance_timeout: Option<Duration>,
    subscribed: Option<SmallVec<[u16; 4]>>,
    assignor: Option<ServerAssignor>,
    assignment: Option<LocalAssignment>,
}

/// When to send heartbeats and what has been said.
#[derive(Debug)]
pub(super) struct Heartbeats {
    state: HeartbeatState,
    poll_timer: Timer,
    sent: SentFields,
}

impl Heartbeats {
    pub(super) fn new(now: Time, max_poll_interval: Duration) -> Self {
        Heartbeats {
            state: HeartbeatState::new(now),
            poll_timer: Timer::new(now, max_poll_interval),
            sent: SentFields::default(),
        }
    }
}

impl Background {
    /// `AbstractHeartbeatRequestManager.poll`: how long until it wants to be asked again.
    pub(super) fn poll_heartbeats(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        if self.coordinator.node().is_none() || self.membership.state.is_not_in_group() {
            self.heartbeat_skipped(environment);
            self.tell_fatal_lookup();
            return Duration::FOREVER;
        }
        self.heartbeats.poll_timer.update(now);
        if self.heartbeats.poll_timer.is_expired() && !self.membership.state.is_leaving() {
            self.tell(ClientNote::PollTimeout, environment);
            self.transition_to_sending_leave(true, environment);
            self.send_heartbeat(What::LastHeartbeat, now, environment);
            self.heartbeats.state.request.reset();
            self.heartbeats.sent = SentFields::default();
            return self.heartbeats.state.interval();
        }
        let state = self.membership.state;
        let at_once = state == MemberState::Leaving
            || state.heartbeats_now() && !self.heartbeats.state.request.in_flight();
        if !self.heartbeats.state.can_send(now) && !at_once {
            return self.heartbeats.state.time_to_next(now);
        }
        self.send_heartbeat(What::Heartbeat, now, environment);
        self.heartbeats.state.interval()
    }

    fn send_heartbeat(&mut self, what: What, now: Time, environment: &mut impl Environment) {
        let request = Request::ConsumerGroupHeartbeat(Box::new(self.heartbeat()));
        self.send_to_coordinator(what, request, now);
        self.heartbeats.state.sent();
        self.heartbeat_made(environment);
    }

    /// `HeartbeatState.buildRequestData`.
    fn heartbeat(&mut self) -> ConsumerGroupHeartbeatRequest {
        let all = self.membership.state == MemberState::Joining;
        let settings = &self.specification.member;
        let sent = &mut self.heartbeats.sent;
        let rebalance_timeout = changed(all, &mut sent.rebalance_timeout, &settings.max_poll_interval_ms);
        let subscribed_topics = changed(all, &mut sent.subscribed, &self.subscription);
        let assignor = settings
            .group_remote_assignor
            .as_deref()
            .map(ServerAssignor::of_name);
        let server_assignor = assignor.and_then(|assignor| changed(all, &mut sent.assignor, &assignor));
        let owned = changed(all, &mut sent.assignment, &self.membership.current);
        ConsumerGroupHeartbeatRequest {
            group: self.specification.group,
            client: self.specification.client,
            member: self.membership.member,
            member_epoch: self.membership.epoch,
            instance: self.specification.instance,
            rack: self.core.rack.filter(|_| all),
            rebalance_timeout,
            subscribed_topics,
            server_assignor,
            owned: owned.map(|assignment| assignment.partitions.into()),
        }
    }

    /// `maximumTimeToWait` of the heartbeats.
    pub(super) fn heartbeats_want(&mut self, now: Time) -> Duration {
        let heartbeats = &mut self.heartbeats;
        heartbeats.poll_timer.update(now);
        let state = self.membership.state;
        if state == MemberState::Unsubscribed {
            return Duration::FOREVER;
        }
        if heartbeats.poll_timer.is_expired() {
            return Duration::ZERO;
        }
        if self.coordinator.node().is_none() || state.is_not_in_group() {
            return heartbeats.state.interval();
        }
        if state.heartbeats_now() && !heartbeats.state.request.in_flight() {
            return Duration::ZERO;
        }
        let half = Duration(heartbeats.poll_timer.remaining().0 / 2);
        half.min(heartbeats.state.time_to_next(now))
    }

    /// `resetPollTimer`: the application polled at this time.
    pub(super) fn reset_poll_timer(&mut self, polled: Time, environment: &mut impl Environment) {
        self.heartbeats.poll_timer.update(polled);
        if self.heartbeats.poll_timer.is_expired() {
            self.rejoin_stale_member(environment);
        }
        let interval = self.specification.member.max_poll_interval_ms;
        self.heartbeats.poll_timer.reset(interval);
    }

    /// No answer.
    pub(super) fn heartbeat_unanswered(&mut self, exception: Exception, environment: &mut impl Environment) {
        let now = environment.wall();
        self.heartbeats.state.failed(now, &mut self.backoffs, environment);
        self.heartbeats.sent = SentFields::default();
        self.coordinator.disconnected(exception);
        self.heartbeat_failed();
    }

    /// `onResponse`.
    pub(super) fn heartbeat_answered(
        &mut self,
        response: &ConsumerGroupHeartbeatResponse,
        environment: &mut impl Environment,
    ) {
        let now = environment.wall();
        let state = &mut self.heartbeats.state;
        if response.error == ErrorCode::None {
            state.update_interval(now, response.heartbeat_interval);
            state.request.succeeded(now, &mut self.backoffs, environment);
            return self.heartbeat_succeeded(response, environment);
        }
        state.failed(now, &mut self.backoffs, environment);
        self.heartbeats.sent = SentFields::default();
        match response.error {
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator.forget();
                self.heartbeats.state.request.reset();
            }
            ErrorCode::CoordinatorLoadInProgress => {}
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                self.transition_to_fenced(environment);
                self.heartbeats.state.request.reset();
            }
            ErrorCode::GroupIdNotFound if self.membership.state == MemberState::Unsubscribed => {
                self.heartbeat_skipped(environment);
            }
            error => self.transition_to_fatal(Exception::Error(error), environment),
        }
        // Kafka calls every error of an answer one that cannot be retried here.
        self.rebalance_failed(environment);
        self.heartbeat_failed();
    }
}

/// What to say of something: nothing if it was said already.
fn changed<T: Clone + PartialEq>(all: bool, sent: &mut Option<T>, value: &T) -> Option<T> {
    if !all && sent.as_ref() == Some(value) {
        return None;
    }
    *sent = Some(value.clone());
    Some(value.clone())
}
