//! One coordinator: a shard and how far its log is written and committed (`CoordinatorContext`,
//! `SnapshottableCoordinator`).

use std::collections::{BTreeMap, VecDeque};

use ktrial_sim::Time;

use crate::broker::coordinator::Shard;
use crate::broker::coordinator::timers::Handle;
use crate::groups::CoordinatorRecord;
use crate::ids::{LeaderEpoch, Offset};

/// See the table of [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoordinatorState {
    /// Nothing happened yet.
    Initial,
    /// The partition is read.
    Loading,
    /// It serves.
    Active,
    /// Reading failed.
    Failed,
}

/// Names an operation that waits. The number is never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationId {
    pub(super) slot: u32,
    pub(super) number: u32,
}

/// Records that are applied to the shard and not yet appended (`CoordinatorBatch`).
#[derive(Debug)]
pub struct PendingBatch {
    /// Where it begins: what the shard goes back to if it cannot be appended.
    pub(super) base: Offset,
    pub(super) records: Vec<CoordinatorRecord>,
    pub(super) bytes: u32,
    /// Since when records are gathered, by the wall clock.
    pub(super) since: Time,
    pub(super) operations: Vec<OperationId>,
    pub(super) linger: Option<Handle>,
}

/// One coordinator.
#[derive(Debug)]
pub struct CoordinatorContext<S: Shard> {
    pub(super) state: CoordinatorState,
    /// The leader epoch it was elected in.
    pub(super) epoch: Option<LeaderEpoch>,
    pub(super) shard: S,
    /// The log was written up to here by this coordinator, or read.
    pub(super) written: Offset,
    /// The log is committed up to here, as far as it has looked.
    pub(super) committed: Offset,
    pub(super) batch: Option<PendingBatch>,
    /// Counts batches.
    pub(super) batches: u32,
    /// Operations that wait for the high watermark to reach an offset, in order.
    pub(super) deferred: VecDeque<(Offset, Vec<OperationId>)>,
    pub(super) timers: BTreeMap<S::Timer, Handle>,
    /// It hears of high watermarks.
    pub(super) listening: bool,
    /// The newest high watermark it has heard of and not looked at.
    pub(super) high_watermark: Option<Offset>,
    /// Which load fills its shard.
    pub(super) load: u32,
}

impl<S: Shard> CoordinatorContext<S> {
    pub(super) fn new() -> Self {
        CoordinatorContext {
            state: CoordinatorState::Initial,
            epoch: None,
            shard: S::default(),
            written: Offset(0),
            committed: Offset(0),
            batch: None,
            batches: 0,
            deferred: VecDeque::new(),
            timers: BTreeMap::new(),
            listening: false,
            high_watermark: None,
            load: 0,
        }
    }

    /// Its state.
    pub fn state(&self) -> CoordinatorState {
        self.state
    }

    /// Its state machine.
    pub fn shard(&self) -> &S {
        &self.shard
    }

    /// How far it has written or read its log.
    pub fn written(&self) -> Offset {
        self.written
    }

    /// How far its log is committed, as far as it has looked.
    pub fn committed(&self) -> Offset {
        self.committed
    }
}
