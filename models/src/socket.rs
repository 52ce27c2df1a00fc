//! What Linux makes of the sizes of socket buffers that Kafka's settings ask for.

/// What autotuning lets a send buffer grow to (`net.ipv4.tcp_wmem`), where Kafka leaves the size to the system.
const LARGEST_SEND_BUFFER: u64 = 4 << 20;
/// The same for a receive buffer (`net.ipv4.tcp_rmem`).
const LARGEST_RECEIVE_BUFFER: u64 = 6 << 20;

/// How many bytes a socket holds that the other machine has not acknowledged, before it is no longer offered for
/// writing. `setsockopt` doubles what it is asked for; a socket is writable while a third of that is free
/// (`sk_stream_is_writeable`).
pub(crate) fn send_buffer(setting: Option<u64>) -> u64 {
    setting.map_or(LARGEST_SEND_BUFFER, |bytes| 2 * bytes) * 2 / 3
}

/// How many bytes a socket takes in that the process has not read: of twice the size asked for, some four fifths are
/// data (`tcp_win_from_space`, with the share that full segments have).
pub(crate) fn receive_buffer(setting: Option<u64>) -> u64 {
    setting.map_or(LARGEST_RECEIVE_BUFFER, |bytes| 2 * bytes) * 4 / 5
}
