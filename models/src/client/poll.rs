//! `NetworkClient.poll`: what a client's thread does around its select.

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Duration, Time};
use smallvec::SmallVec;

use super::connection::{ConnectionState, What};
use super::network_client::{Completed, Limits, NetworkClient, Outcome, SocketEvent};
use super::{Environment, MetadataUpdater};
use crate::protocol::{Correlation, Request, Response};

impl<T: Copy> NetworkClient<T> {
    /// No select lasts longer (`NetworkClient.poll`).
    pub fn longest_select(&self) -> Duration {
        self.settings.request_timeout.saturating_add(Duration::millis(1))
    }

    /// What comes before the select: asks for metadata if they are due. Returns how long the select may last.
    pub fn before_select(
        &mut self,
        timeout: Option<Duration>,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) -> Duration {
        let longest = self.longest_select();
        let metadata_timeout = metadata.maybe_update(self, now, environment);
        [timeout, metadata_timeout]
            .into_iter()
            .flatten()
            .fold(longest, Duration::min)
    }

    /// Until when, by the wall clock, polls that find nothing in their sockets and have nothing to tell change nothing
    /// about the connections.
    pub fn still_until(&self, now: Time, monotonic: Time) -> Time {
        if self.unreported || !self.completed.is_empty() {
            return now;
        }
        let until = self.in_time_until;
        until.wall.min(now + until.monotonic.since(monotonic))
    }

    /// What comes after the select, in Kafka's order. At most one answer of a connection is taken from `events`;
    /// what is left belongs to the next poll. What ended is in the order in which callbacks run.
    pub fn after_select(
        &mut self,
        events: &mut VecDeque<SocketEvent>,
        metadata: &mut impl MetadataUpdater,
        environment: &mut impl Environment,
    ) -> Vec<Completed<T>> {
        let now = environment.wall();
        if !events.is_empty() {
            self.writable(events);
        }
        self.completed_sends(environment);
        if !events.is_empty() {
            self.completed_receives(events, metadata, now, environment);
        }
        // Most polls found an answer or nothing, and these look for rarer things. What is not late yet does not
        // become so by any of them.
        let until = self.in_time_until;
        let some_may_be_late = now > until.wall || environment.monotonic() > until.monotonic;
        if some_may_be_late {
            self.close_idle(metadata, now, environment);
        }
        if !events.is_empty() {
            self.disconnections(events, metadata, now, environment);
            self.connections_up(events, now, environment);
        }
        if some_may_be_late {
            self.time_outs(metadata, now, environment);
            let own = self.connections.iter().map(|one| one.limits(&self.settings));
            self.in_time_until = own.fold(Limits::NONE, Limits::earlier);
        }
        self.maybe_rebootstrap(metadata, now, environment);
        match self.completed.is_empty() {
            // It keeps its memory.
            true => Vec::new(),
            false => std::mem::take(&mut self.completed),
        }
    }

    /// Gives the memory of what [`NetworkClient::after_select`] returned back.
    pub fn recycle(&mut self, mut completed: Vec<Completed<T>>) {
        if completed.capacity() > self.completed.capacity() {
            completed.clear();
            self.completed = completed;
        }
    }

    /// What waits for room in its socket is tried again.
    fn writable(&mut self, events: &mut VecDeque<SocketEvent>) {
        events.retain(|event| {
            let writable = matches!(event, SocketEvent::Writable(_));
            self.unreported |= writable;
            !writable
        });
    }

    fn completed_sends(&mut self, environment: &mut impl Environment) {
        if !std::mem::take(&mut self.unreported) {
            return;
        }
        for one in &mut self.connections {
            if !one.write(&self.settings, environment) {
                continue;
            }
            let Some(newest) = one.in_flight.back_mut() else {
                continue;
            };
            newest.written = true;
            if newest.expects_response {
                continue;
            }
            let sent = one.in_flight.pop_back().expect("there is a newest");
            if let What::Request(token) = sent.what {
                self.completed.push(Completed {
                    token,
                    node: one.node,
                    outcome: Outcome::Written,
                });
            }
        }
    }

    fn completed_receives(
        &mut self,
        events: &mut VecDeque<SocketEvent>,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let mut served: SmallVec<[ConnectionId; 8]> = SmallVec::new();
        let mut index = 0;
        while index < events.len() {
            let connection = events[index].connection();
            if served.contains(&connection) || !matches!(events[index], SocketEvent::Received(..)) {
                index += 1;
                continue;
            }
            let Some(SocketEvent::Received(_, correlation, response)) = events.remove(index) else {
                unreachable!("just looked at")
            };
            served.push(connection);
            self.received(connection, correlation, response, metadata, now, environment);
        }
    }

