//! Joining: `AbstractCoordinator.joinGroupIfNeeded`, `ConsumerCoordinator.onJoinPrepare`, `onLeaderElected` and
//! `onJoinComplete`.
//!
//! | phase | eager | cooperative (KIP-429) |
//! |---|---|---|
//! | before JoinGroup | nothing more is handed out; auto-commit, waited for over polls up to `max.poll.interval.ms`; all revoked | the same commit, records keep flowing |
//! | before JoinGroup, generation lost | all lost | all lost |
//! | after SyncGroup | all assigned | what went away revoked without another commit, then joins again; the rest kept |
//!
//! What a poll does for a join never waits: the poll's own time goes to fetching. A listener that commits does wait, inside
//! of the poll: the rebalance stands where it was called ([`InListener`]) and goes on when it has returned.
//!
//! | the listener throws in | then |
//! |---|---|
//! | onJoinPrepare | everything is given up all the same; `poll` throws a KafkaException |
//! | onJoinComplete | the assignment is taken; onPartitionsAssigned; `poll` throws the exception itself |
//! | onLeavePrepare | no LeaveGroup is sent: the group waits for the session to end; `close` throws |

use ktrial_sim::Duration;
use smallvec::SmallVec;
use std::sync::Arc;

use super::answers::joins_again_at_once;
use super::assignor::{AssignablePartition, AssignableTopic, GroupMember, RebalanceProtocol};
use super::commits::CommitFor;
use super::exception::Exception;
use super::member::{Future, InListener, LastAssignment, Member, MemberState, Pending, ToAssign, What};
use super::metadata_snapshot::MetadataSnapshot;
use super::timer::Timer;
use crate::client::Environment;
use crate::ids::{GenerationId, MemberId, PartitionId};
use crate::mutation::Mutation;
use crate::notes::{ClientNote, RebalanceStep};
use crate::protocol::{
    Assignment, Assignor, ErrorCode, JoinGroupRequest, JoinGroupResponse, ProtocolType, Request,
    StickyUserData, Subscription,
};

/// `AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE`.
const JOIN_GROUP_TIMEOUT_LAPSE: Duration = Duration::secs(5);

/// How far a poll comes with joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joining {
    /// It is a member with an assignment.
    Member,
    /// On with the next poll.
    NotYet,
    /// The application's listener is called first.
    CallsBack,
}

impl Member {
    /// `rejoinNeededOrPending`: the leader also joins again when the partitions it assigned are others now.
    pub(super) fn rejoin_needed_or_pending(&mut self) -> bool {
        if let Some(snapshot) = &self.assignment_snapshot
            && !snapshot.matches(&self.metadata_snapshot)
        {
            self.rejoin_needed = true;
        }
        self.rejoin_needed || self.join.is_some() || self.in_listener.is_some()
    }

    /// `maybeUpdateSubscriptionMetadata`.
    pub(super) fn update_snapshot(&mut self) {
        let metadata = &self.core.metadata;
        if metadata.version() > self.metadata_snapshot.version() {
            let topics = metadata.wanted_topics();
            self.metadata_snapshot = MetadataSnapshot::of(metadata, &topics, self.core.rack.is_some());
        }
    }

    /// `ensureCoordinatorReady` without time to wait.
    pub(super) fn ensure_coordinator_now(&mut self, environment: &mut impl Environment) -> bool {
        if self.known_coordinator(environment).is_some() {
            return true;
        }
        self.look_up_coordinator(environment);
        self.poll_now(environment);
        match self.find.take() {
            Some(future) if !future.is_done() => self.find = Some(future),
            Some(future) if future.state == Pending::Done(()) => {}
            // No broker to ask, or it could not tell: metadata may know better brokers.
            _ => {
                self.core.metadata.request_update(false);
                self.poll_now(environment);
            }
        }
        self.known_coordinator(environment).is_some()
    }

