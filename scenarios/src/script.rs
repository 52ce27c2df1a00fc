//! What will be done to a cluster, as data: triggers, actions, roles.

use ktrial_models::protocol::api;
use ktrial_sim::{Duration, Sequence};
use serde::{Deserialize, Serialize};

use crate::role::{Mention, PartitionName, Role};
use crate::span::Length;

/// Everything that will be done in one trial, in the order it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// The entries.
    pub entries: Vec<ScriptEntry>,
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScriptEntry {
    /// When.
    pub trigger: Trigger,
    /// What.
    pub action: Action,
    /// It is taken back after so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Length>,
}

/// When something is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// So long after the clients started.
    At(Length),
    /// After the n-th happening of a kind (from 1), counted from the clients' start.
    On {
        /// What.
        happening: Happening,
        /// The how manieth.
        nth: u32,
        /// So long after it.
        after: Length,
    },
}

/// What a trigger can wait for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A leader of this partition was elected.
    ElectionOf(String),
    /// The ISR of this partition became smaller.
    IsrShrinkOf(String),
    /// The ISR of this partition became larger.
    IsrExpansionOf(String),
    /// A replica of this partition was cut.
    TruncationOf(String),
    /// A controller became active.
    ControllerElection,
    /// A broker of this role was fenced.
    FencingOf(Role),
    /// A server or client of this role entered a phase of its life.
    PhaseOf(Role, PhaseName),
}

/// A phase of a server's or client's life, as scenarios name it. Clients start, run and shut down (close).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// The process has just been started.
    Starting,
    /// It reads metadata and registers.
    CatchingUp,
    /// It loads and recovers its logs.
    Recovering,
    /// It serves.
    Running,
    /// Controlled shutdown has begun; a controller's stop; a client's `close`.
    ShuttingDown,
}

/// Which of the two directions between two groups of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// What the first group sends to the second.
    Out,
    /// What the second sends to the first.
    In,
}

/// What a power loss makes of unflushed writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unflushed {
    /// As drawn: usually a prefix survives, sometimes a hole or a torn end.
    #[default]
    Drawn,
    /// Nothing unflushed survives.
    Lost,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Gives the nodes a role means now a name.
    Bind {
        /// The name.
        name: String,
        /// The role.
        who: Role,
    },
    /// Kills processes; taken back by starting them.
    Kill(Role),
    /// Takes the power from machines, all at the same instant; taken back by starting them.
    PowerOff {
        /// Whose.
        who: Role,
        /// What is left.
        unflushed: Unflushed,
    },
    /// Destroys machines' disks; taken back by starting the processes on empty ones.
    LoseDisk(Role),
    /// The applications above consumers of groups are busy for so long; their clients' own threads go on.
    Stall {
        /// Whose.
        who: Role,
        /// How long.
        by: Length,
    },
    /// Closes processes and starts them again, as a new version is rolled out.
    Redeploy {
        /// Whose.
        who: Role,
        /// One after the other, each when the one before runs again; or all at once.
        rolling: bool,
        /// How long a process stays down.
        down: Length,
        /// How long to wait after one runs again.
        between: Length,
    },
    /// So many of these are to run: the first ones. The others are closed.
    Scale {
        /// Which consumers.
        who: Role,
        /// How many.
        to: u32,
    },
    /// Starts processes that do not run.
    Start(Role),
    /// Shuts processes down in an orderly way; taken back by starting them.
    Stop(Role),
    /// Shuts down and starts one after the other, each when the one before runs again.
    RollingRestart {
        /// Whose.
        who: Role,
        /// How long a process stays down.
        down: Length,
        /// How long to wait after it runs again.
        between: Length,
    },
    /// Stops processes where they stand; taken back by letting them go on.
    Pause(Role),
    /// Lets paused processes go on.
    Resume(Role),
    /// Cuts links: bytes wait for TCP's retransmission. Taken back by mending.
    Cut {
        /// Between these.
        who: Role,
        /// And those.
        from: Role,
        /// In which direction.
        way: Way,
    },
    /// Mends links.
    Mend {
        /// Between these.
        who: Role,
        /// And those.
        from: Role,
        /// In which direction.
        way: Way,
    },
    /// Mends all links.
    MendAll,
    /// Resets connections: both ends notice at once.
    Reset {
        /// Between these.
        who: Role,
        /// And those.
        from: Role,
    },
    /// Slows links down.
    Slow {
        /// Between these.
        who: Role,
        /// And those.
        from: Role,
        /// In which direction.
        way: Way,
        /// Latency on top of the usual one.
        latency: Length,
    },
    /// Holds back messages of these kinds, by stalling the connections that carry them.
    Hold {
        /// Kinds by Kafka's names (`Produce`, `FetchResponse`).
        kinds: Vec<String>,
        /// Sent by these; by anybody if none.
        from: Option<Role>,
        /// Sent to these; to anybody if none.
        to: Option<Role>,
    },
    /// Moves wall clocks by so many milliseconds from where they should be; taken back by setting them right.
    Skew {
        /// Whose.
        who: Role,
        /// Ahead (or behind).
        by_ms: i64,
    },
    /// Lets clocks run fast (or slow); taken back by letting them run right.
    Drift {
        /// Whose.
        who: Role,
        /// By so many parts per million.
        by_ppm: i32,
    },
    /// Makes disks so many times slower.
    SlowDisk {
        /// Whose.
        who: Role,
        /// How many times.
        times: u32,
    },
    /// Lets disks be full.
    FillDisk(Role),
    /// Lets disks fail.
    FailDisk(Role),
    /// Opens a named cut between two steps with probability 1 in `one_in`, for at most `longest`.
    OpenCut {
        /// The cut's name.
        cut: String,
        /// On these servers.
        who: Role,
        /// One passage in so many opens.
        one_in: u32,
        /// For at most so long.
        longest: Length,
    },
    /// An operator elects leaders uncleanly wherever there is none.
    ElectUnclean,
    /// An operator gives leaderships back to preferred replicas.
    ElectPreferred,
}

