//! The way to the other voters: who may be asked when (`RequestManager`), and the thread that sends
//! (`KafkaNetworkChannel`, `InterBrokerSendThread`).
//!
//! The two are apart, as in Kafka: a change of state makes every voter ready to be asked again
//! (`resetConnections`) although an older request may still be in flight; the new one then waits for the
//! connection, and the older answer is thrown away when it comes.

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Context, Duration, Time};

use crate::ids::ServerId;
use crate::kafka::Kafka;
use crate::protocol::{CONTROLLER_PORT, Channel, ChannelSettings, Correlation, Lost, Request};
use crate::raft::timer::wall;

/// Names a request of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestNumber(u32);

/// What the request manager thinks of a voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchange {
    Ready,
    AwaitingResponse { number: RequestNumber, since: Time },
    BackingOff { since: Time },
}

struct Unsent {
    number: RequestNumber,
    created: Time,
    request: Request,
}

struct Peer {
    server: ServerId,
    exchange: Exchange,
    channel: Channel,
    in_flight: Option<RequestNumber>,
    unsent: VecDeque<Unsent>,
}

/// The other voters, in order of their id.
pub(super) struct Peers {
    peers: Vec<Peer>,
    retry_backoff: Duration,
    request_timeout: Duration,
    next: u32,
}

impl Peers {
    pub(super) fn new(retry_backoff: Duration, request_timeout: Duration) -> Self {
        Peers {
            peers: Vec::new(),
            retry_backoff,
            request_timeout,
            next: 0,
        }
    }

    /// The process starts: no connection to anybody.
    pub(super) fn start(
        &mut self,
        servers: impl Iterator<Item = ServerId>,
        setup_timeout: (Duration, Duration),
        context: &mut Context<'_, Kafka>,
    ) {
        let settings = ChannelSettings {
            request_timeout: self.request_timeout,
            reconnect_backoff: Duration::millis(50),
            reconnect_backoff_max: Duration::millis(500),
            setup_timeout: setup_timeout.0,
            setup_timeout_max: setup_timeout.1,
            ..ChannelSettings::default()
        };
        self.peers.clear();
        for server in servers {
            let mut channel = Channel::new(CONTROLLER_PORT, settings);
            channel.turn_to(Some(server), context);
            self.peers.push(Peer {
                server,
                exchange: Exchange::Ready,
                channel,
                in_flight: None,
                unsent: VecDeque::new(),
            });
        }
    }

