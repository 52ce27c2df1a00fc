//! Kafka as the engine sees it: which nodes there are, what travels between them, what they keep.

use ktrial_sim::{Context, DocumentId, Duration, FileId, Input, Node, Protocol};

use crate::application::Consumer;
use crate::documents::Document;
use crate::ids::PartitionId;
use crate::notes::Note;
use crate::operator::Operator;
use crate::probe::Probe;
use crate::producer::Producer;
use crate::protocol::Message;
use crate::reader::Reader;
use crate::records::{Contents, LogEntry};
use crate::server::Server;

/// The protocol of Apache Kafka.
pub enum Kafka {}

impl Protocol for Kafka {
    type Node = KafkaNode;
    type Message = Message;
    type Entry = LogEntry;
    type Document = Document;
    type Note = Note;
    type Signal = Signal;
    type Arena = Contents;
}

/// What a script can tell a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`: a server shuts down in an orderly way (controlled shutdown), a client closes.
    Terminate,
    /// To the operator: elect leaders uncleanly wherever there is none (`kafka-leader-election`).
    ElectUncleanLeaders,
    /// To the operator: give leaderships back to the preferred replicas.
    ElectPreferredLeaders,
    /// To a consumer of a group: the application's thread is busy for so long, with the next record or without one. The
    /// client's own threads go on.
    Stall(Duration),
    /// To a producer: the application sends nothing more; what it sent still gets its outcome.
    Quiesce,
}

/// A process of any kind.
pub enum KafkaNode {
    /// A broker, a controller, or both.
    Server(Box<Server>),
    /// A Java producer and the application above it.
    Producer(Box<Producer>),
    /// A Java consumer with assigned partitions and the application above it.
    Reader(Box<Reader>),
    /// A Java consumer of a group and the application above it.
    Consumer(Box<Consumer>),
    /// Who creates topics and starts elections.
    Operator(Box<Operator>),
    /// A client by hand, in tests.
    Probe(Box<Probe>),
}

impl Node<Kafka> for KafkaNode {
    fn boot(&mut self, context: &mut Context<'_, Kafka>) {
        match self {
            KafkaNode::Server(server) => server.boot(context),
            KafkaNode::Producer(producer) => producer.boot(context),
            KafkaNode::Reader(reader) => reader.boot(context),
            KafkaNode::Consumer(consumer) => consumer.boot(context),
            KafkaNode::Operator(operator) => operator.boot(context),
            KafkaNode::Probe(probe) => probe.boot(),
        }
    }

    /// Once for each event, and no more than a choice.
    #[inline(always)]
    fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        match self {
            KafkaNode::Server(server) => server.handle(input, context),
            KafkaNode::Producer(producer) => producer.handle(input, context),
            KafkaNode::Reader(reader) => reader.handle(input, context),
            KafkaNode::Consumer(consumer) => consumer.handle(input, context),
            KafkaNode::Operator(operator) => operator.handle(input, context),
            KafkaNode::Probe(probe) => probe.handle(input, context),
        }
    }
}

/// Where the models draw.
pub mod site {
    use ktrial_sim::Site;

