//! Names and values that somebody made to cost as much as possible.

use super::code::Code;
use super::object::{Arena, Cell};
use super::*;

/// A name of so many parts, from `first` on, all different.
fn long_name(first: usize, parts: usize) -> Vec<u8> {
    let names = (first..first + parts).flat_map(|number| std::format!("P{number:03}").into_bytes());
    [0x2f, parts as u8].into_iter().chain(names).collect()
}

/// Devices in each other, each with a name of so many parts.
fn nested(depth: usize, parts: usize) -> Vec<u8> {
    (0..depth).rev().fold(Vec::new(), |inside, level| device(&long_name(level * parts, parts), &inside))
}

fn longest(aml: &Interpreter<FakeHost>) -> usize {
    aml.devices().iter().map(|path| path.to_string().split('.').count()).max().unwrap_or(0)
}

#[test]
fn a_path_has_a_limit_of_parts() {
    assert_eq!(longest(&load(&device(&long_name(0, MAX_PATH_PARTS), &[]))), MAX_PATH_PARTS);
    assert_eq!(longest(&load(&device(&long_name(0, MAX_PATH_PARTS + 1), &[]))), 0);
    assert_eq!(longest(&load(&nested(4, MAX_PATH_PARTS / 4))), MAX_PATH_PARTS);
    for parts in [3, 7, 20] {
        let found = longest(&load(&nested(12, parts)));
        assert_eq!(found, MAX_PATH_PARTS / parts * parts, "the innermost that has room");
    }
    // Alias, method, name and lock, each in a device of 30 parts.
    let (short, long) = (long_name(100, 2), long_name(100, 3));
    for (head, tail) in
        [(&b"\x06\\_GL_"[..], &b""[..]), (b"\x14", b"\x00\xa4\x00"), (b"\x08", b"\x00"), (b"\x5b\x02", b"")]
    {
        for (name, is_there) in [(&short, true), (&long, false)] {
            let inside = [name, tail].concat();
            let term = if head == [0x14] { package(head, &inside) } else { [head, &inside].concat() };
            let behind = b"\x08LAST\x01";
            let aml = load(&device(&long_name(0, 30), &[&term, behind.as_slice()].concat()));
            let at =
                |parts: std::ops::Range<usize>| parts.map(|n| std::format!("P{n:03}")).collect::<Vec<_>>();
            let named = path(&[at(0..30), at(100..100 + name[1] as usize)].concat().join("."));
            assert_eq!(aml.names.get(&named).is_some(), is_there, "{term:x?}");
            let last = path(&[at(0..30), std::vec!["LAST".into()]].concat().join("."));
            assert_eq!(aml.names.get(&last).is_some(), is_there, "an error ends the device");
        }
    }
}

#[test]
fn a_name_that_nothing_can_have_is_an_error_wherever_it_stands() {
    let exists = |name: &[u8]| main_of(&method(&[b"\xa4\x5b\x12", name, &[0x00]].concat()), &[]);
    assert_eq!(exists(&long_name(0, MAX_PATH_PARTS)), Ok(Value::Integer(0)));
    assert_eq!(exists(&long_name(0, MAX_PATH_PARTS + 1)), Err(AmlError::TooDeep));
    let up = |ups: usize| [std::vec![b'^'; ups], b"MAIN".to_vec()].concat();
    assert_eq!(exists(&up(MAX_PATH_PARTS)), Ok(Value::Integer(u64::MAX)));
    assert_eq!(exists(&up(MAX_PATH_PARTS + 1)), Err(AmlError::TooDeep));
    assert_eq!(exists(b"\x0dtext\0"), Err(AmlError::WrongKind), "and what is no name is no answer");
}

#[test]
fn a_single_part_is_looked_for_in_all_scopes_around_and_a_path_is_not() {
    let names = [b"\x08WORD\x0a\x07".as_slice(), &device(b"NEAR", b"\x08WORD\x0a\x09")].concat();
    let inner = [b"\x08ONE_WORD\x08TWO_^^WORD".as_slice(), &package(&[0x14], b"MAIN\x00\xa4WORD")].concat();
    let mut aml = load(&[names.as_slice(), &device(b"\x2eNEARDEEP", &inner)].concat());
    assert_eq!(aml.integer(&path("NEAR.DEEP.MAIN")), Ok(9));
    assert_eq!(aml.integer(&path("NEAR.DEEP.ONE")), Ok(9));
    assert_eq!(aml.integer(&path("NEAR.DEEP.TWO")), Ok(7));
    let missing = [b"\x08WORD\x00".as_slice(), &method(b"\xa4\x2eMAINWORD")].concat();
    assert_eq!(main_of(&missing, &[]), Err(AmlError::NoSuchName(*b"WORD")));
}

#[test]
fn what_is_kept_of_names_is_counted_in_full() {
    let code = Code::new(std::vec![long_name(0, MAX_PATH_PARTS)]);
    let name = name::Name::read(&code, &mut code.whole()[0]).unwrap();
    let mut arena = Arena::default();
    let kept = std::iter::from_fn(|| arena.keep_name(&Path::root(), name.clone()).ok()).count();
    let bytes = size_of::<(Path, name::Name)>() + 4 * MAX_PATH_PARTS;
    assert!((1..=MAX_BYTES / bytes).contains(&kept), "{kept} names of {bytes} bytes");
}

#[test]
fn variables_beyond_the_limit_are_not_made() {
    let mut arena = Arena::default();
    let cells = [Value::Nothing; 2];
    arena.charge(MAX_BYTES - 3 * size_of::<Value>()).unwrap();
    assert_eq!(arena.new_cells(&cells), Ok(0));
    assert_eq!(arena.new_cells(&cells), Err(AmlError::TooLarge));
    assert!(arena.cell(Cell(1)).is_ok() && arena.cell(Cell(2)).is_err());
}
