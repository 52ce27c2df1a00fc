//! What the two threads hand to each other: `ApplicationEvent`s, `BackgroundEvent`s, and what they wait for.

use std::collections::VecDeque;

use ktrial_sim::Time;

use crate::application::Positions;
use crate::consumer::commits::Commit;
use crate::consumer::exception::Exception;
use crate::consumer::member::Future;
use crate::ids::PartitionId;

/// From the application's thread to the background.
#[derive(Debug)]
pub(super) enum ApplicationEvent {
    /// `AsyncPollEvent`.
    Poll(PollEvent),
    /// The same behind its first step.
    Polled(PollEvent),
    /// `AsyncCommitEvent`.
    CommitAsync(Commit),
    /// `SyncCommitEvent` with its deadline; no offsets: all that is consumed.
    CommitSync {
        number: u64,
        offsets: Option<Positions>,
        deadline: Time,
    },
    /// `CreateFetchRequestsEvent`.
    CreateFetches,
    /// `ApplyAssignmentEvent`: the whole assignment, and what of it is new.
    ApplyAssignment {
        all: Vec<PartitionId>,
        added: Vec<PartitionId>,
    },
    /// `ConsumerRebalanceListenerCallbackCompletedEvent`; whether the listener threw.
    ListenerReturned { purpose: Purpose, failed: bool },
    /// `CommitOnCloseEvent`.
    CommitOnClose,
    /// `StopFindCoordinatorOnCloseEvent`.
    StopFindingCoordinator,
    /// `LeaveGroupOnCloseEvent` with its deadline.
    Leave(Time),
}

/// From the background to the application's thread.
#[derive(Debug)]
pub(super) enum BackgroundEvent {
    /// `ErrorEvent`: `poll` throws.
    Error(Exception),
    /// `PartitionsAssignedEvent`.
    Assigned {
        all: Vec<PartitionId>,
        added: Vec<PartitionId>,
    },
    /// `PartitionsRemovedEvent`.
    Removed(Purpose, Vec<PartitionId>),
}

/// What goes on in the background once a listener has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// onPartitionsRevoked in a reconciliation.
    Revoke,
    /// onPartitionsAssigned in a reconciliation.
    Assign,
    /// onPartitionsLost after the coordinator had fenced the member.
    Fenced,
    /// onPartitionsLost after the member left because the application did not poll.
    Stale,
    /// onPartitionsLost after a fatal error.
    Fatal,
}

/// `AsyncPollEvent`: what both threads see of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PollEvent {
    pub(super) number: u64,
    /// When `poll` was called, by the wall clock.
    pub(super) time: Time,
    pub(super) deadline: Time,
    /// Whether it is decided if this poll starts a reconciliation: records may be taken.
    pub(super) reconciliation_checked: bool,
    /// Whether positions have been looked at: records may be taken although some were missing.
    pub(super) positions_validated: bool,
    pub(super) complete: bool,
    pub(super) error: Option<Exception>,
}

/// What `FetchBuffer.awaitWakeup` returns for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BufferWakeup {
    /// There is something in it.
    Data,
    /// There is nothing to be fetched now.
    NothingToFetch,
}

/// Both queues, and what one thread waits for of the other.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    pub(super) to_background: VecDeque<ApplicationEvent>,
    pub(super) to_application: VecDeque<BackgroundEvent>,
    /// `inflightPoll`.
    pub(super) poll: Option<PollEvent>,
    pub(super) buffer_wakeup: Option<BufferWakeup>,
    /// Counts what the background does that a poll could find (an answer, an event).
    pub(super) activity: u64,
    /// `hasPendingReconciliation`.
    pub(super) reconciles: bool,
    /// `groupMetadata`: the last epoch that was one.
    pub(super) known_epoch: Option<crate::ids::MemberEpoch>,
    /// `groupAssignmentSnapshot`.
    pub(super) assignment: Vec<PartitionId>,
    /// Whether the assignment that the application hands back is applied.
    pub(super) applied: bool,
    /// The newest commit whose offsets are known (`markOffsetsReady`).
    pub(super) commit_ready: u64,
    /// The commit that `commitSync` waits for.
    pub(super) sync_commit: Option<Future<()>>,
    /// Asynchronous commits that are not done.
    pub(super) async_pending: Vec<u64>,
    /// Those that are done and whose callbacks were not called yet.
    pub(super) commits_done: VecDeque<(Commit, Result<(), Exception>)>,
    /// What the application's thread waits for when it leaves the group: its deadline, and whether it has left.
    pub(super) leave: Option<(Time, bool)>,
}

impl HandOver {
    /// The poll event of this number, unless the application has forgotten it.
    pub(super) fn poll_event(&mut self, number: u64) -> Option<&mut PollEvent> {
        self.poll.as_mut().filter(|poll| poll.number == number)
    }

    pub(super) fn tell_application(&mut self, event: BackgroundEvent) {
        self.activity += 1;
        self.to_application.push_back(event);
    }
}
