//! The queue beside a port that accepts as much as a test lets it.

use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;

const BYTES: usize = 24 * 1024;
type Queue = LineQueue<BYTES>;

fn note(out: &mut dyn Write, count: u64) -> fmt::Result {
    write!(out, "lost {count}")
}

fn push(queue: &mut Queue, text: &str) {
    queue.push(format_args!("{text}"), note);
}

/// Sends at most `count` bytes, in pieces of at most `piece`, as a port that accepts so many would have it.
fn send(queue: &mut Queue, count: usize, piece: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    while sent.len() < count && !queue.front().is_empty() {
        let take = queue.front().len().min(piece).min(count - sent.len());
        sent.extend(&queue.front()[..take]);
        queue.consume(take);
        queue.note_lost(note);
    }
    sent
}

/// Sends everything; returns it as lines, all of which have their end.
fn lines(queue: &mut Queue) -> Vec<String> {
    let text = String::from_utf8(send(queue, usize::MAX, 16)).unwrap();
    assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
    text.split_terminator("\r\n").map(String::from).collect()
}

/// A line of this length with its number in front.
fn numbered(number: usize, len: usize) -> String {
    format!("{number:06}{}", "x".repeat(len.saturating_sub(6)))
}

#[test]
fn lines_come_out_as_they_went_in() {
    let mut queue = Queue::new();
    assert!(queue.is_empty());
    push(&mut queue, "one");
    push(&mut queue, "");
    push(&mut queue, "three");
    assert_eq!(queue.len(), 14);
    assert_eq!(lines(&mut queue), ["one", "", "three"]);
    assert!(queue.is_empty());
}

#[test]
fn lines_without_room_are_lost_whole_and_noted_in_their_place() {
    let mut queue = Queue::new();
    let room = (BYTES - RESERVE) / 100;
    (0..room + 7).for_each(|number| push(&mut queue, &numbered(number, 98)));
    // A short line would fit, and would hide that lines in front of it were lost.
    push(&mut queue, "short");
    assert_eq!(send(&mut queue, 150, 16).len(), 150);
    push(&mut queue, "still too early");
    let rest = String::from_utf8(send(&mut queue, usize::MAX, 16)).unwrap();
    push(&mut queue, "later");
    let rest: Vec<_> = rest.split_terminator("\r\n").collect();
    assert_eq!(rest.len(), room - 1 + 1, "the second line to the last that fitted, and the note");
    assert_eq!(rest.last(), Some(&"lost 9"));
    assert_eq!(lines(&mut queue), ["later"]);
}

#[test]
fn a_note_comes_without_further_lines() {
    let mut queue = Queue::new();
    (0..BYTES / 100 + 1).for_each(|number| push(&mut queue, &numbered(number, 98)));
    let lost = (BYTES / 100 + 1 - (BYTES - RESERVE) / 100).to_string();
    assert!(!queue.is_empty());
    assert_eq!(lines(&mut queue).last(), Some(&format!("lost {lost}")));
    assert!(queue.is_empty());
}

#[test]
fn a_line_that_is_too_long_is_cut_and_marked() {
    let mut queue = Queue::new();
    push(&mut queue, &"y".repeat(LONGEST_LINE));
    assert_eq!(lines(&mut queue), ["y".repeat(LONGEST_LINE)]);
    push(&mut queue, &"z".repeat(LONGEST_LINE + 1));
    let shown = lines(&mut queue);
    assert_eq!((shown.len(), shown[0].len()), (1, LONGEST_LINE));
    assert!(shown[0].ends_with("zzz... [cut]"));
}

#[test]
fn last_words_have_room_in_a_full_queue() {
    let mut queue = Queue::new();
    (0..BYTES / 100).for_each(|number| push(&mut queue, &numbered(number, 98)));
    queue.begin_last_words();
    let dump: Vec<_> = (0..20).map(|number| numbered(number, 90)).collect();
    dump.iter().for_each(|line| push(&mut queue, line));
    push(&mut queue, &"r".repeat(5000));
    push(&mut queue, "halted");
    let shown = lines(&mut queue);
    let lost = BYTES / 100 - (BYTES - RESERVE) / 100;
    let at = shown.iter().position(|line| *line == format!("lost {lost}")).unwrap();
    assert_eq!(shown[at + 1..at + 21], dump);
    assert_eq!((shown[at + 21].len(), shown[at + 22].as_str()), (LONGEST_LAST_LINE, "halted"));
    assert_eq!(shown.len(), at + 23);
}

#[test]
fn a_queue_without_a_port_is_emptied() {
    let mut queue = Queue::new();
    (0..BYTES / 100 + 1).for_each(|number| push(&mut queue, &numbered(number, 98)));
    queue.clear();
    assert!(queue.is_empty());
    push(&mut queue, "again");
    assert_eq!(lines(&mut queue), ["again"]);
}

#[test]
fn what_fails_to_be_shown_loses_the_rest_of_its_line() {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("so far")?;
            Err(fmt::Error)
        }
    }
    let mut queue = Queue::new();
    queue.push(format_args!("{Fails} and no further"), note);
    assert_eq!(lines(&mut queue), ["so far"]);
}

proptest! {
    /// Whatever is pushed and sent in whatever order: the lines that come out are those that went in, in order, and
    /// each note stands where lines are missing and says how many.
    #[test]
    fn every_line_is_whole_or_counted(
        // More is pushed than sent: most runs of a hundred steps fill the queue.
        steps in prop::collection::vec((0usize..1500, 0usize..900, 1usize..64), 1..200),
    ) {
        let mut queue = Queue::new();
        let mut out = Vec::new();
        let mut pushed = vec![];
        for (number, (len, count, piece)) in steps.into_iter().enumerate() {
            pushed.push(numbered(number, len));
            push(&mut queue, pushed.last().unwrap());
            out.extend(send(&mut queue, count, piece));
        }
        out.extend(send(&mut queue, usize::MAX, 16));
        prop_assert!(queue.is_empty());
        let text = String::from_utf8(out).unwrap();
        let mut expected = pushed.iter();
        for line in text.split_terminator("\r\n") {
            match line.strip_prefix("lost ") {
                Some(count) => expected = expected.as_slice()[count.parse().unwrap()..].iter(),
                None => prop_assert_eq!(Some(line), expected.next().map(String::as_str)),
            }
        }
        prop_assert_eq!(expected.next(), None);
    }
}
