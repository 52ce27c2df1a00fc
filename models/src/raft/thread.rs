//! The Raft thread: one message, then a look at the state, and a flush now and then (`KafkaRaftClient.poll`).

use ktrial_sim::{ConnectionId, Context, Duration, Identity, Time};

use super::{FLUSHED, PARKED, POLL, Raft, RaftEvent};
use crate::ids::Offset;
use crate::kafka::{Kafka, METADATA_LOG, site};
use crate::notes::{Note, Phase, QuorumNote};
use crate::protocol::{Correlation, Request, Response};
use crate::raft::peers::{PeerPlace, RequestNumber};
use crate::raft::state::State;
use crate::raft::timer::wall;
use crate::server::respond;

/// A message that waits for the Raft thread.
pub(super) enum Inbound {
    Request(ConnectionId, Correlation, Request),
    Response(PeerPlace, RequestNumber, Response),
}

/// A flush that blocks the Raft thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flushing {
    /// How many entries of the log it makes durable.
    entries: usize,
    /// A follower's: the high watermark of the response it appended, and when that was taken up.
    fetched: Option<(Option<Offset>, Time)>,
}

/// What the Raft thread's last look at its state found: nothing to do for a while, if nothing changes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// When there is something to do, on the monotonic clock.
    until: Time,
    /// By how much the wall clock was ahead of the monotonic one, wrapping. Another lead means that the wall clock has
    /// been stepped, and that what its timers are waiting for may have come.
    lead: u64,
}

impl Rest {
    fn new(wait: Duration, context: &Context<'_, Kafka>) -> Self {
        Rest {
            until: context.monotonic() + wait,
            lead: Rest::lead(context),
        }
    }

    fn lead(context: &Context<'_, Kafka>) -> u64 {
        context.wall().0.wrapping_sub(context.monotonic().0)
    }

    fn goes_on(&self, context: &Context<'_, Kafka>) -> bool {
        context.monotonic() < self.until && Rest::lead(context) == self.lead
    }
}

/// How often the Raft thread looks at its state without waiting, before it waits all the same. Only settings of
/// zero milliseconds make it go round that often.
const ROUNDS: u32 = 16;

impl Raft {
    /// Works through what waits, looks at the state, and sets the timer for the next look.
    pub(super) fn work(&mut self, context: &mut Context<'_, Kafka>) {
        let mut rounds = 0;
        let wait = loop {
            let wait = self.poll(context);
            if self.flushing.is_none()
                && let Some(message) = self.inbox.pop_front()
            {
                self.handle(message, context);
                continue;
            }
            if self.stopped {
                break wait;
            }
            let (failed, network) = self.peers.work(context);
            rounds += 1;
            if wait > Duration::ZERO && !failed || rounds == ROUNDS {
                break wait.max(Duration::millis(1)).min(network);
            }
        };
        self.tell();
        if !self.stopped {
            context.set_timer(POLL, wait);
            self.rest = Rest::new(wait, context);
        }
    }

    /// Looks at the state as [`Raft::work`] does, after something that has changed nothing in it. Until the time of
    /// the next look has come there is nothing to be found then; timers see the clock all the same, which they never
    /// let go back.
    pub(super) fn look_again(&mut self, context: &mut Context<'_, Kafka>) {
        if !self.rest.goes_on(context) {
            return self.work(context);
        }
        let now = wall(context);
        self.state.see(now);
        if let Some(closing) = &mut self.closing {
            closing.update(now);
        }
    }

    /// The thread takes up a message that has just come, if it is free.
    pub(super) fn take_up(&mut self, message: Inbound, context: &mut Context<'_, Kafka>) {
        if self.flushing.is_some() {
            self.inbox.push_back(message);
        } else if !self.stopped {
            self.handle(message, context);
        }
    }

    /// Apart from [`Raft::work`], which mostly finds no message and is quick without what this keeps on its stack.
    #[inline(never)]
    fn handle(&mut self, message: Inbound, context: &mut Context<'_, Kafka>) {
        match message {
            Inbound::Request(connection, correlation, request) => {
                self.handle_request(connection, correlation, request, context);
            }
            Inbound::Response(voter, number, response) => {
                if self.peers.is_expected(voter, number) {
                    let success = self.handle_response(voter, response, context);
                    self.peers.settle(voter, number, success, wall(context));
                }
            }
        }
    }

