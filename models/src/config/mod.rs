//! Every setting of Kafka 4.3: name, type, default, range, scope, and what became of it here.
