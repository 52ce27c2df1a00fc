//! A story for people.

use std::fmt::Write;

use super::lag::over_time_table;
use super::{Explanation, InvariantVerdict, RunStory};
use crate::table::{Align, Table};

impl RunStory {
    /// The story as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut put = |line: &str| {
            text.push_str(line.trim_end());
            text.push('\n');
        };
        put(&format!(
            "{}, seed {}, Kafka 4.3, {}",
            self.scenario, self.seed, self.engine
        ));
        put("");
        self.about.lines().for_each(&mut put);
        put("\nSettings that decide\n");
        put(self.settings_table().trim_end());
        put("\nWhat happened (times since the clients' start)\n");
        for line in &self.timeline {
            put(&format!("{:>11}  {}", line.at, line.text));
        }
        put("\nWhat clients came to\n");
        for summary in &self.clients {
            put(&format!("{}  {}", summary.client, summary.text));
        }
        for group in &self.groups {
            for (number, line) in group.lines.iter().enumerate() {
                match number {
                    0 => put(&format!("group {}  {line}", group.group)),
                    _ => put(&format!("         - {line}")),
                }
            }
        }
        for loss in &self.losses {
            put("");
            explanation(loss, "LOST", "acknowledged and in no final log", &mut put);
        }
        for duplicate in &self.duplicates {
            put("");
            explanation(duplicate, "TWICE", "in the final log more than once", &mut put);
        }
        if !self.groups_over_time.is_empty() {
            put("\nHow groups came along\n");
            put(over_time_table(&self.groups_over_time).trim_end());
        }
        put("\nWhat it means\n");
        self.meaning(&mut put);
        put("\nWhat would have paged somebody (rules: reports/README.md)\n");
        put(self.page_table().trim_end());
        for description in &self.described {
            let past = if description.after_the_end {
                " (the trial was over by then: its last state)"
            } else {
                ""
            };
            put(&format!(
                "\nkafka-topics --describe at {}{past}\n",
                description.at
            ));
            put(description.text().trim_end());
            if let Some(groups) = &description.groups {
                put(&format!(
                    "\nkafka-consumer-groups --describe at {}, and members\n",
                    description.at
                ));
                put(groups.text().trim_end());
            }
        }
        put(&format!(
            "\n{} after {}; digest {}; {} events, {} messages",
            self.ending,
            ktrial_sim::Time(self.footprint.length),
            self.footprint.digest,
            self.footprint.events,
            self.footprint.messages
        ));
        for pending in &self.pending {
            put(&format!("not converged: {pending}"));
        }
        put(&format!("again: {}", self.reproduce));
        text
    }

    fn settings_table(&self) -> String {
        let mut table = Table::new([
            ("of", Align::Left),
            ("setting", Align::Left),
            ("value", Align::Left),
            ("from", Align::Left),
        ]);
        for setting in &self.settings {
            table.row([
                setting.of.clone(),
                setting.name.to_owned(),
                setting.value.clone(),
                setting.from.clone(),
            ]);
        }
        table.render()
    }

    fn meaning(&self, put: &mut impl FnMut(&str)) {
        if let Some(why) = self.vacuous {
            put(&format!("VACUOUS  {why}: nothing was put on trial"));
        }
        let violated = self
            .verdicts
            .iter()
            .filter(|verdict| verdict.verdict == "BROKEN" || verdict.verdict == "EXPOSED");
        for verdict in violated {
            verdict.lines().iter().for_each(|line| put(line));
        }
        for word in ["holds", "VACUOUS"] {
            let names: Vec<String> = self
                .verdicts
                .iter()
                .filter(|verdict| verdict.verdict == word && verdict.because.is_none())
                .map(|verdict| format!("{} {}", verdict.id, verdict.name))
                .collect();
            for (number, chunk) in names.chunks(4).enumerate() {
                let word = if number == 0 { word } else { "" };
                put(&format!("{word:7}  {}", chunk.join(", ")));
            }
        }
        let unjudged = self
            .verdicts
            .iter()
            .filter(|verdict| verdict.verdict == "VACUOUS");
        for verdict in unjudged {
            if let Some(because) = &verdict.because {
                let InvariantVerdict { id, name, .. } = verdict;
                put(&format!("VACUOUS  {id} {name} is not judged: {because}"));
            }
        }
    }

    fn page_table(&self) -> String {
        if self.pages.is_empty() {
            return "nobody would have been paged".to_owned();
        }
        let mut table = Table::new([
            ("metric", Align::Left),
            ("rule", Align::Left),
            ("paged at", Align::Right),
            ("cleared at", Align::Right),
            ("most", Align::Right),
        ]);
        for page in &self.pages {
            let cleared = match page.cleared {
                Some(cleared) => cleared.to_string(),
                None if page.counts() => "-".to_owned(),
                None => "not at all".to_owned(),
            };
            let mut name = page.bean.to_owned();
            write!(name, ",name={}", page.metric).expect("writing to a string");
            table.row([
                name,
                page.rule.clone(),
                page.fired.to_string(),
                cleared,
                page.most.to_string(),
            ]);
        }
        table.render()
    }
}

fn explanation(explained: &Explanation, word: &str, what: &str, put: &mut impl FnMut(&str)) {
    put(&format!(
        "{word:7}  {} of {}: {}, {what}",
        super::words::plural(explained.count, "record"),
        explained.partition,
        explained.records
    ));
    for step in &explained.steps {
        put(&format!("         - {step}"));
    }
    for setting in &explained.settings {
        put(&format!("         setting: {setting}"));
    }
}
