//! What a coordinator's state machine must be able to do (`CoordinatorShard`).

use ktrial_sim::Time;

use crate::groups::{Append, GroupRequest, GroupShard, GroupTimeout, GroupTimer, refusal};
use crate::groups::{Around, CoordinatorRecord, ResponseId, Written};
use crate::ids::Offset;
use crate::protocol::{ErrorCode, Response};

/// A state machine over the records of one partition.
pub trait Shard: Default {
    /// What it is asked.
    type Request;
    /// Names its timers.
    type Timer: Copy + Ord;
    /// What happens when one runs out.
    type Timeout: Clone;
    /// What it does when records are committed or lost.
    type Append;

    /// A write operation.
    ///
    /// # Errors
    /// What the request is refused with; nothing was changed.
    fn write(
        &mut self,
        request: Self::Request,
        response: ResponseId,
        around: &mut Around<'_, Self::Timer, Self::Timeout>,
    ) -> Result<Written<Self::Append>, ErrorCode>;

    /// Whether a request is a read operation.
    fn reads(request: &Self::Request) -> bool;

    /// A read operation on what is committed.
    fn read(&self, request: Self::Request, committed: Offset) -> Response;

    /// A timer ran out: a write operation too.
    fn timed_out(
        &mut self,
        timer: Self::Timer,
        timeout: Self::Timeout,
        around: &mut Around<'_, Self::Timer, Self::Timeout>,
    ) -> Written<Self::Append>;

    /// Records that a write asked for are committed, or an error befell them.
    fn appended(
        &mut self,
        append: Self::Append,
        result: Result<(), ErrorCode>,
        around: &mut Around<'_, Self::Timer, Self::Timeout>,
    );

    /// Applies a record.
    fn replay(&mut self, record: &CoordinatorRecord, now: Time);

    /// The log was written up to here: the shard may have to go back to this state.
    fn snapshot(&mut self, at: Offset);

    /// The log is committed up to here: it never goes back behind this.
    fn committed(&mut self, at: Offset);

    /// Goes back to the snapshot at an offset.
    fn revert(&mut self, to: Offset);

    /// The metadata of these topics changed.
    fn topics_changed(&mut self, topics: &[u16]);

    /// The log was read.
    fn loaded(&mut self, around: &mut Around<'_, Self::Timer, Self::Timeout>);

    /// Another broker takes over.
    fn unloaded(&mut self, around: &mut Around<'_, Self::Timer, Self::Timeout>);

    /// Puts an error into the answer that a request gets if its operation fails.
    fn refuse(answer: &mut Response, error: ErrorCode, was_write: bool);
}

impl Shard for GroupShard {
    type Request = GroupRequest;
    type Timer = GroupTimer;
    type Timeout = GroupTimeout;
    type Append = Append;

    fn write(
        &mut self,
        request: GroupRequest,
        response: ResponseId,
        around: &mut Around<'_, GroupTimer, GroupTimeout>,
    ) -> Result<Written<Append>, ErrorCode> {
        GroupShard::write(self, request, response, around)
    }

    fn reads(request: &GroupRequest) -> bool {
        matches!(request, GroupRequest::OffsetFetch(fetch) if !fetch.require_stable)
    }

    fn read(&self, request: GroupRequest, committed: Offset) -> Response {
        match request {
            GroupRequest::OffsetFetch(fetch) => GroupShard::read(self, &fetch, committed),
            other => unreachable!("{other:?} writes"),
        }
    }

    fn timed_out(
        &mut self,
        timer: GroupTimer,
        timeout: GroupTimeout,
        around: &mut Around<'_, GroupTimer, GroupTimeout>,
    ) -> Written<Append> {
        GroupShard::timed_out(self, timer, timeout, around)
    }

    fn appended(
        &mut self,
        append: Append,
        result: Result<(), ErrorCode>,
        around: &mut Around<'_, GroupTimer, GroupTimeout>,
    ) {
        GroupShard::appended(self, append, result, around);
    }

    fn replay(&mut self, record: &CoordinatorRecord, now: Time) {
        GroupShard::replay(self, record, now);
    }

    fn snapshot(&mut self, at: Offset) {
        GroupShard::snapshot(self, at);
    }

    fn committed(&mut self, at: Offset) {
        GroupShard::committed(self, at);
    }

    fn revert(&mut self, to: Offset) {
        GroupShard::revert(self, to);
    }

    fn topics_changed(&mut self, topics: &[u16]) {
        GroupShard::topics_changed(self, topics);
    }

    fn loaded(&mut self, around: &mut Around<'_, GroupTimer, GroupTimeout>) {
        GroupShard::loaded(self, around);
    }

    fn unloaded(&mut self, around: &mut Around<'_, GroupTimer, GroupTimeout>) {
        GroupShard::unloaded(self, around);
    }

    fn refuse(answer: &mut Response, error: ErrorCode, was_write: bool) {
        refusal::refuse(answer, error, was_write);
    }
}
