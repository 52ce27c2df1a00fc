//! Where a value stands, and where it came from.

use std::fmt;
use std::sync::Arc;

/// A point in a file that a user wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user named it.
    pub path: Arc<str>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

/// Why a setting has the value it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it: the default of this release, such as `4.3`.
    Default {
        /// Kafka's release.
        release: &'static str,
    },
    /// A `.properties` file.
    File(Place),
    /// Written in the scenario itself.
    ScenarioInline(Place),
    /// An assignment of the command line (`--set`, `--vary`), as written.
    SetOption(Arc<str>),
    /// A topic's own configuration, given where this origin says.
    TopicOverride(Box<Origin>),
    /// The cluster-wide dynamic value of `min.insync.replicas` that the first active controller writes
    /// from its own file when the cluster is created with eligible leader replicas (KIP-966,
    /// `ActivationRecordsGenerator`).
    ClusterDynamic {
        /// What that controller read it from.
        from: Box<Origin>,
    },
    /// What the file says does not apply: the scenario gives this.
    Replaced {
        /// What takes its place.
        by: &'static str,
    },
    /// Kafka itself changed the value because of others (`ProducerConfig`, `CommonClientConfigs`).
    Derived {
        /// The rule, in a few words.
        because: &'static str,
    },
}

impl Origin {
    /// True if a user gave the value, wherever: what Java's `originals()` holds.
    pub fn is_set(&self) -> bool {
        match self {
            Origin::Default { .. } | Origin::Replaced { .. } | Origin::Derived { .. } => false,
            Origin::File(_) | Origin::ScenarioInline(_) | Origin::SetOption(_) => true,
            Origin::TopicOverride(inner) => inner.is_set(),
            Origin::ClusterDynamic { from } => from.is_set(),
        }
    }

    /// The place in a file to point at, if there is one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Origin::File(place) | Origin::ScenarioInline(place) => Some(place),
            Origin::TopicOverride(inner) => inner.place(),
            Origin::ClusterDynamic { from } => from.place(),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default { release } => write!(f, "default of {release}"),
            Origin::File(place) => write!(f, "{place}"),
            Origin::ScenarioInline(place) => write!(f, "scenario {place}"),
            Origin::SetOption(text) => write!(f, "--set {text}"),
            Origin::TopicOverride(inner) => write!(f, "topic override, {inner}"),
            Origin::ClusterDynamic { from } => {
                write!(
                    f,
                    "cluster-wide value written at bootstrap, from the controller's {from}"
                )
            }
            Origin::Replaced { by } => write!(f, "replaced: {by}"),
            Origin::Derived { because } => write!(f, "derived: {because}"),
        }
    }
}
