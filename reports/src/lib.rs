//! What a person or a program reads of a trial.

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

pub use check_text::check_text;
pub use comparison::{ArmOutcome, Comparison};
pub use comparison_json::{comparison_json, trial_lines};
pub use comparison_svg::comparison_svg;
pub use comparison_text::comparison_text;
pub use shell::quoted;
pub use story::{Asked, RunStory, run_story};
pub use suite::{suite_github, suite_junit, suite_lines, suite_text};
