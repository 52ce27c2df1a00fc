//! `ConsumerCoordinator.commitOffsetsSync`.

use super::{Call, Calls, Step, Wait};
use crate::client::Environment;
use crate::consumer::commits::Commit;
use crate::consumer::exception::Exception;
use crate::consumer::member::{Future, Member, Pending};

#[derive(Clone, Copy, Debug)]
pub(super) enum CommitAt {
    Start,
    Loop,
    Coordinated,
    Asked,
    Slept,
    /// Nothing to commit: asynchronous commits are waited for.
    Others,
}

impl Calls {
    /// `ConsumerCoordinator.commitOffsetsSync`.
    pub(super) fn commit_step(
        &mut self,
        commit: Commit,
        attempts: u32,
        at: CommitAt,
        fine: bool,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        let remaining = self.timer.remaining();
        let call = |at| Call::CommitSync(commit.clone(), attempts, at);
        Ok(match at {
            CommitAt::Start => {
                member.call_back(environment)?;
                match commit.offsets.is_empty() {
                    true => Step::On(call(CommitAt::Others)),
                    false => Step::On(call(CommitAt::Loop)),
                }
            }
            CommitAt::Loop => Step::First(call(CommitAt::Coordinated), Calls::ensure()),
            CommitAt::Coordinated if !fine => Step::Return(Ok(false)),
            CommitAt::Coordinated => {
                member.sync_commit = Some(Future {
                    number: commit.number,
                    state: Pending::Waiting,
                });
                member.send_commit(commit.clone(), environment);
                let wait = self.select_for(member.sync_commit.as_ref());
                Step::Wait(call(CommitAt::Asked), wait)
            }
            CommitAt::Asked => {
                let state = member.sync_commit.as_ref().map(|future| future.state.clone());
                if state == Some(Pending::Waiting) && !self.timer.is_expired() {
                    return Ok(Step::Wait(call(at), Wait::Select(remaining)));
                }
                member.sync_commit = None;
                member.call_back(environment)?;
                match state {
                    Some(Pending::Done(())) => Step::Return(Ok(true)),
                    Some(Pending::Failed(exception)) if !exception.is_retriable() => return Err(exception),
                    _ => {
                        let backoff = member.backoff(attempts, environment).min(remaining);
                        Step::Wait(call(CommitAt::Slept), Wait::Sleep(backoff))
                    }
                }
            }
            CommitAt::Slept if self.timer.is_expired() => Step::Return(Ok(false)),
            CommitAt::Slept => {
                // Another request: the answer to the one before is nobody's any more.
                let again = member.commit(commit.offsets, commit.by);
                Step::On(Call::CommitSync(again, attempts + 1, CommitAt::Loop))
            }
            CommitAt::Others => {
                member.call_back(environment)?;
                if member.async_in_flight == 0 || self.timer.is_expired() {
                    return Ok(Step::Return(Ok(member.async_in_flight == 0)));
                }
                Step::Wait(call(at), Wait::Select(remaining))
            }
        })
    }
}
