//! A first scenario around a user's own property files.

use std::fmt::Write;

use ktrial_models::config::catalogue::Scope;

/// The schema of scenarios beside a first one: editors look there because its first line says so.
pub const STARTER_SCHEMA: &str = "scenario.schema.json";

/// The group that consumers are members of, as their property file says.
#[derive(Clone, Debug)]
pub struct StarterGroup {
    /// `group.id`.
    pub id: String,
    /// `enable.auto.commit`.
    pub commits_automatically: bool,
}

/// What a first scenario is made of.
#[derive(Clone, Debug)]
pub struct Starter<'a> {
    /// The scenario's name.
    pub name: &'a str,
    /// What a user types for the scenario.
    pub path: &'a str,
    /// Property files by scope, as the scenario finds them.
    pub files: &'a [(Scope, String)],
    /// Brokers are controllers too.
    pub combined: bool,
    /// Without one a reader that belongs to no group reads everything.
    pub group: Option<&'a StarterGroup>,
    /// What the files set and ktrial does not model.
    pub unmodelled: &'a [String],
}

impl Starter<'_> {
    /// The scenario's text, with a comment on everything that a user may want to change.
    pub fn text(&self) -> String {
        let mut text = self.head();
        text.push_str(&self.settings());
        text.push_str(&self.cluster());
        text.push_str(WORK);
        text.push_str(&self.readers());
        text.push_str(FAULTS);
        if self.group.is_some() {
            text.push_str(GROUP_FAULTS);
        }
        text
    }

    fn head(&self) -> String {
        let Starter { name, path, .. } = self;
        format!(
            "\
# yaml-language-server: $schema={STARTER_SCHEMA}
# Written by `ktrial init`. What to do with it:
#
#   ktrial run {path} --seed 1                             one trial, told as a story
#   ktrial compare {path} --vary acks=1,all --seeds 200    the same failures against other settings
#   ktrial test {path} --seeds 200                         as CI does: everything is to hold
#   ktrial config {path}                                   what was set and where (--all: every effective value)
#
# `ktrial list faults` has all faults and roles, `ktrial list invariants` what is judged.
scenario: {name}
about: |
  Brokers die, lose power, stand still and are cut off, one at a time. Does every acknowledged record survive?
{}",
            match self.group {
                Some(_) =>
                    "  Members of the group die, stand still and leave. Is every record processed, and by one of them?\n",
                None => "",
            }
        )
    }

    fn settings(&self) -> String {
        let mut text = String::new();
        if self.files.is_empty() {
            text.push_str(
                "
# Your own files, unchanged; without them Kafka's defaults count.
# include:
#   broker: server.properties
#   producer: producer.properties
",
            );
        } else {
            text.push_str(
                "
# Your own files, unchanged. What belongs to one machine (node.id, listeners, log.dirs ...) is replaced.
include:
",
            );
            for (scope, path) in self.files {
                writeln!(text, "  {}: {}", scope.word(), quoted(path)).expect("writing to a string");
            }
        }
        if !self.unmodelled.is_empty() {
            text.push_str(
                "
# ktrial does not model what these settings do. Results do not show it, and by naming them here you accept that.
accept_unmodelled:
",
            );
            for name in self.unmodelled {
                writeln!(text, "  - {name}").expect("writing to a string");
            }
        }
        text
    }

    fn cluster(&self) -> String {
        let nodes = if self.combined {
            "  brokers: 3\n  controllers: 3\n  combined: true      # every broker is a controller too, as process.roles says\n"
        } else {
            "  brokers: 3\n  controllers: 3\n"
        };
        format!(
            "
# What files do not say: nodes, racks, features.
cluster:
{nodes}  # racks: [a, b, c]   # brokers get them in turn
  # profile: upgraded  # a cluster that was upgraded: eligible leader replicas (KIP-966) are off
"
        )
    }
    fn readers(&self) -> String {
        let Some(group) = self.group else {
            return "readers:\n  r1: {topics: [orders]}\n".to_owned();
        };
        let commit = match group.commits_automatically {
            true => "",
            false => ", commit: after",
        };
        format!(
            "
# The group of your consumers: two members, each with an application that works on one record after the other.
# commit: after (or before, async) lets the application commit, as it must with enable.auto.commit=false.
consumers:
  app: {{group: {}, topics: [orders], count: 2, processing: 1ms..5ms{commit}}}
",
            quoted(&group.id)
        )
    }
}

const WORK: &str = "
topics:
  orders:
    partitions: 3
    replication.factor: 3
    # config: {min.insync.replicas: 2}

# The work, small: what is acknowledged, and is all of it there in the end? Put your own rates and sizes here.
producers:
  p1: {topic: orders, rate: 50, bytes: 200, keys: 16}
";

const FAULTS: &str = "
duration: 60s

# Every trial draws from its seed what happens, when, to whom and for how long. One fault ends 5 s before the next
# begins: with several at once `min.insync.replicas` copies can be gone, and nothing is promised any more.
random:
  - faults: 1..3
    of: [kill, power_off, pause, isolate, stop]
    on: brokers
    within: 2s..55s
    for: 1s..12s
    apart: 5s
";

const GROUP_FAULTS: &str = "  - faults: 0..2
    of: [kill, pause, stop]
    on: consumers
    within: 2s..55s
    for: 1s..12s
    apart: 5s

# All invariants are to hold, those of groups included. What else your applications need, for instance:
# assert:
#   unprocessed: 0             # what auto.offset.reset=latest skips before the first commit counts too
#   processed.twice: <= 200    # at least once means: some, after a failure
#   rebalances: <= 12
";

/// A path as YAML takes it, quoted where it must be.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !path.starts_with('-') && path.chars().all(plain) {
        return path.to_owned();
    }
    let mut text = String::from("\"");
    for c in path.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => write!(text, "\\x{:02x}", u32::from(c)).expect("writing to a string"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