/// The roles that an action names, borrowed as the action is.
macro_rules! roles {
    ($action:expr, $iter:ident) => {
        match $action {
            Action::Bind { who, .. }
            | Action::Kill(who)
            | Action::PowerOff { who, .. }
            | Action::LoseDisk(who)
            | Action::Start(who)
            | Action::Stop(who)
            | Action::RollingRestart { who, .. }
            | Action::Pause(who)
            | Action::Resume(who)
            | Action::Skew { who, .. }
            | Action::Drift { who, .. }
            | Action::SlowDisk { who, .. }
            | Action::FillDisk(who)
            | Action::FailDisk(who)
            | Action::Stall { who, .. }
            | Action::Scale { who, .. }
            | Action::Redeploy { who, .. }
            | Action::OpenCut { who, .. } => vec![who],
            Action::Cut { who, from, .. }
            | Action::Mend { who, from, .. }
            | Action::Reset { who, from }
            | Action::Slow { who, from, .. } => vec![who, from],
            Action::Hold { from, to, .. } => from.$iter().chain(to.$iter()).collect(),
            Action::MendAll | Action::ElectUnclean | Action::ElectPreferred => Vec::new(),
        }
    };
}

impl Action {
    /// What scenarios call it, as `list faults` prints.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Bind { .. } => "let",
            Action::Kill(_) => "kill",
            Action::PowerOff { .. } => "power_off",
            Action::LoseDisk(_) => "lose_disk",
            Action::Start(_) => "start",
            Action::Stop(_) => "stop",
            Action::RollingRestart { .. } => "rolling_restart",
            Action::Pause(_) => "pause",
            Action::Resume(_) => "resume",
            Action::Cut { .. } => "cut",
            Action::Mend { .. } => "mend",
            Action::MendAll => "mend_all",
            Action::Reset { .. } => "reset",
            Action::Slow { .. } => "slow",
            Action::Hold { .. } => "hold",
            Action::Skew { .. } => "skew",
            Action::Drift { .. } => "drift",
            Action::SlowDisk { .. } => "slow_disk",
            Action::FillDisk(_) => "fill_disk",
            Action::FailDisk(_) => "fail_disk",
            Action::OpenCut { .. } => "open_cut",
            Action::ElectUnclean => "elect_unclean",
            Action::ElectPreferred => "elect_preferred",
            Action::Stall { .. } => "stall",
            Action::Scale { .. } => "scale",
            Action::Redeploy { .. } => "redeploy",
        }
    }

    /// The action with every choice of nodes drawn.
    pub fn drawn(&self, draws: &mut Sequence) -> Action {
        let mut action = self.clone();
        for role in action.roles_mut() {
            *role = role.drawn(draws);
        }
        action
    }

    fn roles_mut(&mut self) -> Vec<&mut Role> {
        roles!(self, iter_mut)
    }

    /// The roles it names.
    pub fn roles(&self) -> Vec<&Role> {
        roles!(self, iter)
    }
}

/// The bits of [`ktrial_sim::Hold`] for message kinds by Kafka's names; a name ending in `Response` means answers.
pub fn message_kinds(names: &[String]) -> Result<u64, String> {
    names.iter().try_fold(0, |bits, name| {
        let (request, shift) = match name.strip_suffix("Response") {
            Some(request) => (request, api::RESPONSE),
            None => (name.as_str(), 0),
        };
        let kind = api::NAMES.iter().position(|known| *known == request).ok_or_else(|| {
            format!("`{name}` is no message kind: expected one of {} (or one of them with Response behind it)", api::NAMES.join(", "))
        })?;
        Ok(bits | 1 << (kind as u8 + shift))
    })
}

impl Happening {
    /// Everything it names, for checking before a trial starts.
    pub fn mentions(&self, each: &mut impl FnMut(Mention<'_>)) {
        match self {
            Happening::FencingOf(role) | Happening::PhaseOf(role, _) => role.mentions(each),
            Happening::ElectionOf(name)
            | Happening::IsrShrinkOf(name)
            | Happening::IsrExpansionOf(name)
            | Happening::TruncationOf(name) => {
                if let Ok(partition) = PartitionName::parse(name) {
                    each(Mention::Partition(&partition));
                }
            }
            Happening::ControllerElection => {}
        }
    }

    /// Whether it is about this partition.
    pub fn concerns(&self, partition: &PartitionName) -> bool {
        match self {
            Happening::ElectionOf(name)
            | Happening::IsrShrinkOf(name)
            | Happening::IsrExpansionOf(name)
            | Happening::TruncationOf(name) => *name == partition.to_string(),
            _ => false,
        }
    }
}

impl ScriptEntry {
    /// At an instant after the clients started, not taken back.
    pub fn at(after: Duration, action: Action) -> Self {
        ScriptEntry {
            trigger: Trigger::At(Length(after)),
            action,
            lasting: None,
        }
    }
}
