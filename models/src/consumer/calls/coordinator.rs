//! `AbstractCoordinator.ensureCoordinatorReady`.

use ktrial_sim::Duration;

use super::{Call, Calls, Step, Wait};
use crate::client::Environment;
use crate::consumer::member::{Member, Pending};

#[derive(Clone, Copy, Debug)]
pub(super) enum EnsureAt {
    Start,
    /// By this request; none: there is nobody to ask.
    Asked(Option<u64>),
    Slept,
    Unavailable,
    /// Metadata newer than this version are awaited.
    Metadata(u32),
}

impl Calls {
    /// `AbstractCoordinator.ensureCoordinatorReady`.
    pub(super) fn ensure_step(
        &mut self,
        attempts: u32,
        at: EnsureAt,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Step {
        let call = |at| Call::EnsureCoordinator(attempts, at);
        match at {
            EnsureAt::Start => {
                if member.known_coordinator(environment).is_some() {
                    return Step::Return(Ok(true));
                }
                let asked = match member.look_up_coordinator(environment) {
                    true => member.find.as_ref().map(|future| future.number),
                    false => None,
                };
                let most = match member.lookup_state(asked) {
                    Pending::Waiting => self.timer.remaining(),
                    _ => Duration::ZERO,
                };
                Step::Wait(call(EnsureAt::Asked(asked)), Wait::Select(most))
            }
            EnsureAt::Asked(asked) => {
                match member.lookup_state(asked) {
                    Pending::Waiting if self.timer.is_expired() => {
                        Step::Return(Ok(member.known_coordinator(environment).is_some()))
                    }
                    Pending::Waiting => Step::Wait(call(at), Wait::Select(self.timer.remaining())),
                    // Found, and it cannot be connected to yet: again after a back-off.
                    Pending::Done(()) if member.known_coordinator(environment).is_none() => {
                        let backoff = member.backoff(attempts, environment);
                        let rest = self.timer.remaining().min(backoff);
                        Step::Wait(call(EnsureAt::Unavailable), Wait::Sleep(rest))
                    }
                    Pending::Done(()) => {
                        member.find = None;
                        Step::Return(Ok(true))
                    }
                    Pending::Failed(_) => {
                        let backoff = member.backoff(attempts, environment);
                        let rest = self.timer.remaining().min(backoff);
                        Step::Wait(call(EnsureAt::Slept), Wait::Sleep(rest))
                    }
                }
            }
            EnsureAt::Slept => {
                member.core.metadata.request_update(false);
                let version = member.core.metadata.version();
                let wait = Wait::Select(self.timer.remaining());
                Step::Wait(call(EnsureAt::Metadata(version)), wait)
            }
            EnsureAt::Metadata(version) => {
                let same = member.core.metadata.version() == version;
                if same && !self.timer.is_expired() {
                    return Step::Wait(call(at), Wait::Select(self.timer.remaining()));
                }
                Step::On(call(EnsureAt::Unavailable))
            }
            EnsureAt::Unavailable => {
                member.find = None;
                match self.timer.is_expired() {
                    true => Step::Return(Ok(member.known_coordinator(environment).is_some())),
                    false => Step::On(Call::EnsureCoordinator(attempts + 1, EnsureAt::Start)),
                }
            }
        }
    }
}
