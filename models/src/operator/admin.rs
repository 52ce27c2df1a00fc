//! `KafkaAdminClient`: calls, and the thread that carries them out (`AdminClientRunnable.processRequests`).
//!
//! A call is pending (no node chosen yet), then waits for its node to be ready, then is in flight, one a node.
//!
//! | what happens | what becomes of the call |
//! |---|---|
//! | its node's connection is lost before it is sent, or new metadata come | pending again, at once |
//! | its node is not ready within `request.timeout.ms` | pending again; that connection is given up |
//! | its connection is lost, or the answer is late | pending again after the back-off |
//! | `default.api.timeout.ms` is over | ends as a time-out; in flight, its connection is given up first |
//! | NOT_CONTROLLER to CreateTopics | another broker is looked for; pending again after the back-off |
//! | any other answer | ends with it: errors in answers are not retried, retriable or not |
//!
//! All its timers read the wall clock, and only when the thread wakes.

use std::collections::VecDeque;
use std::ops::Range;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::metadata::AdminMetadata;
use crate::client::{
    ClientSettings, Completed, Environment, ExponentialBackoff, MetadataUpdater, NetworkClient, Node,
    Outcome, SocketEvent, Survey,
};
use crate::ids::Servers;
use crate::kafka::site;
use crate::protocol::{ErrorCode, MetadataRequest, Request, Response};

/// `default.api.timeout.ms` (AdminClientConfig).
const API_TIMEOUT: Duration = Duration::secs(60);
/// `processRequests` never waits longer.
const LONGEST_POLL: Duration = Duration::secs(1_200);
/// What is noticed when the clock has gone past it, in milliseconds as Kafka's.
const TICK: Duration = Duration::millis(1);

/// Names a call of this process.
type CallNumber = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The client's own.
    Metadata,
    /// The caller's.
    Order,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    number: CallNumber,
    purpose: Purpose,
    deadline: Time,
    next_try: Time,
    tries: u32,
}

/// Calls that wait for their node to take one of them.
#[derive(Debug)]
struct Waiting {
    node: Node,
    calls: Vec<Call>,
    /// By when the node has to be ready, once it was found not to be (`nodeReadyDeadlines`).
    ready_by: Option<Time>,
}

impl Waiting {
    fn new(node: Node) -> Self {
        Waiting {
            node,
            calls: Vec::new(),
            ready_by: None,
        }
    }
}

/// How an order ended.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    /// It was answered, perhaps with an error.
    Answered(Response),
    /// `default.api.timeout.ms` was over (TimeoutException).
    TimedOut,
}

/// See the module. While no broker runs, calls for metadata pile up, one a back-off, as in Kafka: what is done for each
/// of them at each wake-up is little.
#[derive(Debug)]
pub(super) struct AdminClient {
    request_timeout: Duration,
    retry_backoff: Duration,
    backoff: ExponentialBackoff,
    pub(super) metadata: AdminMetadata,
    network: NetworkClient<CallNumber>,
    /// What is being ordered, as sent: one at a time.
    order: Option<Request>,
    /// Without a node.
    pending: Vec<Call>,
    /// With a node (`callsToSend`); nodes in the order in which they were first chosen.
    to_send: Vec<Waiting>,
    in_flight: Vec<(Node, Call)>,
    /// The deadline of the call that times out first; never if there is none.
    first_deadline: Time,
    ended: VecDeque<Ended>,
    next: CallNumber,
}

impl AdminClient {
    pub(super) fn new(settings: ClientSettings, bootstrap: Servers) -> Self {
        AdminClient {
            request_timeout: settings.request_timeout,
            retry_backoff: settings.retry_backoff,
            backoff: settings.metadata_backoff,
            metadata: AdminMetadata::new(&settings, bootstrap),
            network: NetworkClient::new(settings),
            order: None,
            pending: Vec::new(),
            to_send: Vec::new(),
            in_flight: Vec::new(),
            first_deadline: Time::NEVER,
            ended: VecDeque::new(),
            next: 0,
        }
    }

    /// Its process ends: its connections close.
    pub(super) fn shut_down(&mut self, environment: &mut impl Environment) {
        self.network.shut_down(environment);
    }

    /// Gives an order to the controller. The one before it has ended.
    pub(super) fn order(&mut self, request: Request, now: Time) {
        assert!(self.order.is_none(), "one order at a time");
        self.order = Some(request);
        self.call(Purpose::Order, now + API_TIMEOUT);
    }

    /// The end of an order, oldest first.
    pub(super) fn take_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    fn call(&mut self, purpose: Purpose, deadline: Time) {
        self.next += 1;
        self.first_deadline = self.first_deadline.min(deadline);
        self.pending.push(Call {
            number: self.next,
            purpose,
            deadline,
            next_try: Time::ZERO,
            tries: 0,
        });
    }

