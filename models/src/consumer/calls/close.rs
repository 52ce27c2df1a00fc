//! `ConsumerCoordinator.close`.

use super::commit::CommitAt;
use super::{Call, Calls, Step, Wait};
use crate::application::Callback;
use crate::client::{Environment, Node};
use crate::consumer::commits::CommitFor;
use crate::consumer::exception::Exception;
use crate::consumer::member::{HeartbeatThread, Member};

#[derive(Clone, Copy, Debug)]
pub(super) enum CloseAt {
    Start,
    Committed,
    Others,
    Leave,
    /// The listener has returned; whether the partitions were lost.
    Listened(bool),
    Drain,
}

impl Calls {
    /// `ConsumerCoordinator.close`.
    pub(super) fn close_step(
        &mut self,
        at: CloseAt,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        Ok(match at {
            CloseAt::Start if member.specification.member.enable_auto_commit => {
                let commit = member.commit(member.all_consumed(), CommitFor::Close);
                let first = Call::CommitSync(commit, 0, CommitAt::Start);
                Step::First(Call::Close(CloseAt::Committed), first)
            }
            CloseAt::Start | CloseAt::Committed => Step::On(Call::Close(CloseAt::Others)),
            CloseAt::Others => {
                let called_back = member.call_back(environment);
                match called_back.is_err() || member.async_waiting.is_empty() || self.timer.is_expired() {
                    true => Step::On(Call::Close(CloseAt::Leave)),
                    false => Step::Wait(Call::Close(at), Wait::Select(self.timer.remaining())),
                }
            }
            CloseAt::Leave => {
                member.thread = HeartbeatThread::default();
                let lost = member.leaves_as_lost();
                match member.calls_back_on_leaving() {
                    true if lost => Step::CallBack(Call::Close(CloseAt::Listened(lost)), Callback::Lost),
                    true => Step::CallBack(Call::Close(CloseAt::Listened(lost)), Callback::Revoked),
                    false => Step::On(Call::Close(CloseAt::Listened(lost))),
                }
            }
            CloseAt::Listened(lost) => {
                // Where the listener threw, the member does not even leave its group.
                member.leave_prepared(lost, environment)?;
                member.maybe_leave(environment);
                member.poll_now(environment);
                Step::On(Call::Close(CloseAt::Drain))
            }
            CloseAt::Drain => {
                let coordinator = member.known_coordinator(environment).map(Node::Coordinator);
                let waits = coordinator.is_some_and(|node| member.core.has_pending_requests(node));
                match waits && !self.timer.is_expired() {
                    true => Step::Wait(Call::Close(at), Wait::Select(self.timer.remaining())),
                    false => Step::Return(Ok(true)),
                }
            }
        })
    }
}
