//! Names of ports, and tunables with their values: what must hold for any text.

use nm_core::name::{INTERFACE_NAME_MAX, InterfaceName, NameError, PortName, RingSelection};
use nm_core::tunables::{Knobs, Setting, TunableError, Tunables};

/// Each line with a `=` sets a tunable, any other is the name of a port. Returns how many lines were accepted.
pub fn run(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let (mut tunables, knobs) = (Tunables::default(), Knobs::default());
    let accepted = text.split('\n').filter(|line| match line.split_once('=') {
        Some((name, value)) => match value.parse() {
            Ok(value) => set(&mut tunables, &knobs, name, value),
            Err(_) => false,
        },
        None => parse(line),
    });
    accepted.count()
}

/// A name that is accepted means the same in its full form; one that is not is told back.
fn parse(name: &str) -> bool {
    match PortName::parse(name) {
        Ok(port) => {
            let whole = spelled(port);
            assert_eq!(PortName::parse(&whole), Ok(port), "{name:?} means {whole:?}");
            let is_marked = |mark: char| name.ends_with(mark);
            let is_host = port.rings == RingSelection::Host;
            let is_both = port.rings == RingSelection::HardwareAndHost;
            assert_eq!((is_marked('^'), is_marked('*')), (is_host, is_both), "{name:?}");
            if let InterfaceName::Name(interface) = port.interface {
                assert!((1..=INTERFACE_NAME_MAX).contains(&interface.len()) && name.contains(interface));
            }
            true
        }
        Err(error) => {
            let (NameError::Invalid(told)
            | NameError::MalformedMac(told)
            | NameError::Combined { name: told, .. }
            | NameError::Unsupported { name: told, .. }) = &error;
            assert_eq!(told, name);
            assert!(error.to_string().contains(name));
            false
        }
    }
}

fn spelled(PortName { interface, rings }: PortName<'_>) -> String {
    let interface = match interface {
        InterfaceName::Name(name) => name.to_string(),
        InterfaceName::Mac(mac) => {
            mac.iter().fold("mac-".to_string(), |name, byte| format!("{name}{byte:02x}"))
        }
    };
    match rings {
        RingSelection::AllHardware => format!("netmap:{interface}"),
        RingSelection::One(ring) => format!("netmap:{interface}-{ring}"),
        RingSelection::Host => format!("netmap:{interface}^"),
        RingSelection::OneHost(ring) => format!("netmap:{interface}^{ring}"),
        RingSelection::HardwareAndHost => format!("netmap:{interface}*"),
    }
}

/// A value that is accepted is in its range and the only one that changes; of a refused one nothing remains.
fn set(tunables: &mut Tunables, knobs: &Knobs, name: &str, value: u32) -> bool {
    let before = tunables.settings().collect::<Vec<_>>();
    let outcome = tunables.set(name, value);
    let after = tunables.settings().collect::<Vec<_>>();
    let known = before.iter().find(|setting| setting.name == name);
    let fits = |setting: &&Setting| {
        (setting.min..=setting.max).contains(&value) && value.is_multiple_of(setting.step)
    };
    let expected = match known {
        None => Err(TunableError::Unknown),
        Some(setting) if fits(&setting) => Ok(()),
        Some(&Setting { min, max, step, .. }) => Err(TunableError::Range { min, max, step }),
    };
    assert_eq!(outcome, expected, "{name}={value}");
    for (before, after) in before.iter().zip(&after) {
        let is_changed = outcome.is_ok() && before.name == name;
        assert_eq!(after.value, if is_changed { value } else { before.value }, "{name}={value}");
    }
    check_knob(tunables, knobs, name, value, outcome);
    outcome.is_ok()
}

/// At run time a tunable is set likewise, unless it is a size.
fn check_knob(tunables: &Tunables, knobs: &Knobs, name: &str, value: u32, outcome: Result<(), TunableError>) {
    let before = knobs.behaviour();
    match knobs.set(name, value) {
        Err(TunableError::Fixed) => assert_eq!(knobs.behaviour(), before),
        other => {
            assert_eq!(other, outcome, "{name}={value}");
            assert_eq!(knobs.behaviour(), tunables.behaviour);
        }
    }
}