    /// Jitter of a reconnect back-off.
    pub const RECONNECT: Site = Site(16);
    /// How long a server's process takes from its start to its first act.
    pub const PROCESS_START: Site = Site(17);
    /// The metadata quorum's election timeouts and back-offs.
    pub const QUORUM_ELECTION: Site = Site(18);
    /// Which voter an observer asks first.
    pub const QUORUM_BOOTSTRAP: Site = Site(19);
    /// Where the placement of replicas starts.
    pub const PLACEMENT: Site = Site(20);
    /// Fetch session ids.
    pub const FETCH_SESSION: Site = Site(21);
    /// Jitter of a client's retry back-off.
    pub const RETRY: Site = Site(22);
    /// Which node a client asks first.
    pub const LEAST_LOADED: Site = Site(23);
    /// The next partition of a producer's sticky partitioner.
    pub const PARTITIONER: Site = Site(24);
    /// Service times of request handlers.
    pub const SERVICE: Site = Site(25);
    /// Service times of disks.
    pub const DISK: Site = Site(26);
    /// Incarnation and directory ids.
    pub const UUID: Site = Site(27);
    /// Lag between a metadata commit and its publication on a broker.
    pub const PUBLISH: Site = Site(28);
    /// Jitter of back-offs inside a broker.
    pub const BROKER_BACKOFF: Site = Site(29);
    /// Which replica of a rack a reader is sent to.
    pub const REPLICA_SELECTOR: Site = Site(30);
    /// Ids of group members.
    pub const MEMBER_ID: Site = Site(31);
    /// Which partition a free thread of a coordinator takes.
    pub const COORDINATOR_THREAD: Site = Site(32);
    /// Which live broker a Metadata answer names as the controller.
    pub const CONTROLLER_NODE: Site = Site(40);
    /// Which of several sessions that are over a controller finds first.
    pub const EXPIRED_SESSION: Site = Site(45);
    /// How long an application takes for a record.
    pub const PROCESSING: Site = Site(33);
    /// Which records' processing fails always.
    pub const POISON: Site = Site(41);
    /// Which records' processing fails for a while.
    pub const FAILING: Site = Site(42);
    /// How long a sink's call takes.
    pub const APPLYING: Site = Site(43);
    /// When in a sink's call its effect happens.
    pub const EFFECT: Site = Site(44);
}

/// Timer slots of a server, by component.
pub mod slot {
    /// The metadata quorum: `RAFT..RAFT + 32`.
    pub const RAFT: u16 = 0;
    /// The controller: `CONTROLLER..CONTROLLER + 16`.
    pub const CONTROLLER: u16 = 32;
    /// The broker without its fetchers: `BROKER..BROKER + 32`.
    pub const BROKER: u16 = 48;
    /// Replica fetchers: one slot each from here.
    pub const FETCHER: u16 = 80;
}

/// Alarm tokens of a server carry their component in the top four bits.
pub mod alarm {
    /// The metadata quorum's.
    pub const RAFT: u32 = 1 << 28;
    /// The controller's.
    pub const CONTROLLER: u32 = 2 << 28;
    /// The broker's.
    pub const BROKER: u32 = 3 << 28;
    /// The server's own.
    pub const SERVER: u32 = 4 << 28;
    /// Which bits name the component.
    pub const COMPONENT: u32 = 0xf << 28;
}

/// The metadata log's file.
pub const METADATA_LOG: FileId = FileId(0);

/// A partition's log on the disk of any replica.
pub fn partition_log(partition: PartitionId) -> FileId {
    FileId(1 + partition.0)
}

/// Small files of a server's disk (`storage-and-operations` 1.4); [`Document`] holds their contents.
pub mod document {
    use super::{DocumentId, PartitionId};

    /// `meta.properties`: the directory's id.
    pub const META_PROPERTIES: DocumentId = DocumentId(0);
    /// `quorum-state`: epoch, vote, leader.
    pub const QUORUM_STATE: DocumentId = DocumentId(1);
    /// `.kafka_cleanshutdown`: the broker epoch of a clean stop.
    pub const CLEAN_SHUTDOWN: DocumentId = DocumentId(2);
    /// `replication-offset-checkpoint`: high watermarks.
    pub const HIGH_WATERMARKS: DocumentId = DocumentId(3);
    /// `recovery-point-offset-checkpoint`.
    pub const RECOVERY_POINTS: DocumentId = DocumentId(4);
    /// `log-start-offset-checkpoint`.
    pub const LOG_STARTS: DocumentId = DocumentId(5);

    /// A partition's `leader-epoch-checkpoint`.
    pub fn leader_epochs(partition: PartitionId) -> DocumentId {
        DocumentId(8 + 2 * partition.0)
    }

    /// A partition's producer state `.snapshot` files.
    pub fn producer_snapshot(partition: PartitionId) -> DocumentId {
        DocumentId(9 + 2 * partition.0)
    }
}
