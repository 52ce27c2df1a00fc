//! One server's connection to another: at most one request in flight, reconnecting with back-off.
//!
//! This is what `NetworkClient` with `max.in.flight.requests.per.connection = 1` gives to the senders inside a
//! server: Raft peers (`KafkaNetworkChannel`), the broker's channels to the controller
//! (`NodeToControllerRequestThread`), replica fetchers (`BrokerBlockingSender`).

use ktrial_sim::{ConnectionId, Context, Duration, Identity, Port, Site, Time};

use crate::ids::ServerId;
use crate::kafka::{Kafka, site};
use crate::protocol::{Correlation, Message, Request};

/// Tells draws for handshakes from those for pauses between connections.
const HANDSHAKE: u64 = 1 << 63;

/// Timers of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// A request without answer for longer closes the connection. Read on the wall clock (`NetworkClient`).
    pub request_timeout: Duration,
    /// The wait after a connection failed; doubles up to the maximum (`ClusterConnectionStates`). Wall clock.
    pub reconnect_backoff: Duration,
    /// The longest such wait.
    pub reconnect_backoff_max: Duration,
    /// A first handshake that takes longer is given up (`socket.connection.setup.timeout.ms`); the time doubles with
    /// each handshake that failed before. Wall clock.
    pub setup_timeout: Duration,
    /// The longest such time (`socket.connection.setup.timeout.max.ms`).
    pub setup_timeout_max: Duration,
    /// Where the draw for jitter belongs.
    pub site: Site,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection; a new one may be tried so long after this time.
    Disconnected(Time, Duration),
    Connecting {
        connection: ConnectionId,
        since: Time,
        /// How long it may take.
        patience: Duration,
    },
    Ready(ConnectionId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InFlight {
    correlation: Correlation,
    sent: Time,
}

/// What a closed connection takes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The request that will get no answer.
    pub in_flight: Option<Correlation>,
}

/// A connection to one server.
#[derive(Clone, Debug)]
pub struct Channel {
    settings: ChannelSettings,
    port: Port,
    target: Option<ServerId>,
    state: State,
    in_flight: Option<InFlight>,
    /// If an answer is owed, to a request or to a handshake: when [`Channel::expire`] certainly gives it up, on the wall
    /// clock. It may do so a millisecond earlier.
    late: Option<Time>,
    next_correlation: u32,
    failures: u32,
    /// Handshakes that failed, one after the other.
    failed_handshakes: u32,
    attempts: u64,
}

impl Channel {
    /// A channel to nobody yet.
    pub fn new(port: Port, settings: ChannelSettings) -> Self {
        Channel {
            settings,
            port,
            target: None,
            state: State::Disconnected(Time::ZERO, Duration::ZERO),
            in_flight: None,
            late: None,
            next_correlation: 0,
            failures: 0,
            failed_handshakes: 0,
            attempts: 0,
        }
    }

    /// Whom it is for.
    pub fn target(&self) -> Option<ServerId> {
        self.target
    }

    /// Turns to another server (or none). What was in flight to the one before is lost.
    pub fn turn_to(&mut self, target: Option<ServerId>, context: &mut Context<'_, Kafka>) -> Lost {
        if target == self.target {
            return Lost { in_flight: None };
        }
        let lost = self.close(context);
        self.target = target;
        self.forget_failures();
        lost
    }

    /// The next connection is like the first (`NetworkClient.close` of a node).
    pub fn forget_failures(&mut self) {
        self.failures = 0;
        self.failed_handshakes = 0;
        if let State::Disconnected(..) = self.state {
            self.state = State::Disconnected(Time::ZERO, Duration::ZERO);
        }
    }

