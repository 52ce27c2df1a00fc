//! Whether faults name only what there is: nodes, racks, partitions, names bound before.

use ktrial_models::config::{ConfigError, Place, nearest};
use ktrial_models::cuts;

use super::Scenario;
use crate::consumers::DeclaredConsumers;
use crate::fault::Moment;
use crate::resolved::server_names;
use crate::role::{Mention, PartitionName, Role};
use crate::script::{Action, Script, Trigger, message_kinds};

impl Scenario {
    /// Whether a script can be carried out in this scenario: it names only what there is.
    ///
    /// # Errors
    /// What it names and what is not there, entry by entry.
    pub fn check_script(&self, script: &Script) -> Result<(), Vec<ConfigError>> {
        let nodes = self.node_names();
        let mut bound: Vec<&str> = Vec::new();
        let mut wrong = Vec::new();
        for (number, entry) in script.entries.iter().enumerate() {
            let mut refuse = |message: String, remedy: String| {
                wrong.push(ConfigError::anywhere(
                    format!("script entry {number}: {message}"),
                    remedy,
                ));
            };
            for role in entry.action.roles() {
                role.mentions(&mut |mention| {
                    if let Some((message, remedy)) = self.check(mention, &nodes, &bound) {
                        refuse(message, remedy);
                    }
                });
            }
            if let Some((message, remedy)) = self.check_scale(&entry.action) {
                refuse(message, remedy);
            }
            match &entry.action {
                Action::Bind { name, .. } => bound.push(name),
                Action::Hold { kinds, .. } => {
                    if let Err(message) = message_kinds(kinds) {
                        refuse(message, String::new());
                    }
                }
                Action::OpenCut { cut, one_in, .. } if cuts::number(cut).is_none() || *one_in == 0 => {
                    refuse(format!("no cut {cut} that opens once in {one_in}"), String::new());
                }
                _ => {}
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Roles must name nodes, racks, partitions and bindings that exist.
    pub(super) fn check_mentions(&self, place: &Place, where_from: &str) -> Result<(), Vec<ConfigError>> {
        let nodes = self.node_names();
        let mut bound: Vec<&str> = Vec::new();
        let mut wrong = Vec::new();
        let declared = self.faults.declared.iter().map(|fault| &fault.action);
        for action in declared {
            for role in action.roles() {
                role.mentions(&mut |mention| wrong.extend(self.check(mention, &nodes, &bound)));
            }
            wrong.extend(self.check_scale(action));
            if let Action::Bind { name, .. } = action {
                bound.push(name);
            }
        }
        for random in &self.faults.random {
            random
                .on
                .mentions(&mut |mention| wrong.extend(self.check(mention, &nodes, &bound)));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(wrong
            .into_iter()
            .map(|(message, remedy)| ConfigError::at(place, format!("{where_from}: {message}"), remedy))
            .collect())
    }

    /// Only as many consumers can run as are declared.
    fn check_scale(&self, action: &Action) -> Option<(String, String)> {
        let Action::Scale { who, to } = action else {
            return None;
        };
        let declared = |of: &dyn Fn(&str) -> bool| {
            let each = self.consumers.iter().filter(|one| of(&one.group));
            each.map(|one| one.conduct.count).sum::<u32>()
        };
        let most = match who {
            Role::Consumers => declared(&|_| true),
            Role::ConsumersOf(name) => declared(&|group| group == name),
            _ => {
                let remedy = "scale `consumers of GROUP`, or `consumers`".to_owned();
                return Some(("no group is to be scaled".to_owned(), remedy));
            }
        };
        let remedy = "declare more by `count`; `running` says how many run from the start";
        (*to > most).then(|| (format!("{to} of {most} consumers are to run"), remedy.to_owned()))
    }

    fn check(&self, mention: Mention<'_>, nodes: &[String], bound: &[&str]) -> Option<(String, String)> {
        let suggest = |name: &str, names: &mut dyn Iterator<Item = &str>| {
            nearest(name, names).map_or(String::new(), |near| format!("did you mean {near}?"))
        };
        match mention {
            Mention::Node(name) if !nodes.iter().any(|known| known == name) => Some((
                format!("no node {name}"),
                suggest(name, &mut nodes.iter().map(String::as_str)),
            )),
            Mention::Bound(name) if !bound.contains(&name) => Some((
                format!("${name} is not bound by an earlier `let`"),
                suggest(name, &mut bound.iter().copied()),
            )),
            Mention::Rack(name) if !self.racks.iter().any(|known| known == name) => {
                Some((format!("no rack {name}"), "name one of cluster.racks".to_owned()))
            }
            Mention::Group(name) if !self.consumers.iter().any(|one| one.group == name) => Some((
                format!("no group {name}"),
                suggest(name, &mut self.consumers.iter().map(|one| one.group.as_str())),
            )),
            Mention::Partition(partition) => {
                let topic = self.topics.iter().find(|topic| topic.name == partition.topic);
                match topic {
                    Some(topic) if partition.index < topic.partitions => None,
                    _ => Some((
                        format!("no partition {partition}"),
                        "partitions are named TOPIC-NUMBER, from 0".to_owned(),
                    )),
                }
            }
            _ => None,
        }
    }

    /// Names of all nodes, as faults can use them.
    pub fn node_names(&self) -> Vec<String> {
        let mut names = server_names(&self.servers);
        names.extend(self.producers.iter().map(|(name, ..)| name.clone()));
        names.extend(self.readers.iter().map(|(name, ..)| name.clone()));
        names.extend(self.consumers.iter().flat_map(DeclaredConsumers::names));
        names
    }
}
