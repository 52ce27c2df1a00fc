//! The membership: `ConsumerMembershipManager` and `AbstractMembershipManager`.
//!
//! | state | is | left |
//! |---|---|---|
//! | UNSUBSCRIBED | not a member | a poll after subscribing: JOINING |
//! | JOINING | a heartbeat with epoch 0 is sent or will be | an assignment: RECONCILING, STABLE |
//! | RECONCILING | it has another assignment than the coordinator wants | all listeners have returned: ACKNOWLEDGING |
//! | ACKNOWLEDGING | a heartbeat will tell what it owns now | it is made: STABLE, or RECONCILING if there is a newer target |
//! | STABLE | nothing to do | a new target: RECONCILING |
//! | FENCED | FENCED_MEMBER_EPOCH, UNKNOWN_MEMBER_ID | onPartitionsLost has returned, or there is no listener: JOINING |
//! | PREPARE_LEAVING, LEAVING | a heartbeat with epoch -1 (static: -2) will be sent | it is made, or cannot be: UNSUBSCRIBED, STALE |
//! | STALE | it left because the application did not poll | onPartitionsLost has returned, if there is a listener, and a poll came: JOINING |
//! | FATAL | another error; `poll` throws | never |
//!
//! What RECONCILING does is in [`super::reconciliation`].

use super::background::Background;
use super::events::{BackgroundEvent, Purpose};
use super::rebalance_metrics::Rebalances;
use super::reconciliation::Reconciliation;
use crate::client::Environment;
use crate::consumer::exception::Exception;
use crate::ids::{MemberEpoch, MemberId, PartitionId};
use crate::notes::ClientNote;
use crate::protocol::ConsumerGroupHeartbeatResponse;

/// `org.apache.kafka.clients.consumer.internals.MemberState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberState {
    Unsubscribed,
    Joining,
    Reconciling,
    Acknowledging,
    Stable,
    Fenced,
    PrepareLeaving,
    Leaving,
    Fatal,
    Stale,
}

use MemberState::{
    Acknowledging, Fatal, Fenced, Joining, Leaving, PrepareLeaving, Reconciling, Stable, Stale, Unsubscribed,
};

impl MemberState {
    /// `getPreviousValidStates`.
    fn may_follow(self, previous: MemberState) -> bool {
        let allowed: &[MemberState] = match self {
            Stable => &[Joining, Acknowledging, Reconciling],
            Reconciling => &[Stable, Joining, Acknowledging, Reconciling],
            Acknowledging => &[Reconciling],
            Fatal => &[
                Joining,
                Stable,
                Reconciling,
                Acknowledging,
                PrepareLeaving,
                Leaving,
                Unsubscribed,
            ],
            Fenced => &[
                Joining,
                Stable,
                Reconciling,
                Acknowledging,
                PrepareLeaving,
                Leaving,
            ],
            Joining => &[Fenced, Unsubscribed, Stale],
            PrepareLeaving => &[Joining, Stable, Reconciling, Acknowledging, Unsubscribed],
            Leaving => &[PrepareLeaving],
            Unsubscribed => &[PrepareLeaving, Leaving, Fenced],
            Stale => &[Leaving],
        };
        self == previous || allowed.contains(&previous)
    }

    fn can_handle_new_assignment(self) -> bool {
        Reconciling.may_follow(self)
    }

    /// `isNotInGroup`, and `shouldSkipHeartbeat`.
    pub(super) fn is_not_in_group(self) -> bool {
        matches!(self, Unsubscribed | Fenced | Fatal | Stale)
    }

    /// `shouldHeartbeatNow`.
    pub(super) fn heartbeats_now(self) -> bool {
        matches!(self, Acknowledging | Leaving | Joining)
    }

    /// `isLeavingGroup`.
    pub(super) fn is_leaving(self) -> bool {
        matches!(self, PrepareLeaving | Leaving)
    }
}

