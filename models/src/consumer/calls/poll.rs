//! `ClassicKafkaConsumer.poll`, `ConsumerCoordinator.poll`.

use ktrial_sim::Duration;

use super::committed::CommittedAt;
use super::{Call, Calls, Step, Wait};
use crate::application::Callback;
use crate::client::Environment;
use crate::consumer::exception::Exception;
use crate::consumer::member::{InListener, Member};
use crate::consumer::rebalance::Joining;
use crate::reader::collect::Collected;

#[derive(Clone, Copy, Debug)]
pub(super) enum PollAt {
    Iterate,
    Coordinated,
    /// onPartitionsAssigned has returned; how far the rebalance has come.
    CalledBack(Result<Joining, Exception>),
    /// onPartitionsRevoked or onPartitionsLost has returned, or a leader has got its metadata.
    Listened,
    Committed,
    Selected,
}

impl Calls {
    pub(super) fn poll_step(
        &mut self,
        at: PollAt,
        fine: bool,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        match at {
            PollAt::Iterate => {
                member.update_snapshot();
                member.call_back(environment)?;
                member.poll_heartbeat(self.timer.now())?;
                if member.known_coordinator(environment).is_none() {
                    return Ok(Step::First(Call::Poll(PollAt::Coordinated), Calls::ensure()));
                }
                self.poll_as_member(member, environment)
            }
            PollAt::Coordinated if fine => self.poll_as_member(member, environment),
            PollAt::CalledBack(joining) => self.joined(joining, member, environment),
            PollAt::Listened => self.poll_as_member(member, environment),
            PollAt::Committed if fine => {
                if !member.core.reset_initializing() {
                    return Err(Exception::Position);
                }
                member.core.reset(environment.wall());
                self.poll_for_fetches(member, environment)
            }
            PollAt::Coordinated | PollAt::Committed => self.poll_for_fetches(member, environment),
            PollAt::Selected => {
                if self.collect(member, environment)? {
                    return Ok(Step::Return(Ok(true)));
                }
                Ok(match self.timer.is_expired() {
                    true => Step::Return(Ok(false)),
                    false => Step::On(Call::Poll(PollAt::Iterate)),
                })
            }
        }
    }

    /// The coordinator is known: joins if need be, commits, looks for positions.
    fn poll_as_member(
        &mut self,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        let joining = match member.rejoin_needed_or_pending() {
            true => member.ensure_active_group(environment),
            false => Ok(Joining::Member),
        };
        if !member.added.is_empty() {
            let call = Call::Poll(PollAt::CalledBack(joining));
            return Ok(Step::CallBack(call, Callback::Assigned));
        }
        self.joined(joining, member, environment)
    }

    /// The listener knows what is assigned, if this is a member with an assignment.
    fn joined(
        &mut self,
        joining: Result<Joining, Exception>,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        match joining? {
            Joining::Member => {}
            Joining::NotYet if member.waits_as_leader() => return Ok(Step::On(Call::Poll(PollAt::Listened))),
            Joining::NotYet => {
                self.timer.update(environment.wall());
                return self.poll_for_fetches(member, environment);
            }
            Joining::CallsBack => {
                let callback = match member.in_listener {
                    Some(InListener::Preparing { lost: true }) => Callback::Lost,
                    _ => Callback::Revoked,
                };
                return Ok(Step::CallBack(Call::Poll(PollAt::Listened), callback));
            }
        }
        member.commit_periodically(self.timer.now(), environment)?;
        member.core.validate_positions(environment)?;
        self.all_positions = member.core.has_all_positions();
        if self.all_positions {
            return self.poll_for_fetches(member, environment);
        }
        let fetch = Call::FetchCommitted(0, CommittedAt::Start);
        Ok(Step::First(Call::Poll(PollAt::Committed), fetch))
    }

    fn poll_for_fetches(
        &mut self,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        let mut timeout = member
            .time_to_next_poll(self.timer.now())?
            .min(self.timer.remaining());
        if self.collect(member, environment)? {
            return Ok(Step::Return(Ok(true)));
        }
        member.core.validate_on_metadata_change();
        member.core.send_fetches(environment);
        if !self.all_positions {
            timeout = timeout.min(member.core.client.retry_backoff);
        }
        if member.core.has_available() {
            timeout = Duration::ZERO;
        }
        Ok(Step::Wait(Call::Poll(PollAt::Selected), Wait::Select(timeout)))
    }

    /// Whether there is something to return; then the next fetches are sent first.
    fn collect(
        &mut self,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<bool, Exception> {
        match member.core.collect(environment) {
            Collected::Exception => Err(Exception::Position),
            Collected::Records(0) => Ok(false),
            Collected::Records(_) | Collected::Moved => {
                member.core.validate_on_metadata_change();
                member.core.send_fetches(environment);
                member.core.before_select(Duration::ZERO, environment);
                Ok(true)
            }
        }
    }
}