    /// Tells the rest of the server what changed (`maybeFireLeaderChange`).
    fn tell(&mut self) {
        let leads_still =
            |epoch| epoch == self.epoch && matches!(self.state, State::Leader(_) | State::Resigned { .. });
        if let Some(epoch) = self.told.leads.filter(|epoch| !leads_still(*epoch)) {
            self.told.leads = None;
            self.events.push_back(RaftEvent::Resigned(epoch));
        }
        let leader = self.leader();
        if leader != self.told.leader {
            self.told.leader = leader;
            self.events.push_back(RaftEvent::LeaderChanged(leader));
        }
        if let Some(to) = self.high_watermark.filter(|to| *to > self.told.high_watermark) {
            self.told.high_watermark = to;
            self.events.push_back(RaftEvent::HighWatermark(to));
        }
        if let State::Leader(leader) = &self.state
            && self.told.leads.is_none()
            && self.high_watermark.is_some_and(|to| to > leader.epoch_start())
        {
            self.told.leads = Some(self.epoch);
            self.events.push_back(RaftEvent::Leads(self.epoch));
        }
    }

    /// Starts to flush the log; the thread goes on in [`Raft::flushed`].
    pub(super) fn flush(
        &mut self,
        fetched: Option<(Option<Offset>, Time)>,
        context: &mut Context<'_, Kafka>,
    ) {
        let (least, most) = self.specification.capacity.flush;
        let who = self.draw_identity(context);
        let spread = most.saturating_sub(least).0;
        let time = Duration(least.0 + context.draw_below(site::DISK, who, spread + 1));
        let disk = context.disk();
        let time = time.saturating_mul(u64::from(disk.health.slowness));
        let entries = disk.file(METADATA_LOG).entries().len();
        self.flushing = Some(Flushing { entries, fetched });
        context.set_timer(FLUSHED, time);
    }

    /// A flush is done.
    pub(super) fn flushed(&mut self, context: &mut Context<'_, Kafka>) {
        let Some(flushing) = self.flushing.take() else {
            return;
        };
        if self.disk_refuses(context) {
            return;
        }
        context.disk().file(METADATA_LOG).flush(flushing.entries);
        if let Some((high_watermark, since)) = flushing.fetched {
            self.fetched(high_watermark, since, context);
        }
    }

    /// Answers fetches that have waited long enough with what was found when they came.
    pub(super) fn expire_parked(&mut self, context: &mut Context<'_, Kafka>) {
        let now = context.monotonic();
        while let Some(parked) = self.purgatory.take_expired(now) {
            let response = Response::QuorumFetch(parked.response);
            respond(parked.connection, parked.correlation, response, context);
        }
        self.watch_parked(context);
    }

    /// Sets the timer for the next parked fetch.
    pub(super) fn watch_parked(&mut self, context: &mut Context<'_, Kafka>) {
        match self.purgatory.next_deadline() {
            Some(deadline) => context.set_timer_at(PARKED, deadline),
            None => context.clear_timer(PARKED),
        }
    }

    /// Names the next draw of this process.
    pub(super) fn draw_identity(&mut self, context: &Context<'_, Kafka>) -> Identity {
        self.draws += 1;
        let process = u64::from(self.own.server.0) << 32 | u64::from(context.incarnation());
        // The bit keeps the quorum's flushes apart from others on the same disk.
        Identity(process | 1 << 62, self.draws)
    }

    /// The high watermark of the present state moved.
    pub(super) fn move_high_watermark(&mut self, to: Offset, context: &mut Context<'_, Kafka>) {
        self.high_watermark = Some(to);
        let leads = matches!(self.state, State::Leader(_));
        context.note(Note::Quorum(QuorumNote::HighWatermark { to, leads }));
    }

    /// Ends the process if the log directory refuses writes: a voter or observer cannot do without it.
    pub(super) fn disk_refuses(&mut self, context: &mut Context<'_, Kafka>) -> bool {
        let refuses = context.disk().health.refuses.is_some();
        if refuses {
            self.fail("the metadata log directory refuses writes", context);
        }
        refuses
    }

    /// Kafka's Raft thread ends its process (`ProcessTerminatingFaultHandler`).
    pub(super) fn fail(&mut self, why: &'static str, context: &mut Context<'_, Kafka>) {
        if !self.stopped {
            self.stopped = true;
            self.inbox.clear();
            context.note(Note::Phase(Phase::Exited(why)));
            context.exit();
        }
    }
}
