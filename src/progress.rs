//! Progress on a terminal, and nowhere else.

use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A bar with rate and remaining time on standard error, if that is a terminal.
pub fn bar(trials: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() || std::env::var_os("CI").is_some() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(trials), ProgressDrawTarget::stderr_with_hz(5));
    let template = "{bar:40} {pos} of {len} trials, {rate}, {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    bar.set_style(
        style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
            // Nothing can be done about a progress bar that cannot be drawn.
            let _ = write!(text, "{:.1} a second", state.per_sec());
        }),
    );
    bar
}
