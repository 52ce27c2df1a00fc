//! What a person or a program reads of a trial.

mod agreement;
mod agreement_json;
mod agreement_markdown;
mod agreement_text;
mod check_text;
pub mod comparison;
mod comparison_json;
mod comparison_svg;
mod comparison_text;
pub mod numbers;
mod shell;
pub mod story;
mod suite;
pub mod table;

pub use agreement::ToldAgreement;
pub use agreement_json::agreement_json;
pub use agreement_markdown::{AGREEMENT_HEADING, agreement_row};
pub use agreement_text::agreement_text;
pub use check_text::check_text;
pub use comparison::{ArmOutcome, Comparison};
pub use comparison_json::{comparison_json, trial_lines};
pub use comparison_svg::comparison_svg;
pub use comparison_text::comparison_text;
pub use shell::quoted;
pub use story::{Asked, RunStory, run_story};
pub use suite::{suite_github, suite_junit, suite_lines, suite_text};