    /// Whether a request can be sent now.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_)) && self.in_flight.is_none()
    }

    /// Whether a request waits for its answer.
    pub fn is_waiting(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether a handshake is under way.
    pub fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. })
    }

    /// Whether there is no connection, and none is being made.
    pub fn is_disconnected(&self) -> bool {
        matches!(self.state, State::Disconnected(..))
    }

    /// Whether the connection is this channel's.
    pub fn owns(&self, connection: ConnectionId) -> bool {
        match self.state {
            State::Connecting { connection: own, .. } | State::Ready(own) => own == connection,
            State::Disconnected(..) => false,
        }
    }

    /// Starts connecting unless connected, connecting or backing off. Returns whether a request can be sent now.
    pub fn prepare(&mut self, context: &mut Context<'_, Kafka>) -> bool {
        if let (State::Disconnected(since, backoff), Some(target)) = (self.state, self.target)
            && context.wall().since(since) >= backoff
        {
            let connection = context.connect(target.node(), self.port);
            self.attempts += 1;
            let (first, most) = (self.settings.setup_timeout, self.settings.setup_timeout_max);
            let patience = self.doubling(first, most, self.failed_handshakes, HANDSHAKE, context);
            self.state = State::Connecting {
                connection,
                since: context.wall(),
                patience,
            };
            self.is_owed_within(patience, context);
        }
        self.is_ready()
    }

    /// Sends a request; the channel must be ready. The answer comes with the returned correlation id.
    #[inline(always)]
    pub fn send(&mut self, request: Request, context: &mut Context<'_, Kafka>) -> Correlation {
        let State::Ready(connection) = self.state else {
            panic!("requests go over a ready channel")
        };
        assert!(self.in_flight.is_none(), "one request in flight");
        let correlation = Correlation(self.next_correlation);
        self.next_correlation += 1;
        self.in_flight = Some(InFlight {
            correlation,
            sent: context.wall(),
        });
        self.is_owed_within(self.settings.request_timeout, context);
        context.send(connection, Message::Request(correlation, request));
        correlation
    }

    #[inline]
    fn is_owed_within(&mut self, patience: Duration, context: &Context<'_, Kafka>) {
        self.late = Some(context.wall() + patience.saturating_add(Duration::millis(1)));
    }

    /// The connection is up. False if it is not this channel's.
    pub fn connected(&mut self, connection: ConnectionId) -> bool {
        match self.state {
            State::Connecting { connection: own, .. } if own == connection => {
                self.state = State::Ready(connection);
                self.late = None;
                self.failures = 0;
                self.failed_handshakes = 0;
                true
            }
            _ => false,
        }
    }

    /// The connection is gone: back-off begins. None if it is not this channel's.
    pub fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> Option<Lost> {
        self.owns(connection).then(|| self.lose(context))
    }

    /// A response arrived. False if nothing was in flight for it.
    pub fn answered(&mut self, connection: ConnectionId, correlation: Correlation) -> bool {
        let expected = self.owns(connection)
            && self
                .in_flight
                .is_some_and(|waiting| waiting.correlation == correlation);
        if expected {
            self.in_flight = None;
            self.late = None;
        }
        expected
    }

    /// Gives up what has taken too long, by closing the connection.
    #[inline]
    pub fn expire(&mut self, context: &mut Context<'_, Kafka>) -> Option<Lost> {
        let late = match (self.state, self.in_flight) {
            (State::Connecting { since, patience, .. }, _) => context.wall().since(since) > patience,
            (State::Ready(_), Some(waiting)) => {
                context.wall().since(waiting.sent) > self.settings.request_timeout
            }
            _ => false,
        };
        late.then(|| self.close(context))
    }

    /// If an answer is owed, to a request or to a handshake: how long until [`Channel::expire`] certainly gives it up.
    /// It may do so a millisecond earlier.
    #[inline]
    pub fn late_in(&self, context: &Context<'_, Kafka>) -> Option<Duration> {
        self.late.map(|late| late.since(context.wall()))
    }

    /// How long until [`Channel::expire`] or [`Channel::prepare`] has something to do.
    pub fn next_wait(&self, context: &Context<'_, Kafka>) -> Option<Duration> {
        match self.state {
            State::Disconnected(since, backoff) => {
                self.target.map(|_| (since + backoff).since(context.wall()))
            }
            _ => self.late_in(context),
        }
    }

    /// Closes the connection from this side; back-off begins.
    pub fn close(&mut self, context: &mut Context<'_, Kafka>) -> Lost {
        match self.state {
            State::Connecting { connection, .. } | State::Ready(connection) => {
                context.close(connection);
                self.lose(context)
            }
            State::Disconnected(..) => Lost { in_flight: None },
        }
    }

    fn lose(&mut self, context: &mut Context<'_, Kafka>) -> Lost {
        self.late = None;
        let in_flight = self.in_flight.take().map(|waiting| waiting.correlation);
        self.failed_handshakes = match self.state {
            State::Connecting { .. } => self.failed_handshakes + 1,
            _ => 0,
        };
        let (first, most) = (
            self.settings.reconnect_backoff,
            self.settings.reconnect_backoff_max,
        );
        let backoff = self.doubling(first, most, self.failures, 0, context);
        self.failures += 1;
        self.state = State::Disconnected(context.wall(), backoff);
        Lost { in_flight }
    }

    /// `ExponentialBackoff`: doubles with each failure, a fifth more or less; constant if it cannot grow.
    fn doubling(
        &self,
        first: Duration,
        most: Duration,
        failures: u32,
        what: u64,
        context: &mut Context<'_, Kafka>,
    ) -> Duration {
        if first >= most {
            return first.min(most);
        }
        let term = first.saturating_mul(1 << failures.min(20)).min(most).0;
        let target = self.target.map_or(0, |target| u64::from(target.0));
        let who = Identity(
            target << 32 | u64::from(context.incarnation()),
            what | self.attempts,
        );
        let jitter = context.draw_below(self.settings.site, who, term * 2 / 5 + 1);
        Duration((term - term / 5 + jitter).min(most.0))
    }
}

impl Default for ChannelSettings {
    /// 30 s for a request, 50 ms to 1 s between connections, 10 s to 30 s for a handshake.
    fn default() -> Self {
        ChannelSettings {
            request_timeout: Duration::secs(30),
            reconnect_backoff: Duration::millis(50),
            reconnect_backoff_max: Duration::secs(1),
            setup_timeout: Duration::secs(10),
            setup_timeout_max: Duration::secs(30),
            site: site::RECONNECT,
        }
    }
}
