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

/// One of the other voters, by its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerPlace(usize);

impl PeerPlace {
    /// Its bit in a set of voters.
    pub(super) fn bit(self) -> u64 {
        1 << self.0
    }
}

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

/// What [`Peers::look`] finds.
pub(super) struct Look {
    /// If an answer of anybody is still waited for: how much longer, for the first of them.
    pub(super) in_flight: Option<Duration>,
    /// How long until somebody can be asked, whoever it is, if nobody's answer is waited for
    /// (`backoffBeforeAvailableBootstrapServer`).
    pub(super) wait_for_any: Duration,
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

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// All of them.
    pub(super) fn places(&self) -> impl Iterator<Item = PeerPlace> + use<> {
        (0..self.peers.len()).map(PeerPlace)
    }

    /// Where another voter is.
    pub(super) fn place_of(&self, server: ServerId) -> PeerPlace {
        let place = self.peers.iter().position(|peer| peer.server == server);
        PeerPlace(place.expect("only voters are asked"))
    }

    /// The voter at a place.
    pub(super) fn server(&self, place: PeerPlace) -> ServerId {
        self.peers[place.0].server
    }

    // The request manager: which voter may be asked now. Compares readings of the wall clock.

    /// Forgets what is under way with everybody.
    pub(super) fn reset_all(&mut self) {
        for peer in &mut self.peers {
            peer.exchange = Exchange::Ready;
        }
    }

    /// Whether a voter is of no use for now: its answer is late, which is forgotten, or it is left alone for a while.
    pub(super) fn is_out_of_reach(&mut self, place: PeerPlace, now: Time) -> bool {
        let (backoff, timeout) = (self.retry_backoff, self.request_timeout);
        let peer = &mut self.peers[place.0];
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
    pub(super) fn wait(&self, place: PeerPlace, now: Time) -> Duration {
        let (backoff, timeout) = (self.retry_backoff, self.request_timeout);
        match self.peers[place.0].exchange {
            Exchange::Ready => Duration::ZERO,
            Exchange::AwaitingResponse { since, .. } => (since + timeout).since(now),
            Exchange::BackingOff { since } => (since + backoff).since(now),
        }
    }

    /// Forgets what has taken too long or been waited for long enough, and looks at what is left.
    pub(super) fn look(&mut self, now: Time) -> Look {
        let (backoff, timeout) = (self.retry_backoff, self.request_timeout);
        let (mut in_flight, mut least, mut ready) = (None, backoff, false);
        for peer in &mut self.peers {
            match peer.exchange {
                Exchange::Ready => ready = true,
                Exchange::BackingOff { since } => {
                    let left = (since + backoff).since(now);
                    least = least.min(left);
                    if left == Duration::ZERO {
                        peer.exchange = Exchange::Ready;
                    }
                }
                Exchange::AwaitingResponse { since, .. } => {
                    let left = (since + timeout).since(now);
                    if left == Duration::ZERO {
                        peer.exchange = Exchange::Ready;
                        ready = true;
                    } else if in_flight.is_none() {
                        in_flight = Some(left);
                    }
                }
            }
        }
        Look {
            in_flight,
            wait_for_any: if ready { Duration::ZERO } else { least },
        }
    }

    /// The first voter that can be asked, as of the last look, from the `first` on and round.
    pub(super) fn ready_from(&self, first: usize) -> Option<PeerPlace> {
        let mut places = (first..self.peers.len()).chain(0..first);
        let place = places.find(|place| self.peers[*place].exchange == Exchange::Ready);
        place.map(PeerPlace)
    }

    /// Hands a request to the thread that sends; how long its answer may take. The request is made where it stays.
    #[inline(always)]
    pub(super) fn ask(
        &mut self,
        place: PeerPlace,
        request: impl FnOnce() -> Request,
        now: Time,
        context: &mut Context<'_, Kafka>,
    ) -> Duration {
        let number = RequestNumber(self.next);
        self.next += 1;
        let peer = &mut self.peers[place.0];
        peer.exchange = Exchange::AwaitingResponse { number, since: now };
        if peer.unsent.is_empty() && peer.channel.is_ready() {
            peer.channel.send(request(), context);
            peer.in_flight = Some(number);
        } else {
            peer.unsent.push_back(Unsent {
                number,
                created: now,
                request: request(),
            });
        }
        self.request_timeout
    }

    /// Whether the answer to a request is still wanted.
    pub(super) fn is_expected(&self, place: PeerPlace, number: RequestNumber) -> bool {
        self.peers[place.0].awaits(number)
    }

    /// The answer to a request has been dealt with; without success the next one waits for the back-off.
    pub(super) fn settle(&mut self, place: PeerPlace, number: RequestNumber, success: bool, now: Time) {
        let peer = &mut self.peers[place.0];
        if peer.awaits(number) {
            peer.exchange = match success {
                true => Exchange::Ready,
                false => Exchange::BackingOff { since: now },
            };
        }
    }

    // The thread that sends.

    /// Whose connection this is, if it is anybody's.
    pub(super) fn owner(&self, connection: ConnectionId) -> Option<PeerPlace> {
        let mut peers = self.peers.iter();
        peers
            .position(|peer| peer.channel.owns(connection))
            .map(PeerPlace)
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
                peer.lose(lost, now, context);
                return true;
            }
        }
        false
    }

    /// A response has come over a voter's connection; to which request.
    pub(super) fn answered(
        &mut self,
        place: PeerPlace,
        connection: ConnectionId,
        correlation: Correlation,
    ) -> Option<RequestNumber> {
        let peer = &mut self.peers[place.0];
        if !peer.channel.answered(connection, correlation) {
            return None;
        }
        peer.in_flight.take()
    }

    /// Gives up what is late and sends what can be sent. Whether a request failed, and how long until there is
    /// something to do again.
    pub(super) fn work(&mut self, context: &mut Context<'_, Kafka>) -> (bool, Duration) {
        let (now, timeout) = (wall(context), self.request_timeout);
        let (mut failed, mut wait) = (false, Duration::FOREVER);
        for peer in &mut self.peers {
            let late_in = peer.channel.late_in(context);
            if peer.unsent.is_empty() && late_in.is_none_or(|late| late > Duration::millis(1)) {
                wait = wait.min(late_in.unwrap_or(Duration::FOREVER));
                continue;
            }
            if let Some(lost) = peer.channel.expire(context) {
                failed |= peer.lose(lost, now, context);
            }
            if !peer.unsent.is_empty() {
                failed |= peer.send(timeout, now, context);
            }
            wait = wait.min(peer.next_wait(timeout, now, context));
        }
        (failed, wait)
    }
}

