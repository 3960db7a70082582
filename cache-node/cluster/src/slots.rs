//! What the state machine asks of the store, slot by slot. The node implements it over its store, the simulation over maps.

/// The data of the slots and whether requests may touch it. Every call is synchronous and short.
pub trait Slots {
    /// Requests on the slot run here from now on.
    fn open(&mut self, slot: u16);
    /// Requests on the slot wait from now on; none is running when this returns.
    fn park(&mut self, slot: u16);
    /// The parked slot is about to be given away for good: whoever keeps copies of its entries is told to forget them, since
    /// the new owner may change them from now on.
    fn seal(&mut self, slot: u16);
    /// Requests on the slot go to its new owner from now on: it was handed over.
    fn away(&mut self, slot: u16);
    /// Requests on the slot go elsewhere, and its data is dropped.
    fn close(&mut self, slot: u16);
    /// Drops the slot's data and leaves the rest as it is.
    fn clear(&mut self, slot: u16);
    /// From now on every change of the slot is recorded, in order.
    fn journal_start(&mut self, slot: u16);
    /// Appends the current state of some more entries, about `max_bytes`, to the records; true when all have been appended.
    fn journal_copy(&mut self, slot: u16, max_bytes: usize) -> bool;
    /// Takes the oldest records, about `max_bytes`; empty when there are none.
    fn journal_take(&mut self, slot: u16, max_bytes: usize) -> Vec<u8>;
    /// Bytes of records not yet taken.
    fn journal_len(&self, slot: u16) -> usize;
    /// Ends recording and forgets what was not taken.
    fn journal_stop(&mut self, slot: u16);
    /// Carries out records taken at the other side; false if they make no sense.
    fn apply(&mut self, slot: u16, records: &[u8]) -> bool;
}
