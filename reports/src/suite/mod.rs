//! What tests showed: as text, as JUnit XML, as annotations of GitHub Actions and as JSON Lines.

mod github;
mod json;
mod junit;
mod text;
mod words;
mod xml;

pub use github::suite_github;
pub use json::suite_lines;
pub use junit::suite_junit;
pub use text::suite_text;
