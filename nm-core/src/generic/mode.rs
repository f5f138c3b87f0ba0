//! The choice between a card's own rings and the generic adapter.

use core::fmt;

use crate::errno;
use crate::tunables::AdapterMode;

/// What an interface has to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Present {
    /// Rings of its own.
    pub has_native: bool,
    /// A [`FrameDevice`](super::FrameDevice).
    pub has_frames: bool,
    /// The adapter that ports are open on.
    pub in_use: Option<Choice>,
}

/// A kind of adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The card's own rings.
    Native,
    /// The generic adapter.
    Generic,
}

/// The interface has no adapter of the kind that the mode asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAdapter(pub AdapterMode);

impl NoAdapter {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        errno::EINVAL
    }
}

impl fmt::Display for NoAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            AdapterMode::Best => "the driver supports neither native nor generic mode",
            AdapterMode::Native => "netmap.admode=1 requires native mode, which the driver does not support",
            AdapterMode::Generic => {
                "netmap.admode=2 requires generic mode, which the driver does not support"
            }
        })
    }
}

impl core::error::Error for NoAdapter {}

impl AdapterMode {
    /// The choice for a port that is being opened. On an interface that is in use it gets the adapter of the others; on
    /// one that is idle:
    ///
    /// | | rings and frames | rings alone | frames alone | neither |
    /// |---|---|---|---|---|
    /// | [`Best`](Self::Best) | native | native | generic | refused |
    /// | [`Native`](Self::Native) | native | native | refused | refused |
    /// | [`Generic`](Self::Generic) | generic | refused | generic | refused |
    #[doc(alias = "netmap_get_hw_na")]
    pub fn choose(self, present: Present) -> Result<Choice, NoAdapter> {
        let Present { has_native, has_frames, in_use } = present;
        if let Some(choice) = in_use {
            return Ok(choice);
        }
        match self {
            Self::Best | Self::Native if has_native => Ok(Choice::Native),
            Self::Best | Self::Generic if has_frames => Ok(Choice::Generic),
            mode => Err(NoAdapter(mode)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_netmaps() {
        use AdapterMode::{Best, Generic, Native};
        let frames = Present { has_frames: true, ..Present::default() };
        let rings = Present { has_native: true, ..Present::default() };
        let both = Present { has_native: true, has_frames: true, in_use: None };
        let native = Present { in_use: Some(Choice::Native), ..both };
        let generic = Present { in_use: Some(Choice::Generic), ..both };
        for (present, expected) in [
            (native, [Ok(Choice::Native); 3]),
            (generic, [Ok(Choice::Generic); 3]),
            (both, [Ok(Choice::Native), Ok(Choice::Native), Ok(Choice::Generic)]),
            (rings, [Ok(Choice::Native), Ok(Choice::Native), Err(NoAdapter(Generic))]),
            (frames, [Ok(Choice::Generic), Err(NoAdapter(Native)), Ok(Choice::Generic)]),
            (Present::default(), [Best, Native, Generic].map(|mode| Err(NoAdapter(mode)))),
        ] {
            assert_eq!([Best, Native, Generic].map(|mode| mode.choose(present)), expected, "{present:?}");
        }
    }
}
