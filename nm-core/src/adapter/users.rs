//! Who has which ring of an interface.

use alloc::vec::Vec;

use crate::name::RingSelection;
use crate::open_error::OpenError;
use crate::stats::{Direction, RingKind};

/// How many rings an interface has. The host rings are numbered on from the hardware's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rings {
    pub(crate) tx: u16,
    pub(crate) rx: u16,
    pub(crate) host_tx: u16,
    pub(crate) host_rx: u16,
}

impl Rings {
    /// Rings of the card, one way.
    pub(crate) fn hardware(self, direction: Direction) -> u16 {
        match direction {
            Direction::Tx => self.tx,
            Direction::Rx => self.rx,
        }
    }

    /// Rings of the host stack, one way.
    pub(crate) fn host(self, direction: Direction) -> u16 {
        match direction {
            Direction::Tx => self.host_tx,
            Direction::Rx => self.host_rx,
        }
    }

    /// The rings of interface `name` that `selection` names, or why there are none.
    pub(super) fn select(self, name: &str, selection: RingSelection) -> Result<RingSet, OpenError> {
        let no_ring = |kind, ring, rings| OpenError::NoRing { name: name.into(), kind, ring, rings };
        RingSet::new(selection, self).ok_or_else(|| match selection {
            RingSelection::One(ring) => no_ring(RingKind::Hardware, ring, (self.tx, self.rx)),
            RingSelection::OneHost(ring) if self.host_tx > 0 => {
                no_ring(RingKind::Host, ring, (self.host_tx, self.host_rx))
            }
            _ => OpenError::NoHostRings(name.into()),
        })
    }

    /// What is at the other end of ring `ring`, and its number among those.
    pub(crate) fn place(self, direction: Direction, ring: u16) -> (RingKind, u16) {
        match ring.checked_sub(self.hardware(direction)) {
            None => (RingKind::Hardware, ring),
            Some(number) => (RingKind::Host, number),
        }
    }
}

/// The rings that a port asks for: numbers of the first, and behind the last, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RingSet {
    tx: (u16, u16),
    rx: (u16, u16),
}

impl RingSet {
    /// The rings of `rings` that `selection` names. A ring may be there one way only, as an interface may have fewer one
    /// way than the other; `None` when there is none at all.
    fn new(selection: RingSelection, rings: Rings) -> Option<Self> {
        let way = |direction| range(selection, rings.hardware(direction), rings.host(direction));
        let set = Self { tx: way(Direction::Tx), rx: way(Direction::Rx) };
        let has_host = rings.host_tx > 0 && rings.host_rx > 0;
        let is_there = set.tx.0 < set.tx.1 || set.rx.0 < set.rx.1;
        (is_there && (has_host || selection != RingSelection::HardwareAndHost)).then_some(set)
    }

    /// The numbers of the rings one way.
    pub(super) fn iter(self, direction: Direction) -> impl Iterator<Item = u16> {
        let (from, to) = match direction {
            Direction::Tx => self.tx,
            Direction::Rx => self.rx,
        };
        from..to
    }
}

/// First ring of a selection and the one behind the last, one way.
fn range(selection: RingSelection, hardware: u16, host: u16) -> (u16, u16) {
    let one = |ring, rings: u16| if ring < rings { (ring, ring + 1) } else { (0, 0) };
    match selection {
        RingSelection::AllHardware => (0, hardware),
        RingSelection::One(ring) => one(ring, hardware),
        RingSelection::Host => (hardware, hardware + host),
        RingSelection::OneHost(ring) => {
            let (from, to) = one(ring, host);
            (hardware + from, hardware + to)
        }
        RingSelection::HardwareAndHost => (0, hardware + host),
    }
}