    /// `ensureActiveGroup` without time to wait.
    pub(super) fn ensure_active_group(
        &mut self,
        environment: &mut impl Environment,
    ) -> Result<Joining, Exception> {
        if self.in_listener.is_none() {
            if !self.ensure_coordinator_now(environment) {
                return Ok(Joining::NotYet);
            }
            self.thread.started = true;
        }
        while self.rejoin_needed_or_pending() {
            match self.in_listener.take() {
                None => {
                    let prepared = self.prepare(environment)?;
                    if prepared != Joining::Member {
                        return Ok(prepared);
                    }
                }
                Some(InListener::Preparing { lost }) => self.join_prepared(lost, environment)?,
                Some(InListener::Completing(assignment)) => {
                    self.join_completed(&assignment, environment)?;
                    continue;
                }
            }
            self.initiate_join(environment);
            self.poll_now(environment);
            let Some(join) = self.join.take() else {
                unreachable!("it has just been initiated")
            };
            match join.state {
                Pending::Done(assignment) => {
                    if self.generation.was_reset() || self.state != MemberState::Stable {
                        self.reset_and_rejoin(true);
                    } else if self.calls_back_on_completion(&assignment) {
                        self.in_listener = Some(InListener::Completing(assignment));
                        return Ok(Joining::CallsBack);
                    } else {
                        self.join_completed(&assignment, environment)?;
                    }
                }
                Pending::Failed(exception) => {
                    self.tell(ClientNote::Rebalance(RebalanceStep::Fails), environment);
                    self.rejoin_needed = true;
                    if joins_again_at_once(exception) {
                        continue;
                    }
                    return match exception.is_retriable() {
                        true => Ok(Joining::NotYet),
                        false => Err(exception),
                    };
                }
                Pending::Waiting => {
                    self.join = Some(join);
                    return Ok(Joining::NotYet);
                }
            }
        }
        Ok(Joining::Member)
    }

    /// Up to JoinGroup: `Member` if it may be sent.
    fn prepare(&mut self, environment: &mut impl Environment) -> Result<Joining, Exception> {
        if !self.ensure_coordinator_now(environment) {
            return Ok(Joining::NotYet);
        }
        if !self.needs_join_prepare {
            return Ok(Joining::Member);
        }
        self.needs_join_prepare = false;
        let prepared = self.join_prepare(environment)?;
        self.needs_join_prepare = prepared == Joining::NotYet;
        Ok(prepared)
    }

    fn initiate_join(&mut self, environment: &mut impl Environment) {
        if self.join.is_some() {
            return;
        }
        self.state = MemberState::PreparingRebalance;
        if !std::mem::replace(&mut self.rebalances, true) {
            self.tell(ClientNote::Rebalance(RebalanceStep::Begins), environment);
        }
        let future = self.future();
        let number = future.number;
        self.join = Some(future);
        if self.known_coordinator(environment).is_none() {
            return self.join_ends(number, Err(Exception::Error(ErrorCode::CoordinatorNotAvailable)));
        }
        let settings = &self.specification.member;
        let protocols = settings.partition_assignment_strategy.0.iter();
        let request = JoinGroupRequest {
            group: self.specification.group,
            client: self.specification.client,
            member: self.generation.member,
            instance: self.instance(),
            session_timeout: settings.session_timeout_ms,
            rebalance_timeout: settings.max_poll_interval_ms,
            protocol_type: ProtocolType::Consumer,
            protocols: protocols
                .map(|assignor| (*assignor, Arc::new(self.subscription(*assignor))))
                .collect(),
        };
        let lapse = settings
            .max_poll_interval_ms
            .saturating_add(JOIN_GROUP_TIMEOUT_LAPSE);
        let timeout = Some(self.core.client.request_timeout.max(lapse));
        self.send_within(
            What::JoinGroup(number),
            Request::JoinGroup(Box::new(request)),
            timeout,
            environment,
        );
    }

    fn subscription(&self, assignor: Assignor) -> Subscription {
        let last = &self.last_assignment[usize::from(assignor == Assignor::CooperativeSticky)];
        let user_data = match assignor {
            Assignor::Range | Assignor::RoundRobin => None,
            Assignor::Sticky => last.partitions.clone().map(|previous| StickyUserData {
                previous,
                generation: last.generation,
            }),
            Assignor::CooperativeSticky => Some(StickyUserData {
                previous: SmallVec::new(),
                generation: last.generation,
            }),
        };
        Subscription {
            topics: self.topics_by_name(),
            user_data,
            owned: self.assigned().into(),
            generation: self.generation.id,
            rack: self.core.rack,
        }
    }

    fn topics_by_name(&self) -> SmallVec<[u16; 4]> {
        let mut topics: SmallVec<[u16; 4]> = self.specification.reader.topics.as_slice().into();
        topics.sort_by_key(|topic| &self.cluster.topic(*topic).name);
        topics
    }

