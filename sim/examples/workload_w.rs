//! Workload W, a replicated log on lossy datagrams, to compare the engine's speed with other simulators.
//!
//! One client with eight records of 100 bytes in flight, one leader, two followers; latencies uniform in
//! 0.5–2.0 ms; every hundredth datagram between leader and followers is lost, so the leader sends a record again
//! to a follower that has not acknowledged it within 10 ms. Followers append a record once. Each replica keeps at
//! most a million bytes of its log. Kafka's models never use datagrams.
//!
//! `workload_w [RECORDS] [SEED] [TRIALS] [IN_FLIGHT]` prints one JSON object. Trials after the first use the next seeds
//! and the memory of those before. More records in flight (8) leave more events waiting: 7,000 about 43,000.

#![allow(
    clippy::disallowed_types,
    reason = "the only thing here that reads a real clock: it measures"
)]

use std::time::Instant;

use ktrial_sim::{
    Context, Digest, Director, Duration, Entry, EventId, Input, Link, Message, Node, NodeId, Protocol,
    Simulation, Time,
};

const CLIENT: NodeId = NodeId(0);
const LEADER: NodeId = NodeId(1);
const FOLLOWERS: [NodeId; 2] = [NodeId(2), NodeId(3)];
const RECORD_BYTES: usize = 100;
const LOG_BYTES: usize = 1_000_000;
const RETRANSMIT: Duration = Duration::millis(10);
const ONE_PERCENT: u32 = (1u64 << 32).div_euclid(100) as u32;
/// For each record in flight, more than can be unacknowledged at once.
const WINDOW: usize = 32;

type Record = [u8; RECORD_BYTES];

fn record(number: u32) -> Record {
    let mut record = [0x5a; RECORD_BYTES];
    record[..8].copy_from_slice(&u64::from(number).to_le_bytes());
    record
}

struct Replication;

impl Protocol for Replication {
    type Node = Member;
    type Message = Packet;
    type Entry = Nothing;
    type Document = ();
    type Note = Told;
    type Signal = ();
    type Arena = ();
}

#[derive(Clone)]
struct Nothing;

impl Entry for Nothing {
    fn spoil(&mut self) {}
}

/// Half of the records are acknowledged, or all.
enum Told {
    Half,
    All,
}

enum Packet {
    Request(u32, Record),
    Replicate(u32, Record),
    Acknowledge(u32),
    Reply(u32),
}

impl Message for Packet {
    fn bytes(&self) -> u32 {
        match self {
            Packet::Request(..) | Packet::Replicate(..) => 4 + RECORD_BYTES as u32,
            Packet::Acknowledge(_) | Packet::Reply(_) => 4,
        }
    }
    fn kind(&self) -> u8 {
        match self {
            Packet::Request(..) => 0,
            Packet::Replicate(..) => 1,
            Packet::Acknowledge(_) => 2,
            Packet::Reply(_) => 3,
        }
    }
    fn digest(&self) -> u64 {
        let (Packet::Request(number, _)
        | Packet::Replicate(number, _)
        | Packet::Acknowledge(number)
        | Packet::Reply(number)) = self;
        u64::from(self.kind()) << 32 | u64::from(*number)
    }
}

/// A log of which the older half is dropped when it is full.
#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    appended: u64,
}

impl Log {
    fn clear(&mut self) {
        self.bytes.clear();
        self.appended = 0;
    }

    fn append(&mut self, record: &Record) {
        if self.bytes.len() >= LOG_BYTES {
            let keep = LOG_BYTES / 2 / RECORD_BYTES * RECORD_BYTES;
            let dropped = self.bytes.len() - keep;
            self.bytes.copy_within(dropped.., 0);
            self.bytes.truncate(keep);
        }
        self.bytes.extend_from_slice(record);
        self.appended += 1;
    }
}

/// A record that followers have still to acknowledge; `number` is one more than the record's, 0 for none.
#[derive(Clone, Copy, Default)]
struct Pending {
    number: u32,
    acknowledged: u8,
}

