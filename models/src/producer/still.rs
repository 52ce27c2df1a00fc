//! Wake-ups of the sender's thread that find nothing new.
//!
//! While nothing can be sent (there is no producer id yet, or the leader is down), `KafkaProducer.doSend` wakes the
//! sender with every record: its queue holds more than one batch, which is what `batchIsFull` says. A turn of the
//! sender's loop looks at first batches only, so it ends as the turn before: in a select, up to the same instant or for
//! as long from now on. Here such a turn is not gone through but for the select.
//!
//! What has to be the same for that is everything a turn looks at: nothing has come, no request is to be told of as
//! written, no partition can be sent, and none of the instants has come at which the clock makes a difference. All of
//! it is looked at once; any other turn, and anything that arrives, ends what was found ([`Core::still`]).

use ktrial_sim::{Duration, Time};

use super::core::Core;
use super::sender::Phase;
use crate::client::{ConnectionState, Environment, Node};

/// What turns of the loop come to until something new happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Still {
    /// The wall clock makes no difference before this reading.
    until: Time,
    /// What the wall clock is ahead of the monotonic one: a step of it makes a difference too.
    wall_ahead: u64,
    /// The select of a turn ends at this reading of the wall clock ...
    select_ends: Time,
    /// ... or after so long.
    select_lasts: Duration,
    /// The readings of both clocks when the thread went into its select by this last.
    rested: Option<(Time, Time)>,
}

impl Still {
    fn holds(&self, environment: &impl Environment) -> bool {
        environment.wall() < self.until && wall_ahead(environment) == self.wall_ahead
    }
}

fn wall_ahead(environment: &impl Environment) -> u64 {
    environment.wall().0.wrapping_sub(environment.monotonic().0)
}

impl Core {
    /// Somebody wakes the thread though there is nothing new to be found for it.
    pub(super) fn wake_without_news(&mut self, environment: &mut impl Environment) {
        if self.ended || self.gathering {
            return;
        }
        let instant = Some((environment.wall(), environment.monotonic()));
        if self.still.is_some_and(|still| still.rested == instant) {
            // Of records that are sent at once each wakes the thread.
            return;
        }
        let known = self.still.filter(|still| still.holds(environment));
        self.still = known.or_else(|| self.find_still(environment));
        let Some(still) = &mut self.still else {
            return self.wake(environment);
        };
        still.rested = instant;
        let left = still.select_ends.since(environment.wall());
        let wait = still.select_lasts.min(left);
        self.rest(wait, environment);
    }

    /// What a turn of the loop would come to now; none if it might change something.
    fn find_still(&mut self, environment: &impl Environment) -> Option<Still> {
        let in_select = matches!(self.phase, Phase::Selecting);
        if !in_select || self.closing || !self.inbox.is_empty() {
            return None;
        }
        let now = environment.wall();
        let mut select_ends = self.metadata.next_request(now);
        let mut select_lasts = self.network.longest_select();
        match &self.transactions {
            Some(transactions) if !transactions.is_settled() => return None,
            Some(transactions) if transactions.in_flight => {
                select_lasts = select_lasts.min(self.settings.retry_backoff_ms);
            }
            _ => select_ends = select_ends.min(self.nothing_to_send_until(now)?),
        }
        let still = Still {
            until: select_ends
                .min(self.network.still_until(now, environment.monotonic()))
                .min(self.metadata.next_judgement(now)),
            wall_ahead: wall_ahead(environment),
            select_ends,
            select_lasts,
            rested: None,
        };
        (still.until > now && select_lasts > Duration::ZERO).then_some(still)
    }

    /// When something can be sent because of the clock alone, or is given up; none if something can be sent now, or it
    /// is more than the clock that decides.
    fn nothing_to_send_until(&mut self, now: Time) -> Option<Time> {
        // Looking writes down when nodes were ready (`partitioner.availability.timeout.ms`).
        if self.accumulator.availability_timeout > Duration::ZERO {
            return None;
        }
        let ready = self.accumulator.ready(&self.metadata, now);
        if ready.unknown_leaders {
            return None;
        }
        let mut next = ready.next_check;
        for server in ready.nodes {
            let node = Node::Broker(server);
            let delay = match self.network.state(node)? {
                ConnectionState::Disconnected => self.network.poll_delay(node, now),
                ConnectionState::CheckingApiVersions => None,
                ConnectionState::Ready if !self.network.is_ready(node, &mut self.metadata, now) => None,
                ConnectionState::Ready | ConnectionState::Connecting => return None,
            };
            next = Core::earlier(next, delay);
        }
        let expiry = self.accumulator.next_expiry().unwrap_or(Time::NEVER);
        Some(next.map_or(Time::NEVER, |next| now + next).min(expiry))
    }
}
