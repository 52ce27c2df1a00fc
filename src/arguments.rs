//! What can be said on the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ktrial_models::config::catalogue::Scope;
use ktrial_scenarios::{ReportFormat, Seeds, parse_duration};
use ktrial_sim::Duration;

/// Deterministic failure trials for Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "ktrial", version, about, long_about = None, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the same failures against several settings, side by side.
    Compare(CompareArguments),
    /// Run one trial and tell it as a story.
    Run(RunArguments),
    /// Run scenarios as tests: an exit code, JUnit, and one line that reproduces each failure.
    Test(TestArguments),
    /// Run a trial again and prove that it is the same.
    Replay(ReplayArguments),
    /// Run one scenario with many seeds and keep every result, across kills and machines.
    Sweep(SweepArguments),
    /// Put the parts of a sweep together.
    Merge(MergeArguments),
    /// Show what was set, or with --all every effective setting, and where it comes from.
    Config(ConfigArguments),
    /// Write a first scenario around your own property files.
    Init(InitArguments),
    /// Judge histories of real or simulated clusters by what their clients saw.
    Check(CheckArguments),
    /// Set a recorded run of a real cluster beside the simulation of the same experiment.
    Agree(AgreeArguments),
    /// List what ktrial knows.
    List(ListArguments),
    /// Print a JSON Schema of what ktrial reads or writes, for editors and programs.
    Schema(SchemaArguments),
    /// Print a script that completes ktrial's command line in a shell.
    Completions(CompletionsArguments),
    /// Write the manual pages, `ktrial.1` and one for each command.
    Manual(ManualArguments),
}

/// Which scenario, and with which settings.
#[derive(Debug, Args)]
pub struct ScenarioArguments {
    /// A scenario file, or @NAME for a built-in one (see `ktrial list scenarios`).
    pub scenario: String,
    /// Which of the scenario's `arms`; without it, the scenario as it is (`compare`: all of them).
    #[arg(long, value_name = "NAME")]
    pub arm: Option<String>,
    /// Its settings.
    #[command(flatten)]
    pub settings: SettingsArguments,
}

/// Property files, each for all of its role.
#[derive(Debug, Args)]
pub struct PropertyFileArguments {
    /// Settings of all brokers: your server.properties, unchanged.
    #[arg(long, value_name = "FILE")]
    pub broker_config: Option<PathBuf>,
    /// Settings of all controllers: your controller.properties, unchanged.
    #[arg(long, value_name = "FILE")]
    pub controller_config: Option<PathBuf>,
    /// Settings of all producers: your producer.properties, unchanged.
    #[arg(long, value_name = "FILE")]
    pub producer_config: Option<PathBuf>,
    /// Settings of all consumers: your consumer.properties, unchanged.
    #[arg(long, value_name = "FILE")]
    pub consumer_config: Option<PathBuf>,
    /// Settings of all topics, as `kafka-topics --config` takes them.
    #[arg(long, value_name = "FILE")]
    pub topic_config: Option<PathBuf>,
}

impl PropertyFileArguments {
    /// The files that were given, by scope.
    pub fn given(&self) -> impl Iterator<Item = (Scope, &Path)> {
        let files = [
            (Scope::Broker, &self.broker_config),
            (Scope::Controller, &self.controller_config),
            (Scope::Producer, &self.producer_config),
            (Scope::Consumer, &self.consumer_config),
            (Scope::Topic, &self.topic_config),
        ];
        files
            .into_iter()
            .filter_map(|(scope, path)| Some((scope, path.as_deref()?)))
    }
}

/// Settings on top of a scenario's.
#[derive(Debug, Args)]
pub struct SettingsArguments {
    /// Property files.
    #[command(flatten)]
    pub files: PropertyFileArguments,
    /// Set one setting by Kafka's name, for all that have it, or for `broker.NAME`, `topic.TOPIC.NAME` and so on.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub assignments: Vec<String>,
    /// Accept that this setting, which ktrial does not model, has no effect here.
    #[arg(long, value_name = "NAME")]
    pub allow_unmodelled: Vec<String>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object, the same bytes on every run.
    Json,
}

/// Of `compare`.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// The scenario.
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// Compare these values of a setting; several of these options are combined.
    #[arg(long, value_name = "NAME=VALUE,VALUE")]
    pub vary: Vec<String>,
    /// How many seeds every arm runs with, from the first one on.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    pub first_seed: u64,
    /// How many threads run trials; as many as there are cores if not given. Changes no result.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Write the comparison as SVG and JSON, and all trials as JSON Lines, into this folder.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The scenario.
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Show the state of every partition at this time after the clients' start, as `kafka-topics --describe` does.
    #[arg(long, value_name = "TIME")]
    pub at: Vec<String>,
    /// Write what clients saw, in the format `ktrial.history/1`.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Write a file with which this trial can be replayed.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Run the trial several times, in different ways, and compare.
    #[arg(long, conflicts_with_all = ["history", "record", "at", "format"])]
    pub check_determinism: bool,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Of `sweep`.
