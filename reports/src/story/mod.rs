//! One trial told as a story: what happened, what it means, what an operator would have seen.

mod actions;
mod changes;
mod clients;
mod course;
mod describe;
mod duplicates;
mod groups;
mod lag;
mod logs;
mod losses;
mod metrics;
mod outcomes;
mod settings;
mod stale;
mod text;
mod timeline;
mod unprocessed;
mod verdicts;
mod words;

pub use clients::ClientSummary;
pub use describe::{DescribedPartition, DescribedTopic, Description};
pub use lag::{DescribedGroups, DescribedMember, DescribedOffset, GroupInstant};
pub use losses::Explanation;
pub use metrics::{Page, RULES, Rule};
pub use outcomes::GroupStory;
pub use settings::DecidingSetting;
pub use timeline::{About, Line};
pub use verdicts::{FirstWitness, InvariantVerdict};
pub use words::Moment;

use ktrial_scenarios::{Arm, Detailed, Footprint, Vacuity};
use ktrial_sim::Duration;
use serde::Serialize;

use words::View;

/// A trial, told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunStory {
    /// `ktrial.run/1`.
    pub schema: &'static str,
    /// The scenario as the user named it.
    pub scenario: String,
    /// What it is about.
    pub about: String,
    /// The seed; text in JSON, because JavaScript's numbers end at 2^53.
    #[serde(serialize_with = "as_text")]
    pub seed: u64,
    /// Which version ran it.
    pub engine: &'static str,
    /// Settings that decide what is promised, with their origins.
    pub settings: Vec<DecidingSetting>,
    /// What happened, in order.
    pub timeline: Vec<Line>,
    /// What each client came to.
    pub clients: Vec<ClientSummary>,
    /// What each group came to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupStory>,
    /// Groups at instants spread over the trial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups_over_time: Vec<GroupInstant>,
    /// Acknowledged records that are gone.
    pub losses: Vec<Explanation>,
    /// Records that stand more than once.
    pub duplicates: Vec<Explanation>,
    /// What it means.
    pub verdicts: Vec<InvariantVerdict>,
    /// Metrics that would have paged somebody.
    pub pages: Vec<Page>,
    /// States of all partitions at the instants that were asked for.
    pub described: Vec<Description>,
    /// Why nothing was put on trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vacuous: Option<&'static str>,
    /// How it ended: `converged`, `stalled`, `never ready`.
    pub ending: &'static str,
    /// What did not converge.
    pub pending: Vec<String>,
    /// What a second run must have in common with this one.
    pub footprint: Footprint,
    /// What to type to run it again.
    pub reproduce: String,
}

fn as_text<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// What the caller knows of a trial besides the trial.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The scenario as the user named it.
    pub scenario: &'a str,
    /// What it is about.
    pub about: &'a str,
    /// Instants to describe, since the clients' start.
    pub instants: &'a [Duration],
    /// What to type to run it again.
    pub reproduce: String,
}

/// Tells a trial of which the story was kept.
pub fn run_story(arm: &Arm, detailed: &Detailed, asked: &Asked<'_>) -> RunStory {
    let view = View { arm, detailed };
    let trial = &detailed.trial;
    RunStory {
        schema: "ktrial.run/1",
        scenario: asked.scenario.to_owned(),
        about: asked.about.to_owned(),
        seed: trial.seed,
        engine: ktrial_scenarios::ENGINE,
        settings: settings::deciding(arm),
        timeline: timeline::timeline(view),
        clients: clients::summaries(view),
        groups: outcomes::groups(view),
        groups_over_time: lag::over_time(view),
        losses: losses::losses(view),
        duplicates: duplicates::duplicates(view),
        verdicts: verdicts::verdicts(view),
        pages: metrics::pages(view),
        described: asked
            .instants
            .iter()
            .map(|after| describe::describe(view, *after))
            .collect(),
        vacuous: trial.vacuity().map(Vacuity::says),
        ending: trial.ending.name(),
        pending: trial.pending.clone(),
        footprint: Footprint::of(trial),
        reproduce: asked.reproduce.clone(),
    }
}
