//! `MetadataUpdater`: who keeps a client's metadata, as its network client sees it; and the one of producers and
//! consumers (`NetworkClient.DefaultMetadataUpdater`).

use ktrial_sim::{Duration, Time};

use super::connection::{ConnectionState, What};
use super::{Environment, Metadata, NetworkClient, Node};
use crate::protocol::{MetadataResponse, Request};

/// Keeps the metadata of a client: tells its network client which nodes there are, and asks through it for news.
pub trait MetadataUpdater {
    /// The nodes there are, in order of their id.
    fn nodes(&self) -> &[Node];

    /// Whether an update is due and not asked for: then no node is ready for anything else.
    fn is_update_due(&mut self, now: Time) -> bool;

    /// Asks for an update if one is due. How long a select may last for its sake; none: as long as it likes.
    fn maybe_update<T: Copy>(
        &mut self,
        network: &mut NetworkClient<T>,
        now: Time,
        environment: &mut impl Environment,
    ) -> Option<Duration>;

    /// What was asked for in [`MetadataUpdater::maybe_update`] is here.
    fn answered(&mut self, response: &MetadataResponse, now: Time, environment: &mut impl Environment);

    /// What was asked for in [`MetadataUpdater::maybe_update`] will not come.
    fn failed(&mut self, now: Time, environment: &mut impl Environment);

    /// A connection is gone.
    fn server_disconnected(&mut self, now: Time, environment: &mut impl Environment);

    /// Whether updates have been tried for longer than `trigger` without success (KIP-1102).
    fn needs_rebootstrap(&self, now: Time, trigger: Duration) -> bool;

    /// Starts again from the bootstrap servers (KIP-899).
    fn start_again(&mut self, now: Time);
}

/// What `DefaultMetadataUpdater` keeps beside the metadata.
#[derive(Debug, Default)]
pub(super) struct Updating {
    in_progress: Option<InProgress>,
    /// When asking for metadata began without success since, by the wall clock.
    attempt_start: Option<Time>,
}

/// What was asked: only about new topics, and in which version of the asking.
#[derive(Clone, Copy, Debug)]
struct InProgress {
    partial: bool,
    request_version: u32,
}

impl Metadata {
    /// `DefaultMetadataUpdater.maybeUpdate` with a node chosen.
    fn ask<T: Copy>(
        &mut self,
        node: Node,
        network: &mut NetworkClient<T>,
        now: Time,
        environment: &mut impl Environment,
    ) -> Option<Duration> {
        let reconnect_backoff = self.settings().reconnect_backoff;
        if network.can_send(node) {
            let (request, partial, request_version) = self.request(now);
            let request = Request::Metadata(Box::new(request));
            network.send_own(node, What::Metadata, request, now, environment);
            self.updating.in_progress = Some(InProgress {
                partial,
                request_version,
            });
            return None;
        }
        let connecting = |node: &Node| network.state(*node) == Some(ConnectionState::Connecting);
        if MetadataUpdater::nodes(self).iter().any(connecting) {
            return Some(reconnect_backoff);
        }
        if network.can_connect(node, now) {
            network.connect(node, environment);
            return Some(reconnect_backoff);
        }
        None
    }

    /// Until when nothing is asked and nothing given up; none if an update is wanted or on its way.
    pub fn at_rest_until(&self) -> Option<Time> {
        let busy = self.update_requested()
            || self.updating.in_progress.is_some()
            || self.updating.attempt_start.is_some();
        self.expires().filter(|_| !busy)
    }

    /// When, by the wall clock, a poll will ask for an update and a select ends for its sake; never, while one is asked
    /// for.
    pub fn next_request(&mut self, now: Time) -> Time {
        match self.updating.in_progress {
            Some(_) => Time::NEVER,
            None => now + self.time_to_next_update(now),
        }
    }

    /// When polls will see something else in the same metadata: they have become too old, or it is time to start again
    /// from the bootstrap servers.
    pub fn next_judgement(&self, now: Time) -> Time {
        let expiry = self
            .expires()
            .filter(|expiry| *expiry > now)
            .unwrap_or(Time::NEVER);
        match self.updating.attempt_start {
            Some(start) if self.settings().rebootstrap => {
                expiry.min(start + self.settings().rebootstrap_trigger)
            }
            _ => expiry,
        }
    }
}

impl MetadataUpdater for Metadata {
    fn nodes(&self) -> &[Node] {
        Metadata::nodes(self)
    }

    #[inline]
    fn is_update_due(&mut self, now: Time) -> bool {
        self.updating.in_progress.is_none() && self.time_to_next_update(now) == Duration::ZERO
    }

    fn maybe_update<T: Copy>(
        &mut self,
        network: &mut NetworkClient<T>,
        now: Time,
        environment: &mut impl Environment,
    ) -> Option<Duration> {
        let next = self.time_to_next_update(now);
        if self.updating.in_progress.is_some() {
            let answer = self
                .settings()
                .request_timeout
                .saturating_add(Duration::millis(1));
            return Some(next.max(answer));
        }
        if next > Duration::ZERO {
            return Some(next);
        }
        self.updating.attempt_start.get_or_insert(now);
        let mut node = network.least_loaded_node(self, now, environment);
        if self.settings().rebootstrap && node.is_none() && !network.has_ready_connection(self) {
            self.start_again(now);
            node = network.least_loaded_node(self, now, environment);
        }
        match node {
            Some(node) => self.ask(node, network, now, environment),
            None => Some(self.settings().reconnect_backoff),
        }
    }

    fn answered(&mut self, response: &MetadataResponse, now: Time, environment: &mut impl Environment) {
        let asked = self.updating.in_progress.take().expect("metadata were asked for");
        if response.brokers.is_empty() {
            // The broker is still starting.
            self.failed_update(now, environment);
        } else {
            self.update(response, asked.partial, asked.request_version, now, environment);
            self.updating.attempt_start = None;
        }
    }

    fn failed(&mut self, now: Time, environment: &mut impl Environment) {
        self.failed_update(now, environment);
        self.updating.in_progress = None;
    }

    fn server_disconnected(&mut self, now: Time, environment: &mut impl Environment) {
        if self.is_update_due(now) {
            self.failed(now, environment);
        }
        self.request_update(false);
    }

    fn needs_rebootstrap(&self, now: Time, trigger: Duration) -> bool {
        let late = |start: Time| now.since(start) > trigger;
        self.updating.attempt_start.is_some_and(late)
    }

    fn start_again(&mut self, now: Time) {
        self.rebootstrap();
        self.updating.attempt_start = Some(now);
    }
}
