//! Text that waits for a slow or stuck port: a ring of bytes that takes and loses whole lines only.
//!
//! | state | a new line | a long line |
//! |---|---|---|
//! | there is room | is appended | is cut at [`LONGEST_LINE`] bytes and marked |
//! | there is no room | is lost and counted | the same |
//! | lines were lost, less than a quarter is free | is lost and counted | the same |
//! | lines were lost, a quarter is free | is appended behind a note that says how many were lost | is cut, as above |
//! | after [`LineQueue::begin_last_words`] | may use the reserve; the note alone precedes it | is cut at [`LONGEST_LAST_LINE`] bytes |
//!
//! The note is appended at the place of the lost lines: behind those that were queued before them. The reserve of
//! [`RESERVE`] bytes is kept for the report of a fault and the last line of a run, which therefore always have room.
//!
//! The queue is one value without pointers, all zero while it is empty, so that a static costs no space in the image file.

use core::fmt::{self, Write};

/// Bytes of a line, without its end, at which it is cut. A command line of the greatest length is logged whole.
pub const LONGEST_LINE: usize = 8 * 1024;
/// The same for last words.
pub const LONGEST_LAST_LINE: usize = 2 * 1024;
/// Bytes that are kept for last words.
pub const RESERVE: usize = 8 * 1024;

/// What ends a line on a terminal.
const END: &[u8] = b"\r\n";
/// What a line that was cut ends with.
const CUT: &[u8] = b"... [cut]";

const _: () = assert!(CUT.len() < LONGEST_LAST_LINE && LONGEST_LAST_LINE <= LONGEST_LINE);

/// Writes the note for this many lost lines, without a line end.
pub type LostNote = fn(&mut dyn Write, u64) -> fmt::Result;

/// A queue of `BYTES` bytes.
pub struct LineQueue<const BYTES: usize> {
    bytes: [u8; BYTES],
    /// Index of the next byte to send, below `BYTES`.
    first: usize,
    /// Bytes that wait, all of them of complete lines; the first line may have been sent in part.
    len: usize,
    /// Lines lost since the last note.
    lost: u64,
    has_last_words: bool,
}

impl<const BYTES: usize> fmt::Debug for LineQueue<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineQueue").field("len", &self.len).field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl<const BYTES: usize> Default for LineQueue<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> LineQueue<BYTES> {
    /// Free bytes, beyond the reserve, before lines are taken again after some were lost.
    const RESUME: usize = BYTES / 4;

    /// An empty queue. `BYTES` leaves room for the longest line beside the reserve.
    pub const fn new() -> Self {
        const { assert!(BYTES >= RESERVE + LONGEST_LINE + END.len()) };
        Self { bytes: [0; BYTES], first: 0, len: 0, lost: 0, has_last_words: false }
    }

    /// Appends `text` as one line, or counts it as lost. A `Display` that fails loses the rest of its line.
    pub fn push(&mut self, text: fmt::Arguments<'_>, note: LostNote) {
        self.note_lost(note);
        // A line never overtakes the note about those that were lost before it.
        if self.lost > 0 || !self.append(|line| line.write_fmt(text)) {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Appends the note about lost lines, if there are any and there is room again.
    pub fn note_lost(&mut self, note: LostNote) {
        let can_resume = self.has_last_words || self.free() >= Self::RESUME;
        let lost = self.lost;
        if lost > 0 && can_resume && self.append(|line| note(line, lost)) {
            self.lost = 0;
        }
    }

    /// The bytes to send next, as far as they are contiguous; none when nothing waits.
    pub fn front(&self) -> &[u8] {
        let end = self.first.saturating_add(self.len).min(BYTES);
        self.bytes.get(self.first..end).unwrap_or(&[])
    }

    /// Takes `count` bytes of [`front`](Self::front) out: they were sent.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        self.first = (self.first + count) % BYTES;
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits, not even a note about lost lines.
    pub fn is_empty(&self) -> bool {
        self.len == 0 && self.lost == 0
    }

    /// Forgets everything, for a port that is not there.
    pub fn clear(&mut self) {
        (self.len, self.lost) = (0, 0);
    }

    /// Lets lines use the reserve from here on.
    pub fn begin_last_words(&mut self) {
        self.has_last_words = true;
    }

    /// Bytes that a line and its end may take.
    fn free(&self) -> usize {
        let reserve = if self.has_last_words { 0 } else { RESERVE };
        BYTES.saturating_sub(self.len + reserve)
    }

    /// Appends what `write` writes as one line. Returns false, and leaves the queue as it was, if there is no room for it.
    fn append(&mut self, write: impl FnOnce(&mut Line<'_, BYTES>) -> fmt::Result) -> bool {
        let longest = if self.has_last_words { LONGEST_LAST_LINE } else { LONGEST_LINE };
        let Some(room) = self.free().checked_sub(END.len()) else { return false };
        let mut line = Line { queue: self, len: 0, room: room.min(longest), is_over: false };
        // The error is that of a `Display`: what it has written so far stays.
        let _ = write(&mut line);
        let Line { mut len, is_over, .. } = line;
        if is_over && room < longest {
            return false;
        }
        if is_over {
            len = longest - CUT.len();
            len += self.put(len, CUT);
        }
        len += self.put(len, END);
        self.len += len;
        true
    }

    /// Writes `bytes` at `offset` behind the complete lines; returns how many they are. The caller knows that there is room.
    fn put(&mut self, offset: usize, bytes: &[u8]) -> usize {
        for (place, byte) in (self.first + self.len + offset..).zip(bytes) {
            if let Some(place) = self.bytes.get_mut(place % BYTES) {
                *place = *byte;
            }
        }
        bytes.len()
    }
}

/// A line that is being written: part of the queue once it is complete.
struct Line<'q, const BYTES: usize> {
    queue: &'q mut LineQueue<BYTES>,
    len: usize,
    room: usize,
    /// Whether there was more text than room.
    is_over: bool,
}

impl<const BYTES: usize> Write for Line<'_, BYTES> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.room - self.len;
        self.is_over |= text.len() > room;
        let taken = text.as_bytes().get(..room).unwrap_or(text.as_bytes());
        self.len += self.queue.put(self.len, taken);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
