//! One deadline per connection, checked by a common tick.
//!
//! A timer of the runtime costs two locked list operations for each request. Here setting a deadline is
//! a store; the worker looks at all of them every few milliseconds while requests are in flight, four
//! times a second otherwise. Deadlines are therefore late by up to that much, never early.

use std::cell::RefCell;
use std::task::Waker;
use tidegate_runtime::Tick;

/// The deadlines of a worker's connections.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    slots: RefCell<Slots>,
}

/// A connection's place among them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerKey(usize);

#[derive(Debug, Default)]
struct Slots {
    entries: Vec<Entry>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    deadline: Tick,
    waker: Option<Waker>,
}

impl Timers {
    pub(crate) fn add(&self) -> TimerKey {
        let mut slots = self.slots.borrow_mut();
        let entry = Entry {
            deadline: Tick::END,
            waker: None,
        };
        match slots.free.pop() {
            Some(at) => {
                slots.entries[at] = entry;
                TimerKey(at)
            }
            None => {
                slots.entries.push(entry);
                TimerKey(slots.entries.len() - 1)
            }
        }
    }

    /// Gives the place back; the key must not be used again.
    pub(crate) fn remove(&self, key: TimerKey) {
        let mut slots = self.slots.borrow_mut();
        slots.entries[key.0] = Entry {
            deadline: Tick::END,
            waker: None,
        };
        slots.free.push(key.0);
    }

    /// Wakes `waker` once, soon after `deadline`; replaces what was set before.
    pub(crate) fn set(&self, key: TimerKey, deadline: Tick, waker: &Waker) {
        let entry = &mut self.slots.borrow_mut().entries[key.0];
        entry.deadline = deadline;
        match &mut entry.waker {
            Some(known) if known.will_wake(waker) => {}
            other => *other = Some(waker.clone()),
        }
    }

    /// Wakes what is due.
    pub(crate) fn fire(&self, now: Tick) {
        for entry in &mut self.slots.borrow_mut().entries {
            if entry.deadline <= now {
                entry.deadline = Tick::END;
                if let Some(waker) = &entry.waker {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// Wakes everybody, to look at what has changed for all.
    pub(crate) fn wake_all(&self) {
        for entry in &self.slots.borrow().entries {
            if let Some(waker) = &entry.waker {
                waker.wake_by_ref();
            }
        }
    }
}