    /// `processRequests` up to the select: how long that may last.
    pub(super) fn before_select(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        let mut wait = LONGEST_POLL.min(self.time_out_calls(now, environment));
        let mut survey = None;
        wait = wait.min(self.choose_nodes(0, &mut survey, now, environment));
        let fetch_delay = self.metadata.fetch_delay(now);
        if fetch_delay == Some(Duration::ZERO) {
            self.metadata.update_pending(now);
            self.call(Purpose::Metadata, now + self.request_timeout);
            self.choose_nodes(self.pending.len() - 1, &mut survey, now, environment);
        }
        wait = wait.min(self.send_eligible(now, environment));
        if let Some(delay) = fetch_delay.filter(|delay| *delay > Duration::ZERO) {
            wait = wait.min(delay);
        }
        if !self.pending.is_empty() {
            wait = wait.min(self.retry_backoff);
        }
        self.network
            .before_select(Some(wait), &mut self.metadata, now, environment)
    }

    /// Whether there is something to look at without a select.
    pub(super) fn is_busy(&self) -> bool {
        !self.ended.is_empty() || self.network.has_unreported_sends() || self.network.has_aborted_sends()
    }

    /// `processRequests` from the select on.
    pub(super) fn after_select(
        &mut self,
        inbox: &mut VecDeque<SocketEvent>,
        environment: &mut impl Environment,
    ) {
        let mut completed = self.network.after_select(inbox, &mut self.metadata, environment);
        self.unassign(NetworkClient::connection_failed);
        if !completed.is_empty() {
            let now = environment.wall();
            for Completed { token, outcome, .. } in completed.drain(..) {
                self.completed(token, outcome, now, environment);
            }
            self.network.recycle(completed);
        }
    }

    /// Ends calls that took too long; how long until the next one does.
    fn time_out_calls(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        if now > self.first_deadline {
            self.end_late_calls(now, environment);
        }
        match self.first_deadline {
            Time::NEVER => Duration::FOREVER,
            first => first.since(now).saturating_add(TICK),
        }
    }

    fn end_late_calls(&mut self, now: Time, environment: &mut impl Environment) {
        let mut late: SmallVec<[Purpose; 4]> = SmallVec::new();
        let mut in_time = |call: &Call| {
            let in_time = now <= call.deadline;
            if !in_time {
                late.push(call.purpose);
            }
            in_time
        };
        self.pending.retain(&mut in_time);
        for waiting in &mut self.to_send {
            let before = waiting.calls.len();
            waiting.calls.retain(&mut in_time);
            if waiting.calls.len() < before {
                // `Call.fail`: the node's time begins anew.
                waiting.ready_by = None;
            }
        }
        for (node, call) in &self.in_flight {
            if now > call.deadline {
                // The next poll tells of it.
                self.network.disconnect(*node, environment);
            }
        }
        for purpose in late {
            self.end(purpose, Ended::TimedOut);
        }
        self.look_for_first_deadline();
    }

    /// A call is no more.
    fn end(&mut self, purpose: Purpose, ended: Ended) {
        match purpose {
            Purpose::Metadata => self.metadata.update_failed(),
            Purpose::Order => {
                self.order = None;
                self.ended.push_back(ended);
            }
        }
    }

    fn look_for_first_deadline(&mut self) {
        let first = |calls: &[Call]| {
            calls
                .iter()
                .fold(Time::NEVER, |first, call| first.min(call.deadline))
        };
        let waiting = self.to_send.iter().map(|waiting| first(&waiting.calls));
        let in_flight = self.in_flight.iter().map(|(_, call)| call.deadline);
        self.first_deadline = waiting.chain(in_flight).fold(first(&self.pending), Time::min);
    }

    /// Chooses nodes for the pending calls from the one at `index` on (`maybeDrainPendingCalls`); how long until one of
    /// them may be tried again.
    fn choose_nodes(
        &mut self,
        mut index: usize,
        survey: &mut Option<Survey>,
        now: Time,
        environment: &mut impl Environment,
    ) -> Duration {
        let mut wait = Duration::FOREVER;
        while let Some(call) = self.pending.get(index) {
            if now < call.next_try {
                wait = wait.min(call.next_try.since(now));
                index += 1;
                continue;
            }
            let (node, calls) = match call.purpose {
                Purpose::Order => (self.metadata.controller(), 1),
                Purpose::Metadata => {
                    let alike = |call: &&Call| call.purpose == Purpose::Metadata && now >= call.next_try;
                    let alike = self.pending[index..].iter().take_while(alike).count();
                    self.choose_node(alike, survey, now, environment)
                }
            };
            match node {
                Some(node) => self.assign(index..index + calls, node),
                None => index += calls,
            }
        }
        wait
    }

