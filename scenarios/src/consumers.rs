//! Consumers of groups: from what a scenario declares to what each of them is told.

use std::sync::Arc;

use ktrial_models::config::{MemberSettings, ProducerSettings, ReaderSettings, ResolvedClient};
use ktrial_models::ids::{ClientId, GroupId, GroupInstanceId, Servers};
use ktrial_models::specification::{
    ApplicationSpecification, ConsumerSpecification, Groups, OnFailure, ProducerSpecification,
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
    pub(crate) application: ApplicationSpecification,
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
        match self.conduct.count {
            1 => vec![id.map(str::to_owned)],
            count => (1..=count).map(numbered).collect(),
        }
    }
}

/// Which consumers do not run from the start, by their number.
pub(crate) fn idle(declared: &[DeclaredConsumers]) -> Vec<usize> {
    let each = declared
        .iter()
        .flat_map(|one| (0..one.conduct.count).map(|number| number >= one.conduct.running));
    let idle = each.enumerate().filter(|(_, idle)| *idle);
    idle.map(|(number, _)| number).collect()
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
