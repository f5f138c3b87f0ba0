//! What one ring can be made to do, real and naive; and a poll over several.

use nm_core::poll::{Interest, PollError, Ready, Timeout};
use nm_core::ring::{Ring, Side};
use nm_core::stats::{Direction, RingKind};
use nm_core::{RxRing, SyncError, TxRing};

use crate::programs::Program;
use crate::programs::naive::{self, Card};

pub fn txsync(ring: &mut TxRing, card: &mut Card, _: &mut Program<'_>) {
    assert_eq!(ring.txsync(), card.txsync(ring.number().into()));
}

pub fn rxsync(ring: &mut RxRing, card: &mut Card, _: &mut Program<'_>) {
    assert_eq!(ring.rxsync(), card.rxsync(ring.number().into()));
}

pub fn advance<D: Side>(ring: &mut Ring<D>, card: &mut Card, program: &mut Program<'_>) {
    let count = program.below(12);
    assert_eq!(ring.advance(count as u32), naive_of(ring, card).advance(count));
}

pub fn look<D: Side>(ring: &mut Ring<D>, card: &mut Card, program: &mut Program<'_>) {
    let count = program.below(12);
    assert_eq!(ring.look(count as u32), naive_of(ring, card).look(count));
}

pub fn poll_tx(ring: &mut TxRing, card: &mut Card, _: &mut Program<'_>) {
    let polled = ring.poll(Timeout::Now);
    let expected = poll(card, &[ring.number().into()], &[], Interest::WRITABLE, false);
    assert_eq!(polled, expected.map(|ready| ready.writable));
}

pub fn poll_rx(ring: &mut RxRing, card: &mut Card, _: &mut Program<'_>) {
    let polled = ring.poll(Timeout::Now);
    let expected = poll(card, &[], &[ring.number().into()], Interest::READABLE, false);
    assert_eq!(polled, expected.map(|ready| ready.readable));
}

pub fn naive_of<'a, D: Side>(ring: &Ring<D>, card: &'a mut Card) -> &'a mut naive::Ring {
    match D::DIRECTION {
        Direction::Tx => &mut card.tx[usize::from(ring.number())],
        Direction::Rx => &mut card.rx[usize::from(ring.number())],
    }
}

/// One pass of a poll over these rings, as the table in `poll` tells it.
pub fn poll(
    card: &mut Card,
    tx: &[usize],
    rx: &[usize],
    interest: Interest,
    sends: bool,
) -> Result<Ready, PollError> {
    let writable = |card: &Card| tx.iter().map(|number| card.tx[*number].avail()).sum::<u32>();
    let readable = |card: &Card| rx.iter().map(|number| card.rx[*number].avail()).sum::<u32>();
    let (has_tx, has_rx) = (interest.contains(Interest::WRITABLE), interest.contains(Interest::READABLE));
    let mut ready = Ready { readable: 0, writable: if has_tx { writable(card) } else { 0 } };
    let wants_tx = has_tx && ready.writable == 0;
    let mut failed = None;
    let mut note = |direction, ring: usize, synced: Result<(), SyncError>| {
        if let Err(cause) = synced {
            failed.get_or_insert((direction, ring as u16, cause));
        }
    };
    for &number in tx {
        if wants_tx || sends && card.tx[number].has_unsent() {
            note(Direction::Tx, number, card.txsync(number));
        }
    }
    for &number in rx.iter().filter(|_| has_rx) {
        if card.rx[number].avail() == 0 || card.rx[number].has_released() {
            note(Direction::Rx, number, card.rxsync(number));
        }
    }
    // What was ready was counted before what waited was sent.
    if wants_tx {
        ready.writable = writable(card);
    }
    if has_rx {
        ready.readable = readable(card);
    }
    match failed {
        Some((direction, ring, cause)) => {
            Err(PollError { port: 0, direction, kind: RingKind::Hardware, ring, cause, ready })
        }
        None => Ok(ready),
    }
}