/// Whether a port has its rings for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// No other user may bind them.
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
    pub(super) fn new(rings: Rings) -> Self {
        let free = |direction| alloc::vec![Use::Free; usize::from(rings.hardware(direction) + rings.host(direction))];
        Self { tx: free(Direction::Tx), rx: free(Direction::Rx) }
    }

    /// Whether any ring has a user.
    pub(super) fn is_any(&self) -> bool {
        self.tx.iter().chain(&self.rx).any(|user| *user != Use::Free)
    }

    /// Binds all rings of `set`, or none: then one that is in use is returned.
    pub(super) fn bind(&mut self, set: RingSet, sharing: Sharing) -> Result<(), (Direction, u16)> {
        for direction in [Direction::Tx, Direction::Rx] {
            let taken = set.iter(direction).find(|ring| !self.can_bind(direction, *ring, sharing));
            taken.map_or(Ok(()), |ring| Err((direction, ring)))?;
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

    /// Whether this ring has no user.
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

    const RINGS: Rings = Rings { tx: 2, rx: 3, host_tx: 1, host_rx: 2 };

    fn set(selection: RingSelection) -> RingSet {
        RingSet::new(selection, RINGS).unwrap()
    }

    #[test]
    fn a_set_names_the_rings_that_there_are() {
        let numbers = |selection| -> Option<(Vec<u16>, Vec<u16>)> {
            let set = RingSet::new(selection, RINGS)?;
            Some((set.iter(Direction::Tx).collect(), set.iter(Direction::Rx).collect()))
        };
        assert_eq!(numbers(RingSelection::AllHardware), Some(([0, 1].into(), [0, 1, 2].into())));
        assert_eq!(numbers(RingSelection::One(1)), Some(([1].into(), [1].into())));
        assert_eq!(numbers(RingSelection::One(2)), Some(([].into(), [2].into())));
        assert_eq!(numbers(RingSelection::One(3)), None);
        assert_eq!(numbers(RingSelection::One(u16::MAX)), None);
        assert_eq!(numbers(RingSelection::Host), Some(([2].into(), [3, 4].into())));
        assert_eq!(numbers(RingSelection::OneHost(0)), Some(([2].into(), [3].into())));
        assert_eq!(numbers(RingSelection::OneHost(1)), Some(([].into(), [4].into())));
        assert_eq!(numbers(RingSelection::OneHost(2)), None);
        let all = Some(([0, 1, 2].into(), [0, 1, 2, 3, 4].into()));
        assert_eq!(numbers(RingSelection::HardwareAndHost), all);
    }

    #[test]
    fn without_a_stack_there_are_no_host_rings() {
        let rings = Rings { host_tx: 0, host_rx: 0, ..RINGS };
        for selection in [RingSelection::Host, RingSelection::OneHost(0), RingSelection::HardwareAndHost] {
            assert_eq!(RingSet::new(selection, rings), None);
        }
    }

    #[test]
    fn exclusive_rings_have_one_user_and_shared_ones_any_number() {
        let (all, one) = (set(RingSelection::AllHardware), set(RingSelection::One(1)));
        let mut users = Users::new(RINGS);
        assert_eq!(users.bind(one, Sharing::Shared), Ok(()));
        assert_eq!(users.bind(all, Sharing::Shared), Ok(()));
        assert_eq!(users.bind(one, Sharing::Exclusive), Err((Direction::Tx, 1)));
        for direction in [Direction::Tx, Direction::Rx] {
            assert!(!users.release(direction, 1), "one user is left");
            assert!(users.release(direction, 1) && users.release(direction, 0));
        }
        assert!(users.release(Direction::Rx, 2) && !users.is_any());
        assert_eq!(users.bind(one, Sharing::Exclusive), Ok(()));
        assert_eq!(users.bind(all, Sharing::Shared), Err((Direction::Tx, 1)));
        assert!(users.is_free(Direction::Tx, 0), "what could not be bound whole is not bound at all");
        assert_eq!(
            users.bind(set(RingSelection::Host), Sharing::Exclusive),
            Ok(()),
            "the host rings have no user"
        );
        assert_eq!(users.bind(set(RingSelection::OneHost(1)), Sharing::Shared), Err((Direction::Rx, 4)));
    }
}
