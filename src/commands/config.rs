//! `ktrial config`: every effective setting and where it comes from.

use ktrial_reports::table::{Align, Table};

use crate::arguments::ConfigArguments;
use crate::commands::{print, remarks};
use crate::exit::{Exit, Outcome};

/// Runs the command.
pub fn run(arguments: &ConfigArguments) -> Outcome {
    let arm = arguments.scenario.read()?.arm(&[])?;
    let mut table = Table::new([
        ("of", Align::Left),
        ("setting", Align::Left),
        ("value", Align::Left),
        ("from", Align::Left),
    ]);
    for values in &arm.settings.values {
        let mut of = values.scope.word().to_owned();
        if let Some(instance) = &values.instance {
            of.extend([" ", instance]);
        }
        for effective in values
            .iter()
            .filter(|effective| arguments.all || !effective.is_default_origin())
        {
            let origin = effective.origin.to_string();
            table.row([
                of.clone(),
                effective.setting.name.to_owned(),
                effective.shown().to_owned(),
                origin,
            ]);
        }
    }
    let mut text = table.render();
    text.push_str("\nfeatures: ");
    let levels = arm.settings.features.levels();
    let levels: Vec<String> = levels
        .iter()
        .map(|(name, level)| format!("{name}={level}"))
        .collect();
    text.push_str(&levels.join(", "));
    text.push('\n');
    for remark in remarks(&arm) {
        text.extend(["note: ", &remark, "\n"]);
    }
    for refusal in arm.refusals() {
        text.push_str(&format!("REFUSED  {refusal}\n"));
    }
    print(&text)?;
    Ok(if arm.refusals().is_empty() {
        Exit::Held
    } else {
        Exit::Usage
    })
}
