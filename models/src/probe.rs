//! A client that sends what it is told to and remembers the answers: for tests, which speak to servers by hand.

use ktrial_sim::{Closure, ConnectionId, Context, Input, Port};
use smallvec::smallvec;

use crate::config::Acks;
use crate::ids::{LeaderEpoch, Offset, PartitionId, RecordId, ServerId};
use crate::kafka::Kafka;
use crate::protocol::{Correlation, Message, ProduceRequest, Request, Response};
use crate::records::{Batch, Numbering, Record};

/// What a probe sends next.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A request as it is.
    Request(Request),
    /// A batch of new records of this probe.
    Produce {
        /// Where to.
        partition: PartitionId,
        /// Which acknowledgement.
        acks: Acks,
        /// How many records, of 100 bytes each.
        records: u32,
        /// Sequence numbers.
        numbering: Option<Numbering>,
        /// How long the broker may wait.
        timeout: ktrial_sim::Duration,
    },
    /// A batch of so many new records to each of two partitions in one request, with acks=all.
    ProduceTo([PartitionId; 2], u32),
}

struct Line {
    to: ServerId,
    port: Port,
    connection: ConnectionId,
    up: bool,
    unsent: Vec<(Correlation, Request)>,
    in_flight: Vec<Correlation>,
}

/// A client by hand. Any signal makes it send what it was told since the last one.
#[derive(Default)]
pub struct Probe {
    told: Vec<(ServerId, Port, Correlation, Ask)>,
    lines: Vec<Line>,
    correlations: u32,
    records: u32,
    answers: Vec<(Correlation, Result<Response, Closure>)>,
}

impl Probe {
    /// Tells the probe to send `ask` at its next signal; the answer will carry this number.
    pub fn tell(&mut self, to: ServerId, port: Port, ask: Ask) -> Correlation {
        self.correlations += 1;
        let correlation = Correlation(self.correlations);
        self.told.push((to, port, correlation, ask));
        correlation
    }

    /// The answer to a request, or how its connection ended without one.
    pub fn answer(&self, correlation: Correlation) -> Option<&Result<Response, Closure>> {
        let found = self.answers.iter().find(|(answered, _)| *answered == correlation);
        found.map(|(_, answer)| answer)
    }

    pub(crate) fn boot(&mut self) {
        self.lines.clear();
    }

    pub(crate) fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        match input {
            Input::Signal(_) => {
                for (to, port, correlation, ask) in std::mem::take(&mut self.told) {
                    let request = self.request(ask, context);
                    self.send(to, port, correlation, request, context);
                }
            }
            Input::Connected(connection) => {
                let line = self.lines.iter_mut().find(|line| line.connection == connection);
                let line = line.expect("the probe opened it");
                line.up = true;
                for (correlation, request) in line.unsent.drain(..) {
                    context.send(connection, Message::Request(correlation, request));
                    line.in_flight.push(correlation);
                }
            }
            Input::Message(connection, Message::Response(correlation, response)) => {
                if let Some(line) = self.lines.iter_mut().find(|line| line.connection == connection) {
                    line.in_flight.retain(|waiting| *waiting != correlation);
                }
                self.answers.push((correlation, Ok(response)));
            }
            Input::Closed(connection, closure) => {
                if let Some(index) = self.lines.iter().position(|line| line.connection == connection) {
                    let line = self.lines.remove(index);
                    let unsent = line.unsent.into_iter().map(|(correlation, _)| correlation);
                    for correlation in line.in_flight.into_iter().chain(unsent) {
                        self.answers.push((correlation, Err(closure)));
                    }
                }
            }
            _ => {}
        }
    }

    fn send(
        &mut self,
        to: ServerId,
        port: Port,
        correlation: Correlation,
        request: Request,
        context: &mut Context<'_, Kafka>,
    ) {
        let found = self
            .lines
            .iter_mut()
            .find(|line| line.to == to && line.port == port);
        match found {
            Some(line) if line.up => {
                context.send(line.connection, Message::Request(correlation, request));
                line.in_flight.push(correlation);
            }
            Some(line) => line.unsent.push((correlation, request)),
            None => self.lines.push(Line {
                to,
                port,
                connection: context.connect(to.node(), port),
                up: false,
                unsent: vec![(correlation, request)],
                in_flight: Vec::new(),
            }),
        }
    }

    fn request(&mut self, ask: Ask, context: &mut Context<'_, Kafka>) -> Request {
        match ask {
            Ask::Request(request) => request,
            Ask::Produce {
                partition,
                acks,
                records,
                numbering,
                timeout,
            } => Request::Produce(Box::new(ProduceRequest {
                acks,
                timeout,
                batches: smallvec![(partition, self.batch(records, numbering, context))],
            })),
            Ask::ProduceTo(partitions, records) => Request::Produce(Box::new(ProduceRequest {
                acks: Acks::All,
                timeout: ktrial_sim::Duration::secs(30),
                batches: partitions
                    .into_iter()
                    .map(|partition| (partition, self.batch(records, None, context)))
                    .collect(),
            })),
        }
    }

    fn batch(
        &mut self,
        records: u32,
        numbering: Option<Numbering>,
        context: &mut Context<'_, Kafka>,
    ) -> Batch {
        let (producer, timestamp, first) = (context.me(), context.wall(), self.records);
        self.records += records;
        let stored = context
            .arena()
            .store((first..first + records).map(|number| Record {
                id: RecordId { producer, number },
                key: None,
                bytes: 100,
                timestamp,
            }));
        Batch {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(0),
            records: stored,
            bytes: 61 + 100 * records,
            numbering,
            max_timestamp: timestamp,
            corrupt: false,
        }
    }
}
