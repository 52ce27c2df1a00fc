mod application;
mod bench;
mod commits;
mod heartbeats;
mod joining;
mod positions;
