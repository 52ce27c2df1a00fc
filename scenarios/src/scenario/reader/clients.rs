//! The clients: producers, readers, consumers of groups.

use ktrial_sim::Duration;

use super::Reader;
use super::applications::one_of;
use crate::consumer_file::{ConductFile, ConsumerFile};
use crate::consumers::{Conduct, DeclaredConsumers, InstanceIds};
use crate::file::{ProducerFile, ReaderFile, ScenarioFile, Text};
use crate::span::parse_span;
use crate::workload::Workload;

/// Consumers that one declaration can stand for.
const MOST_CONSUMERS: u32 = 100;

const INSTANCE_IDS: [(&str, InstanceIds); 2] =
    [("numbered", InstanceIds::Numbered), ("same", InstanceIds::Same)];

impl Reader {
    fn client_library(&mut self, client: &Option<Text>) {
        let Some(client) = client else { return };
        if client.value != "java" {
            self.refuse(client, format!("the client {} is not modelled", client.value), "only Kafka's Java client of 4.3 is (`client: java`); librdkafka orders its retries in another way and will be a model of its own");
        }
    }

    pub(super) fn producers(
        &mut self,
        file: &ScenarioFile,
        topics: &[String],
    ) -> Vec<(String, u16, Workload)> {
        let mut producers = Vec::new();
        for (name, producer) in &file.producers {
            let ProducerFile {
                topic,
                client,
                rate,
                count,
                bytes,
                numbered,
                keys,
                ..
            } = &producer.value;
            self.client_library(client);
            if rate.value == 0 || rate.value > 1_000_000 {
                self.refuse(
                    rate,
                    format!("producer {name}: {} records a second", rate.value),
                    "give a rate from 1 to 1000000",
                );
            }
            let workload = Workload {
                interval: Duration(1_000_000_000 / u64::from(rate.value.max(1))),
                count: *count,
                bytes: *bytes,
                numbered: *numbered,
                keys: *keys,
            };
            producers.push((name.clone(), self.topic_number(topic, topics), workload));
        }
        producers
    }

    pub(super) fn readers(
        &mut self,
        file: &ScenarioFile,
        topics: &[String],
        racks: &[String],
    ) -> Vec<(String, Vec<u16>, Option<u16>)> {
        let mut readers = Vec::new();
        for (name, reader) in &file.readers {
            let ReaderFile {
                topics: of,
                client,
                rack,
                ..
            } = &reader.value;
            self.client_library(client);
            let of = of.iter().map(|topic| self.topic_number(topic, topics)).collect();
            let rack = self.rack(rack, racks);
            readers.push((name.clone(), of, rack));
        }
        readers
    }

    /// The consumers of groups, as far as an arm does not want them otherwise.
    pub(super) fn consumers(
        &mut self,
        file: &ScenarioFile,
        otherwise: &ConductFile,
        topics: &[String],
        racks: &[String],
    ) -> Vec<DeclaredConsumers> {
        let mut consumers = Vec::new();
        for (name, declared) in &file.consumers {
            let declared = &declared.value;
            self.client_library(&declared.client);
            if declared.topics.is_empty() {
                self.refuse(&declared.group, "a consumer without topics", "name at least one");
            }
            let subscribed = declared.topics.iter();
            let letters = declared.dead_letter.as_ref();
            let consumer = DeclaredConsumers {
                name: name.clone(),
                group: declared.group.value.clone(),
                topics: subscribed.map(|topic| self.topic_number(topic, topics)).collect(),
                rack: self.rack(&declared.rack, racks),
                letters: letters.map(|topic| self.topic_number(topic, topics)),
                conduct: self.conduct(otherwise, declared),
            };
            let alone = file.arms.is_empty() && file.counter.is_none();
            if let Some(topic) = letters.filter(|_| alone && !consumer.sends_on()) {
                self.refuse(topic, "no record is sent there", "say `on_failure: dead_letter`");
            }
            consumers.push(consumer);
        }
        consumers
    }

    /// What declared consumers do, as far as an arm does not want it otherwise.
    pub(super) fn conduct(&mut self, otherwise: &ConductFile, declared: &ConsumerFile) -> Conduct {
        let file = otherwise.over(declared);
        let count = file.count.as_ref().map_or(1, |count| count.value);
        if let Some(text) = &file.count
            && !(1..=MOST_CONSUMERS).contains(&count)
        {
            self.refuse(text, format!("{count} consumers"), "give 1 to 100");
        }
        let running = file.running.as_ref();
        if let Some(running) = running.filter(|running| running.value > count) {
            let message = format!("{} of {count} consumers run", running.value);
            self.refuse(running, message, "give at most `count`");
        }
        // Reading goes on for further errors, and names each of them.
        let count = count.clamp(1, MOST_CONSUMERS);
        Conduct {
            count,
            running: running.map_or(count, |running| running.value),
            start: self.read(&file.start, None, |text| parse_span(text).map(Some)),
            instances: self.read(&file.instance_ids, InstanceIds::Numbered, |text| {
                one_of(text, &INSTANCE_IDS)
            }),
            application: self.application(&file, declared),
        }
    }

    fn rack(&mut self, rack: &Option<Text>, racks: &[String]) -> Option<u16> {
        let rack = rack.as_ref()?;
        let number = racks.iter().position(|known| *known == rack.value);
        if number.is_none() {
            let message = format!("no rack {}", rack.value);
            self.refuse(rack, message, "name one of cluster.racks");
        }
        number.map(|number| number as u16)
    }
}
