//! The background's network: `NetworkClientDelegate`.
//!
//! A request waits at most `request.timeout.ms` for its node to be ready, and what is left of that for its answer. A
//! node that cannot be connected to fails what waits for it.

use ktrial_sim::{Duration, Time};

use super::background::Background;
use crate::client::{Completed, Environment, Node, Outcome};
use crate::ids::ServerId;
use crate::protocol::Request;
use crate::reader::core::Token;

/// `UnsentRequest`; without a node any broker will do.
#[derive(Debug)]
struct Unsent {
    node: Option<Node>,
    token: Token,
    request: Request,
    /// By the wall clock.
    deadline: Time,
}

/// Requests that wait for their nodes.
#[derive(Debug, Default)]
pub(super) struct Delegate {
    unsent: Vec<Unsent>,
}

/// How a request ended.
#[derive(Debug)]
pub(super) enum Ended {
    Outcome(Outcome),
    /// TimeoutException: it was never sent.
    Expired,
}

impl Background {
    pub(super) fn add(&mut self, node: Option<Node>, token: Token, request: Request, now: Time) {
        self.delegate.unsent.push(Unsent {
            node,
            token,
            request,
            deadline: now + self.core.client.request_timeout,
        });
    }

    /// Takes over what the parts that consumers share have made.
    pub(super) fn add_shared(&mut self, now: Time) {
        for unsent in self.core.take_unsent() {
            self.add(Some(unsent.node), unsent.token, unsent.request, now);
        }
    }

    /// `hasAnyPendingRequests`.
    pub(super) fn has_pending_requests(&self) -> bool {
        !self.delegate.unsent.is_empty() || self.core.network.in_flight() > 0
    }

    /// `poll` up to the select: how long that may last.
    pub(super) fn before_select(&mut self, most: Duration, environment: &mut impl Environment) -> Duration {
        let now = environment.wall();
        self.try_send(now, environment);
        let wait = match self.delegate.unsent.is_empty() {
            true => most,
            false => most.min(self.core.client.retry_backoff),
        };
        let core = &mut self.core;
        core.network
            .before_select(Some(wait), &mut core.metadata, now, environment)
    }

    fn try_send(&mut self, now: Time, environment: &mut impl Environment) {
        let waiting = std::mem::take(&mut self.delegate.unsent);
        for unsent in waiting {
            if now >= unsent.deadline {
                self.ended(unsent.token, unsent.node, Ended::Expired, environment);
                continue;
            }
            let core = &mut self.core;
            let any = |core: &mut crate::reader::core::Core, environment: &mut _| {
                core.network.least_loaded_node(&core.metadata, now, environment)
            };
            let node = unsent.node.or_else(|| any(core, environment));
            let ready = node.filter(|node| {
                !core.network.is_unavailable(*node, now)
                    && core.network.ready(*node, &mut core.metadata, now, environment)
            });
            match ready {
                Some(node) => {
                    let rest = unsent.deadline.since(now);
                    core.network
                        .send_within(rest, node, unsent.token, unsent.request, now, environment);
                    if let Token::Group(number) = unsent.token {
                        self.group_request_sent(number, now);
                    }
                }
                None => self.delegate.unsent.push(unsent),
            }
        }
    }

    /// What follows the select: answers, then requests whose nodes cannot be connected to.
    pub(super) fn after_select(&mut self, closing: bool, environment: &mut impl Environment) {
        let core = &mut self.core;
        let mut completed = core
            .network
            .after_select(&mut core.inbox, &mut core.metadata, environment);
        for Completed { token, node, outcome } in completed.drain(..) {
            self.ended(token, Some(node), Ended::Outcome(outcome), environment);
        }
        self.core.network.recycle(completed);
        let mut index = 0;
        while let Some(unsent) = self.delegate.unsent.get(index) {
            let network = &self.core.network;
            let failed = unsent
                .node
                .map_or(closing, |node| network.connection_failed(node));
            if failed {
                let Unsent { node, token, .. } = self.delegate.unsent.remove(index);
                let lost = Ended::Outcome(Outcome::Disconnected);
                self.ended(token, node, lost, environment);
            } else {
                index += 1;
            }
        }
    }

    fn ended(&mut self, token: Token, node: Option<Node>, ended: Ended, environment: &mut impl Environment) {
        self.hand_over.activity += 1;
        let number = match token {
            Token::Group(number) => return self.group_request_ended(number, ended, environment),
            Token::ListOffsets(number) => Some(number),
            Token::Fetch | Token::OffsetForLeaderEpoch(_) => None,
        };
        let outcome = match ended {
            Ended::Outcome(outcome) => outcome,
            Ended::Expired => Outcome::Disconnected,
        };
        let buffered = self.core.buffer.len();
        let server = node.map_or(ServerId(0), Node::server);
        self.core.ended(token, server, outcome, environment);
        if self.core.buffer.len() > buffered {
            self.hand_over.buffer_wakeup = Some(super::events::BufferWakeup::Data);
        }
        if let Some(number) = number {
            self.list_offsets_ended(number);
        }
    }
}
