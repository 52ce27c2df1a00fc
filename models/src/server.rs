//! A server's process: the metadata quorum's client, and a controller, a broker, or both (`KafkaRaftServer`).

use std::cell::Cell;
use std::sync::Arc;

use ktrial_sim::{ConnectionId, Context, Duration, Identity, Input};

use crate::broker::Broker;
use crate::controller::Controller;
use crate::ids::ServerId;
use crate::kafka::{Kafka, Signal, alarm, site, slot};
use crate::mutation::Mutation;
use crate::notes::{Note, Phase};
use crate::protocol::{CONTROLLER_PORT, Correlation, Message, Request, Response};
use crate::raft::{Raft, RaftEvent};
use crate::specification::ClusterSpecification;

const PROCESS_STARTED: u32 = alarm::SERVER;

thread_local! {
    /// For [`Mutation::StartUpRemembersOtherTrials`] alone.
    static STARTED_EVER: Cell<u64> = const { Cell::new(0) };
}

/// A server's process.
pub struct Server {
    id: ServerId,
    specification: Arc<ClusterSpecification>,
    raft: Raft,
    controller: Option<Controller>,
    broker: Option<Broker>,
    /// The process has come as far as its `main`.
    started: bool,
    terminating: bool,
    /// A dedicated controller has caught up with the metadata log, as far as it has told.
    caught_up: bool,
}

impl Server {
    /// The server of this id. It does nothing before it is started.
    pub fn new(id: ServerId, specification: Arc<ClusterSpecification>) -> Self {
        let roles = &specification.servers[usize::from(id.0) - 1];
        assert_eq!(roles.id, id, "servers are listed in order of their id");
        Server {
            id,
            raft: Raft::new(id, Arc::clone(&specification)),
            controller: roles
                .controller
                .then(|| Controller::new(id, Arc::clone(&specification))),
            broker: roles.broker.then(|| Broker::new(id, Arc::clone(&specification))),
            started: false,
            terminating: false,
            caught_up: false,
            specification,
        }
    }

    /// The broker in this process.
    pub fn broker(&self) -> Option<&Broker> {
        self.broker.as_ref()
    }

    /// The controller in this process.
    pub fn controller(&self) -> Option<&Controller> {
        self.controller.as_ref()
    }

