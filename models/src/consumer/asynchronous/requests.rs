//! Requests of the group that are on their way, and who gets their answers.

use ktrial_sim::Time;

use super::background::Background;
use super::commits::CommitRequest;
use super::committed::OffsetFetch;
use super::network::Ended;
use crate::client::{Environment, Node, Outcome};
use crate::consumer::exception::Exception;
use crate::notes::ClientNote;
use crate::protocol::{Request, Response};
use crate::reader::core::Token;

/// A request of the group that is on its way.
#[derive(Debug)]
pub(super) enum What {
    FindCoordinator,
    Heartbeat,
    /// Nobody waits for its answer: the member has left because the application did not poll.
    LastHeartbeat,
    OffsetCommit(Box<CommitRequest>),
    OffsetFetch(Box<OffsetFetch>),
}

/// The same with its time.
#[derive(Debug)]
pub(super) struct OnItsWay {
    what: What,
    /// When its node took it, or at first when it was made, by the wall clock: waiting for a connection is no part of a
    /// request's latency here.
    created: Time,
}

impl Background {
    pub(super) fn send_to_coordinator(&mut self, what: What, request: Request, now: Time) {
        let node = self.coordinator.node();
        assert!(node.is_some(), "the coordinator is known");
        self.send(node, what, request, now);
    }

    pub(super) fn send(&mut self, node: Option<Node>, what: What, request: Request, now: Time) {
        let number = self.requests.put(OnItsWay { what, created: now });
        self.add(node, Token::Group(number), request, now);
    }

    /// A request of the group went to its node.
    pub(super) fn group_request_sent(&mut self, number: u32, now: Time) {
        self.requests.get_mut(number).created = now;
    }

    /// A request of the group is over.
    pub(super) fn group_request_ended(
        &mut self,
        number: u32,
        ended: Ended,
        environment: &mut impl Environment,
    ) {
        let OnItsWay { what, created } = self.requests.take(number);
        let answer = match ended {
            Ended::Outcome(Outcome::Response(response)) => Ok(response),
            Ended::Outcome(_) => Err(Exception::Disconnected),
            Ended::Expired => Err(Exception::TimedOut),
        };
        match (what, answer) {
            (What::FindCoordinator, Ok(Response::FindCoordinator(found))) => {
                self.found_coordinator(found.map_err(Exception::Error), environment);
            }
            (What::FindCoordinator, Err(exception)) => self.found_coordinator(Err(exception), environment),
            (What::Heartbeat, Ok(Response::ConsumerGroupHeartbeat(response))) => {
                self.heartbeat_answered(&response, environment);
            }
            (What::Heartbeat, Err(exception)) => self.heartbeat_unanswered(exception, environment),
            (What::LastHeartbeat, _) => {}
            (What::OffsetCommit(request), Ok(Response::OffsetCommit(response))) => {
                let latency = environment.wall().since(created);
                self.tell(ClientNote::CommitAnswered(latency), environment);
                self.commit_answered(*request, &response, environment);
            }
            (What::OffsetCommit(request), Err(exception)) => {
                self.commit_unanswered(*request, exception, environment);
            }
            (What::OffsetFetch(fetch), Ok(Response::OffsetFetch(response))) => {
                self.offset_fetch_answered(*fetch, *response, environment);
            }
            (What::OffsetFetch(fetch), Err(exception)) => {
                self.offset_fetch_failed(*fetch, exception, environment);
            }
            (what, Ok(response)) => panic!("{what:?} was sent, {response:?} came"),
        }
    }
}
