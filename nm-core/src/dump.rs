//! Buffers made readable.

use core::fmt;

/// Bytes on one line.
const LINE: usize = 16;

/// The bytes of a buffer as people read them: on each line the offset, 16 bytes in hexadecimal, and the same as text,
/// with a dot for what is no printable ASCII.
///
/// ```
/// use nm_core::dump::Dump;
/// let text = Dump::new(b"GET / HTTP/1.1\r\nHost: x\r\n", 0).to_string();
/// assert_eq!(text, "\
/// 25 bytes
///     0: 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a  GET / HTTP/1.1..
///    16: 48 6f 73 74 3a 20 78 0d 0a                       Host: x..
/// ");
/// ```
#[derive(Debug, Clone, Copy)]
#[doc(alias = "nm_dump_buf")]
pub struct Dump<'a> {
    bytes: &'a [u8],
    limit: usize,
}

impl<'a> Dump<'a> {
    /// Shows the first `limit` of `bytes`; 0, or more than there are, means all of them.
    pub fn new(bytes: &'a [u8], limit: usize) -> Self {
        let limit = if limit == 0 { bytes.len() } else { limit.min(bytes.len()) };
        Self { bytes, limit }
    }
}

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.bytes.get(..self.limit).unwrap_or_default();
        write!(f, "{} bytes", self.bytes.len())?;
        if shown.len() < self.bytes.len() {
            write!(f, ", the first {}", shown.len())?;
        }
        writeln!(f)?;
        (0..).step_by(LINE).zip(shown.chunks(LINE)).try_for_each(|(offset, line)| write_line(f, offset, line))
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, offset: usize, line: &[u8]) -> fmt::Result {
    write!(f, "{offset:5}: ")?;
    line.iter().try_for_each(|byte| write!(f, "{byte:02x} "))?;
    let padding = (LINE - line.len()) * "00 ".len() + 1;
    write!(f, "{:padding$}", "")?;
    let letter = |byte: u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' };
    line.iter().try_for_each(|&byte| write!(f, "{}", letter(byte)))?;
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_limit_is_netmaps() {
        let bytes: Vec<u8> = (0..40).collect();
        let lines = |limit| Dump::new(&bytes, limit).to_string().lines().count();
        assert_eq!(
            (lines(0), lines(16), lines(17), lines(40), lines(41), lines(usize::MAX)),
            (4, 2, 3, 4, 4, 4)
        );
        let first = Dump::new(&bytes, 3).to_string();
        let blank = " ".repeat(40);
        assert_eq!(first, std::format!("40 bytes, the first 3\n    0: 00 01 02 {blank}...\n"));
        assert_eq!(Dump::new(&[], 5).to_string(), "0 bytes\n");
    }

    proptest! {
        /// What is printed can be read back.
        #[test]
        fn no_byte_is_lost(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0usize..220) {
            let text = Dump::new(&bytes, limit).to_string();
            let mut read = Vec::new();
            for line in text.lines().skip(1) {
                prop_assert_eq!(line.split_once(':').unwrap().0.trim().parse::<usize>().unwrap(), read.len());
                let hex: String = line.chars().skip(7).take(48).collect();
                let part: Vec<u8> = hex.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
                prop_assert_eq!(line.chars().count(), 56 + part.len());
                read.extend(part);
            }
            let all = limit == 0 || limit > bytes.len();
            prop_assert_eq!(&read[..], if all { &bytes[..] } else { &bytes[..limit] });
        }
    }
}
