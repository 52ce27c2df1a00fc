//! A node as a client sees it: `ClusterConnectionStates` and `InFlightRequests`.

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Duration, Message as _, Time};

use super::network_client::Limits;
use super::{ClientSettings, Environment};
use crate::ids::ServerId;
use crate::kafka::site;
use crate::protocol::{Correlation, Message};

/// Whom a client talks to. A bootstrap server is another node than the broker behind it, with its own connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A broker by its id.
    Broker(ServerId),
    /// An entry of `bootstrap.servers` and the server behind it.
    Bootstrap(u8, ServerId),
    /// A broker as the coordinator of a group: heartbeats and commits do not queue behind fetches.
    Coordinator(ServerId),
}

impl Node {
    /// The server behind it.
    pub fn server(self) -> ServerId {
        match self {
            Node::Broker(server) | Node::Bootstrap(_, server) | Node::Coordinator(server) => server,
        }
    }

    fn name(self) -> u64 {
        match self {
            Node::Broker(server) => u64::from(server.0),
            Node::Bootstrap(number, _) => 0x8000 | u64::from(number),
            Node::Coordinator(server) => 0x1_0000 | u64::from(server.0),
        }
    }
}

/// How far a connection is (`ConnectionState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// The handshake is under way.
    Connecting,
    /// Connected; ApiVersions is asked.
    CheckingApiVersions,
    /// Requests can be sent.
    Ready,
    /// Lost.
    Disconnected,
}

/// A request without answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight<T> {
    pub(super) correlation: Correlation,
    pub(super) what: What<T>,
    /// By the wall clock.
    pub(super) sent: Time,
    pub(super) timeout: Duration,
    pub(super) expects_response: bool,
    /// All of it is in the socket: noticed by the poll after the send.
    pub(super) written: bool,
}

impl<T> InFlight<T> {
    /// A request sent now, not numbered yet, that is to be answered within `timeout`.
    pub(super) fn new(what: What<T>, now: Time, timeout: Duration) -> Self {
        InFlight {
            correlation: Correlation(0),
            what,
            sent: now,
            timeout,
            expects_response: true,
            written: false,
        }
    }

    /// It is late when the wall clock has gone past this.
    pub(super) fn late_after(&self) -> Time {
        self.sent + self.timeout
    }
}

/// Which request.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<T> {
    /// The handshake's.
    ApiVersions,
    /// The client's own.
    Metadata,
    /// One of the layer above.
    Request(T),
}

/// One node.
#[derive(Debug)]
pub(super) struct NodeConnection<T> {
    pub(super) node: Node,
    pub(super) state: ConnectionState,
    pub(super) connection: Option<ConnectionId>,
    /// Oldest first.
    pub(super) in_flight: VecDeque<InFlight<T>>,
    /// The newest of them, if the socket has not taken it yet (`KafkaChannel.send`).
    unsent: Option<Message>,
    /// Last attempt or disconnection, by the wall clock.
    pub(super) last_attempt: Time,
    failures: u32,
    connect_failures: u32,
    reconnect_backoff: Duration,
    setup_timeout: Duration,
    /// By the monotonic clock.
    pub(super) last_traffic: Time,
    draws: u64,
}

impl<T: Copy> NodeConnection<T> {
    /// Starts connecting for the first time.
    pub(super) fn connect(node: Node, settings: &ClientSettings, environment: &mut impl Environment) -> Self {
        let mut own = NodeConnection {
            node,
            state: ConnectionState::Disconnected,
            connection: None,
            in_flight: VecDeque::new(),
            unsent: None,
            last_attempt: Time::ZERO,
            failures: 0,
            connect_failures: 0,
            reconnect_backoff: Duration::ZERO,
            setup_timeout: Duration::ZERO,
            last_traffic: Time::ZERO,
            draws: 0,
        };
        own.draw_setup_timeout(settings, environment);
        own.reconnect(environment);
        own
    }

    /// Starts connecting.
    pub(super) fn reconnect(&mut self, environment: &mut impl Environment) {
        self.state = ConnectionState::Connecting;
        self.last_attempt = environment.wall();
        self.last_traffic = environment.monotonic();
        self.connection = Some(environment.connect(self.node.server()));
    }

