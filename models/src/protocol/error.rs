//! Kafka's error codes, as far as the models use them.

use std::fmt;

macro_rules! errors {
    ($($(#[$documentation:meta])* $variant:ident = $code:literal, $name:literal;)*) => {
        /// An error code of the Kafka protocol (`Errors`), under Kafka's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $($(#[$documentation])* $variant = $code,)*
        }

        impl ErrorCode {
            /// Kafka's name of the error.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// All of them.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];
        }
    };
}

errors! {
    /// The server does not know what went wrong.
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR";
    /// No error.
    None = 0, "NONE";
    /// The offset is not within the log.
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE";
    /// A batch failed its checksum.
    CorruptMessage = 2, "CORRUPT_MESSAGE";
    /// This server does not host the partition.
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION";
    /// The partition has no leader.
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE";
    /// This server does not lead (or follow) the partition.
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER";
    /// The request took too long.
    RequestTimedOut = 7, "REQUEST_TIMED_OUT";
    /// The broker is not available.
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE";
    /// The replica is not available.
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE";
    /// A batch is larger than the topic allows.
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE";
    /// The metadata of a committed position are too long.
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE";
    /// The server disconnected before a response was received.
    NetworkException = 13, "NETWORK_EXCEPTION";
    /// The coordinator is loading its state.
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS";
    /// The coordinator is not available.
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE";
    /// This is not the coordinator.
    NotCoordinator = 16, "NOT_COORDINATOR";
    /// The topic's name is not valid.
    InvalidTopic = 17, "INVALID_TOPIC_EXCEPTION";
    /// The batches do not fit into a segment.
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE";
    /// The ISR is smaller than min.insync.replicas; not appended.
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS";
    /// The ISR became too small after the append.
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND";
    /// `acks` is none of 0, 1, -1.
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS";
    /// The generation is not the group's.
    IllegalGeneration = 22, "ILLEGAL_GENERATION";
    /// The member's protocols do not fit those of the group.
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL";
    /// The group id is not valid.
    InvalidGroupId = 24, "INVALID_GROUP_ID";
    /// The coordinator does not know the member.
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID";
    /// The session timeout is outside the broker's bounds.
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT";
    /// The group rebalances; members must join again.
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS";
    /// The committed positions do not fit into a batch.
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE";
    /// A timestamp is outside what the topic allows.
    InvalidTimestamp = 32, "INVALID_TIMESTAMP";
    /// The server does not know the request, or not this version of it.
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION";
    /// The topic exists already.
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS";
    /// The number of partitions is not valid.
    InvalidPartitions = 37, "INVALID_PARTITIONS";
    /// The replication factor is not valid.
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR";
    /// The replicas given for a partition are not valid.
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT";
    /// A setting is not valid.
    InvalidConfig = 40, "INVALID_CONFIG";
    /// This is not the active controller.
    NotController = 41, "NOT_CONTROLLER";
    /// The request is malformed.
    InvalidRequest = 42, "INVALID_REQUEST";
    /// The sequence number does not follow the last one.
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER";
    /// The batch is in the log already.
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER";
    /// The producer's epoch is older than the newest.
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH";
    /// The disk failed.
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR";
    /// The broker has no state of this producer id.
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID";
    /// The group does not exist.
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND";
    /// The fetch session is not known.
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND";
    /// The fetch session's epoch is not the expected one.
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH";
    /// The leader epoch in the request is older than the receiver's.
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH";
    /// The leader epoch in the request is newer than the receiver's.
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH";
    /// The broker epoch is not the registered one.
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH";
    /// The high watermark has not reached the leader's epoch yet.
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE";
    /// A new member must join again with the id it was given.
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED";
    /// No leader is preferred to the present one.
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE";
    /// The group is full.
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED";
    /// Another member has taken over the instance id.
    FencedInstanceId = 82, "FENCED_INSTANCE_ID";
    /// No eligible leader is available.
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE";
    /// The partition has the leader it should have.
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED";
    /// A record was refused by the broker.
    InvalidRecord = 87, "INVALID_RECORD";
    /// A transaction over the position is open.
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT";
    /// The partition epoch in the request is not the current one.
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION";
    /// The cluster's feature levels do not fit.
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED";
    /// The snapshot is not there.
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND";
    /// Another process of this broker is registered and alive.
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION";
    /// The broker is not registered.
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED";
    /// A replica may not join the ISR.
    IneligibleReplica = 107, "INELIGIBLE_REPLICA";
    /// The change led to another leader.
    NewLeaderElected = 108, "NEW_LEADER_ELECTED";
    /// The topic id is not known.
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID";
    /// The member's epoch is fenced: it gives up all its partitions and joins anew.
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH";
    /// Another member of the group has the instance id and has not left.
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID";
    /// The coordinator has no assignor of this name.
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR";
    /// The member's epoch is not its newest one.
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH";
    /// The voter is not the one the quorum knows by this id.
    InvalidVoterKey = 125, "INVALID_VOTER_KEY";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
