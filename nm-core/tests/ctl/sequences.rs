//! Anything, in any order.

use nm_core::ctl::{Descriptor, PortError, RegisterError, Request, RequestError};
use nm_core::errno;
use nm_core::poll::{Interest, Timeout};
use nm_core::raw::{RawOptions, Sharing, TxPoll};
use proptest::prelude::*;

use crate::common::frame;
use crate::world::{EPERM, GIFADDR, REFUSED, World, submit, world};

#[derive(Debug, Clone)]
enum Op {
    Open,
    Close(usize),
    Info(usize, String),
    Register { which: usize, name: String, options: RawOptions },
    Map(usize),
    AllowMap(bool),
    Sync { which: usize, is_tx: bool },
    Poll { which: usize, interest: u8 },
    Ask { which: usize, code: u32, interface: String, argument: Vec<u8> },
    Submit(usize),
    Arrive(u8),
    Reset(String),
    Detach(String),
}

fn interface() -> impl Strategy<Value = String> {
    (0..4).prop_map(|number| format!("em{number}"))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => interface(),
        2 => interface().prop_map(|name| format!("netmap:{name}*")),
        2 => interface().prop_map(|name| format!("{name}^")),
        2 => (interface(), 0..3).prop_map(|(name, ring)| format!("{name}-{ring}")),
        1 => Just(String::new()),
        1 => "\\PC{0,20}",
    ]
}

fn code() -> impl Strategy<Value = u32> {
    const OWN: &[u32] = &[
        0xc03c_6991,
        0xc03c_6992,
        0x6993,
        0x2000_6993,
        0x6994,
        0x2000_6994,
        0x6995,
        0x2000_6995,
        0xc058_6997,
        0x8004_4270,
        0x4004_4274,
        0x8004_4275,
        0x8004_4277,
        GIFADDR,
        REFUSED,
    ];
    prop_oneof![3 => prop::sample::select(OWN), 1 => any::<u32>()]
}

fn op() -> impl Strategy<Value = Op> {
    let which = || 0usize..4;
    let options =
        (any::<bool>(), 0u32..6, any::<bool>()).prop_map(|(is_shared, extra_buffers, sends)| RawOptions {
            sharing: if is_shared { Sharing::Shared } else { Sharing::Exclusive },
            extra_buffers,
            tx_poll: if sends { TxPoll::Pending } else { TxPoll::Asked },
            offsets: None,
        });
    prop_oneof![
        3 => Just(Op::Open),
        2 => which().prop_map(Op::Close),
        2 => (which(), name()).prop_map(|(which, name)| Op::Info(which, name)),
        6 => (which(), name(), options).prop_map(|(which, name, options)| Op::Register { which, name, options }),
        2 => which().prop_map(Op::Map),
        1 => any::<bool>().prop_map(Op::AllowMap),
        3 => (which(), any::<bool>()).prop_map(|(which, is_tx)| Op::Sync { which, is_tx }),
        2 => (which(), 0u8..4).prop_map(|(which, interest)| Op::Poll { which, interest }),
        6 => (which(), code(), prop_oneof![interface(), name()], prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(which, code, interface, argument)| Op::Ask { which, code, interface, argument }),
        3 => which().prop_map(Op::Submit),
        2 => (0u8..4).prop_map(Op::Arrive),
        1 => interface().prop_map(Op::Reset),
        1 => interface().prop_map(Op::Detach),
    ]
}

/// Four descriptors at most.
struct Model<'a> {
    world: &'a World,
    open: Vec<Descriptor>,
}