    /// The metadata quorum as this process knows it.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    pub(crate) fn boot(&mut self, context: &mut Context<'_, Kafka>) {
        self.started = false;
        self.terminating = false;
        self.caught_up = false;
        context.note(Note::Phase(Phase::Starting));
        let (least, most) = self.specification.capacity.process_start;
        let who = Identity(u64::from(self.id.0), u64::from(context.incarnation()));
        let spread = most.saturating_sub(least).0;
        let mut after = Duration(least.0 + context.draw_below(site::PROCESS_START, who, spread + 1));
        if self
            .specification
            .mutations
            .has(Mutation::StartUpRemembersOtherTrials)
        {
            after.0 += STARTED_EVER.replace(STARTED_EVER.get() + 1);
        }
        context.alarm(PROCESS_STARTED, after);
    }

    fn start(&mut self, context: &mut Context<'_, Kafka>) {
        self.started = true;
        if self.broker.is_none() {
            context.note(Note::Phase(Phase::CatchingUp));
        }
        self.raft.start(context);
        if let Some(controller) = &mut self.controller {
            context.listen(CONTROLLER_PORT);
            controller.start(context);
        }
        if let Some(broker) = &mut self.broker {
            broker.start(context);
        }
    }

    pub(crate) fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        if !self.started {
            match input {
                Input::Alarm(PROCESS_STARTED) => self.start(context),
                Input::Signal(Signal::Terminate) => context.exit(),
                _ => return,
            }
        } else {
            self.dispatch(input, context);
        }
        if self.terminating || self.raft.has_events() {
            self.settle(context);
        }
    }

    fn dispatch(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        match input {
            Input::Timer(timer) => match timer.0 {
                number if number >= slot::BROKER => {
                    if let Some(broker) = &mut self.broker {
                        broker.timer(timer, context);
                    }
                }
                number if number >= slot::CONTROLLER => {
                    if let Some(controller) = &mut self.controller {
                        controller.timer(timer, &mut self.raft, context);
                    }
                }
                _ => self.raft.timer(timer, context),
            },
            Input::Alarm(token) => match token & alarm::COMPONENT {
                alarm::RAFT => self.raft.alarm(token, context),
                alarm::CONTROLLER => {
                    if let Some(controller) = &mut self.controller {
                        controller.alarm(token, &mut self.raft, context);
                    }
                }
                alarm::BROKER => {
                    if let Some(broker) = &mut self.broker {
                        broker.alarm(token, context);
                    }
                }
                _ => {}
            },
            Input::Connected(connection) => {
                if !self.raft.connected(connection, context)
                    && let Some(broker) = &mut self.broker
                {
                    broker.connected(connection, context);
                }
            }
            Input::Accepted(connection, port) => {
                if port != CONTROLLER_PORT
                    && let Some(broker) = &mut self.broker
                {
                    broker.accepted(connection, context);
                }
            }
            Input::Closed(connection, closure) => {
                if self.raft.closed(connection, closure, context) {
                    return;
                }
                if let Some(controller) = &mut self.controller {
                    controller.closed(connection);
                }
                if let Some(broker) = &mut self.broker {
                    broker.closed(connection, closure, context);
                }
            }
            Input::Message(connection, Message::Request(correlation, request)) => {
                // SocketServer: nothing more is read from a connection before its request is answered.
                context.mute(connection);
                self.request(connection, correlation, request, context);
            }
            Input::Message(connection, Message::Response(correlation, response)) => {
                if let Some(voter) = self.raft.owner(connection) {
                    self.raft
                        .response(voter, connection, correlation, response, context);
                } else if let Some(broker) = &mut self.broker {
                    broker.response(connection, correlation, response, context);
                }
            }
            Input::Signal(Signal::Terminate) => self.terminate(context),
            Input::Signal(_) | Input::Datagram(..) | Input::Room(_) => {}
        }
    }

    fn request(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        request: Request,
        context: &mut Context<'_, Kafka>,
    ) {
        match request {
            Request::Vote(_)
            | Request::BeginQuorumEpoch(_)
            | Request::EndQuorumEpoch(_)
            | Request::QuorumFetch(_) => {
                self.raft.request(connection, correlation, request, context);
            }
            request if context.port(connection) == CONTROLLER_PORT => {
                let controller = self.controller.as_mut().expect("only controllers listen there");
                controller.request(connection, correlation, request, &mut self.raft, context);
            }
            request => {
                let broker = self.broker.as_mut().expect("only brokers listen there");
                broker.request(connection, correlation, request, context);
            }
        }
    }

    fn terminate(&mut self, context: &mut Context<'_, Kafka>) {
        self.terminating = true;
        if self.broker.is_none() {
            context.note(Note::Phase(Phase::ShuttingDown));
        }
        if let Some(broker) = &mut self.broker {
            broker.terminate(context);
        }
    }

    /// Carries what the quorum brought about to the controller and the broker, and back, until nothing is left.
    fn settle(&mut self, context: &mut Context<'_, Kafka>) {
        // The quorum goes last: a broker in the same process still needs its controller to stop.
        let stopping = self.terminating && self.broker.as_ref().is_none_or(Broker::has_stopped);
        if stopping {
            self.raft.shut_down(context);
        }
        while let Some(event) = self.raft.take_event() {
            if matches!(event, RaftEvent::HighWatermark(_)) && self.broker.is_none() && !self.caught_up {
                self.caught_up = true;
                context.note(Note::Phase(Phase::Running));
            }
            if let Some(controller) = &mut self.controller {
                controller.quorum(event, &mut self.raft, context);
            }
            if let Some(broker) = &mut self.broker {
                match event {
                    RaftEvent::HighWatermark(to) => broker.metadata_committed(to, context),
                    RaftEvent::LeaderChanged(leader) => broker.controller_changed(leader, context),
                    RaftEvent::Leads(_) | RaftEvent::Resigned(_) => {}
                }
            }
        }
        if stopping && self.raft.has_stopped() {
            self.terminating = false;
            context.note(Note::Phase(Phase::Stopped));
            context.exit();
        }
    }
}

/// Answers a request and reads on from its connection. Always inlined, as what sends is: see `Segments::put`.
#[inline(always)]
pub(crate) fn respond(
    connection: ConnectionId,
    correlation: Correlation,
    response: Response,
    context: &mut Context<'_, Kafka>,
) {
    context.send(connection, Message::Response(correlation, response));
    context.unmute(connection);
}
