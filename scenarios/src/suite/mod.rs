//! Scenarios as tests: many of them, each with regression seeds and a range of seeds, and what they come to.

mod check;
mod fingerprint;
mod format;
mod profile;
mod regression;
mod report;
mod runner;
mod selection;
mod trial;

pub use check::{Check, CheckStatus, Checked, Failure, NotJudged, Reason};
pub use fingerprint::Fingerprint;
pub use format::ReportFormat;
pub use profile::{Profile, Profiles};
#[cfg(test)]
pub(crate) use profile::{ProfileFile, ProfilesFile};
pub use regression::{RegressionSeed, regression_file, regression_seeds};
pub use report::{Outcome as TestOutcome, ScenarioReport, Status, SuiteReport, Tested};
pub use runner::{Candidate, Finished, run_suite};
pub use selection::{Selection, SelectionError};
pub use trial::{TestedTrial, Violated, Witnessed};
