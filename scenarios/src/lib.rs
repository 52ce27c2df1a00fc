//! From a scenario file to verdicts.

mod agreement;
mod arms;
mod assertion;
mod claim;
mod claim_trials;
mod consumer_file;
mod consumers;
mod damage;
mod director;
mod fault;
mod fault_file;
mod fault_words;
mod file;
mod futile;
mod groups;
mod history;
mod input;
mod ledger;
mod library;
mod places;
mod record;
mod repeat;
mod resolved;
mod role;
mod scenario;
#[cfg(test)]
mod schema;
mod script;
mod span;
mod starter;
mod statistics;
mod story;
mod suite;
mod sweep;
mod trial;
mod workers;
mod workload;

pub use agreement::{
    Agreement, AgreementSeeds, Among, Amount, CountRow, CourseRow, FaultRow, GroupRow, Phase, Range,
    Standing, TimeRow, VerdictRow, agree, comparable,
};
pub use arms::{Variation, combinations};
pub use assertion::{
    Assertions, Bound, InTrials, Limit, Measure, Measured, Portion, Quantile, Relation, Threshold,
};
pub use claim::{CounterArm, Metric, Shows, Side};
pub use claim_trials::OnTrial;
pub use director::{Fired, Stage};
pub use fault::{DeclaredFault, FaultKind, Faults, Moment, RandomFaults};
pub use groups::{
    Delivery, GroupCounts, GroupMeasure, GroupMetrics, GroupOutcome, MemberMetrics, Processing, SinkCounts,
    SinkMeasure, Work,
};
pub use history::history;
pub use input::{LARGEST_FILE, read_file};
pub use ledger::{Counts, Landed, Ledger, Outcome, Sent};
pub use library::{LIBRARY, Source};
pub use record::{
    ENGINE, Footprint, RECORDING_SCHEMA, RecordedFile, RecordedFiring, RecordedScenario, Recording,
    RecordingError,
};
pub use repeat::{Difference, check_determinism};
pub use resolved::{FaultPlan, Layout, Resolved};
pub use role::{Mention, PartitionName, Role, RoleView};
pub use scenario::{Arm, Claim, Overrides, PropertyFile, Scenario, Sources};
pub use script::{Action, Happening, PhaseName, Script, ScriptEntry, Trigger, Unflushed, Way};
pub use span::{Length, Span, parse_duration};
pub use starter::{STARTER_SCHEMA, Starter, StarterGroup};
pub use statistics::{Paired, Share};
pub use story::{Story, Told};
pub use suite::{
    Candidate, Check, CheckStatus, Checked, Failure, Fingerprint, Finished, NotJudged, Profile, Profiles,
    Reason, RegressionSeed, ReportFormat, ScenarioReport, Selection, SelectionError, Status, SuiteReport,
    TestOutcome, Tested, TestedTrial, Violated, Witnessed, regression_file, regression_seeds, run_suite,
};
pub use sweep::{
    ArmSummary, ArmVerdict, FindingLine, GroupSummary, Journal, JournalError, Latencies, MergeError, Parts,
    Results, ResultsError, Row, SWEEP_SCHEMA, Seeds, SeedsError, Shard, ShardError, Spread, SweepHeader,
    Swept, TRIAL_SCHEMA, TRIALS_FILE, Tally, TrialLine, Vacuity, VerdictWord, Violation, run_in_order, sweep,
};
pub use trial::{Bench, Detailed, Ending, Keep, LogExtent, Trial};
pub use workers::{InternalError, Progress};
pub use workload::Workload;