/// `LocalAssignment`: partitions in order, and how manieth target they were; none before the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LocalAssignment {
    pub(super) epoch: Option<u32>,
    pub(super) partitions: Vec<PartitionId>,
}

impl LocalAssignment {
    /// `updateWith`: none if it is the same.
    fn updated(&self, partitions: &[PartitionId]) -> Option<LocalAssignment> {
        let mut partitions = partitions.to_vec();
        partitions.sort();
        if self.epoch.is_some() && self.partitions == partitions {
            return None;
        }
        Some(LocalAssignment {
            epoch: Some(self.epoch.map_or(0, |epoch| epoch + 1)),
            partitions,
        })
    }
}

/// The release of a stale member's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    Done,
    /// The listener has not returned yet; whether the member joins again when it has.
    Waiting(bool),
}

/// The membership as the background knows it.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) state: MemberState,
    /// Drawn by the client once in its life (KIP-1082).
    pub(super) member: MemberId,
    pub(super) epoch: MemberEpoch,
    /// What is reconciled.
    pub(super) current: LocalAssignment,
    /// What the coordinator wants.
    pub(super) target: LocalAssignment,
    pub(super) reconciliation: Option<Reconciliation>,
    pub(super) rejoined_meanwhile: bool,
    /// Somebody waits for the end of leaving.
    leave_in_progress: bool,
    release: Release,
    subscription_updated: bool,
    poll_timer_expired: bool,
    pub(super) rebalances: Rebalances,
}

impl Membership {
    /// Subscribed, and not a member.
    pub(super) fn new() -> Self {
        Membership {
            state: Unsubscribed,
            member: MemberId(0),
            epoch: MemberEpoch::JOIN,
            current: LocalAssignment::default(),
            target: LocalAssignment::default(),
            reconciliation: None,
            rejoined_meanwhile: false,
            leave_in_progress: false,
            release: Release::Done,
            subscription_updated: true,
            poll_timer_expired: false,
            rebalances: Rebalances::default(),
        }
    }

    pub(super) fn is_reconciled(&self) -> bool {
        self.current == self.target
    }

    /// Whether nothing says that the assignment will change.
    pub(super) fn is_settled(&self) -> bool {
        self.state == Stable && self.is_reconciled() && self.reconciliation.is_none()
    }
}

impl Background {
    pub(super) fn transition_to(&mut self, next: MemberState, environment: &mut impl Environment) {
        let state = self.membership.state;
        assert!(next.may_follow(state), "from {state:?} to {next:?}");
        if state == Reconciling && matches!(next, Stable | Acknowledging) {
            self.rebalance_ended(environment);
        }
        if state != Reconciling && next == Reconciling {
            self.rebalance_started(environment);
        }
        self.membership.state = next;
        self.hand_over.reconciles = next == Reconciling;
    }

    fn update_epoch(&mut self, epoch: MemberEpoch) {
        self.membership.epoch = epoch;
        if epoch > MemberEpoch::JOIN {
            self.hand_over.known_epoch = Some(epoch);
        }
    }

    /// The epoch that commits carry; none: not a member.
    pub(super) fn commit_epoch(&self) -> Option<MemberEpoch> {
        let epoch = self.membership.epoch;
        (epoch > MemberEpoch::JOIN && self.membership.state != Fatal).then_some(epoch)
    }

    /// `onHeartbeatSuccess`.
    pub(super) fn heartbeat_succeeded(
        &mut self,
        response: &ConsumerGroupHeartbeatResponse,
        environment: &mut impl Environment,
    ) {
        let state = self.membership.state;
        if state == Leaving {
            return;
        }
        if state == Unsubscribed && response.member_epoch < MemberEpoch::JOIN && self.left() {
            return;
        }
        if state.is_not_in_group() {
            return;
        }
        if response.member_epoch < MemberEpoch::JOIN {
            self.left();
            return;
        }
        self.update_epoch(response.member_epoch);
        if let Some(assignment) = &response.assignment
            && state.can_handle_new_assignment()
        {
            self.assignment_received(assignment, environment);
        }
    }

