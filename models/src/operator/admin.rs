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

#[derive(Debug)]
enum Purpose {
    /// The client's own.
    Metadata,
    /// The caller's, as sent.
    Order(Request),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Pending,
    ToSend(Node),
    InFlight(Node),
}

#[derive(Debug)]
struct Call {
    number: CallNumber,
    purpose: Purpose,
    stage: Stage,
    deadline: Time,
    next_try: Time,
    tries: u32,
}

/// How an order ended.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    /// It was answered, perhaps with an error.
    Answered(Response),
    /// `default.api.timeout.ms` was over (TimeoutException).
    TimedOut,
}

/// See the module.
#[derive(Debug)]
pub(super) struct AdminClient {
    request_timeout: Duration,
    retry_backoff: Duration,
    backoff: ExponentialBackoff,
    pub(super) metadata: AdminMetadata,
    network: NetworkClient<CallNumber>,
    calls: Vec<Call>,
    /// By when a node has to be ready that calls wait for.
    deadlines: Vec<(Node, Time)>,
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
            calls: Vec::new(),
            deadlines: Vec::new(),
            ended: VecDeque::new(),
            next: 0,
        }
    }

    /// Its process ends: its connections close.
    pub(super) fn shut_down(&mut self, environment: &mut impl Environment) {
        self.network.shut_down(environment);
    }

    /// Gives an order to the controller.
    pub(super) fn order(&mut self, request: Request, now: Time) {
        self.call(Purpose::Order(request), now + API_TIMEOUT);
    }

    /// The end of an order, oldest first.
    pub(super) fn take_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    fn call(&mut self, purpose: Purpose, deadline: Time) {
        self.next += 1;
        self.calls.push(Call {
            number: self.next,
            purpose,
            stage: Stage::Pending,
            deadline,
            next_try: Time::ZERO,
            tries: 0,
        });
    }

    /// `processRequests` up to the select: how long that may last.
    pub(super) fn before_select(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        let mut wait = LONGEST_POLL.min(self.time_out_calls(now, environment));
        wait = wait.min(self.choose_nodes(now, environment));
        let fetch_delay = self.metadata.fetch_delay(now);
        if fetch_delay == Some(Duration::ZERO) {
            self.metadata.update_pending(now);
            self.call(Purpose::Metadata, now + self.request_timeout);
            let own = self.calls.len() - 1;
            self.choose_node(own, &mut None, now, environment);
        }
        wait = wait.min(self.send_eligible(now, environment));
        if let Some(delay) = fetch_delay.filter(|delay| *delay > Duration::ZERO) {
            wait = wait.min(delay);
        }
        if self.calls.iter().any(|call| call.stage == Stage::Pending) {
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
        if self.network.has_failed_connections() {
            // Many calls in a row wait for one node.
            let mut looked_up = None;
            for call in &mut self.calls {
                let Stage::ToSend(node) = call.stage else {
                    continue;
                };
                let failed = match looked_up {
                    Some((same, failed)) if same == node => failed,
                    _ => self.network.connection_failed(node),
                };
                looked_up = Some((node, failed));
                if failed {
                    call.stage = Stage::Pending;
                    self.deadlines.retain(|(other, _)| *other != node);
                }
            }
        }
        let now = environment.wall();
        for Completed { token, outcome, .. } in completed.drain(..) {
            self.completed(token, outcome, now, environment);
        }
        self.network.recycle(completed);
    }

    /// Ends calls that took too long; how long until the next one does.
    fn time_out_calls(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        let mut next = Duration::FOREVER;
        let mut index = 0;
        while index < self.calls.len() {
            let (deadline, stage) = (self.calls[index].deadline, self.calls[index].stage);
            if now <= deadline {
                next = next.min(deadline.since(now).saturating_add(TICK));
            } else if let Stage::InFlight(node) = stage {
                // The next poll tells of it.
                self.network.disconnect(node, environment);
            } else {
                self.end(index, Ended::TimedOut);
                continue;
            }
            index += 1;
        }
        next
    }

    fn end(&mut self, index: usize, ended: Ended) {
        match self.calls.remove(index).purpose {
            Purpose::Metadata => self.metadata.update_failed(),
            Purpose::Order(_) => self.ended.push_back(ended),
        }
    }

    fn choose_nodes(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        let mut wait = Duration::FOREVER;
        // Calls for metadata that just found nobody to ask. The first of them may have changed whom there is to ask
        // (`rebootstrap`), the second changes nothing, so those behind it need not look: while no broker runs there
        // are many.
        let mut in_vain = 0;
        // How the nodes stand: choosing among them changes nothing of it.
        let mut survey = None;
        for index in 0..self.calls.len() {
            let call = &self.calls[index];
            if call.stage != Stage::Pending {
                continue;
            }
            if now < call.next_try {
                wait = wait.min(call.next_try.since(now));
                continue;
            }
            let metadata = matches!(call.purpose, Purpose::Metadata);
            if metadata && in_vain == 2 {
                self.network.forgo_choice();
                continue;
            }
            self.choose_node(index, &mut survey, now, environment);
            let pending = self.calls[index].stage == Stage::Pending;
            in_vain = if metadata && pending { in_vain + 1 } else { 0 };
        }
        wait
    }

    /// `NodeProvider.provide` of the call.
    fn choose_node(
        &mut self,
        index: usize,
        survey: &mut Option<Survey>,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let node = match self.calls[index].purpose {
            Purpose::Order(_) => self.metadata.controller(),
            Purpose::Metadata => {
                let known = survey.get_or_insert_with(|| self.network.survey(&self.metadata, now));
                let node = self.network.least_loaded_of(known, environment);
                if node.is_none() && !self.network.has_ready_connection(&self.metadata) {
                    self.metadata.start_again(now);
                    *survey = None;
                }
                node
            }
        };
        if let Some(node) = node {
            self.calls[index].stage = Stage::ToSend(node);
        }
    }

    /// Sends one call to each node that is ready for one; how long until to look again.
    fn send_eligible(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        let mut wait = Duration::FOREVER;
        let mut seen: SmallVec<[Node; 4]> = SmallVec::new();
        // While no broker runs many calls in a row wait for one node: from the third on they say nothing new.
        let mut counted = None;
        for index in 0..self.calls.len() {
            let Stage::ToSend(node) = self.calls[index].stage else {
                continue;
            };
            if counted == Some(node) {
                continue;
            }
            let deadline = self.deadlines.iter().position(|(other, _)| *other == node);
            if seen.contains(&node) {
                counted = Some(node);
                if let Some(place) = deadline {
                    wait = wait.min(self.deadlines[place].1.since(now));
                }
                continue;
            }
            seen.push(node);
            if self.calls.iter().any(|call| call.stage == Stage::InFlight(node)) {
                deadline.map(|place| self.deadlines.swap_remove(place));
            } else if self.network.ready(node, &mut self.metadata, now, environment) {
                let by = deadline.map(|place| self.deadlines.swap_remove(place).1);
                let left = by.map_or(self.request_timeout, |by| by.since(now));
                self.send(index, node, left, now, environment);
            } else {
                match deadline.map(|place| (place, self.deadlines[place].1)) {
                    Some((place, by)) if now >= by => {
                        self.deadlines.swap_remove(place);
                        self.unassign(|other| other == node);
                        self.network.disconnect(node, environment);
                        continue;
                    }
                    Some((_, by)) => wait = wait.min(by.since(now)),
                    None => self.deadlines.push((node, now + self.request_timeout)),
                }
                wait = wait.min(self.network.poll_delay(node, now).unwrap_or(Duration::FOREVER));
            }
        }
        wait
    }

    fn send(
        &mut self,
        index: usize,
        node: Node,
        left: Duration,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let call = &mut self.calls[index];
        call.stage = Stage::InFlight(node);
        let request = match &call.purpose {
            Purpose::Metadata => Request::Metadata(Box::new(MetadataRequest::nodes_only())),
            Purpose::Order(request) => request.clone(),
        };
        let timeout = left.min(call.deadline.since(now));
        let number = call.number;
        self.network
            .send_within(timeout, node, number, request, now, environment);
    }

    /// Calls that wait for such nodes choose anew (`unassignUnsentCalls`).
    fn unassign(&mut self, which: impl Fn(Node) -> bool) {
        for call in &mut self.calls {
            if let Stage::ToSend(node) = call.stage
                && which(node)
            {
                call.stage = Stage::Pending;
            }
        }
        self.deadlines.retain(|(node, _)| !which(*node));
    }

    fn completed(
        &mut self,
        number: CallNumber,
        outcome: Outcome,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let place = self.calls.iter().position(|call| call.number == number);
        let index = place.expect("answers belong to calls");
        match outcome {
            Outcome::Response(Response::Metadata(response)) => {
                self.calls.remove(index);
                self.metadata.update(&response, now, environment);
                self.unassign(|_| true);
            }
            Outcome::Response(Response::CreateTopic(ErrorCode::NotController)) => {
                self.metadata.clear_controller();
                self.metadata.request_update();
                self.try_again(index, now, environment);
            }
            Outcome::Response(response) => self.end(index, Ended::Answered(response)),
            Outcome::Disconnected | Outcome::TimedOut => self.try_again(index, now, environment),
            Outcome::Written => unreachable!("answers are expected"),
        }
    }

    /// `Call.fail` with a retriable exception.
    fn try_again(&mut self, index: usize, now: Time, environment: &mut impl Environment) {
        let call = &mut self.calls[index];
        if let Stage::InFlight(node) | Stage::ToSend(node) = call.stage {
            self.deadlines.retain(|(other, _)| *other != node);
        }
        let name = 4 << 56 | u64::from(call.number) << 24 | u64::from(call.tries);
        call.next_try = now + self.backoff.draw(call.tries, site::RETRY, name, environment);
        call.tries += 1;
        call.stage = Stage::Pending;
        if call.deadline <= now {
            self.end(index, Ended::TimedOut);
        }
    }
}
