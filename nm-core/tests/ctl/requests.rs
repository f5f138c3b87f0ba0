//! Requests by number.

use nm_core::ctl::{Descriptor, PortError, Request, RequestError};
use nm_core::poll::{Interest, Ready, Timeout};
use nm_core::{OpenError, SyncError, errno};

use crate::common::frame;
use crate::world::{EPERM, GIFADDR, REFUSED, bound, read, register, submit, told, world};

#[test]
fn frames_go_both_ways_by_method_and_by_number_of_either_system() {
    let world = world(16, 4096);
    let descriptor = bound(&world, "em2");
    let port = descriptor.port().unwrap();
    let ask = |code| descriptor.request(Request::from_code(code), "", &mut []);
    let send: [&dyn Fn(); 3] =
        [&|| descriptor.txsync().unwrap(), &|| ask(0x6994).unwrap(), &|| ask(0x2000_6994).unwrap()];
    for send in send {
        submit(port, 60);
        send();
        assert_eq!(world.wires[2].sent().len(), 1);
    }
    let receive: [&dyn Fn(); 3] =
        [&|| descriptor.rxsync().unwrap(), &|| ask(0x6995).unwrap(), &|| ask(0x2000_6995).unwrap()];
    for (number, receive) in (1..).zip(receive) {
        world.wires[2].send(&frame(number.into(), 60));
        receive();
        assert_eq!(read(port).1.tail, number);
        let ready = descriptor.poll(Interest::READABLE, Timeout::Now);
        assert_eq!(ready, Ok(Ready { readable: number, writable: 0 }));
    }
    drop(descriptor);
    world.assert_all_home();
}

#[test]
fn errors_of_rings_come_through_with_their_numbers() {
    let world = world(16, 4096);
    let descriptor = bound(&world, "em2");
    let ring = descriptor.port().unwrap().tx_ring(0).unwrap();
    let outside = SyncError::BadIndices { head: 77, cur: 77 };
    for sync in [Descriptor::txsync, |d: &Descriptor| match d.request(Request::TxSync, "", &mut []) {
        Err(RequestError::Sync(error)) => Err(error),
        other => panic!("{other:?}"),
    }] {
        // SAFETY: the port is open, and anything may be written.
        unsafe {
            (&raw mut (*ring.as_ptr()).head).write_volatile(77);
            (&raw mut (*ring.as_ptr()).cur).write_volatile(77);
        }
        let error = sync(&descriptor).unwrap_err();
        assert_eq!((error, error.errno()), (PortError::Port(outside), errno::EINVAL));
        assert_eq!(error.to_string(), outside.to_string());
    }
}

#[test]
fn what_is_withdrawn_or_comes_with_a_structure_is_refused() {
    let world = world(16, 4096);
    let mut descriptor = world.netmap.descriptor();
    let cases = [
        ([0x6993, 0x2000_6993], "NIOCUNREGIF is withdrawn; close the descriptor instead"),
        (
            [0xc03c_6991; 2],
            "NIOCGINFO comes with a structure, which is not taken by number; call Descriptor::info",
        ),
        (
            [0xc03c_6992; 2],
            "NIOCREGIF comes with a structure, which is not taken by number; call Descriptor::register",
        ),
        (
            [0xc058_6997; 2],
            "NIOCCTRL comes with a structure, which is not taken by number; \
             call Descriptor::info or Descriptor::register",
        ),
    ];
    for is_bound in [false, true] {
        if is_bound {
            register(&mut descriptor, "em0").unwrap();
        }
        for (codes, text) in cases {
            for code in codes {
                let answer = descriptor.request(Request::from_code(code), "em0", &mut [0; 88]);
                assert_eq!(told!(answer), (text.to_string(), errno::EINVAL));
            }
        }
        assert_eq!(descriptor.port().is_some(), is_bound);
    }
    assert!(world.stack.asked.lock().unwrap().is_empty(), "no interface is asked");
}

#[test]
fn what_bpf_programs_ask_is_accepted_and_ignored() {
    let world = world(16, 4096);
    let descriptor = world.netmap.descriptor();
    for code in [0x8004_4270, 0x4004_4274, 0x8004_4275, 0x8004_4277] {
        let mut argument = [0x5a; 4];
        descriptor.request(Request::from_code(code), "em9", &mut argument).unwrap();
        assert_eq!(argument, [0x5a; 4]);
    }
    assert!(world.stack.asked.lock().unwrap().is_empty());
}

