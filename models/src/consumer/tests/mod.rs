mod application;
mod asynchronous;
mod bench;
mod commits;
mod heartbeats;
mod joining;
mod listener;
mod positions;
