//! Named places between two steps where another lane may go first if the cut is armed: each lies between two locks
//! that Kafka takes one after the other, or between a lane and the queue of another. A script arms them; a test
//! shows for each what it lets through: `tests/interleavings.rs` and `tests/broker_cuts.rs` for those of brokers, unit
//! tests beside the controller, the producer and the consumer for theirs.

/// A request handler has read a request to the controller, and noted the contact if it is a heartbeat; the event
/// is not yet in the controller's queue (`ControllerApis`, `QuorumController.appendWriteEvent`). `who` names the
/// connection and the request on it.
pub const CONTROLLER_EVENT: u16 = 32;

/// Between two partitions of one produce request (`ReplicaManager.appendToLocalLog`).
pub const PRODUCE_NEXT_PARTITION: u16 = 64;
/// Between a leader's append and its attempt at the high watermark, or after the wait for the flush
/// (`Partition.appendRecordsToLeader`: `UnifiedLog.append`, then `maybeIncrementLeaderHW`).
pub const PRODUCE_BEFORE_HIGH_WATERMARK: u16 = 65;
/// Between the append of an acks=all request and its parking (`ReplicaManager.appendRecords`,
/// `DelayedOperationPurgatory.tryCompleteElseWatch`).
pub const PRODUCE_BEFORE_PARKING: u16 = 66;
/// Between two partitions of one fetch request (`ReplicaManager.readFromLog`).
pub const FETCH_NEXT_PARTITION: u16 = 67;
/// Between reading for a follower and recording its fetch position (`Partition.fetchRecords`:
/// `readFromLocalLog`, then `updateFollowerFetchState`).
pub const FETCH_BEFORE_FOLLOWER_STATE: u16 = 68;
/// Between recording a follower's position and letting it into the ISR (`Partition.updateFollowerFetchState`,
/// `maybeExpandIsr`).
pub const FETCH_BEFORE_EXPAND_ISR: u16 = 69;
/// Between that and the attempt at the high watermark (`Partition.maybeIncrementLeaderHW`).
pub const FETCH_BEFORE_HIGH_WATERMARK: u16 = 70;
/// Between reading and parking a fetch that found too little (`ReplicaManager.fetchMessages`).
pub const FETCH_BEFORE_PARKING: u16 = 71;
/// Between the metadata cache and the replicas' roles (`BrokerMetadataPublisher.onMetadataUpdate`:
/// `metadataCache.setImage`, then `ReplicaManager.applyDelta`).
pub const PUBLISH_BEFORE_ROLES: u16 = 72;
/// Between the roles of two partitions of one publication (`ReplicaManager.applyLocalLeadersDelta`).
pub const PUBLISH_NEXT_PARTITION: u16 = 73;
/// Between the answer to a fetch and its application (`AbstractFetcherThread.processFetchRequest`).
pub const FOLLOWER_BEFORE_APPLYING: u16 = 74;
/// Between a follower's appends and the waking of fetches that wait for its high watermark
/// (`ReplicaFetcherThread.doWork`).
pub const FOLLOWER_BEFORE_WAKING: u16 = 75;
/// Between two partitions of the ISR check (`ReplicaManager.maybeShrinkIsr`).
pub const SHRINK_NEXT_PARTITION: u16 = 76;
/// Between the failure of the log directory and the end of the process (`LogDirFailureHandler`).
pub const LOG_DIRECTORY_FAILED: u16 = 77;
/// Producer, application thread: between `RecordAccumulator.append` and `Sender.wakeup` in `KafkaProducer.doSend`.
pub const APPEND_TO_WAKEUP: u16 = 96;
/// Producer, I/O thread: between `RecordAccumulator.drain` and `RecordAccumulator.expiredBatches` in
/// `Sender.sendProducerData`.
pub const DRAIN_TO_EXPIRE: u16 = 97;
/// Asynchronous consumer, background thread: between `ApplicationEventHandler.add`, which wakes it, and
/// `ConsumerNetworkThread.processApplicationEvents`.
pub const CONSUMER_EVENT_TO_BACKGROUND: u16 = 112;
/// Asynchronous consumer, background thread: between `AsyncPollEvent.markReconciliationCheckComplete`, after which the
/// application may take records, and `CommitRequestManager.updateTimerAndMaybeCommit`.
pub const CONSUMER_RECONCILIATION_TO_COMMIT: u16 = 113;
/// Asynchronous consumer, application thread: between `FetchCollector.collectFetch`, which moves positions, and the
/// return from `AsyncKafkaConsumer.poll`.
pub const CONSUMER_COLLECTED_TO_RETURN: u16 = 114;
/// Asynchronous consumer, application thread: between `AsyncKafkaConsumer.processBackgroundEvents` and `collectFetch`.
pub const CONSUMER_EVENTS_TO_COLLECT: u16 = 115;

/// All cuts by name.
pub const NAMES: &[(&str, u16)] = &[
    ("controller_event", CONTROLLER_EVENT),
    ("produce_next_partition", PRODUCE_NEXT_PARTITION),
    ("produce_before_high_watermark", PRODUCE_BEFORE_HIGH_WATERMARK),
    ("produce_before_parking", PRODUCE_BEFORE_PARKING),
    ("fetch_next_partition", FETCH_NEXT_PARTITION),
    ("fetch_before_follower_state", FETCH_BEFORE_FOLLOWER_STATE),
    ("fetch_before_expand_isr", FETCH_BEFORE_EXPAND_ISR),
    ("fetch_before_high_watermark", FETCH_BEFORE_HIGH_WATERMARK),
    ("fetch_before_parking", FETCH_BEFORE_PARKING),
    ("publish_before_roles", PUBLISH_BEFORE_ROLES),
    ("publish_next_partition", PUBLISH_NEXT_PARTITION),
    ("follower_before_applying", FOLLOWER_BEFORE_APPLYING),
    ("follower_before_waking", FOLLOWER_BEFORE_WAKING),
    ("shrink_next_partition", SHRINK_NEXT_PARTITION),
    ("log_directory_failed", LOG_DIRECTORY_FAILED),
    ("append_to_wakeup", APPEND_TO_WAKEUP),
    ("drain_to_expire", DRAIN_TO_EXPIRE),
    ("consumer_event_to_background", CONSUMER_EVENT_TO_BACKGROUND),
    (
        "consumer_reconciliation_to_commit",
        CONSUMER_RECONCILIATION_TO_COMMIT,
    ),
    ("consumer_collected_to_return", CONSUMER_COLLECTED_TO_RETURN),
    ("consumer_events_to_collect", CONSUMER_EVENTS_TO_COLLECT),
];

/// The number of a cut by its name: the constant's, in lower case.
pub fn number(name: &str) -> Option<u16> {
    NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, number)| *number)
}
