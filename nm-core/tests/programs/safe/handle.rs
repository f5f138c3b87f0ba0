//! Rings in the hands of an application: a port, or what is left of one that was split.

use nm_core::{Port, RxRing, TxRing};

pub enum Handle {
    Whole(Port),
    Split(Vec<TxRing>, Vec<RxRing>),
}

impl Handle {
    pub fn rings(&mut self) -> (&mut [TxRing], &mut [RxRing]) {
        match self {
            Self::Whole(port) => port.rings(),
            Self::Split(tx, rx) => (tx, rx),
        }
    }

    pub fn split(self) -> Self {
        match self {
            Self::Whole(port) => {
                let (tx, rx) = port.split();
                Self::Split(tx, rx)
            }
            split @ Self::Split(..) => split,
        }
    }

    /// Lets go of one ring, if they are apart: the number of a transmit ring, or of a receive ring.
    pub fn drop_one(&mut self, at: usize) -> Option<(bool, usize)> {
        let Self::Split(tx, rx) = self else { return None };
        if at < tx.len() {
            return Some((true, tx.remove(at).number().into()));
        }
        let at = at - tx.len();
        (at < rx.len()).then(|| (false, rx.remove(at).number().into()))
    }

    pub fn is_empty(&mut self) -> bool {
        let (tx, rx) = self.rings();
        tx.is_empty() && rx.is_empty()
    }
}