#[derive(Debug, Args)]
pub struct SweepArguments {
    /// The scenario.
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// How many seeds from 1 on, or the first and the last one: 1..100000.
    #[arg(long, default_value = "1000", value_name = "N|A..B")]
    pub seeds: Seeds,
    /// The folder of the results: one line for each trial, in the order of seeds.
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Go on with what the folder holds; begin if it holds nothing.
    #[arg(long)]
    pub resume: bool,
    /// Run only this part of the seeds: 2/8, or `environment` (a Slurm job array, GitLab's parallel), or
    /// `environment/8` (a Kubernetes Indexed Job, which does not tell how many parts there are).
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// How many threads run trials; as many as there are cores if not given. Changes no result.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Of `merge`.
#[derive(Debug, Args)]
pub struct MergeArguments {
    /// The folders of the parts, in any order.
    #[arg(required = true, value_name = "DIR")]
    pub parts: Vec<PathBuf>,
    /// The folder of the whole.
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Of `test`.
#[derive(Debug, Args)]
#[command(after_help = TEST_EXIT_CODES)]
pub struct TestArguments {
    /// Scenario files, folders of them, or @NAME for a built-in one.
    #[arg(required = true)]
    pub paths: Vec<String>,
    /// Settings, for all scenarios.
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Run so many seeds of each scenario, from 1 on, or those from A to B. Regression seeds run first in any case.
    #[arg(long, value_name = "N|A..B")]
    pub seeds: Option<Seeds>,
    /// Run as this profile of ktrial.yaml says (the first such file from this folder upwards). Options here count
    /// more. Without the file there are `default`, `ci` and `nightly`.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub profile: String,
    /// Write results as text, junit, github, jsonl: one or several. Text and github go to standard output.
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',', value_parser = ReportFormat::parse)]
    pub format: Vec<ReportFormat>,
    /// Write junit.xml and results.jsonl into this folder.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// How many threads run trials; as many as there are cores if not given. Changes no result.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Begin no trial after this time, such as 5min; all scenarios have then run about as many seeds.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub time_budget: Option<Duration>,
    /// Let a scenario fail in which nothing is put on trial.
    #[arg(long)]
    pub fail_on_vacuous: bool,
}

const TEST_EXIT_CODES: &str = "\
Exit codes: 0 all asserted held; 1 an asserted invariant or a threshold did not; 2 the command, a scenario or settings \
are wrong; 3 BROKEN: something Kafka promises did not hold; 4 no scenario selected; 5 vacuous; 70 a bug in ktrial; \
130 interrupted. Of several the worst counts: 70, 3, 2, 1, 5.";

/// Of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// A file that `ktrial run --record` wrote, or SCENARIO@SEED (for instance @leader-loss@7).
    pub what: String,
    /// Settings, with SCENARIO@SEED.
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Show the state of every partition at this time after the clients' start, as `kafka-topics --describe` does.
    #[arg(long, value_name = "TIME")]
    pub at: Vec<String>,
    /// Carry out the script of a file, also of one that another version recorded, and compare nothing.
    #[arg(long)]
    pub script_only: bool,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Of `config`.
#[derive(Debug, Args)]
pub struct ConfigArguments {
    /// The scenario.
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// Also show settings that nobody set.
    #[arg(long)]
    pub all: bool,
}

/// Of `init`.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// Property files.
    #[command(flatten)]
    pub files: PropertyFileArguments,
    /// The scenario to write.
    #[arg(long, default_value = "ktrial/durability.yaml", value_name = "FILE")]
    pub output: PathBuf,
}

/// Of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArguments {
    /// Of what.
    #[arg(value_enum)]
    pub of: Described,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Described {
    /// Scenario files.
    Scenario,
    /// `ktrial.yaml`.
    Profiles,
    /// Lines of results files (`sweep`, `compare --output`).
    Results,
    /// `compare --format json`, and the summary of a sweep.
    Compare,
    /// `run --format json`.
    Run,
    /// Lines of `test --format jsonl`.
    Test,
    /// Lines of histories (`check`, `agree`, `run --history`).
    History,
    /// `agree --format json`.
    Agree,
}

/// Of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// For which shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Of `manual`.
#[derive(Debug, Args)]
pub struct ManualArguments {
    /// Into this folder, such as /usr/local/share/man/man1.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Of `check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Histories, plain or gzipped.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

/// Of `agree`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 if all agrees, 1 if something disagrees, 2 for wrong input.")]
pub struct AgreeArguments {
    /// What clients of a real cluster saw (`ktrial.history/1`), plain or gzipped.
    pub history: PathBuf,
    /// The scenario.
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// How many seeds are simulated.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    pub first_seed: u64,
    /// How many threads run trials; as many as there are cores if not given. Changes no result.
    #[arg(long, visible_alias = "jobs", value_name = "N")]
    pub workers: Option<usize>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Of `list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Of what.
    #[arg(value_enum)]
    pub what: Listed,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// Built-in scenarios.
    Scenarios,
    /// Invariants by id, with what they say.
    Invariants,
    /// Every setting of Kafka 4.3 and what becomes of it.
    Settings,
    /// Faults and roles.
    Faults,
}