    /// `onJoinPrepare` up to the listener. `NotYet`: the commit is under way, again with the next poll.
    fn join_prepare(&mut self, environment: &mut impl Environment) -> Result<Joining, Exception> {
        let now = environment.wall();
        let patience = self.specification.member.max_poll_interval_ms;
        let mut timer = self.join_prepare_timer.unwrap_or(Timer::new(now, patience));
        if self.specification.member.enable_auto_commit && self.prepare_commit.is_none() {
            if self.protocol == RebalanceProtocol::Eager {
                for assigned in &mut self.core.assigned {
                    assigned.pending_revocation = true;
                }
            }
            self.commit_automatically(CommitFor::Prepare, environment)?;
        }
        if self.prepare_commit.is_some() {
            self.poll_now(environment);
            timer.update(environment.wall());
            let waits = self
                .prepare_commit
                .as_ref()
                .is_some_and(|commit| match commit.state {
                    Pending::Waiting => true,
                    Pending::Failed(exception) => exception.is_retriable(),
                    Pending::Done(()) => false,
                });
            if self.prepare_commit.as_ref().is_some_and(Future::is_done) {
                self.prepare_commit = None;
            }
            self.join_prepare_timer = Some(timer);
            if waits && !timer.is_expired() {
                return Ok(Joining::NotYet);
            }
        }
        let lost = self.generation.lost();
        let assigned = self.assigned();
        let calls_back = match lost {
            true => !assigned.is_empty(),
            false => self.protocol == RebalanceProtocol::Eager,
        };
        if calls_back && self.specification.application.hears_removals() {
            self.removed = assigned;
            self.in_listener = Some(InListener::Preparing { lost });
            return Ok(Joining::CallsBack);
        }
        self.join_prepared(lost, environment)?;
        Ok(Joining::Member)
    }

    /// The rest of `onJoinPrepare`: what the listener has thrown is thrown now.
    fn join_prepared(&mut self, lost: bool, environment: &mut impl Environment) -> Result<(), Exception> {
        let assigned = self.assigned();
        if lost {
            if !assigned.is_empty() {
                self.tell(ClientNote::Lost(assigned.into()), environment);
            }
            self.core.assign_from_subscribed(&[]);
        } else if self.protocol == RebalanceProtocol::Eager {
            self.tell(ClientNote::Revoked(assigned.into()), environment);
            self.core.assign_from_subscribed(&[]);
        }
        self.is_leader = false;
        self.core
            .metadata
            .retain_topics(&self.specification.reader.topics);
        self.join_prepare_timer = None;
        self.prepare_commit = None;
        match self.listener_threw.take() {
            Some(_) => Err(Exception::Listener),
            None => Ok(()),
        }
    }

    /// `onLeaderElected`, as far as the metadata of all topics of the group (`updateGroupSubscription`).
    pub(super) fn elected_leader(
        &mut self,
        number: u64,
        response: Box<JoinGroupResponse>,
        environment: &mut impl Environment,
    ) {
        for member in &response.members {
            for topic in &member.metadata.topics {
                self.core.metadata.add_topic(*topic, None);
            }
        }
        let metadata = &mut self.core.metadata;
        let stale =
            metadata.update_requested() || metadata.time_to_next_update(environment.wall()) == Duration::ZERO;
        let beyond = stale.then(|| {
            metadata.request_update(false);
            metadata.version()
        });
        self.to_assign = Some(ToAssign {
            response,
            number,
            beyond,
        });
        self.assign_when_metadata_are_fresh(environment);
    }

    /// The rest of `onLeaderElected`: assigns and sends SyncGroup, or fails the join. In Kafka that is the same call of
    /// `JoinGroupResponseHandler`, so whoever waits for the join hears of its end in any case.
    pub(super) fn assign_when_metadata_are_fresh(&mut self, environment: &mut impl Environment) {
        let version = self.core.metadata.version();
        let fresh = |waiting: &mut ToAssign| waiting.beyond != Some(version);
        let Some(ToAssign { response, number, .. }) = self.to_assign.take_if(fresh) else {
            return;
        };
        // The generation may have been lost while metadata were awaited. SyncGroup would be refused for that.
        if self.state != MemberState::CompletingRebalance || self.generation.id != response.generation {
            let refused = Exception::Error(ErrorCode::IllegalGeneration);
            return self.join_ends(number, Err(refused));
        }
        self.update_snapshot();
        self.is_leader = true;
        self.assignment_snapshot = Some(self.metadata_snapshot.clone());
        if response.skip_assignment {
            return self.send_sync(number, Vec::new(), environment);
        }
        let topics = self.assignable_topics();
        let members: Vec<GroupMember> = response
            .members
            .iter()
            .map(|member| GroupMember {
                member: self.cluster.groups.member_text(member.member),
                instance: member.instance,
                subscription: Arc::clone(&member.metadata),
            })
            .collect();
        let assignor = response.protocol.expect("the coordinator has chosen one");
        match self.assignors.assign(assignor, &topics, &members) {
            Ok(given) => {
                let each = response.members.iter().zip(given);
                let assignments = each.map(|(member, given)| (member.member, given.into()));
                let mut assignments: Vec<(MemberId, Assignment)> = assignments.collect();
                if self.cluster.mutations.has(Mutation::AssignTwice) {
                    assign_twice(&mut assignments);
                }
                self.send_sync(number, assignments, environment);
            }
            Err(_) => self.join_ends(number, Err(Exception::Assignor)),
        }
    }

