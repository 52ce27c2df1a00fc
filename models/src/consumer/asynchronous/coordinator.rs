//! Where the group's coordinator is: `CoordinatorRequestManager`.
//!
//! As long as it is unknown somebody is asked, whether or not anybody needs it. An answer without a coordinator is
//! followed by another question after a back-off; a fatal one is thrown by `poll`, and it goes on.

use ktrial_sim::{Duration, Time};

use super::background::Background;
use super::events::BackgroundEvent;
use super::request_state::RequestState;
use super::requests::What;
use crate::client::{Environment, Node, is_retriable};
use crate::consumer::exception::Exception;
use crate::ids::ServerId;
use crate::protocol::{CoordinatorKey, Request};

/// The coordinator, if it is known.
#[derive(Debug, Default)]
pub(super) struct Coordinator {
    server: Option<ServerId>,
    request: RequestState,
    /// The consumer is closing: nobody asks any more.
    pub(super) closing: bool,
    /// The last answer says that asking is in vain.
    pub(super) fatal: Option<Exception>,
}

impl Coordinator {
    /// Its connection of its own: heartbeats and commits do not queue behind fetches.
    pub(super) fn node(&self) -> Option<Node> {
        self.server.map(Node::Coordinator)
    }

    /// `markCoordinatorUnknown`: what is on its way to it stays on its way.
    pub(super) fn forget(&mut self) {
        self.server = None;
    }

    /// `handleCoordinatorDisconnect`.
    pub(super) fn disconnected(&mut self, exception: Exception) {
        if exception == Exception::Disconnected {
            self.forget();
        }
    }
}

impl Background {
    pub(super) fn poll_coordinator(&mut self, now: Time) -> Duration {
        let coordinator = &mut self.coordinator;
        if coordinator.closing || coordinator.server.is_some() || coordinator.request.in_flight() {
            return Duration::FOREVER;
        }
        if !coordinator.request.can_send(now) {
            return coordinator.request.remaining_backoff(now);
        }
        coordinator.request.sent();
        let request = Request::FindCoordinator(CoordinatorKey::Group(self.specification.group));
        self.send(None, What::FindCoordinator, request, now);
        Duration::FOREVER
    }

    pub(super) fn found_coordinator(
        &mut self,
        found: Result<ServerId, Exception>,
        environment: &mut impl Environment,
    ) {
        let now = environment.wall();
        let coordinator = &mut self.coordinator;
        coordinator.fatal = None;
        match found {
            Ok(server) => {
                coordinator.server = Some(server);
                coordinator
                    .request
                    .succeeded(now, &mut self.backoffs, environment);
            }
            Err(exception) => {
                coordinator.request.failed(now, &mut self.backoffs, environment);
                coordinator.forget();
                let retriable = match exception {
                    Exception::Error(error) => is_retriable(error),
                    exception => exception.is_retriable(),
                };
                coordinator.fatal = (!retriable).then_some(exception);
            }
        }
    }

    /// `maybePropagateCoordinatorFatalErrorEvent`.
    pub(super) fn tell_fatal_lookup(&mut self) {
        if let Some(exception) = self.coordinator.fatal.take() {
            self.hand_over.tell_application(BackgroundEvent::Error(exception));
        }
    }
}
