//! Named places between two steps, where another lane may go first if the cut is armed.

/// A request handler has read a request to the controller, and noted the contact if it is a heartbeat; the event
/// is not yet in the controller's queue (`ControllerApis`, `QuorumController.appendWriteEvent`). `who` names the
/// connection and the request on it.
pub const CONTROLLER_EVENT: u16 = 32;
