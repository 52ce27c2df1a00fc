//! Who creates the topics and starts elections: a person at an admin client ([`admin`], `KafkaAdminClient` with the
//! defaults of AdminClientConfig).
//!
//! One order at a time. The person gives CreateTopics again, a tenth of a second after it failed, until the topic is
//! there: there are fewer brokers than replicas as yet (INVALID_REPLICATION_FACTOR), no controller was active
//! (REQUEST_TIMED_OUT from the broker that forwards), an answer was lost (then TOPIC_ALREADY_EXISTS). An election is
//! for all partitions, as with `kafka-leader-election --all-topic-partitions`, and ordered once: when the command
//! comes back the person reads what it says of each partition, and no more. That command is a process of its own: its
//! client knows the bootstrap servers and nothing else.

mod admin;
mod metadata;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use ktrial_sim::{Context, Duration, Input, Time, TimerSlot};

use self::admin::{AdminClient, Ended};
use crate::client::{ClientSettings, Environment, SocketEvent, draw};
use crate::ids::Servers;
use crate::kafka::{Kafka, Signal, site};
use crate::protocol::{ElectLeadersRequest, ElectionType, ErrorCode, Request, Response};
use crate::specification::ClusterSpecification;

const CLIENT: TimerSlot = TimerSlot(0);
const STARTED: u32 = 0;
/// How long the person takes to give an order again.
const AGAIN: Duration = Duration::millis(100);

/// An operator's process.
pub struct Operator {
    cluster: Arc<ClusterSpecification>,
    started: bool,
    admin: AdminClient,
    inbox: VecDeque<SocketEvent>,
    /// The number of the next topic to create.
    next_topic: u16,
    /// Elections to be ordered.
    elections: VecDeque<ElectionType>,
    /// An order is being carried out.
    ordered: bool,
    /// No order before this monotonic reading.
    not_before: Time,
    results: Vec<(ElectionType, Election)>,
}

/// How an election that was ordered ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Election {
    /// The controller answered: the error of the whole order, else what became of each partition but those that
    /// needed no election.
    Answered(ErrorCode, Vec<(crate::ids::PartitionId, ErrorCode)>),
    /// The admin client gave up (`default.api.timeout.ms`).
    TimedOut,
}

impl Operator {
    /// An operator that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>) -> Self {
        let admin = new_client(&cluster);
        Operator {
            cluster,
            started: false,
            admin,
            inbox: VecDeque::new(),
            next_topic: 0,
            elections: VecDeque::new(),
            ordered: false,
            not_before: Time::ZERO,
            results: Vec::new(),
        }
    }

    /// Whether every topic of the specification has been created.
    pub fn topics_created(&self) -> bool {
        usize::from(self.next_topic) == self.cluster.topics.len()
    }

    /// The elections ordered of this process that have come to an end, and how.
    pub fn elections(&self) -> &[(ElectionType, Election)] {
        &self.results
    }

    /// The process starts: all topics of the specification are to be created.
    pub fn boot(&mut self, context: &mut Context<'_, Kafka>) {
        self.boot_in(context);
    }

    /// Works through one input.
    pub fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        self.handle_in(input, context);
    }

    fn boot_in(&mut self, environment: &mut impl Environment) {
        *self = Operator::new(Arc::clone(&self.cluster));
        let (least, most) = self.cluster.capacity.client_start;
        let spread = most.saturating_sub(least).0;
        let after = Duration(least.0 + draw(environment, site::PROCESS_START, 0, spread + 1));
        environment.alarm(STARTED, after);
    }

    fn handle_in(&mut self, input: Input<Kafka>, environment: &mut impl Environment) {
        match SocketEvent::of(input) {
            Ok(event) => self.inbox.push_back(event),
            Err(Input::Alarm(STARTED)) => self.started = true,
            Err(Input::Timer(CLIENT)) => {}
            Err(Input::Signal(Signal::ElectUncleanLeaders)) => {
                self.elections.push_back(ElectionType::Unclean);
            }
            Err(Input::Signal(Signal::ElectPreferredLeaders)) => {
                self.elections.push_back(ElectionType::Preferred);
            }
            Err(Input::Signal(Signal::Terminate)) => return environment.exit(),
            Err(_) => return,
        }
        if self.started {
            self.run(environment);
        }
    }

    fn run(&mut self, environment: &mut impl Environment) {
        loop {
            self.admin.after_select(&mut self.inbox, environment);
            while let Some(ended) = self.admin.take_ended() {
                self.ended(ended, environment);
            }
            let pause = self.give_order(environment);
            let now = environment.wall();
            let wait = self.admin.before_select(now, environment);
            if !self.admin.is_busy() && self.inbox.is_empty() {
                environment.set_timer(CLIENT, wait.min(pause));
                return;
            }
        }
    }

    /// Gives the next order if none is being carried out; how long until that is possible.
    fn give_order(&mut self, environment: &mut impl Environment) -> Duration {
        let request = if self.ordered {
            None
        } else if !self.topics_created() {
            Some(Request::CreateTopic(self.next_topic))
        } else {
            let all = |kind: &ElectionType| ElectLeadersRequest {
                kind: *kind,
                partitions: None,
            };
            let election = self.elections.front().map(all);
            election.map(|election| Request::ElectLeaders(Box::new(election)))
        };
        let Some(request) = request else {
            return Duration::FOREVER;
        };
        let pause = self.not_before.since(environment.monotonic());
        if pause == Duration::ZERO {
            self.ordered = true;
            if matches!(request, Request::ElectLeaders(_)) {
                self.admin.shut_down(environment);
                self.admin = new_client(&self.cluster);
            }
            self.admin.order(request, environment.wall());
            return Duration::FOREVER;
        }
        pause
    }

    fn ended(&mut self, ended: Ended, environment: &mut impl Environment) {
        self.ordered = false;
        if self.topics_created() {
            let kind = self.elections.pop_front().expect("an election was ordered");
            let result = match ended {
                Ended::Answered(Response::ElectLeaders(error, partitions)) => {
                    Election::Answered(error, partitions)
                }
                Ended::Answered(other) => panic!("an election was ordered, {other:?} came"),
                Ended::TimedOut => Election::TimedOut,
            };
            self.results.push((kind, result));
            return;
        }
        let there = matches!(
            ended,
            Ended::Answered(Response::CreateTopic(
                ErrorCode::None | ErrorCode::TopicAlreadyExists
            ))
        );
        if there {
            self.next_topic += 1;
        } else {
            self.not_before = environment.monotonic() + AGAIN;
        }
    }
}

/// A client that has just started.
fn new_client(cluster: &ClusterSpecification) -> AdminClient {
    let servers = cluster.servers.iter().filter(|server| server.broker);
    let bootstrap: Servers = servers.map(|server| server.id).collect();
    AdminClient::new(ClientSettings::default(), bootstrap)
}