    fn peer(&mut self, server: ServerId) -> &mut Peer {
        let peer = self.peers.iter_mut().find(|peer| peer.server == server);
        peer.expect("only voters are asked")
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// The voter at a place among the others.
    pub(super) fn server(&self, place: usize) -> ServerId {
        self.peers[place].server
    }

    // The request manager: which voter may be asked now. Compares readings of the wall clock.

    /// Forgets what is under way with everybody.
    pub(super) fn reset_all(&mut self) {
        for peer in &mut self.peers {
            peer.exchange = Exchange::Ready;
        }
    }

    /// Whether a voter is of no use for now: its answer is late, which is forgotten, or it is left alone for a while.
    pub(super) fn is_out_of_reach(&mut self, server: ServerId, now: Time) -> bool {
        let (backoff, timeout) = (self.retry_backoff, self.request_timeout);
        let peer = self.peer(server);
        match peer.exchange {
            Exchange::Ready => false,
            Exchange::AwaitingResponse { since, .. } => {
                let late = now >= since + timeout;
                if late {
                    peer.exchange = Exchange::Ready;
                }
                late
            }
            Exchange::BackingOff { since } => now < since + backoff,
        }
    }

    /// How long until a voter may be asked again.
    pub(super) fn wait(&mut self, server: ServerId, now: Time) -> Duration {
        let (backoff, timeout) = (self.retry_backoff, self.request_timeout);
        match self.peer(server).exchange {
            Exchange::Ready => Duration::ZERO,
            Exchange::AwaitingResponse { since, .. } => (since + timeout).since(now),
            Exchange::BackingOff { since } => (since + backoff).since(now),
        }
    }

    /// Forgets what has taken too long or been waited for long enough. If an answer of anybody is still waited for:
    /// how much longer, for the first of them.
    pub(super) fn in_flight(&mut self, now: Time) -> Option<Duration> {
        let (backoff, timeout) = (self.retry_backoff, self.request_timeout);
        let mut first = None;
        for peer in &mut self.peers {
            let past = match peer.exchange {
                Exchange::Ready => false,
                Exchange::BackingOff { since } => now >= since + backoff,
                Exchange::AwaitingResponse { since, .. } => {
                    let left = (since + timeout).since(now);
                    if left > Duration::ZERO && first.is_none() {
                        first = Some(left);
                    }
                    left == Duration::ZERO
                }
            };
            if past {
                peer.exchange = Exchange::Ready;
            }
        }
        first
    }

    /// How long until somebody can be asked, whoever it is, if nobody's answer is waited for
    /// (`backoffBeforeAvailableBootstrapServer`).
    pub(super) fn wait_for_any(&self, now: Time) -> Duration {
        let mut least = self.retry_backoff;
        for peer in &self.peers {
            match peer.exchange {
                Exchange::BackingOff { since } => {
                    least = least.min((since + self.retry_backoff).since(now));
                }
                Exchange::Ready | Exchange::AwaitingResponse { .. } => return Duration::ZERO,
            }
        }
        least
    }

    /// Hands a request to the thread that sends; how long its answer may take.
    pub(super) fn ask(
        &mut self,
        server: ServerId,
        request: Request,
        now: Time,
        context: &mut Context<'_, Kafka>,
    ) -> Duration {
        let number = RequestNumber(self.next);
        self.next += 1;
        let peer = self.peer(server);
        peer.exchange = Exchange::AwaitingResponse { number, since: now };
        if peer.unsent.is_empty() && peer.channel.is_ready() {
            peer.channel.send(request, context);
            peer.in_flight = Some(number);
        } else {
            peer.unsent.push_back(Unsent {
                number,
                created: now,
                request,
            });
        }
        self.request_timeout
    }

    /// Whether the answer to a request is still wanted.
    pub(super) fn is_expected(&mut self, server: ServerId, number: RequestNumber) -> bool {
        matches!(self.peer(server).exchange, Exchange::AwaitingResponse { number: own, .. } if own == number)
    }

    /// The answer to a request has been dealt with; without success the next one waits for the back-off.
    pub(super) fn settle(&mut self, server: ServerId, number: RequestNumber, success: bool, now: Time) {
        if self.is_expected(server, number) {
            self.peer(server).exchange = if success {
                Exchange::Ready
            } else {
                Exchange::BackingOff { since: now }
            };
        }
    }

    // The thread that sends.

    pub(super) fn owns(&self, connection: ConnectionId) -> bool {
        self.peers.iter().any(|peer| peer.channel.owns(connection))
    }

    pub(super) fn connected(&mut self, connection: ConnectionId) -> bool {
        self.peers
            .iter_mut()
            .any(|peer| peer.channel.connected(connection))
    }

    /// A connection is gone, with what was in flight or waited for it.
    pub(super) fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool {
        let now = wall(context);
        for peer in &mut self.peers {
            if let Some(lost) = peer.channel.closed(connection, context) {
                peer.lose(lost, now);
                return true;
            }
        }
        false
    }

    /// A response has come; whose and to which request.
    pub(super) fn answered(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
    ) -> Option<(ServerId, RequestNumber)> {
        let mut peers = self.peers.iter_mut();
        let peer = peers.find(|peer| peer.channel.owns(connection))?;
        if !peer.channel.answered(connection, correlation) {
            return None;
        }
        Some((peer.server, peer.in_flight.take()?))
    }

    /// Gives up what is late and sends what can be sent. Whether a request failed.
    pub(super) fn work(&mut self, context: &mut Context<'_, Kafka>) -> bool {
        let (now, timeout) = (wall(context), self.request_timeout);
        let mut failed = false;
        for peer in &mut self.peers {
            let under_way = peer.is_under_way();
            if !under_way && peer.unsent.is_empty() {
                continue;
            }
            if under_way && let Some(lost) = peer.channel.expire(context) {
                failed |= peer.lose(lost, now);
            }
            while let Some(first) = peer.unsent.front() {
                if now.since(first.created) > timeout {
                    failed |= peer.fail_first(now);
                } else if peer.channel.is_waiting() {
                    break;
                } else if peer.channel.prepare(context) {
                    let first = peer.unsent.pop_front().expect("it was looked at");
                    peer.channel.send(first.request, context);
                    peer.in_flight = Some(first.number);
                } else if peer.channel.is_connecting() {
                    break;
                } else {
                    // `checkDisconnects`: nothing waits for a connection that is backing off.
                    failed |= peer.fail_first(now);
                }
            }
        }
        failed
    }

    /// How long until [`Peers::work`] has something to do.
    pub(super) fn next_wait(&self, context: &Context<'_, Kafka>) -> Duration {
        let now = wall(context);
        let mut least = Duration::FOREVER;
        for peer in &self.peers {
            if let Some(first) = peer.unsent.front() {
                least = least.min(
                    (first.created + self.request_timeout)
                        .since(now)
                        .saturating_add(Duration::millis(1)),
                );
            }
            if peer.is_under_way()
                && let Some(wait) = peer.channel.next_wait(context)
            {
                least = least.min(wait);
            }
        }
        least
    }
}

impl Peer {
    /// Whether the network owes an answer, to a request or to a handshake.
    fn is_under_way(&self) -> bool {
        self.channel.is_waiting() || self.channel.is_connecting()
    }

    fn fail(&mut self, number: RequestNumber, now: Time) -> bool {
        let expected =
            matches!(self.exchange, Exchange::AwaitingResponse { number: own, .. } if own == number);
        if expected {
            self.exchange = Exchange::BackingOff { since: now };
        }
        expected
    }

    fn fail_first(&mut self, now: Time) -> bool {
        let first = self.unsent.pop_front();
        first.is_some_and(|first| self.fail(first.number, now))
    }

    fn lose(&mut self, _: Lost, now: Time) -> bool {
        let mut failed = false;
        if let Some(number) = self.in_flight.take() {
            failed |= self.fail(number, now);
        }
        while !self.unsent.is_empty() {
            failed |= self.fail_first(now);
        }
        failed
    }
}
