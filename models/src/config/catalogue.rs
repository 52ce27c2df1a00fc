//! Every ConfigDef entry of Kafka 4.3.
//!
//! The tables are text, one line per setting, one file per ConfigDef (`catalogue/server.txt` is
//! `KafkaConfig`, for brokers and controllers alike), with a `[Class]` line above the entries of each of
//! Kafka's classes. Columns, separated by blanks:
//!
//! 1. name
//! 2. type, with `!` behind it if Kafka keeps the setting internal
//! 3. default: `required`, `null`, `""` or the text
//! 4. what is valid: `-` (anything), `1..9`, `0..` (bounds included), `-1|1..9`, `in(a,b)`,
//!    `in_any_case(A,B)`, `list`, `list_not_empty`, `list(a,b)`, `not_empty`, and the few validators that
//!    Kafka wrote for one setting each: `voters`, `host_ports`, `throttled_replicas`, `offset_reset`
//! 5. in `server.txt` only, who reads it: `broker`, `controller` or `both`
//! 6. to the end of the line, what became of it here:
//!    `modelled TEST` (the name of a test in which changing it changes behaviour),
//!    `modelled with MACHINERY TEST` (the same; inert where that machinery is not used),
//!    `inert without MACHINERY` (only that machinery asks for it, see [`Machinery`]),
//!    `neutral REASON`, `replaced REASON` (the scenario gives this), or `unmodelled`;
//!    `unmodelled below NUMBER REASON` (see [`Reach`]) lets values pass that a trial cannot reach. Behind ` on controllers ` stands what became of it in a controller's file, where that
//!    differs.

mod table;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use table::table;

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A broker's file.
    Broker,
    /// A controller's file.
    Controller,
    /// A topic's own configuration.
    Topic,
    /// A producer.
    Producer,
    /// A consumer.
    Consumer,
    /// A group's own configuration, which its coordinator reads.
    Group,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 6] = [
        Scope::Broker,
        Scope::Controller,
        Scope::Topic,
        Scope::Producer,
        Scope::Consumer,
        Scope::Group,
    ];

    /// As users write it: `broker`, `controller`, `topic`, `producer`, `consumer`, `group`.
    pub const fn word(self) -> &'static str {
        match self {
            Scope::Broker => "broker",
            Scope::Controller => "controller",
            Scope::Topic => "topic",
            Scope::Producer => "producer",
            Scope::Consumer => "consumer",
            Scope::Group => "group",
        }
    }

    /// The reverse of [`Scope::word`].
    pub fn from_word(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.word() == word)
    }

    /// The exception that names a bad value of this scope: topics and groups are validated by the controller.
    pub const fn exception(self) -> &'static str {
        match self {
            Scope::Topic | Scope::Group => "InvalidConfigurationException",
            _ => "ConfigException",
        }
    }

    /// The settings of this scope, sorted by name. Brokers and controllers share theirs.
    pub fn settings(self) -> &'static [Setting] {
        static SERVER: OnceLock<Vec<Setting>> = OnceLock::new();
        static TOPIC: OnceLock<Vec<Setting>> = OnceLock::new();
        static PRODUCER: OnceLock<Vec<Setting>> = OnceLock::new();
        static CONSUMER: OnceLock<Vec<Setting>> = OnceLock::new();
        static GROUP: OnceLock<Vec<Setting>> = OnceLock::new();
        match self {
            Scope::Broker | Scope::Controller => {
                SERVER.get_or_init(|| table(include_str!("catalogue/server.txt"), true))
            }
            Scope::Topic => TOPIC.get_or_init(|| table(include_str!("catalogue/topic.txt"), false)),
            Scope::Producer => PRODUCER.get_or_init(|| table(include_str!("catalogue/producer.txt"), false)),
            Scope::Consumer => CONSUMER.get_or_init(|| table(include_str!("catalogue/consumer.txt"), false)),
            Scope::Group => GROUP.get_or_init(|| table(include_str!("catalogue/group.txt"), false)),
        }
    }

    /// Where a name stands in [`Scope::settings`].
    pub fn index(self, name: &str) -> Option<usize> {
        self.settings()
            .binary_search_by(|setting| setting.name.cmp(name))
            .ok()
    }

    /// The setting of that name.
    pub fn setting(self, name: &str) -> Option<&'static Setting> {
        self.index(name).map(|index| &self.settings()[index])
    }

    /// True if this scope's nodes look at the setting: a dedicated controller does not read how often
    /// followers fetch.
    pub fn reads(self, setting: &Setting) -> bool {
        match self {
            Scope::Broker => setting.readers != Readers::Controllers,
            Scope::Controller => setting.readers != Readers::Brokers,
            _ => true,
        }
    }
}

/// A ConfigDef entry.
#[derive(Debug)]
pub struct Setting {
    /// Kafka's name.
    pub name: &'static str,
    /// The Kafka class that defines it.
    pub class: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default.
    pub default: Fallback,
    /// What the validator accepts.
    pub valid: Valid,
    /// Kafka defines it with `defineInternal`: not documented, but it can be set.
    pub internal: bool,
    /// Of the servers, which read it.
    pub readers: Readers,
    /// What became of it here.
    pub treatment: Treatment,
    /// Of what is not modelled: the values that would matter. None: all of them.
    pub reach: Option<Reach>,
    /// What became of it in a controller's file, where that differs.
    pub on_controllers: Option<(Treatment, Option<Reach>)>,
}

