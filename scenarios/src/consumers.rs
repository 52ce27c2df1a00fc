//! Consumers of groups: from what a scenario declares to what each of them is told.

use std::sync::Arc;

use ktrial_models::config::{
    MemberSettings, ProducerSettings, ReaderSettings, ResolvedClient, ResolvedGroup,
};
use ktrial_models::ids::{ClientId, GroupId, GroupInstanceId, Servers};
use ktrial_models::specification::{
    ApplicationSpecification, ConsumerSpecification, GroupConfigs, Groups, OnFailure, ProducerSpecification,
    ReaderSpecification,
};

use crate::span::Span;

/// Consumers that are declared together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeclaredConsumers {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) topics: Vec<u16>,
    pub(crate) rack: Option<u16>,
    /// The topic to which records are sent on.
    pub(crate) letters: Option<u16>,
    pub(crate) conduct: Conduct,
}

/// What consumers that are declared together do. Arms can want it otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conduct {
    /// How many there are.
    pub(crate) count: u32,
    /// How many of them run from the start.
    pub(crate) running: u32,
    /// How long after the other clients they start, if not with them.
    pub(crate) start: Option<Span>,
    pub(crate) instances: InstanceIds,
    pub(crate) application: ApplicationSpecification,
}

/// Whose `group.instance.id` is whose, of consumers that are declared together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstanceIds {
    /// Each has its own: its number is appended.
    Numbered,
    /// All have the same, which a deployment can get wrong.
    Same,
}

impl DeclaredConsumers {
    /// The name of each: the declared one, with its number if there are several.
    pub(crate) fn names(&self) -> Vec<String> {
        match self.conduct.count {
            1 => vec![self.name.clone()],
            count => (1..=count)
                .map(|number| format!("{}{number}", self.name))
                .collect(),
        }
    }

    /// Whether their applications send records on.
    pub(crate) fn sends_on(&self) -> bool {
        matches!(self.conduct.application.failures.then, OnFailure::SendOn { .. })
    }

    /// The instance id of each, likewise.
    fn instances(&self, settings: &MemberSettings) -> Vec<Option<String>> {
        let id = settings.group_instance_id.as_deref();
        let numbered = |number: u32| id.map(|id| format!("{id}{number}"));
        match (self.conduct.count, self.conduct.instances) {
            (1, _) => vec![id.map(str::to_owned)],
            (count, InstanceIds::Numbered) => (1..=count).map(numbered).collect(),
            (count, InstanceIds::Same) => vec![id.map(str::to_owned); count as usize],
        }
    }
}

/// What is wrong with instance ids, in words, and the remedy: two members of a group have one, and nobody has said so.
pub(crate) fn instances_in_doubt(
    declared: &[DeclaredConsumers],
    settings: &[ResolvedClient<MemberSettings>],
) -> Option<(String, String)> {
    let mut known: Vec<(&DeclaredConsumers, String)> = Vec::new();
    for (one, resolved) in declared.iter().zip(settings) {
        let said = one.conduct.instances == InstanceIds::Same;
        if said && resolved.settings.group_instance_id.is_none() {
            let message = format!("the consumers {} have no group.instance.id", one.name);
            return Some((message, "give them one, or leave `instance_ids` out".to_owned()));
        }
        for id in one.instances(&resolved.settings).into_iter().flatten() {
            let others = known
                .iter()
                .filter(|(other, theirs)| other.group == one.group && *theirs == id);
            let unsaid = others
                .map(|(other, _)| other)
                .find(|other| !said || other.conduct.instances != InstanceIds::Same);
            if let Some(other) = unsaid {
                let message = format!(
                    "{} and {} of group {} have the same group.instance.id {id}: one fences the other",
                    other.name, one.name, one.group
                );
                let remedy =
                    "give each its own; if that is what you want to see, say `instance_ids: same` in both";
                return Some((message, remedy.to_owned()));
            }
            known.push((one, id));
        }
    }
    None
}

/// Which consumers do not run from the start, by their number.
pub(crate) fn idle(declared: &[DeclaredConsumers]) -> Vec<usize> {
    let each = declared
        .iter()
        .flat_map(|one| (0..one.conduct.count).map(|number| number >= one.conduct.running));
    let idle = each.enumerate().filter(|(_, idle)| *idle);
    idle.map(|(number, _)| number).collect()
}

/// What was said for single groups.
pub(crate) fn configs(groups: &[String], resolved: &[ResolvedGroup]) -> GroupConfigs {
    let known = resolved.iter().map(|group| {
        let number = groups.iter().position(|name| *name == group.name);
        (
            GroupId(number.expect("only groups of consumers") as u16),
            group.settings,
        )
    });
    known.collect()
}

/// The groups there are, in order of their names.
pub(crate) fn groups(declared: &[DeclaredConsumers]) -> Vec<String> {
    let mut groups: Vec<String> = declared.iter().map(|one| one.group.clone()).collect();
    groups.sort();
    groups.dedup();
    groups
}

/// Client ids and instance ids, in order. `settings` has one entry for each declaration.
pub(crate) fn clients(
    declared: &[DeclaredConsumers],
    settings: &[ResolvedClient<MemberSettings>],
) -> Vec<String> {
    let each = declared.iter().zip(settings);
    let mut clients: Vec<String> = each
        .flat_map(|(one, resolved)| {
            let instances = one.instances(&resolved.settings).into_iter().flatten();
            one.names().into_iter().chain(instances)
        })
        .collect();
    clients.sort();
    clients.dedup();
    clients
}

/// How long after the other clients each consumer starts, in order of the declarations.
pub(crate) fn starts(declared: &[DeclaredConsumers]) -> Vec<Option<Span>> {
    let each = declared.iter();
    each.flat_map(|one| std::iter::repeat_n(one.conduct.start, one.conduct.count as usize))
        .collect()
}

/// Each consumer, in order of the declarations.
pub(crate) fn specifications(
    declared: &[DeclaredConsumers],
    readers: &[ResolvedClient<ReaderSettings>],
    members: &[ResolvedClient<MemberSettings>],
    producers: &[ResolvedClient<ProducerSettings>],
    groups: &Groups,
    bootstrap: &Servers,
) -> Vec<Arc<ConsumerSpecification>> {
    let mut producers = producers.iter();
    let number =
        |list: &[String], text: &str| list.iter().position(|known| known == text).unwrap_or_default() as u16;
    let mut consumers = Vec::new();
    for ((one, reader), member) in declared.iter().zip(readers).zip(members) {
        let instances = one.instances(&member.settings);
        let letters = one.letters.and_then(|topic| Some((topic, producers.next()?)));
        let letters = letters.filter(|_| one.sends_on());
        for (name, instance) in one.names().into_iter().zip(instances) {
            consumers.push(Arc::new(ConsumerSpecification {
                group: GroupId(number(&groups.names, &one.group)),
                client: ClientId(number(&groups.clients, &name)),
                instance: instance.map(|id| GroupInstanceId(number(&groups.clients, &id))),
                member: member.settings.clone(),
                application: one.conduct.application,
                letters: letters.map(|(topic, producer)| ProducerSpecification {
                    name: name.clone(),
                    settings: producer.settings.clone(),
                    topic,
                    bootstrap: bootstrap.clone(),
                    workload: Arc::new([]),
                }),
                reader: ReaderSpecification {
                    name,
                    settings: reader.settings.clone(),
                    rack: one.rack,
                    topics: one.topics.clone(),
                    bootstrap: bootstrap.clone(),
                },
            }));
        }
    }
    consumers
}
