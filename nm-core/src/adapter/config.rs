//! The configuration of an adapter: what its card said of itself while it was closed.
//!
//! | the card says | the interface is closed | a port is open |
//! |---|---|---|
//! | the same as before | | |
//! | something else | it is adopted, and noted in the log | what was adopted stays, one warning for each change |
//! | something that no port can have | the open is refused | as above |

use crate::nic::NicInfo;
use crate::open_error::OpenError;

/// What the card said of itself, as far as it was adopted.
#[derive(Debug)]
pub(super) struct Configuration {
    adopted: NicInfo,
    /// The most queues that there can be: transmit, receive.
    most: (u16, u16),
    /// A change that a port in use kept from being adopted, and that was reported.
    reported: Option<NicInfo>,
}

impl Configuration {
    /// Begins with `first`, and never has more queues than `most`.
    pub(super) fn new(first: NicInfo, most: (u16, u16)) -> Self {
        Self { adopted: first, most, reported: None }
    }

    pub(super) fn adopted(&self) -> &NicInfo {
        &self.adopted
    }

    /// Interface `name`, which is closed, is what `found` says from now on.
    #[doc(alias = "netmap_update_config")]
    pub(super) fn adopt(&mut self, name: &str, found: NicInfo) -> Result<(), OpenError> {
        self.reported = None;
        if found == self.adopted {
            return Ok(());
        }
        let (tx, rx) = self.most;
        if !has_rings(&found) || found.tx_queues > tx || found.rx_queues > rx {
            return Err(OpenError::Configuration { name: name.into(), found, most: self.most });
        }
        log::info!(target: "netmap", "{name}: configuration changed from {} to {found}", self.adopted);
        self.adopted = found;
        Ok(())
    }

    /// Interface `name` stays what it was, for ports are open on it, whatever `found` says.
    pub(super) fn keep(&mut self, name: &str, found: NicInfo) {
        if found == self.adopted {
            self.reported = None;
        } else if self.reported.as_ref() != Some(&found) {
            let adopted = &self.adopted;
            log::warn!(target: "netmap", "{name}: configuration changed to {found}; {adopted} stays in use until the last port is closed");
            self.reported = Some(found);
        }
    }
}

/// Whether a port can have rings of what the card says: a queue of two slots each way.
pub(crate) fn has_rings(info: &NicInfo) -> bool {
    info.tx_queues > 0 && info.rx_queues > 0 && info.tx_slots >= 2 && info.rx_slots >= 2
}
