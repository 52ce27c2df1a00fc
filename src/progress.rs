//! Progress on a terminal, and nowhere else.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar with rate and remaining time on standard error, if that is a terminal.
pub fn bar(trials: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() || std::env::var_os("CI").is_some() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(trials), ProgressDrawTarget::stderr_with_hz(5));
    let template = "{bar:40} {pos} of {len} trials, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant"));
    bar
}
