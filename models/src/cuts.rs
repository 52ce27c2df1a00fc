//! Named places between two steps, where another lane may go first if the cut is armed.

/// A request handler has read a request to the controller, and noted the contact if it is a heartbeat; the event
/// is not yet in the controller's queue (`ControllerApis`, `QuorumController.appendWriteEvent`). `who` names the
/// connection and the request on it.
pub const CONTROLLER_EVENT: u16 = 32;
/// Producer, application thread: between `RecordAccumulator.append` and `Sender.wakeup` in `KafkaProducer.doSend`.
pub const APPEND_TO_WAKEUP: u16 = 96;
/// Producer, I/O thread: between `RecordAccumulator.drain` and `RecordAccumulator.expiredBatches` in
/// `Sender.sendProducerData`.
pub const DRAIN_TO_EXPIRE: u16 = 97;