#[test]
fn other_requests_are_answered_by_the_stack_of_the_interface_they_name() {
    let world = world(16, 4096);
    *world.stack.netmap.lock().unwrap() = Some(world.netmap.clone());
    for descriptor in [world.netmap.descriptor(), bound(&world, "em2")] {
        let mut argument = [0; 32];
        argument[..4].copy_from_slice(b"em0\0");
        let asked = argument.to_vec();
        descriptor.request(Request::from_code(GIFADDR), "em0", &mut argument).unwrap();
        assert_eq!(argument[16..20], [192, 0, 2, 1], "the answer is in the argument");
        let refused = descriptor.request(Request::Other(REFUSED), "em0", &mut argument);
        assert_eq!(
            told!(refused),
            ("the stack of em0 answers request 0x80206999 with error 1".to_string(), EPERM)
        );
        let noted: Vec<_> = world.stack.asked.lock().unwrap().drain(..).collect();
        assert_eq!(noted[0], ("em0".to_string(), GIFADDR, asked));
        assert_eq!(noted[1].1, REFUSED);
    }
    *world.stack.netmap.lock().unwrap() = None;
    assert!(!world.netmap.interfaces()[0].is_open, "nothing was opened for it");
    world.assert_all_home();
}

#[test]
fn requests_that_nobody_answers_are_told_apart() {
    let world = world(16, 4096);
    let descriptor = world.netmap.descriptor();
    let ask = |interface: &str| descriptor.request(Request::Other(GIFADDR), interface, &mut [0; 32]);
    assert_eq!(
        told!(ask("em1")),
        ("the stack of em1 does not know request 0xc0206921".to_string(), errno::EOPNOTSUPP)
    );
    assert_eq!(
        told!(ask("em2")),
        (
            "request 0xc0206921 is for the stack of em2, which was attached without one".to_string(),
            errno::EOPNOTSUPP
        )
    );
    for unknown in ["em9", "", "em 0", "netmap:em0", "em0^"] {
        let error = ask(unknown).unwrap_err();
        assert!(matches!(error, RequestError::Interface(OpenError::Unknown { .. })), "{unknown}: {error:?}");
        assert_eq!(error.errno(), errno::ENXIO);
    }
    assert_eq!(world.netmap.interfaces().len(), 4, "and nothing is created");
    world.assert_all_home();
}

/// `_IO` and its like, of FreeBSD's `sys/ioccom.h`.
fn freebsd(direction: u32, size: u32, letter: u8, number: u32) -> u32 {
    direction | (size & 0x1fff) << 16 | u32::from(letter) << 8 | number
}

/// The same of Linux's `asm-generic/ioctl.h`.
fn linux(direction: u32, size: u32, letter: u8, number: u32) -> u32 {
    direction << 30 | size << 16 | u32::from(letter) << 8 | number
}

#[test]
fn codes_are_those_of_both_systems() {
    let (void, out, into) = (0x2000_0000, 0x4000_0000, 0x8000_0000);
    let netmap = [
        (Request::Info, 145, 60),
        (Request::Register, 146, 60),
        (Request::Unregister, 147, 0),
        (Request::TxSync, 148, 0),
        (Request::RxSync, 149, 0),
        (Request::Control, 151, 88),
    ];
    for (request, number, size) in netmap {
        let (theirs, ours) = if size == 0 { (void, 0) } else { (into | out, 3) };
        assert_eq!(Request::from_code(freebsd(theirs, size, b'i', number)), request);
        assert_eq!(Request::from_code(linux(ours, size, b'i', number)), request);
    }
    let bpf = [
        (Request::BpfImmediate, into, 112),
        (Request::BpfGetHeaderComplete, out, 116),
        (Request::BpfSetHeaderComplete, into, 117),
        (Request::BpfSeeSent, into, 119),
    ];
    for (request, direction, number) in bpf {
        assert_eq!(Request::from_code(freebsd(direction, 4, b'B', number)), request);
    }
    // The same letter and number with another argument is not netmap's.
    let rss_hash = freebsd(into | out, 24, b'i', 151);
    assert_eq!(Request::from_code(rss_hash), Request::Other(rss_hash));
    assert_eq!(Request::from_code(0), Request::Other(0));
}

#[cfg(target_os = "linux")]
#[test]
fn codes_are_those_that_linux_programs_are_compiled_with() {
    use nix::{request_code_none, request_code_readwrite};
    let codes = [
        (request_code_readwrite!(b'i', 145, 60), Request::Info),
        (request_code_readwrite!(b'i', 146, 60), Request::Register),
        (request_code_none!(b'i', 147), Request::Unregister),
        (request_code_none!(b'i', 148), Request::TxSync),
        (request_code_none!(b'i', 149), Request::RxSync),
        (request_code_readwrite!(b'i', 151, 88), Request::Control),
    ];
    for (code, request) in codes {
        assert_eq!(Request::from_code(code as u32), request);
    }
}
