//! Whether faults name only what there is: nodes, racks, partitions, names bound before.

use ktrial_models::config::{ConfigError, nearest};
use ktrial_models::cuts;

use super::{Scenario, Topic};
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
            let mut check = |mention: Mention<'_>| {
                if let Some((message, remedy)) = self.check(mention, &nodes, &bound) {
                    refuse(message, remedy);
                }
            };
            if let Trigger::On { happening, .. } = &entry.trigger {
                happening.mentions(&mut check);
            }
            entry
                .action
                .roles()
                .into_iter()
                .for_each(|role| role.mentions(&mut check));
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
    pub(super) fn check_mentions(&self) -> Result<(), Vec<ConfigError>> {
        let nodes = self.node_names();
        let mut bound: Vec<&str> = Vec::new();
        let mut wrong = Vec::new();
        let (declared, random) = self.faults.places.split_at(self.faults.declared.len());
        for (fault, place) in self.faults.declared.iter().zip(declared) {
            let mut refuse = |problem: Option<(String, String)>| {
                wrong.extend(problem.map(|(message, remedy)| ConfigError::at(place, message, remedy)));
            };
            let mut check = |mention: Mention<'_>| refuse(self.check(mention, &nodes, &bound));
            if let Moment::On(Trigger::On { happening, .. }, _) = &fault.moment {
                happening.mentions(&mut check);
            }
            fault
                .action
                .roles()
                .into_iter()
                .for_each(|role| role.mentions(&mut check));
            refuse(self.check_scale(&fault.action));
            if let Action::Bind { name, .. } = &fault.action {
                bound.push(name);
            }
        }
        for (fault, place) in self.faults.random.iter().zip(random) {
            fault.on.mentions(&mut |mention| {
                let problem = self.check(mention, &nodes, &bound);
                wrong.extend(problem.map(|(message, remedy)| ConfigError::at(place, message, remedy)));
            });
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
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
                match bound {
                    [] => format!("bind it before: `let: {{{name}: leader of TOPIC-0}}`"),
                    bound => suggest(name, &mut bound.iter().copied()),
                },
            )),
            Mention::Rack(name) if !self.racks.iter().any(|known| known == name) => {
                Some((format!("no rack {name}"), "name one of cluster.racks".to_owned()))
            }
            Mention::Group(name) if !self.consumers.iter().any(|one| one.group == name) => Some((
                format!("no group {name}"),
                match self.consumers.is_empty() {
                    true => "no `consumers` are declared".to_owned(),
                    false => suggest(name, &mut self.consumers.iter().map(|one| one.group.as_str())),
                },
            )),
            Mention::Partition(partition) => {
                let topic = self.topics.iter().find(|topic| topic.name == partition.topic);
                match topic {
                    Some(topic) if partition.index < topic.partitions => None,
                    _ => Some((
                        format!("no partition {partition}"),
                        self.partitions_there_are(partition),
                    )),
                }
            }
            _ => None,
        }
    }

    fn partitions_there_are(&self, wanted: &PartitionName) -> String {
        let topic = |topic: &&Topic| topic.name == wanted.topic;
        match self.topics.iter().find(topic) {
            Some(topic) if topic.partitions == 1 => format!("there is {}-0", topic.name),
            Some(topic) => format!("there are {0}-0 to {0}-{1}", topic.name, topic.partitions - 1),
            None => {
                let names = self.topics.iter().map(|topic| topic.name.as_str());
                match nearest(&wanted.topic, names) {
                    Some(near) => format!("did you mean {near}-{}?", wanted.index),
                    None => "name one of `topics`, and behind it the partition's number, from 0".to_owned(),
                }
            }
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