    fn received(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let Some(one) = self
            .connections
            .iter_mut()
            .find(|one| one.connection == Some(connection))
        else {
            return;
        };
        one.last_traffic = environment.monotonic();
        let request = one.in_flight.pop_front().expect("answers belong to requests");
        assert_eq!(
            request.correlation, correlation,
            "answers come in order of their requests"
        );
        match (request.what, response) {
            (What::ApiVersions, _) => one.ready(),
            (What::Metadata, Response::Metadata(response)) => metadata.answered(&response, now, environment),
            (What::Metadata, other) => panic!("metadata were asked for, {other:?} came"),
            (What::Request(token), response) => self.completed.push(Completed {
                token,
                node: one.node,
                outcome: Outcome::Response(response),
            }),
        }
    }

    /// `Selector.maybeCloseOldestConnection`: one per poll.
    fn close_idle(
        &mut self,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let Some(limit) = self.settings.max_idle else {
            return;
        };
        let monotonic = environment.monotonic();
        let idle = self
            .connections
            .iter()
            .enumerate()
            .filter(|(_, one)| one.is_idle(monotonic, limit))
            .min_by_key(|(_, one)| one.last_traffic)
            .map(|(index, _)| index);
        if let Some(index) = idle {
            self.close(index, false, metadata, now, environment);
        }
    }

    fn disconnections(
        &mut self,
        events: &mut VecDeque<SocketEvent>,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let mut index = 0;
        while index < events.len() {
            let connection = events[index].connection();
            let closed = matches!(events[index], SocketEvent::Closed(_));
            let first = events
                .iter()
                .take(index)
                .all(|earlier| earlier.connection() != connection);
            if !closed || !first {
                index += 1;
                continue;
            }
            events.remove(index);
            let owner = self
                .connections
                .iter()
                .position(|one| one.connection == Some(connection));
            if let Some(owner) = owner {
                self.process_disconnection(owner, false, metadata, now, environment);
            }
        }
    }

    fn connections_up(
        &mut self,
        events: &mut VecDeque<SocketEvent>,
        now: Time,
        environment: &mut impl Environment,
    ) {
        while let Some(index) = events
            .iter()
            .position(|event| matches!(event, SocketEvent::Connected(_)))
        {
            let Some(SocketEvent::Connected(connection)) = events.remove(index) else {
                unreachable!("just found")
            };
            let owner = self
                .connections
                .iter_mut()
                .find(|one| one.connection == Some(connection));
            if let Some(owner) = owner {
                owner.state = ConnectionState::CheckingApiVersions;
                let node = owner.node;
                self.send_own(node, What::ApiVersions, Request::ApiVersions, now, environment);
            }
        }
    }

    fn time_outs(
        &mut self,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) {
        for index in 0..self.connections.len() {
            if self.connections[index].setup_timed_out(now) {
                self.close(index, true, metadata, now, environment);
            }
        }
        for index in 0..self.connections.len() {
            if self.connections[index].request_timed_out(now) {
                self.close(index, true, metadata, now, environment);
            }
        }
    }

    fn close(
        &mut self,
        index: usize,
        timed_out: bool,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) {
        if let Some(connection) = self.connections[index].connection {
            environment.close(connection);
        }
        self.process_disconnection(index, timed_out, metadata, now, environment);
    }

    /// `NetworkClient.processDisconnection`: all requests of the connection fail, oldest first.
    fn process_disconnection(
        &mut self,
        index: usize,
        timed_out: bool,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let one = &mut self.connections[index];
        one.disconnected(now, &self.settings, environment);
        let node = one.node;
        while let Some(request) = self.connections[index].in_flight.pop_front() {
            match request.what {
                What::ApiVersions => {}
                What::Metadata => metadata.failed(now, environment),
                What::Request(token) => self.completed.push(Completed {
                    token,
                    node,
                    outcome: match timed_out {
                        true => Outcome::TimedOut,
                        false => Outcome::Disconnected,
                    },
                }),
            }
        }
        self.recount_unreported();
        metadata.server_disconnected(now, environment);
    }

    fn maybe_rebootstrap(
        &mut self,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) {
        if !self.settings.rebootstrap || !metadata.needs_rebootstrap(now, self.settings.rebootstrap_trigger) {
            return;
        }
        for index in 0..self.connections.len() {
            let known = metadata.nodes().contains(&self.connections[index].node);
            if known && self.connections[index].connection.is_some() {
                self.close(index, false, metadata, now, environment);
            }
        }
        metadata.start_again(now);
    }
}
