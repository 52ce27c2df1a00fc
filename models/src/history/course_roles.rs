//! Names for nodes by what they went through.

use std::collections::BTreeMap;

use super::course::{Course, Replicas, Step, Target};
use super::identity::NodeId;

/// The names of a course's nodes.
pub(super) struct Roles(BTreeMap<Target, String>);

impl Roles {
    /// All of them, by what histories call the node.
    pub(super) fn into_names(self) -> BTreeMap<String, String> {
        self.0
            .into_iter()
            .map(|(target, role)| (target.to_string(), role))
            .collect()
    }

    /// The role of a node; anything else keeps its word.
    pub(super) fn of(&self, target: &Target) -> String {
        self.0.get(target).cloned().unwrap_or_else(|| target.to_string())
    }
}

/// What a node was at one stage, smallest first: who led first, then who was touched first, sorts first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Leads,
    /// Whether it is missing from ISR, ELR, last known ELR.
    Follows(bool, bool, bool),
    /// The faults that struck it: name, which end of it, the ranks of the other ends.
    Struck(Vec<(String, usize, Vec<usize>)>),
    Untouched,
}

/// A change, or all faults between two changes, whose order does not count.
enum Stage<'c> {
    Changed(&'c Replicas),
    Faults(Vec<(&'c str, &'c [Target])>),
}

/// The stages of a course, without the faults that a canonical course leaves out.
fn stages(course: &Course) -> Vec<Stage<'_>> {
    let mut stages = Vec::new();
    for (_, step) in &course.steps {
        match (step, stages.last_mut()) {
            (Step::Changed(replicas), _) => stages.push(Stage::Changed(replicas)),
            (step, _) if !step.is_shown() => {}
            (Step::Fault { what, who }, Some(Stage::Faults(faults))) => faults.push((what, who)),
            (Step::Fault { what, who }, _) => stages.push(Stage::Faults(vec![(what, who)])),
        }
    }
    stages
}

/// Gives every node a name.
///
/// A node's signature is its part in each stage. Sorting by signature puts the first leader first and then
/// whoever was set apart first; nodes with equal signatures took equal parts, so their order cannot be
/// seen. Faults with two ends name the other end by its rank, which needs a second round.
pub(super) fn name_nodes(course: &Course) -> Roles {
    let first_leader = course.steps.iter().find_map(|(_, step)| match step {
        Step::Changed(replicas) => replicas.leader,
        Step::Fault { .. } => None,
    });
    let mut nodes: Vec<Target> = Vec::new();
    for (_, step) in &course.steps {
        let mut add = |target: Target| {
            if !matches!(target, Target::Other(_)) && !nodes.contains(&target) {
                nodes.push(target);
            }
        };
        match step {
            Step::Changed(replicas) => {
                let all = replicas
                    .isr
                    .iter()
                    .chain(&replicas.elr)
                    .chain(&replicas.last_known_elr);
                replicas
                    .leader
                    .iter()
                    .chain(all)
                    .for_each(|node| add(Target::Broker(*node)));
            }
            Step::Fault { who, .. } => who.iter().cloned().for_each(add),
        }
    }
    nodes.sort();
    let stages = stages(course);
    let mut ranks: BTreeMap<Target, usize> = nodes.iter().map(|node| (node.clone(), 0)).collect();
    for _ in 0..nodes.len().min(4) {
        let signature =
            |node: &Target| -> Vec<Part> { stages.iter().map(|stage| part(stage, node, &ranks)).collect() };
        let mut signed: Vec<(bool, Vec<Part>, &Target)> = nodes
            .iter()
            .map(|node| {
                (
                    first_leader.map(Target::Broker).as_ref() != Some(node),
                    signature(node),
                    node,
                )
            })
            .collect();
        signed.sort();
        let mut next = BTreeMap::new();
        let mut rank = 0;
        for (place, (_, signature, node)) in signed.iter().enumerate() {
            if place > 0 && *signature != signed[place - 1].1 {
                rank = place;
            }
            next.insert((*node).clone(), rank);
        }
        ranks = next;
    }
    named(&nodes, &ranks, first_leader)
}

fn named(nodes: &[Target], ranks: &BTreeMap<Target, usize>, first_leader: Option<NodeId>) -> Roles {
    let mut ordered: Vec<&Target> = nodes.iter().collect();
    ordered.sort_by_key(|node| ranks[*node]);
    let (mut followers, mut controllers) = (0, 0);
    let name = |node: &Target| match node {
        Target::Broker(number) if Some(*number) == first_leader => "L".to_owned(),
        Target::Broker(_) => {
            followers += 1;
            format!("F{followers}")
        }
        _ => {
            controllers += 1;
            format!("C{controllers}")
        }
    };
    let names: Vec<String> = ordered.iter().copied().map(name).collect();
    Roles(ordered.into_iter().cloned().zip(names).collect())
}

fn part(stage: &Stage<'_>, node: &Target, ranks: &BTreeMap<Target, usize>) -> Part {
    match (stage, node) {
        (Stage::Faults(faults), _) => {
            let struck = faults.iter().filter_map(|(what, who)| {
                let end = who.iter().position(|target| target == node)?;
                let others = who.iter().filter(|target| *target != node);
                let others = others.filter_map(|target| ranks.get(target).copied()).collect();
                Some(((*what).to_owned(), end, others))
            });
            let mut struck: Vec<_> = struck.collect();
            struck.sort();
            if struck.is_empty() {
                Part::Untouched
            } else {
                Part::Struck(struck)
            }
        }
        (Stage::Changed(replicas), Target::Broker(number)) => {
            let missing = |set: &[NodeId]| !set.contains(number);
            match replicas.leader == Some(*number) {
                true => Part::Leads,
                false => Part::Follows(
                    missing(&replicas.isr),
                    missing(&replicas.elr),
                    missing(&replicas.last_known_elr),
                ),
            }
        }
        (Stage::Changed(_), _) => Part::Untouched,
    }
}