    fn assignable_topics(&self) -> Vec<AssignableTopic> {
        let metadata = &self.core.metadata;
        let known = |topic: &u16| {
            let partitions = metadata
                .partitions(*topic)?
                .iter()
                .map(|cached| AssignablePartition {
                    partition: cached.partition,
                    racks: cached
                        .replicas
                        .iter()
                        .filter_map(|one| metadata.rack(*one))
                        .collect(),
                });
            Some(AssignableTopic {
                topic: *topic,
                name: self.cluster.topic(*topic).name.clone(),
                partitions: partitions.collect(),
            })
        };
        metadata.wanted_topics().iter().filter_map(known).collect()
    }

    /// Whether `onJoinComplete` calls the listener about revoked partitions.
    fn calls_back_on_completion(&mut self, assignment: &Assignment) -> bool {
        if self.protocol != RebalanceProtocol::Cooperative || !self.specification.application.hears_removals()
        {
            return false;
        }
        self.removed = self.assigned();
        self.removed.retain(|partition| !assignment.contains(partition));
        !self.removed.is_empty()
    }

    /// `onJoinComplete` behind the listener. What that has thrown is thrown in the end, as it is.
    fn join_completed(
        &mut self,
        assignment: &Assignment,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        self.needs_join_prepare = true;
        if !self.is_leader {
            self.assignment_snapshot = None;
        }
        let owned = self.assigned();
        let mut assigned: Vec<PartitionId> = assignment.to_vec();
        assigned.sort();
        if self.protocol == RebalanceProtocol::Cooperative {
            let gone = owned.iter().filter(|partition| !assigned.contains(partition));
            let revoked: Vec<PartitionId> = gone.copied().collect();
            if !revoked.is_empty() {
                self.tell(ClientNote::Revoked(revoked.into()), environment);
                self.rejoin_needed = true;
            }
        }
        let assignor = self.generation.protocol;
        if let Some(Assignor::Sticky | Assignor::CooperativeSticky) = assignor {
            let place = usize::from(assignor == Some(Assignor::CooperativeSticky));
            self.last_assignment[place] = LastAssignment {
                partitions: Some(assignment.iter().copied().collect()),
                generation: self.generation.id,
            };
        }
        let interval = self.specification.member.auto_commit_interval_ms;
        self.next_auto_commit
            .update_and_reset(environment.wall(), interval);
        self.core.assign_from_subscribed(&assigned);
        let added = assigned.iter().filter(|partition| !owned.contains(partition));
        let added: Vec<PartitionId> = added.copied().collect();
        if self.specification.application.hears_assignments() {
            self.added.extend_from_slice(&added);
        }
        self.tell(
            ClientNote::Assigned {
                generation: self.generation.id,
                added: added.into(),
                all: assigned.into(),
            },
            environment,
        );
        self.listener_threw.take().map_or(Ok(()), Err)
    }

    /// `onLeavePrepare` before a close: whether what it owns counts as lost.
    pub(super) fn leaves_as_lost(&self) -> bool {
        self.generation.lost() || self.rebalance_in_progress()
    }

    /// Whether `onLeavePrepare` calls a listener.
    pub(super) fn calls_back_on_leaving(&mut self) -> bool {
        self.removed = match self.specification.application.hears_removals() {
            true => self.assigned(),
            false => Vec::new(),
        };
        !self.removed.is_empty()
    }

    /// The rest of `onLeavePrepare`.
    pub(super) fn leave_prepared(
        &mut self,
        lost: bool,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        let assigned = self.assigned();
        if assigned.is_empty() {
            return Ok(());
        }
        self.core.assign_from_subscribed(&[]);
        let note = match lost {
            true => ClientNote::Lost(assigned.into()),
            false => ClientNote::Revoked(assigned.into()),
        };
        self.tell(note, environment);
        match self.listener_threw.take() {
            Some(_) => Err(Exception::Listener),
            None => Ok(()),
        }
    }
}

/// The first partition of the first member goes to the last one too.
fn assign_twice(assignments: &mut [(MemberId, Assignment)]) {
    let first = assignments.first().and_then(|(_, given)| given.first().copied());
    if let (Some(partition), [_, .., (_, last)]) = (first, assignments) {
        *last = last.iter().copied().chain([partition]).collect();
    }
}

impl Default for LastAssignment {
    fn default() -> Self {
        LastAssignment {
            partitions: None,
            generation: GenerationId::NONE,
        }
    }
}
