//! `ConsumerCoordinator.initWithCommittedOffsetsIfNeeded`.

use super::{Call, Calls, Step, Wait};
use crate::client::Environment;
use crate::consumer::exception::Exception;
use crate::consumer::member::{Member, Pending};

#[derive(Clone, Copy, Debug)]
pub(super) enum CommittedAt {
    Start,
    Loop,
    Coordinated,
    Asked,
    Slept,
}

impl Calls {
    /// `initWithCommittedOffsetsIfNeeded`.
    pub(super) fn committed_step(
        &mut self,
        attempts: u32,
        at: CommittedAt,
        fine: bool,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        let call = |at| Call::FetchCommitted(attempts, at);
        let remaining = self.timer.remaining();
        Ok(match at {
            CommittedAt::Start => {
                let partitions = member.initializing();
                if partitions.is_empty() {
                    return Ok(Step::Return(Ok(true)));
                }
                member.keep_same_request(&partitions);
                Step::On(call(CommittedAt::Loop))
            }
            CommittedAt::Loop => Step::First(call(CommittedAt::Coordinated), Calls::ensure()),
            CommittedAt::Coordinated if !fine => Step::Return(Ok(false)),
            CommittedAt::Coordinated => {
                if member.committed_request.is_none() {
                    let partitions = member.initializing();
                    member.send_offset_fetch(&partitions, environment);
                }
                let request = member.committed_request.as_ref();
                let wait = self.select_for(request.and_then(|request| request.answer.as_ref()));
                Step::Wait(call(CommittedAt::Asked), wait)
            }
            CommittedAt::Asked => {
                let answer = member
                    .committed_request
                    .as_ref()
                    .and_then(|one| one.answer.as_ref());
                match answer.map(|future| future.state.clone()) {
                    Some(Pending::Done(offsets)) => {
                        let request = member.committed_request.take();
                        let by = request.and_then(|request| request.coordinator);
                        member.take_committed(&offsets, by, environment);
                        Step::Return(Ok(true))
                    }
                    Some(Pending::Failed(exception)) => {
                        member.committed_request = None;
                        if !exception.is_retriable() {
                            return Err(exception);
                        }
                        let backoff = member.backoff(attempts, environment).min(remaining);
                        Step::Wait(call(CommittedAt::Slept), Wait::Sleep(backoff))
                    }
                    _ if self.timer.is_expired() => Step::Return(Ok(false)),
                    _ => Step::Wait(call(at), Wait::Select(remaining)),
                }
            }
            CommittedAt::Slept if self.timer.is_expired() => Step::Return(Ok(false)),
            CommittedAt::Slept => Step::On(Call::FetchCommitted(attempts + 1, CommittedAt::Loop)),
        })
    }
}