    /// `MetadataUpdateNodeIdProvider.provide` for one call or more of so many, and for how many: where there is but one
    /// node to choose, or none, it is the same for all of them. Choosing changes nothing of how the nodes stand.
    fn choose_node(
        &mut self,
        calls: usize,
        survey: &mut Option<Survey>,
        now: Time,
        environment: &mut impl Environment,
    ) -> (Option<Node>, usize) {
        let known = survey.get_or_insert_with(|| self.network.survey(&self.metadata, now));
        if known.leaves_a_choice() {
            return (self.network.least_loaded_of(known, environment), 1);
        }
        let node = self.network.least_loaded_of(known, environment);
        if node.is_none() && !known.some_connection_is_ready() {
            let others = !self.metadata.knows_only_bootstrap_servers();
            self.metadata.start_again(now);
            if others {
                *survey = None;
                return (None, 1);
            }
        }
        self.network.choose_again(calls - 1);
        (node, calls)
    }

    /// Such pending calls wait for the node.
    fn assign(&mut self, calls: Range<usize>, node: Node) {
        let known = self.to_send.iter().position(|waiting| waiting.node == node);
        let place = known.unwrap_or_else(|| {
            self.to_send.push(Waiting::new(node));
            self.to_send.len() - 1
        });
        let waiting = &mut self.to_send[place].calls;
        waiting.extend_from_slice(&self.pending[calls.clone()]);
        self.pending.drain(calls);
    }

    /// Sends one call to each node that is ready for one; how long until to look again.
    fn send_eligible(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        let mut wait = Duration::FOREVER;
        for place in 0..self.to_send.len() {
            let Waiting {
                node,
                calls,
                ready_by,
            } = &mut self.to_send[place];
            let node = *node;
            if calls.is_empty() {
                continue;
            }
            if self.in_flight.iter().any(|(busy, _)| *busy == node) {
                *ready_by = None;
            } else if self.network.ready(node, &mut self.metadata, now, environment) {
                let left = ready_by.take().map_or(self.request_timeout, |by| by.since(now));
                let call = calls.remove(0);
                self.send(call, node, left, now, environment);
            } else {
                match *ready_by {
                    Some(by) if now >= by => {
                        *ready_by = None;
                        self.pending.append(calls);
                        self.network.disconnect(node, environment);
                        continue;
                    }
                    Some(by) => wait = wait.min(by.since(now)),
                    None => *ready_by = Some(now + self.request_timeout),
                }
                wait = wait.min(self.network.poll_delay(node, now).unwrap_or(Duration::FOREVER));
            }
        }
        wait
    }

    fn send(
        &mut self,
        call: Call,
        node: Node,
        left: Duration,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let request = match call.purpose {
            Purpose::Metadata => Request::Metadata(Box::new(MetadataRequest::nodes_only())),
            Purpose::Order => self.order.clone().expect("a call carries it out"),
        };
        let timeout = left.min(call.deadline.since(now));
        self.network
            .send_within(timeout, node, call.number, request, now, environment);
        self.in_flight.push((node, call));
    }

    fn completed(
        &mut self,
        number: CallNumber,
        outcome: Outcome,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let place = self.in_flight.iter().position(|(_, call)| call.number == number);
        let (node, call) = self.in_flight.remove(place.expect("answers belong to calls"));
        match outcome {
            Outcome::Response(Response::Metadata(response)) => {
                self.metadata.update(&response, now, environment);
                self.unassign(|_, _| true);
            }
            Outcome::Response(Response::CreateTopic(ErrorCode::NotController)) => {
                self.metadata.clear_controller();
                self.metadata.request_update();
                self.try_again(node, call, now, environment);
            }
            Outcome::Response(response) => self.end(call.purpose, Ended::Answered(response)),
            Outcome::Disconnected | Outcome::TimedOut => self.try_again(node, call, now, environment),
            Outcome::Written => unreachable!("answers are expected"),
        }
        self.look_for_first_deadline();
    }

    /// Calls that wait for such nodes choose anew (`unassignUnsentCalls`).
    fn unassign(&mut self, which: impl Fn(&NetworkClient<CallNumber>, Node) -> bool) {
        for waiting in &mut self.to_send {
            if !waiting.calls.is_empty() && which(&self.network, waiting.node) {
                waiting.ready_by = None;
                self.pending.append(&mut waiting.calls);
            }
        }
    }

    /// `Call.fail` with a retriable exception.
    fn try_again(&mut self, node: Node, mut call: Call, now: Time, environment: &mut impl Environment) {
        if let Some(waiting) = self.to_send.iter_mut().find(|waiting| waiting.node == node) {
            waiting.ready_by = None;
        }
        let name = 4 << 56 | u64::from(call.number) << 24 | u64::from(call.tries);
        call.next_try = now + self.backoff.draw(call.tries, site::RETRY, name, environment);
        call.tries += 1;
        if call.deadline <= now {
            self.end(call.purpose, Ended::TimedOut);
        } else {
            self.pending.push(call);
        }
    }
}