impl Peer {
    /// Sends what waits, one request after the other. Whether one failed. Apart, because mostly nothing waits.
    #[inline(never)]
    fn send(&mut self, timeout: Duration, now: Time, context: &mut Context<'_, Kafka>) -> bool {
        let mut failed = false;
        while let Some(first) = self.unsent.front() {
            if now.since(first.created) > timeout {
                failed |= self.fail_first(now, context);
            } else if self.channel.is_waiting() {
                break;
            } else if self.channel.prepare(context) {
                let first = self.unsent.pop_front().expect("it was looked at");
                self.channel.send(first.request, context);
                self.in_flight = Some(first.number);
            } else if self.channel.is_connecting() {
                break;
            } else {
                // `checkDisconnects`: nothing waits for a connection that is backing off.
                failed |= self.fail_first(now, context);
            }
        }
        failed
    }

    /// How long until [`Peers::work`] has something to do here.
    fn next_wait(&self, timeout: Duration, now: Time, context: &Context<'_, Kafka>) -> Duration {
        let mut least = Duration::FOREVER;
        if let Some(first) = self.unsent.front() {
            let late = (first.created + timeout).since(now);
            least = late.saturating_add(Duration::millis(1));
        }
        least.min(self.channel.late_in(context).unwrap_or(Duration::FOREVER))
    }

    /// Whether the request manager waits for the answer to this request.
    fn awaits(&self, number: RequestNumber) -> bool {
        matches!(self.exchange, Exchange::AwaitingResponse { number: own, .. } if own == number)
    }

    fn fail(&mut self, number: RequestNumber, now: Time) -> bool {
        let expected = self.awaits(number);
        if expected {
            self.exchange = Exchange::BackingOff { since: now };
        }
        expected
    }

    fn fail_first(&mut self, now: Time, context: &mut Context<'_, Kafka>) -> bool {
        let Some(first) = self.unsent.pop_front() else {
            return false;
        };
        if let Request::QuorumFetch(fetch) = first.request {
            context.arena().quorum_fetches.take_back(fetch);
        }
        self.fail(first.number, now)
    }

    fn lose(&mut self, _: Lost, now: Time, context: &mut Context<'_, Kafka>) -> bool {
        let mut failed = false;
        if let Some(number) = self.in_flight.take() {
            failed |= self.fail(number, now);
        }
        while !self.unsent.is_empty() {
            failed |= self.fail_first(now, context);
        }
        failed
    }
}
