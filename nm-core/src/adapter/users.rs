//! Who has which ring of an interface.

use alloc::vec::Vec;

use crate::nic::NicInfo;
use crate::stats::Direction;

/// The rings that a port asks for: numbers of the first, and behind the last, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingSet {
    tx: (u16, u16),
    rx: (u16, u16),
}

impl RingSet {
    /// All rings of a card like `nic`.
    pub(crate) fn all(nic: &NicInfo) -> Self {
        Self { tx: (0, nic.tx_queues), rx: (0, nic.rx_queues) }
    }

    /// Ring `ring` each way. A card may have fewer rings one way than the other, so it may be there one way only; `None`
    /// when it is there neither way.
    pub(crate) fn one(ring: u16, nic: &NicInfo) -> Option<Self> {
        let one = |rings: u16| if ring < rings { (ring, ring + 1) } else { (0, 0) };
        let exists = ring < nic.tx_queues.max(nic.rx_queues);
        exists.then(|| Self { tx: one(nic.tx_queues), rx: one(nic.rx_queues) })
    }

    /// The numbers of the rings one way.
    pub(crate) fn iter(self, direction: Direction) -> impl Iterator<Item = u16> {
        let (from, to) = match direction {
            Direction::Tx => self.tx,
            Direction::Rx => self.rx,
        };
        from..to
    }
}

/// Whether a port has its rings for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody else may bind them.
    #[doc(alias = "NR_EXCLUSIVE")]
    Exclusive,
    /// Other sharing ports may bind them too.
    Shared,
}

/// The users of one ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Free,
    Exclusive,
    Shared(u32),
}

/// The users of all rings of an interface.
#[derive(Debug, Clone)]
pub(super) struct Users {
    tx: Vec<Use>,
    rx: Vec<Use>,
}

impl Users {
    pub(super) fn new(nic: &NicInfo) -> Self {
        let free = |rings| alloc::vec![Use::Free; usize::from(rings)];
        Self { tx: free(nic.tx_queues), rx: free(nic.rx_queues) }
    }

    /// Whether any ring has a user.
    pub(super) fn is_any(&self) -> bool {
        self.tx.iter().chain(&self.rx).any(|user| *user != Use::Free)
    }

    /// Binds all rings of `set`, or none: then the number of one that is in use is returned.
    pub(super) fn bind(&mut self, set: RingSet, sharing: Sharing) -> Result<(), u16> {
        for direction in [Direction::Tx, Direction::Rx] {
            let taken = set.iter(direction).find(|ring| !self.can_bind(direction, *ring, sharing));
            taken.map_or(Ok(()), Err)?;
        }
        for direction in [Direction::Tx, Direction::Rx] {
            set.iter(direction).for_each(|ring| self.add(direction, ring, sharing));
        }
        Ok(())
    }

    /// One user of a ring less. Returns whether it was the last.
    pub(super) fn release(&mut self, direction: Direction, ring: u16) -> bool {
        let Some(user) = self.of(direction, ring) else { return false };
        *user = match *user {
            Use::Shared(users) if users > 1 => Use::Shared(users - 1),
            _ => Use::Free,
        };
        *user == Use::Free
    }

    /// Whether nobody has this ring.
    pub(super) fn is_free(&self, direction: Direction, ring: u16) -> bool {
        let users = match direction {
            Direction::Tx => &self.tx,
            Direction::Rx => &self.rx,
        };
        users.get(usize::from(ring)) == Some(&Use::Free)
    }

    fn can_bind(&mut self, direction: Direction, ring: u16, sharing: Sharing) -> bool {
        match self.of(direction, ring) {
            Some(Use::Free) => true,
            Some(Use::Shared(_)) => sharing == Sharing::Shared,
            Some(Use::Exclusive) | None => false,
        }
    }

    fn add(&mut self, direction: Direction, ring: u16, sharing: Sharing) {
        let Some(user) = self.of(direction, ring) else { return };
        *user = match (*user, sharing) {
            (_, Sharing::Exclusive) => Use::Exclusive,
            (Use::Shared(users), Sharing::Shared) => Use::Shared(users + 1),
            (_, Sharing::Shared) => Use::Shared(1),
        };
    }

    fn of(&mut self, direction: Direction, ring: u16) -> Option<&mut Use> {
        let users = match direction {
            Direction::Tx => &mut self.tx,
            Direction::Rx => &mut self.rx,
        };
        users.get_mut(usize::from(ring))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn nic(tx_queues: u16, rx_queues: u16) -> NicInfo {
        NicInfo { mac: [0; 6], tx_queues, rx_queues, tx_slots: 8, rx_slots: 8 }
    }

    #[test]
    fn a_set_names_the_rings_that_there_are() {
        let nic = nic(2, 3);
        let numbers = |set: RingSet| -> (Vec<u16>, Vec<u16>) {
            (set.iter(Direction::Tx).collect(), set.iter(Direction::Rx).collect())
        };
        assert_eq!(numbers(RingSet::all(&nic)), ([0, 1].into(), [0, 1, 2].into()));
        assert_eq!(RingSet::one(1, &nic).map(numbers), Some(([1].into(), [1].into())));
        assert_eq!(RingSet::one(2, &nic).map(numbers), Some(([].into(), [2].into())));
        assert_eq!(RingSet::one(3, &nic), None);
        assert_eq!(RingSet::one(u16::MAX, &nic), None);
    }

    #[test]
    fn exclusive_rings_have_one_user_and_shared_ones_any_number() {
        let nic = nic(2, 2);
        let (all, one) = (RingSet::all(&nic), RingSet::one(1, &nic).unwrap());
        let mut users = Users::new(&nic);
        assert_eq!(users.bind(one, Sharing::Shared), Ok(()));
        assert_eq!(users.bind(all, Sharing::Shared), Ok(()));
        assert_eq!(users.bind(one, Sharing::Exclusive), Err(1));
        for direction in [Direction::Tx, Direction::Rx] {
            assert!(!users.release(direction, 1), "one user is left");
            assert!(users.release(direction, 1) && users.release(direction, 0));
        }
        assert!(!users.is_any());
        assert_eq!(users.bind(one, Sharing::Exclusive), Ok(()));
        assert_eq!(users.bind(all, Sharing::Shared), Err(1));
        assert!(users.is_free(Direction::Tx, 0), "what could not be bound whole is not bound at all");
    }
}