impl Model<'_> {
    /// Does `op`, and checks that its answer is one that the state of the descriptor allows.
    fn run(&mut self, op: Op) {
        let world = self.world;
        match op {
            Op::Open if self.open.len() < 4 => self.open.push(world.netmap.descriptor()),
            Op::Open => {}
            Op::Close(which) if which < self.open.len() => drop(self.open.remove(which)),
            Op::AllowMap(is_allowed) => world.netmap.knobs().set("mmap_unreg", is_allowed.into()).unwrap(),
            Op::Arrive(number) => world.wires.iter().for_each(|wire| wire.send(&frame(number.into(), 60))),
            // The interface may be gone.
            Op::Reset(name) => drop(world.netmap.reset(&name)),
            Op::Detach(name) => drop(world.netmap.detach(&name)),
            Op::Info(which, ..)
            | Op::Close(which)
            | Op::Register { which, .. }
            | Op::Map(which)
            | Op::Sync { which, .. }
            | Op::Poll { which, .. }
            | Op::Ask { which, .. }
            | Op::Submit(which) => {
                if let Some(descriptor) = self.open.get_mut(which) {
                    ask(world, descriptor, op);
                }
            }
        }
    }
}

fn ask(world: &World, descriptor: &mut Descriptor, op: Op) {
    let is_bound = descriptor.port().is_some();
    match op {
        Op::Info(_, name) => {
            let info = descriptor.info(&name);
            assert!(info.is_ok() || !name.is_empty());
        }
        Op::Register { name, options, .. } => {
            let before = descriptor.info(&name);
            match descriptor.register(&name, options) {
                Ok(registration) => {
                    assert!(!is_bound);
                    assert_eq!(before.unwrap(), registration.info);
                }
                Err(RegisterError::Bound(_)) => assert!(is_bound),
                Err(_) => assert!(descriptor.port().is_none()),
            }
        }
        Op::Map(_) => {
            let is_allowed = is_bound || world.netmap.knobs().mmap_unreg();
            assert_eq!(descriptor.mmap().is_ok(), is_allowed);
        }
        Op::Sync { is_tx, .. } => {
            let answer = if is_tx { descriptor.txsync() } else { descriptor.rxsync() };
            assert_eq!(answer == Err(PortError::Unbound), !is_bound);
        }
        Op::Poll { interest, .. } => {
            let answer = descriptor.poll(Interest::from_bits_truncate(interest), Timeout::Now);
            assert_eq!(answer == Err(PortError::Unbound), !is_bound);
        }
        Op::Ask { code, interface, mut argument, .. } => {
            let (request, len) = (Request::from_code(code), argument.len());
            let answer = descriptor.request(request, &interface, &mut argument);
            assert_eq!(argument.len(), len);
            check(request, is_bound, answer);
        }
        Op::Submit(_) => {
            if let Some(port) = descriptor.port().filter(|port| port.tx_ring(0).is_some()) {
                submit(port, 60);
            }
        }
        other => panic!("{other:?} is for no descriptor"),
    }
}

fn check(request: Request, is_bound: bool, answer: Result<(), RequestError>) {
    let number = answer.as_ref().map_err(RequestError::errno);
    match request {
        Request::Info | Request::Register | Request::Control | Request::Unregister => {
            assert_eq!(number, Err(errno::EINVAL));
        }
        Request::TxSync | Request::RxSync => {
            assert_eq!(matches!(answer, Err(RequestError::Sync(PortError::Unbound))), !is_bound);
        }
        Request::Other(_) => {
            let allowed = [Ok(&()), Err(errno::ENXIO), Err(errno::EOPNOTSUPP), Err(EPERM)];
            assert!(allowed.contains(&number), "{answer:?}");
        }
        _ => assert_eq!(number, Ok(&())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 256 }))]

    /// Whatever programs ask of their descriptors in whatever order: no panic, answers that the state of the
    /// descriptor allows, and at the end everything back where it was.
    #[test]
    fn anything_may_be_asked_in_any_order(ops in prop::collection::vec(op(), 1..80)) {
        let world = world(16, 400);
        let mut model = Model { world: &world, open: vec![world.netmap.descriptor()] };
        ops.into_iter().for_each(|op| model.run(op));
        drop(model);
        world.assert_all_home();
    }
}
