//! What an application sees of the consumer's client beneath it, and who has which half of the process.
//!
//! The client has the mechanics: connections, its own threads, selects, late wake-ups after a pause, which timers and
//! alarms there are. The application has the decisions: when to poll, what to do with records, when to commit, what to
//! do about errors. The application's thread is either in a call of the client or away from it:
//!
//! * [`ConsumerClient::poll`], [`ConsumerClient::commit_sync`] and [`ConsumerClient::close`] begin a call that may wait;
//!   [`ConsumerClient::run`] goes on with it until it waits (none), ends, or calls the rebalance listener, whose return
//!   is the next `run`. A listener can call `commit_sync`: `run` ends that first, and then goes on with the call around it.
//! * [`ConsumerClient::away`] takes the thread elsewhere for a while: work on a record, a sleep, a stall. The client's
//!   other threads go on.
//! * [`ConsumerClient::handle`] gets every input of the process that the application does not take itself, and says
//!   whether the application's thread runs again.

use std::sync::Arc;

use ktrial_sim::{Duration, Input, Time};
use smallvec::SmallVec;

use crate::client::Environment;
use crate::consumer::Exception;
use crate::ids::{GenerationId, PartitionId};
use crate::kafka::Kafka;
use crate::protocol::CommittedOffset;
use crate::reader::core::Handed;
use crate::specification::{ClusterSpecification, ConsumerSpecification};

/// Positions by partition: the next offset to read, and the epoch of what is before it.
pub(crate) type Positions = SmallVec<[(PartitionId, CommittedOffset); 4]>;

/// How a call ends: of `poll` whether there are records, else whether it succeeded in time.
pub(crate) type Returned = Result<bool, Exception>;

/// What the application's thread comes to in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The call ended.
    Returned(Returned),
    /// The listener is called, about what [`ConsumerClient::take_told`] has; only if it does something.
    CallsBack(Callback),
}

/// A method of `ConsumerRebalanceListener`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    /// `onPartitionsAssigned` of what was added.
    Assigned,
    /// `onPartitionsRevoked`: still owned until it returns.
    Revoked,
    /// `onPartitionsLost`: owned no more.
    Lost,
}

/// What an input means to the application's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Nothing.
    No,
    /// It goes on in the call it is in.
    InCall,
    /// The time is over for which it was away.
    Back,
}

/// A consumer's client (`KafkaConsumer`), of either group protocol. It has all timer slots of its process, and all
/// alarms but 0 and 2.
pub(crate) trait ConsumerClient: Sized {
    /// `new KafkaConsumer(...)` and `subscribe`, at this time of the wall clock.
    fn new(
        cluster: &Arc<ClusterSpecification>,
        specification: &Arc<ConsumerSpecification>,
        now: Time,
    ) -> Self;

    /// Begins `poll`.
    fn poll(&mut self, timeout: Duration, environment: &mut impl Environment);

    /// Begins `commitSync` with `default.api.timeout.ms`, also inside of a call that calls the listener. The client tells
    /// how it ends.
    fn commit_sync(&mut self, offsets: &Positions, environment: &mut impl Environment);

    /// Begins `close`.
    fn close(&mut self, timeout: Duration, environment: &mut impl Environment);

    /// Runs in the call that was begun until it waits (none) or something happens.
    fn run(&mut self, environment: &mut impl Environment) -> Option<Event>;

    /// `commitAsync`. The client tells how it ends.
    fn commit_async(
        &mut self,
        offsets: &Positions,
        environment: &mut impl Environment,
    ) -> Result<(), Exception>;

    /// Moves what the last `poll` returned behind what is in `records`.
    fn take_records(&mut self, records: &mut Vec<Handed>);

    /// Moves the partitions that the listener is called about behind what is in `partitions`.
    fn take_told(&mut self, callback: Callback, partitions: &mut Vec<PartitionId>);

    /// The listener does not return but throws this.
    fn listener_threw(&mut self, exception: Exception);

    /// `seek`. What is not assigned stays so.
    fn seek(&mut self, partition: PartitionId, to: CommittedOffset);

    /// `pause` of a partition that is assigned: no poll returns anything of it before `resume`.
    fn pause(&mut self, partition: PartitionId);

    /// `resume` of a partition that is assigned.
    fn resume(&mut self, partition: PartitionId);

    /// `paused`: what is paused of the assignment.
    fn paused(&self) -> impl Iterator<Item = PartitionId>;

    /// `groupMetadata().generationId()`: the generation, or the member's epoch.
    fn generation(&self) -> GenerationId;

    /// `position`, without waiting for one; none also for what is not assigned.
    fn position(&self, partition: PartitionId) -> Option<CommittedOffset>;

    /// The partitions that are assigned, in any order.
    fn assignment(&self) -> impl Iterator<Item = PartitionId>;

    /// The application's thread does something else for so long. False: that takes no time, and it is back already.
    fn away(&mut self, span: Duration, environment: &mut impl Environment) -> bool;

    /// Works through an input of the process.
    fn handle(&mut self, input: Input<Kafka>, environment: &mut impl Environment) -> Woken;

    /// The process ends, after `close`: its sockets go.
    fn shut_down(&mut self, environment: &mut impl Environment);

    /// Whether it is a member with an assignment and nothing says that this will change.
    fn is_settled(&self) -> bool;
}