/// A place for each record that can be unacknowledged, found by the record's number.
struct Window<T>(Box<[T]>);

impl<T: Clone + Default> Window<T> {
    fn new(in_flight: u32) -> Self {
        let places = (in_flight as usize * WINDOW).next_power_of_two();
        Window(vec![T::default(); places].into())
    }

    fn clear(&mut self) {
        self.0.fill(T::default());
    }

    #[inline]
    fn of(&mut self, number: u32) -> &mut T {
        let last = self.0.len() - 1;
        &mut self.0[number as usize & last]
    }
}

struct Client {
    in_flight: u32,
    next: u32,
    acknowledged: u32,
    records: u32,
}

struct Leader {
    log: Log,
    pending: Window<Pending>,
}

struct Follower {
    log: Log,
    /// One more than the number of the last record of each place.
    seen: Window<u32>,
}

enum Member {
    Client(Client),
    Leader(Box<Leader>),
    Follower(Box<Follower>),
}

impl Client {
    fn send_next(&mut self, context: &mut Context<'_, Replication>) {
        if self.next < self.records {
            let number = self.next;
            self.next += 1;
            context.send_datagram(LEADER, Packet::Request(number, record(number)));
        }
    }
}

impl Leader {
    fn replicate(number: u32, record: Record, follower: usize, context: &mut Context<'_, Replication>) {
        context.send_datagram(FOLLOWERS[follower], Packet::Replicate(number, record));
        context.alarm(number << 1 | follower as u32, RETRANSMIT);
    }

    fn acknowledge(&mut self, follower: NodeId, number: u32, context: &mut Context<'_, Replication>) {
        let pending = self.pending.of(number);
        if pending.number == number + 1 && pending.acknowledged != 3 {
            pending.acknowledged |= 1 << (follower.0 - FOLLOWERS[0].0);
            if pending.acknowledged == 3 {
                context.send_datagram(CLIENT, Packet::Reply(number));
            }
        }
    }

    fn send_again(&mut self, token: u32, context: &mut Context<'_, Replication>) {
        let (number, follower) = (token >> 1, token & 1);
        let pending = *self.pending.of(number);
        if pending.number == number + 1 && pending.acknowledged >> follower & 1 == 0 {
            Leader::replicate(number, record(number), follower as usize, context);
        }
    }
}

impl Node<Replication> for Member {
    fn boot(&mut self, context: &mut Context<'_, Replication>) {
        match self {
            Member::Client(client) => {
                (client.next, client.acknowledged) = (0, 0);
                for _ in 0..client.in_flight {
                    client.send_next(context);
                }
            }
            Member::Leader(leader) => {
                leader.log.clear();
                leader.pending.clear();
            }
            Member::Follower(follower) => {
                follower.log.clear();
                follower.seen.clear();
            }
        }
    }

    #[inline]
    fn handle(&mut self, input: Input<Replication>, context: &mut Context<'_, Replication>) {
        match (self, input) {
            (Member::Client(client), Input::Datagram(_, Packet::Reply(_))) => {
                client.acknowledged += 1;
                client.send_next(context);
                if client.acknowledged == client.records / 2 {
                    context.note(Told::Half);
                }
                if client.acknowledged == client.records {
                    context.note(Told::All);
                }
            }
            (Member::Leader(leader), Input::Datagram(_, Packet::Request(number, record))) => {
                leader.log.append(&record);
                *leader.pending.of(number) = Pending {
                    number: number + 1,
                    acknowledged: 0,
                };
                Leader::replicate(number, record, 0, context);
                Leader::replicate(number, record, 1, context);
            }
            (Member::Leader(leader), Input::Datagram(from, Packet::Acknowledge(number))) => {
                leader.acknowledge(from, number, context);
            }
            (Member::Leader(leader), Input::Alarm(token)) => leader.send_again(token, context),
            (Member::Follower(follower), Input::Datagram(_, Packet::Replicate(number, record))) => {
                let seen = follower.seen.of(number);
                if *seen != number + 1 {
                    *seen = number + 1;
                    follower.log.append(&record);
                }
                context.send_datagram(LEADER, Packet::Acknowledge(number));
            }
            _ => unreachable!("nobody sends anything else"),
        }
    }
}

