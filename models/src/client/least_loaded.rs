//! The node to ask what any node can answer (`NetworkClient.leastLoadedNode`).

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::connection::ConnectionState;
use super::{Environment, MetadataUpdater, NetworkClient, Node, draw};
use crate::kafka::site;

/// How near a node is to taking a request: the nearest is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It can be sent to; so many requests to it are unanswered.
    Ready(usize),
    /// A connection to it is under way.
    Connecting,
    /// It can be connected to; when that was last tried.
    Connectable(Time),
}

/// How the nodes stand, for one choice among them or many.
#[derive(Debug)]
pub struct Survey {
    nodes: usize,
    standing: Option<Standing>,
    /// Those of the nodes that stand nearest, all equally near, with their places among all.
    nearest: SmallVec<[(usize, Node); 4]>,
    some_connection_is_ready: bool,
}

impl Survey {
    /// Whether requests can be sent to some node, or could if fewer were in flight.
    pub fn some_connection_is_ready(&self) -> bool {
        self.some_connection_is_ready
    }

    /// Whether chance decides between several nodes.
    pub fn leaves_a_choice(&self) -> bool {
        self.nearest.len() > 1
    }

    /// The node that is chosen by going through all from `offset` on. Of connections under way it is the last.
    fn from(&self, offset: usize) -> Node {
        let behind = self.nearest.partition_point(|(place, _)| *place < offset);
        let chosen = match self.standing {
            Some(Standing::Connecting) => behind.checked_sub(1).unwrap_or(self.nearest.len() - 1),
            _ => behind % self.nearest.len(),
        };
        self.nearest[chosen].1
    }
}

impl<T: Copy> NetworkClient<T> {
    /// The node to ask what any node can answer.
    pub fn least_loaded_node(
        &mut self,
        metadata: &impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) -> Option<Node> {
        let survey = self.survey(metadata, now);
        self.least_loaded_of(&survey, environment)
    }

    /// How the nodes stand.
    pub fn survey(&self, metadata: &impl MetadataUpdater, now: Time) -> Survey {
        let nodes = metadata.nodes();
        let mut survey = Survey {
            nodes: nodes.len(),
            standing: None,
            nearest: SmallVec::new(),
            some_connection_is_ready: false,
        };
        for (place, node) in nodes.iter().enumerate() {
            let standing = match self.get(*node) {
                None => Standing::Connectable(Time::ZERO),
                Some(one) => match one.state {
                    ConnectionState::Ready => {
                        survey.some_connection_is_ready = true;
                        if !one.can_send_more(&self.settings) {
                            continue;
                        }
                        Standing::Ready(one.in_flight.len())
                    }
                    ConnectionState::Connecting | ConnectionState::CheckingApiVersions => {
                        Standing::Connecting
                    }
                    ConnectionState::Disconnected if one.can_connect(now) => {
                        Standing::Connectable(one.last_attempt)
                    }
                    ConnectionState::Disconnected => continue,
                },
            };
            if survey.standing.is_none_or(|nearest| standing < nearest) {
                survey.standing = Some(standing);
                survey.nearest.clear();
            }
            if survey.standing == Some(standing) {
                survey.nearest.push((place, *node));
            }
        }
        survey
    }

    /// The least loaded node of a survey. Kafka goes through the nodes from a random one on: that decides only among
    /// equals, so it is drawn only where there are several.
    pub fn least_loaded_of(&mut self, survey: &Survey, environment: &mut impl Environment) -> Option<Node> {
        if survey.nodes == 0 {
            return None;
        }
        self.choices += 1;
        match survey.nearest.as_slice() {
            [] => None,
            [(_, node)] => Some(*node),
            _ => {
                let offset = draw(environment, site::LEAST_LOADED, self.choices, survey.nodes as u64);
                Some(survey.from(offset as usize))
            }
        }
    }

    /// Chooses so many times more where chance decides nothing.
    pub fn choose_again(&mut self, times: usize) {
        self.choices += times as u64;
    }

    /// Whether requests can be sent to some node, or could if fewer were in flight.
    pub fn has_ready_connection(&self, metadata: &impl MetadataUpdater) -> bool {
        let ready = |node: &Node| self.state(*node) == Some(ConnectionState::Ready);
        metadata.nodes().iter().any(ready)
    }
}
