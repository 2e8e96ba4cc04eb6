//! Mock DCC: front door, access, inventory, outbox
