//! Groups of consumers in whole clusters: what a scenario's consumers go through, and what becomes of records.

mod classic;
mod migration;
mod modern;
mod trial;
