//! The word by which a virtual machine monitor says where a virtio-mmio device is: `virtio_mmio.device=4K@0xd0000000:5`, as
//! Linux has it.

use core::fmt;
use core::str::FromStr;

/// `SIZE@ADDRESS:IRQ[:ID]`: numbers in decimal or, behind `0x`, in hexadecimal; behind the size `K`, `M` or `G`. The id is
/// Linux's own affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MmioDevice {
    /// Physical address of its registers.
    pub address: u64,
    /// Length of its registers in bytes, not 0; the last byte has an address of 64 bits.
    pub bytes: u64,
    /// Number of its interrupt.
    pub irq: u32,
}

/// Why a word says nothing about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MmioDeviceError {
    /// Something other than `SIZE@ADDRESS:IRQ` or `SIZE@ADDRESS:IRQ:ID`.
    Form,
    /// This part of it is no number, or one that is too large.
    Number(&'static str),
    /// There are no registers, or not all of them have an address.
    Range,
}

impl MmioDevice {
    /// Whether a register of one is a register of the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let last = |device: &Self| device.address.saturating_add(device.bytes.saturating_sub(1));
        self.address <= last(other) && other.address <= last(self)
    }
}

impl FromStr for MmioDevice {
    type Err = MmioDeviceError;

    fn from_str(word: &str) -> Result<Self, MmioDeviceError> {
        let (bytes, rest) = word.split_once('@').ok_or(MmioDeviceError::Form)?;
        let (address, rest) = rest.split_once(':').ok_or(MmioDeviceError::Form)?;
        let (irq, id) = rest.split_once(':').unwrap_or((rest, "0"));
        let bytes = size(bytes).ok_or(MmioDeviceError::Number("SIZE"))?;
        let address = number(address).ok_or(MmioDeviceError::Number("ADDRESS"))?;
        let irq =
            number(irq).and_then(|irq| u32::try_from(irq).ok()).ok_or(MmioDeviceError::Number("IRQ"))?;
        number(id).ok_or(MmioDeviceError::Number("ID"))?;
        let last = bytes.checked_sub(1).and_then(|behind| address.checked_add(behind));
        last.ok_or(MmioDeviceError::Range)?;
        Ok(Self { address, bytes, irq })
    }
}

/// A number with a unit behind it, or none.
fn size(text: &str) -> Option<u64> {
    let unit = match text.bytes().last()? {
        b'k' | b'K' => 1 << 10,
        b'm' | b'M' => 1 << 20,
        b'g' | b'G' => 1 << 30,
        _ => return number(text),
    };
    let (digits, _unit) = text.split_at_checked(text.len() - 1)?;
    number(digits)?.checked_mul(unit)
}

/// Digits alone: `from_str_radix` would take a sign.
fn number(text: &str) -> Option<u64> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((text, 10), |digits| (digits, 16));
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    u64::from_str_radix(digits, radix).ok().filter(|_| is_number)
}

impl fmt::Display for MmioDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "virtio-mmio at {:#x}", self.address)
    }
}

impl fmt::Display for MmioDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("it must be SIZE@ADDRESS:IRQ, such as 4K@0xd0000000:5"),
            Self::Number(part) => {
                write!(
                    f,
                    "{part} in SIZE@ADDRESS:IRQ is not a number; examples are 5, 0xd0000000, and for SIZE 4K"
                )
            }
            Self::Range => f.write_str("the range is empty or ends beyond the last address"),
        }
    }
}

impl core::error::Error for MmioDeviceError {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn device(bytes: u64, address: u64, irq: u32) -> Result<MmioDevice, MmioDeviceError> {
        Ok(MmioDevice { address, bytes, irq })
    }

    #[test]
    fn devices_are_read_as_virtual_machine_monitors_write_them() {
        for (word, expected) in [
            ("4K@0xd0000000:5", device(4096, 0xd000_0000, 5)),
            ("512@0xfeb00e00:12", device(512, 0xfeb0_0e00, 12)),
            ("0x200@0xFEB02E00:23", device(512, 0xfeb0_2e00, 23)),
            ("1k@4096:0x10:7", device(1024, 4096, 16)),
            ("1M@0:0", device(1 << 20, 0, 0)),
            ("2g@0X100000000:4294967295", device(2 << 30, 1 << 32, u32::MAX)),
            ("1@0xffffffffffffffff:1", device(1, u64::MAX, 1)),
        ] {
            assert_eq!(word.parse(), expected, "{word}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_word_is_said() {
        let number = MmioDeviceError::Number;
        for (word, expected) in [
            ("", MmioDeviceError::Form),
            ("4K", MmioDeviceError::Form),
            ("4K@0xd0000000", MmioDeviceError::Form),
            ("0xd0000000:5", MmioDeviceError::Form),
            ("@0xd0000000:5", number("SIZE")),
            ("K@0xd0000000:5", number("SIZE")),
            ("4T@0xd0000000:5", number("SIZE")),
            ("4KK@0xd0000000:5", number("SIZE")),
            ("-4@0xd0000000:5", number("SIZE")),
            ("17179869184G@0:5", number("SIZE")),
            ("4é@0:5", number("SIZE")),
            ("4K@d0000000:5", number("ADDRESS")),
            ("4K@0x:5", number("ADDRESS")),
            ("4K@0x+1:5", number("ADDRESS")),
            ("4K@4K:5", number("ADDRESS")),
            ("4K@0x10000000000000000:5", number("ADDRESS")),
            ("4K@0xd0000000:", number("IRQ")),
            ("4K@0xd0000000:4294967296", number("IRQ")),
            ("4K@0xd0000000:+5", number("IRQ")),
            ("4K@0xd0000000:5:", number("ID")),
            ("4K@0xd0000000:5:1:2", number("ID")),
            ("0@0xd0000000:5", MmioDeviceError::Range),
            ("2@0xffffffffffffffff:5", MmioDeviceError::Range),
        ] {
            assert_eq!(word.parse::<MmioDevice>(), Err(expected), "{word}");
        }
        assert!(
            MmioDeviceError::Number("IRQ").to_string().starts_with("IRQ in SIZE@ADDRESS:IRQ is not a number")
        );
    }

    #[test]
    fn devices_overlap_if_they_share_a_register() {
        let overlap = |a: &str, b: &str| {
            let (a, b): (MmioDevice, MmioDevice) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(a.overlaps(&b), b.overlaps(&a));
            a.overlaps(&b)
        };
        assert!(overlap("512@0x1000:1", "512@0x1000:2"));
        assert!(overlap("512@0x1000:1", "1@0x11ff:2"));
        assert!(overlap("4K@0x1000:1", "1@0x1800:2"));
        assert!(!overlap("512@0x1000:1", "512@0x1200:2"));
        assert!(!overlap("1@0xffffffffffffffff:1", "512@0:2"));
    }

    proptest! {
        #[test]
        fn any_device_is_read_back(address: u64, bytes in 1..=u64::MAX, irq: u32) {
            let expected = match address.checked_add(bytes - 1) {
                Some(_) => device(bytes, address, irq),
                None => Err(MmioDeviceError::Range),
            };
            prop_assert_eq!(std::format!("{bytes}@{address:#x}:{irq}").parse(), expected);
            prop_assert_eq!(std::format!("{bytes:#x}@{address}:{irq}:3").parse(), expected);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*|[0-9xKMG]{0,4}@[0-9x]{0,4}:[0-9:]{0,4}") {
            let _ = text.parse::<MmioDevice>();
        }
    }
}
