//! What clients saw: the format `ktrial.history/1`, and the judges that need nothing else.