    /// Hands a message to the socket, which takes it or, if it is full, lets it wait for room
    /// (`KafkaChannel.setSend`).
    pub(super) fn set_send(
        &mut self,
        message: Message,
        settings: &ClientSettings,
        environment: &mut impl Environment,
    ) {
        assert!(self.unsent.is_none(), "what follows waits for what does not fit");
        let connection = self.connection.expect("a ready node has a connection");
        let fits = settings.send_buffer.is_none_or(|buffer| {
            let room = environment.room(connection, buffer);
            // What is larger than the buffer goes through it in pieces.
            room == buffer || u64::from(message.bytes()) <= room
        });
        if fits {
            environment.send(connection, message);
        } else {
            self.unsent = Some(message);
            environment.await_room(connection);
        }
    }

    /// Whether all that was to be sent is in the socket, now that this has been tried again (`KafkaChannel.write`).
    pub(super) fn write(&mut self, settings: &ClientSettings, environment: &mut impl Environment) -> bool {
        if let Some(message) = self.unsent.take() {
            self.set_send(message, settings, environment);
        }
        self.unsent.is_none()
    }

    fn draw_name(&mut self) -> u64 {
        self.draws += 1;
        self.node.name() << 40 | self.draws
    }

    fn draw_setup_timeout(&mut self, settings: &ClientSettings, environment: &mut impl Environment) {
        let name = self.draw_name();
        self.setup_timeout = settings
            .setup
            .draw(self.connect_failures, site::RECONNECT, name, environment);
    }

    /// The connection is gone, or given up (`ClusterConnectionStates.disconnected`).
    pub(super) fn disconnected(
        &mut self,
        now: Time,
        settings: &ClientSettings,
        environment: &mut impl Environment,
    ) {
        self.last_attempt = now;
        let name = self.draw_name();
        self.reconnect_backoff = settings
            .reconnect
            .draw(self.failures, site::RECONNECT, name, environment);
        self.failures += 1;
        if self.state == ConnectionState::Connecting {
            self.connect_failures += 1;
        } else {
            self.connect_failures = 0;
        }
        self.draw_setup_timeout(settings, environment);
        self.state = ConnectionState::Disconnected;
        self.connection = None;
        self.unsent = None;
    }

    /// Versions are known: requests can be sent, failures are forgotten.
    pub(super) fn ready(&mut self) {
        self.state = ConnectionState::Ready;
        self.failures = 0;
        self.connect_failures = 0;
    }

    /// Whether a back-off forbids nothing and no connection is there.
    pub(super) fn can_connect(&self, now: Time) -> bool {
        self.state == ConnectionState::Disconnected && now.since(self.last_attempt) >= self.reconnect_backoff
    }

    /// Whether a request can be sent (`NetworkClient.canSendRequest`).
    pub(super) fn can_send(&self, settings: &ClientSettings) -> bool {
        self.state == ConnectionState::Ready && self.can_send_more(settings)
    }

    /// `InFlightRequests.canSendMore`.
    pub(super) fn can_send_more(&self, settings: &ClientSettings) -> bool {
        self.in_flight
            .back()
            .is_none_or(|newest| newest.written && self.in_flight.len() < settings.max_in_flight)
    }

    /// How long until connecting is possible or given up; nothing if only the network can change something.
    pub(super) fn delay(&self, now: Time) -> Option<Duration> {
        match self.state {
            ConnectionState::Connecting => Some(self.setup_timeout.saturating_add(Duration::millis(1))),
            ConnectionState::Disconnected => Some(
                self.reconnect_backoff
                    .saturating_sub(now.since(self.last_attempt)),
            ),
            ConnectionState::CheckingApiVersions | ConnectionState::Ready => None,
        }
    }

    /// When something of it will have taken too long.
    pub(super) fn limits(&self, settings: &ClientSettings) -> Limits {
        let requests = self.in_flight.iter().map(InFlight::late_after);
        let handshake = match self.state {
            ConnectionState::Connecting => self.last_attempt + self.setup_timeout,
            _ => Time::NEVER,
        };
        let idle = settings.max_idle.filter(|_| self.connection.is_some());
        Limits {
            wall: requests.fold(handshake, Time::min),
            monotonic: idle.map_or(Time::NEVER, |longest| self.last_traffic + longest),
        }
    }

    /// Whether nothing has come or gone for longer than `limit`.
    pub(super) fn is_idle(&self, monotonic: Time, limit: Duration) -> bool {
        self.connection.is_some() && monotonic.since(self.last_traffic) > limit
    }

    /// Whether the handshake has taken too long.
    pub(super) fn setup_timed_out(&self, now: Time) -> bool {
        self.state == ConnectionState::Connecting && now.since(self.last_attempt) > self.setup_timeout
    }

    /// Whether some request has waited too long.
    pub(super) fn request_timed_out(&self, now: Time) -> bool {
        self.in_flight.iter().any(|request| now > request.late_after())
    }
}
