//! Where the parts of the image lie: symbols of `link.ld`.
#![expect(unsafe_code, reason = "symbols that only the linker script defines")]

use crate::AddrRange;

unsafe extern "C" {
    safe static image_text_start: u8;
    safe static image_text_end: u8;
    safe static image_rodata_start: u8;
    safe static image_rodata_end: u8;
    safe static image_data_start: u8;
    safe static image_data_end: u8;
}

/// Code: executable, never written.
pub fn text() -> Option<AddrRange> {
    AddrRange::between(&raw const image_text_start as u64, &raw const image_text_end as u64)
}

/// Constants: neither written nor executed.
pub fn rodata() -> Option<AddrRange> {
    AddrRange::between(&raw const image_rodata_start as u64, &raw const image_rodata_end as u64)
}

/// Variables, initialized and not, with the stacks: never executed.
pub fn data() -> Option<AddrRange> {
    AddrRange::between(&raw const image_data_start as u64, &raw const image_data_end as u64)
}

/// All of it.
pub fn whole() -> Option<AddrRange> {
    AddrRange::between(&raw const image_text_start as u64, &raw const image_data_end as u64)
}