    /// `onHeartbeatFailure`.
    pub(super) fn heartbeat_failed(&mut self) {
        if self.membership.state == Unsubscribed {
            self.left();
        }
    }

    /// `maybeCompleteLeaveInProgress`.
    fn left(&mut self) -> bool {
        if let Some((_, done)) = &mut self.hand_over.leave {
            *done = true;
        }
        std::mem::take(&mut self.membership.leave_in_progress)
    }

    fn assignment_received(&mut self, assignment: &[PartitionId], environment: &mut impl Environment) {
        if let Some(target) = self.membership.target.updated(assignment) {
            self.membership.target = target;
        }
        if !self.membership.is_reconciled() {
            self.transition_to(Reconciling, environment);
        } else if matches!(self.membership.state, Reconciling | Joining) {
            self.transition_to(Stable, environment);
        }
    }

    /// `onConsumerPoll`: the first poll after subscribing joins.
    pub(super) fn application_polled(&mut self, environment: &mut impl Environment) {
        if std::mem::take(&mut self.membership.subscription_updated) && self.membership.state == Unsubscribed
        {
            self.transition_to_joining(environment);
        }
    }

    fn transition_to_joining(&mut self, environment: &mut impl Environment) {
        if self.membership.state == Fatal {
            return;
        }
        if self.membership.reconciliation.is_some() {
            self.membership.rejoined_meanwhile = true;
        }
        self.update_epoch(MemberEpoch::JOIN);
        self.transition_to(Joining, environment);
        self.membership.target = LocalAssignment::default();
    }

    /// `transitionToFenced`.
    pub(super) fn transition_to_fenced(&mut self, environment: &mut impl Environment) {
        match self.membership.state {
            PrepareLeaving => {
                self.transition_to_sending_leave(false, environment);
                self.transition_to(Unsubscribed, environment);
                self.left();
            }
            Leaving => {
                self.transition_to(Unsubscribed, environment);
                self.left();
            }
            Unsubscribed => {}
            // An answer from before it left: Kafka's IllegalStateException, which nobody hears.
            state if !Fenced.may_follow(state) => {}
            _ => {
                self.transition_to(Fenced, environment);
                self.update_epoch(MemberEpoch::JOIN);
                self.lose_partitions(Purpose::Fenced, environment);
            }
        }
    }

    /// `handleFatalFailure` and `transitionToFatal`.
    pub(super) fn transition_to_fatal(&mut self, exception: Exception, environment: &mut impl Environment) {
        self.hand_over.tell_application(BackgroundEvent::Error(exception));
        let previous = self.membership.state;
        if !Fatal.may_follow(previous) {
            return;
        }
        self.transition_to(Fatal, environment);
        if previous == Unsubscribed && self.left() {
            return;
        }
        if matches!(previous, Leaving | PrepareLeaving) {
            self.left();
            return;
        }
        self.lose_partitions(Purpose::Fatal, environment);
    }

    /// `signalPartitionsLost`: nothing more of them is handed out, and the next poll calls the listener. Without one
    /// nobody is waited for (`ConsumerMembershipManager.invokeOnPartitionsLostCallback`): the assignment ends here, and
    /// whatever the application is at, its commits and its next poll find it gone.
    fn lose_partitions(&mut self, purpose: Purpose, environment: &mut impl Environment) {
        let partitions = self.assigned();
        self.stop_handing_out(&partitions);
        if !partitions.is_empty() {
            if self.specification.application.has_listener() {
                let event = BackgroundEvent::Removed(purpose, partitions);
                return self.hand_over.tell_application(event);
            }
            self.hand_over.activity += 1;
            self.tell(ClientNote::Lost(partitions.into()), environment);
        }
        self.partitions_lost(purpose, environment);
    }

    pub(super) fn partitions_lost(&mut self, purpose: Purpose, environment: &mut impl Environment) {
        self.clear_assignment();
        match purpose {
            Purpose::Fenced if self.membership.state == Fenced => self.transition_to_joining(environment),
            Purpose::Stale => {
                let release = std::mem::replace(&mut self.membership.release, Release::Done);
                if release == Release::Waiting(true) {
                    self.transition_to_joining(environment);
                }
            }
            _ => {}
        }
    }