impl Setting {
    /// What became of it in the file of a role.
    pub fn treatment_for(&self, scope: Scope) -> (Treatment, Option<Reach>) {
        match self.on_controllers {
            Some(own) if scope == Scope::Controller => own,
            _ => (self.treatment, self.reach),
        }
    }
}

/// What a trial can reach of a limit that is not modelled. Null and negative values mean no limit: they never matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The least value that does not matter.
    pub limit: i64,
    /// Why it does not.
    pub reason: &'static str,
}

/// `ConfigDef.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Boolean,
    Int,
    Long,
    Short,
    Double,
    List,
    Class,
    Password,
    String,
}

impl Kind {
    /// Kafka's name of the type, as its messages print it.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Short => "SHORT",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
            Kind::String => "STRING",
        }
    }
}

/// What holds if nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Kafka does not start without it. All of these are replaced or neutral here.
    Required,
    /// Java's null: another setting decides, or nothing does.
    Null,
    /// The text to parse.
    Text(&'static str),
}

/// `ConfigDef.Validator`.
#[derive(Debug, PartialEq, Eq)]
pub enum Valid {
    /// No validator.
    Anything,
    /// `Range`: from, to, both included, either open; in millionths for doubles.
    Range(Option<i64>, Option<i64>),
    /// One value or a range, as for `compression.gzip.level`.
    ValueOrRange(i64, i64, i64),
    /// `ValidString`.
    In(Vec<&'static str>),
    /// `CaseInsensitiveValidString`.
    InAnyCase(Vec<&'static str>),
    /// `ValidList`: whether it may be empty, and what it may hold (nothing: anything).
    List {
        /// Whether an empty list passes.
        empty: bool,
        /// The values allowed; none means any.
        of: Vec<&'static str>,
    },
    /// `NonEmptyString`.
    NotEmpty,
    /// `QuorumConfig.ControllerQuorumVotersValidator`: `id@host:port`.
    Voters,
    /// `QuorumConfig.ControllerQuorumBootstrapServersValidator`: `host:port`.
    HostPorts,
    /// `ThrottledReplicaListValidator`: `*` or `partition:broker`.
    ThrottledReplicas,
    /// `AutoOffsetResetStrategy.Validator`.
    OffsetReset,
}

/// Which servers read a setting of `KafkaConfig`. Clients and topics: [`Readers::Both`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Brokers only.
    Brokers,
    /// Controllers only.
    Controllers,
    /// Both.
    Both,
}

/// What became of a setting in the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Changing it changes behaviour, and this test shows it.
    Modelled {
        /// The test function's name.
        test: &'static str,
        /// Nothing asks for it unless a scenario uses this machinery.
        with: Option<Machinery>,
    },
    /// Nothing asks for it unless a scenario uses this machinery.
    Inert {
        /// Which.
        without: Machinery,
    },
    /// It cannot touch a guarantee or a metric of the simulation.
    Neutral {
        /// Why.
        reason: &'static str,
    },
    /// The scenario gives this; what a file says does not apply.
    Replaced {
        /// What takes its place.
        by: &'static str,
    },
    /// It would matter and is not built: it stops the run until the user accepts it by name.
    Unmodelled,
}

/// Parts of Kafka that a scenario may or may not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Machinery {
    /// Consumer groups.
    Groups,
    /// Share groups.
    ShareGroups,
    /// Streams groups.
    StreamsGroups,
    /// Transactions.
    Transactions,
    /// Tiered storage.
    Tiering,
    /// Topics with `cleanup.policy` compact.
    Compaction,
    /// Client or replication quotas.
    Quotas,
    /// Moving replicas between the log directories of a broker.
    LogDirectoryMoves,
    /// Deleting topics.
    TopicDeletion,
    /// Topics that come to be because a client asked for them.
    AutomaticTopicCreation,
    /// Changing settings while the cluster runs. Whatever else makes an unclean election possible brings it about at
    /// once (`ReplicationControlManager`), so that the periodic look for one finds only what a changed setting left.
    ConfigurationChanges,
}

impl Machinery {
    /// All of them.
    pub const ALL: [Machinery; 11] = [
        Machinery::Groups,
        Machinery::ShareGroups,
        Machinery::StreamsGroups,
        Machinery::Transactions,
        Machinery::Tiering,
        Machinery::Compaction,
        Machinery::Quotas,
        Machinery::LogDirectoryMoves,
        Machinery::TopicDeletion,
        Machinery::AutomaticTopicCreation,
        Machinery::ConfigurationChanges,
    ];

    /// As the tables and reports write it.
    pub const fn word(self) -> &'static str {
        match self {
            Machinery::Groups => "groups",
            Machinery::ShareGroups => "share_groups",
            Machinery::StreamsGroups => "streams_groups",
            Machinery::Transactions => "transactions",
            Machinery::Tiering => "tiering",
            Machinery::Compaction => "compaction",
            Machinery::Quotas => "quotas",
            Machinery::LogDirectoryMoves => "log_directory_moves",
            Machinery::TopicDeletion => "topic_deletion",
            Machinery::AutomaticTopicCreation => "automatic_topic_creation",
            Machinery::ConfigurationChanges => "configuration_changes",
        }
    }
}
