//! What the parts of the engine cost: `cargo bench --package ktrial-sim` (a name behind `--` picks some of them).
//!
//! Times are for looking where time goes. To compare two states of the code count instructions: `.ci/instructions`.

use divan::{Bencher, black_box};
use ktrial_sim::{
    Chance, ConnectionId, Context, Digest, Director, Duration, Entry, EventId, Identity, Input, Link,
    Message, Node, NodeId, Port, Protocol, Queue, Simulation, Site, Time,
};

const HERE: Site = Site(Site::ENGINE);

fn main() {
    divan::main();
}

/// The earliest event is taken and another one put in 0.5–2 ms later, while this many wait.
#[divan::bench(args = [50, 1_000, 43_000])]
fn queue_pop_and_push(bencher: Bencher, waiting: u64) {
    let chance = Chance::new(1);
    let after = |number: u64| 500_000 + chance.below(HERE, Identity(number, 0), 1_500_000);
    let mut queue = Queue::default();
    for number in 0..waiting {
        queue.push(Time(after(number)), number);
    }
    bencher.bench_local(|| {
        let (now, number, event) = queue.pop().expect("as many wait as were put in");
        queue.push(Time(now.0 + after(number + waiting)), event)
    });
}

/// A timer beyond the wheel's reach (500 ms), while this many wait there.
#[divan::bench(args = [50, 43_000])]
fn queue_far_timers(bencher: Bencher, waiting: u64) {
    let mut queue = Queue::default();
    for number in 0..waiting {
        queue.push(Time(number * 500_000_000 / waiting), number);
    }
    bencher.bench_local(|| {
        let (now, _, event) = queue.pop().expect("as many wait as were put in");
        queue.push(Time(now.0 + 500_000_000), event)
    });
}

#[divan::bench]
fn keyed_draw(bencher: Bencher) {
    let chance = Chance::new(1);
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        chance.draw(HERE, black_box(Identity(7, number)))
    });
}

#[divan::bench]
fn digest_of_an_event(bencher: Bencher) {
    let mut digest = Digest::default();
    bencher.bench_local(|| {
        digest.fold(black_box(1_000_000), black_box(3 << 56));
        digest.value()
    });
}

/// A request over a connection and its answer: two messages, each delivered and read.
#[divan::bench]
fn request_and_answer(bencher: Bencher) {
    let mut simulation = pair(Talk::Ask);
    bencher.bench_local(|| simulation.run(Time::NEVER, &mut UntilTold));
}

/// A connection is opened, and closed by the one who opened it: handshake, answer, end.
#[divan::bench]
fn connection_opened_and_closed(bencher: Bencher) {
    let mut simulation = pair(Talk::Call);
    // Ids of connections are never used again within a trial: a new one before they fill the memory.
    let mut opened = 0;
    bencher.bench_local(|| {
        opened += 1;
        if opened % 10_000 == 0 {
            begin(&mut simulation, Talk::Call);
        }
        simulation.run(Time::NEVER, &mut UntilTold);
    });
}

/// What the one does to the other, over and over.
#[derive(Clone, Copy)]
enum Talk {
    Ask,
    Call,
}

struct Speaker(Option<Talk>);

struct Talking;

impl Protocol for Talking {
    type Node = Speaker;
    type Message = Word;
    type Entry = Word;
    type Document = ();
    type Note = ();
    type Signal = ();
    type Arena = ();
}

#[derive(Clone, Copy)]
struct Word;

impl Message for Word {
    fn bytes(&self) -> u32 {
        100
    }
    fn kind(&self) -> u8 {
        0
    }
    fn digest(&self) -> u64 {
        0
    }
}

impl Entry for Word {
    fn spoil(&mut self) {}
}

const LISTENER: NodeId = NodeId(1);
const PORT: Port = Port(0);

impl Speaker {
    fn goes_on(&self, connection: ConnectionId, context: &mut Context<'_, Talking>) {
        context.note(());
        match self.0 {
            Some(Talk::Ask) => {
                context.send(connection, Word);
            }
            Some(Talk::Call) => {
                context.close(connection);
                context.connect(LISTENER, PORT);
            }
            None => {}
        }
    }
}

impl Node<Talking> for Speaker {
    fn boot(&mut self, context: &mut Context<'_, Talking>) {
        match self.0 {
            Some(_) => {
                context.connect(LISTENER, PORT);
            }
            None => context.listen(PORT),
        }
    }

    fn handle(&mut self, input: Input<Talking>, context: &mut Context<'_, Talking>) {
        match input {
            Input::Connected(connection) => self.goes_on(connection, context),
            Input::Message(connection, _) if self.0.is_some() => self.goes_on(connection, context),
            Input::Message(connection, word) => {
                context.send(connection, word);
            }
            _ => {}
        }
    }
}

struct UntilTold;

impl Director<Talking> for UntilTold {
    fn note(&mut self, _: NodeId, _: EventId, (): &(), simulation: &mut Simulation<Talking>) {
        simulation.stop();
    }
    fn scripted(&mut self, _: u32, _: &mut Simulation<Talking>) {}
}

fn begin(simulation: &mut Simulation<Talking>, talk: Talk) {
    let link = Link {
        latency: Duration::micros(100),
        spread: Duration::micros(400),
        ..Link::default()
    };
    simulation.reset(1, vec![Speaker(Some(talk)), Speaker(None)], link);
    simulation.start(LISTENER);
    simulation.start(NodeId(0));
}

fn pair(talk: Talk) -> Simulation<Talking> {
    let mut simulation = Simulation::default();
    begin(&mut simulation, talk);
    simulation.run(Time::NEVER, &mut UntilTold);
    simulation
}