    /// The partitions it owns, in order.
    pub(super) fn assigned(&self) -> Vec<PartitionId> {
        let mut partitions: Vec<PartitionId> = self.core.assigned.iter().map(|one| one.partition).collect();
        partitions.sort();
        partitions
    }

    /// `markPendingRevocationToPauseFetching`.
    pub(super) fn stop_handing_out(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some(assigned) = self.core.assigned_mut(*partition) {
                assigned.pending_revocation = true;
            }
        }
    }

    fn clear_assignment(&mut self) {
        self.core.assign_from_subscribed(&[]);
        self.hand_over.assignment.clear();
        self.membership.current = LocalAssignment::default();
        self.membership.target = LocalAssignment::default();
    }

    /// `leaveGroupOnClose`.
    pub(super) fn leave_on_close(&mut self, environment: &mut impl Environment) {
        match self.membership.state {
            Fenced => {
                self.clear_assignment();
                self.transition_to(Unsubscribed, environment);
                self.unsubscribe();
                self.left();
            }
            state if state.is_not_in_group() => {
                self.unsubscribe();
                self.left();
            }
            PrepareLeaving | Leaving => {}
            _ => {
                self.transition_to(PrepareLeaving, environment);
                self.membership.leave_in_progress = true;
                self.unsubscribe();
                self.clear_assignment();
                self.transition_to_sending_leave(false, environment);
            }
        }
    }

    fn unsubscribe(&mut self) {
        self.subscription.clear();
        self.core.assign_from_subscribed(&[]);
        self.hand_over.assignment.clear();
    }

    /// `transitionToSendingLeaveGroup`.
    pub(super) fn transition_to_sending_leave(
        &mut self,
        poll_timer_expired: bool,
        environment: &mut impl Environment,
    ) {
        if matches!(self.membership.state, Fatal | Unsubscribed) {
            return;
        }
        if poll_timer_expired {
            self.membership.poll_timer_expired = true;
            self.transition_to(PrepareLeaving, environment);
        }
        let leaves = match self.specification.instance {
            Some(_) => MemberEpoch::LEAVE_STATIC,
            None => MemberEpoch::LEAVE,
        };
        self.update_epoch(leaves);
        self.membership.current = LocalAssignment::default();
        self.transition_to(Leaving, environment);
    }

    /// `onHeartbeatRequestGenerated`.
    pub(super) fn heartbeat_made(&mut self, environment: &mut impl Environment) {
        match self.membership.state {
            Acknowledging if self.membership.is_reconciled() => self.transition_to(Stable, environment),
            Acknowledging => self.transition_to(Reconciling, environment),
            Leaving if self.membership.poll_timer_expired => {
                self.transition_to(Stale, environment);
                self.membership.release = Release::Waiting(false);
                self.lose_partitions(Purpose::Stale, environment);
            }
            Leaving => self.transition_to(Unsubscribed, environment),
            _ => {}
        }
    }

    /// `onHeartbeatRequestSkipped`: leaving cannot be told.
    pub(super) fn heartbeat_skipped(&mut self, environment: &mut impl Environment) {
        if self.membership.state == Leaving {
            self.transition_to(Unsubscribed, environment);
            self.left();
        }
    }

    /// `maybeRejoinStaleMember`.
    pub(super) fn rejoin_stale_member(&mut self, environment: &mut impl Environment) {
        self.membership.poll_timer_expired = false;
        if self.membership.state == Stale {
            match self.membership.release {
                Release::Done => self.transition_to_joining(environment),
                Release::Waiting(_) => self.membership.release = Release::Waiting(true),
            }
        }
    }

    pub(super) fn tell(&self, note: ClientNote, environment: &mut impl Environment) {
        environment.note(crate::notes::Note::Client(note));
    }
}
