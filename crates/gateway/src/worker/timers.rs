//! One deadline per connection, checked by a common tick.
//!
//! A timer of the runtime costs two locked list operations for each request. Here setting a deadline is
//! a store; the worker looks at all of them every few milliseconds while requests are in flight, four
//! times a second otherwise. Deadlines are therefore late by up to that much, never early.

use super::Worker;
use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Waker};
use tidegate_runtime::Tick;

/// The deadlines of a worker's connections.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    slots: RefCell<Slots>,
}

/// A connection's place among them.
#[derive(Clone, Copy, Debug)]
struct TimerKey(usize);

/// A place among the deadlines of a worker; given back when dropped.
#[derive(Debug)]
pub(crate) struct Alarm {
    worker: Rc<Worker>,
    key: TimerKey,
}

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

impl Alarm {
    pub(crate) fn new(worker: Rc<Worker>) -> Self {
        let key = worker.timers.add();
        Self { worker, key }
    }

    /// Whether `deadline` is over; if not, the task is woken when it is.
    pub(crate) fn expired(&self, deadline: Tick, context: &Context<'_>) -> bool {
        if self.worker.now() >= deadline {
            return true;
        }
        self.worker.timers.set(self.key, deadline, context.waker());
        false
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.worker.timers.remove(self.key);
    }
}

impl Timers {
    fn add(&self) -> TimerKey {
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
    fn remove(&self, key: TimerKey) {
        let mut slots = self.slots.borrow_mut();
        slots.entries[key.0] = Entry {
            deadline: Tick::END,
            waker: None,
        };
        slots.free.push(key.0);
    }

    /// Wakes `waker` once, soon after `deadline`; replaces what was set before.
    fn set(&self, key: TimerKey, deadline: Tick, waker: &Waker) {
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
