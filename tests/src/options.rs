//! Words of QEMU's options that more than one part of the harness writes.

use std::path::Path;

/// QEMU's name for what the card with this number is connected to.
pub(crate) fn netdev(number: usize) -> String {
    format!("net{number}")
}

/// The MAC address of the card with this number.
pub(crate) fn mac(number: usize) -> String {
    format!("52:54:00:00:00:{:02x}", number.saturating_add(1))
}

/// A path as part of one of QEMU's options, where a comma is written twice.
pub(crate) fn option_value(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}