/// Counts in the middle how many events wait, and ends the run when the client is done.
#[derive(Default)]
struct UntilDone {
    waiting: usize,
}

impl Director<Replication> for UntilDone {
    fn note(&mut self, _: NodeId, _: EventId, note: &Told, simulation: &mut Simulation<Replication>) {
        match note {
            Told::Half => self.waiting += simulation.pending(),
            Told::All => simulation.stop(),
        }
    }
    fn scripted(&mut self, _: u32, _: &mut Simulation<Replication>) {}
}

fn members(records: u32, in_flight: u32) -> Vec<Member> {
    let follower = || {
        Member::Follower(Box::new(Follower {
            log: Log::default(),
            seen: Window::new(in_flight),
        }))
    };
    let client = Client {
        in_flight,
        next: 0,
        acknowledged: 0,
        records,
    };
    let leader = Leader {
        log: Log::default(),
        pending: Window::new(in_flight),
    };
    vec![
        Member::Client(client),
        Member::Leader(Box::new(leader)),
        follower(),
        follower(),
    ]
}

/// One trial with the members that the simulation holds from the one before.
fn run(simulation: &mut Simulation<Replication>, seed: u64, director: &mut UntilDone) {
    let link = Link {
        latency: Duration::micros(500),
        spread: Duration::micros(1_500),
        ..Link::default()
    };
    let members = simulation.take_nodes();
    simulation.reset(seed, members, link);
    for follower in FOLLOWERS {
        simulation.link_mut(LEADER, follower).datagram_loss = ONE_PERCENT;
        simulation.link_mut(follower, LEADER).datagram_loss = ONE_PERCENT;
    }
    for node in [LEADER, FOLLOWERS[0], FOLLOWERS[1], CLIENT] {
        simulation.start(node);
    }
    simulation.run(Time::NEVER, director);
}

/// The trial's digest with what the replicas hold in the end.
fn digest(simulation: &Simulation<Replication>) -> Digest {
    let mut digest = simulation.digest();
    for node in [LEADER, FOLLOWERS[0], FOLLOWERS[1]] {
        let log = match simulation.node(node) {
            Member::Leader(leader) => &leader.log,
            Member::Follower(follower) => &follower.log,
            Member::Client(_) => unreachable!("the client keeps no log"),
        };
        digest.fold(log.appended, log.bytes.len() as u64);
    }
    digest
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| match arguments.next() {
        Some(text) => text
            .parse()
            .expect("arguments are numbers: [RECORDS] [SEED] [TRIALS] [IN_FLIGHT]"),
        None => default,
    };
    let (records, seed, trials, in_flight) = (number(2_500_000), number(1), number(1), number(8));
    assert!(
        records < 1 << 31,
        "a record's number and a follower share an alarm's token"
    );
    let in_flight = u32::clamp(in_flight as u32, 1, 1 << 16);
    let mut simulation = Simulation::default();
    simulation.reset(seed, members(records as u32, in_flight), Link::default());
    let (mut delivered, mut events, mut hash) = (0, 0, Digest::default());
    let mut director = UntilDone::default();
    let begin = Instant::now();
    for trial in 0..trials {
        run(&mut simulation, seed + trial, &mut director);
        delivered += simulation.counters().delivered;
        events += simulation.counters().events;
        hash.fold(digest(&simulation).value(), trial);
    }
    let wall = begin.elapsed();
    println!(
        "{{\"acked\":{},\"delivered\":{delivered},\"wall_s\":{}.{:09},\"trials\":{trials},\"events\":{events},\"waiting\":{},\"hash\":\"{:016x}\"}}",
        records * trials,
        wall.as_secs(),
        wall.subsec_nanos(),
        director.waiting as u64 / trials,
        hash.value()
    );
}
