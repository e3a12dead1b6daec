//! One thread that serves: its listeners, its connections to both sides, its memory.
//!
//! Workers share nothing but [`Shared`]: the table behind one pointer, verdicts and counters in atomics.
//! Everything here belongs to one thread, so it is `Cell`s instead of locks.

mod buffer;
mod listen;
mod run;
mod scratch;
mod timers;

pub(crate) use buffer::{BUFFER_LEN, Buffer};
pub(crate) use listen::{Port, bind, connections_max};
pub(crate) use run::{Listener, Plan, is_exhaustion, spawn};
pub(crate) use scratch::{Scratch, ScratchPool};
pub(crate) use timers::{Alarm, Timers};

use crate::state::Shared;
use crate::table::Table;
use crate::upstream::{Links, Pools};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use tidegate_runtime::{Clock, Tick};
use tokio::sync::Notify;

/// A table that a thread has taken hold of once for all its requests.
/// The outer counter belongs to the thread; the inner one is fought over by all.
pub(crate) type PinnedTable = Rc<Arc<Table>>;

/// What the connections of one thread share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pools: Pools,
    pub(crate) links: Links,
    pub(crate) scratch: ScratchPool,
    pub(crate) timers: Timers,
    clock: Clock,
    /// The table in use, so that a request pins it without touching a counter that other threads touch.
    table: RefCell<PinnedTable>,
    random: Cell<u64>,
    connections: Cell<usize>,
    requests: Cell<usize>,
    /// Copies of requests under way.
    pub(crate) copies: Cell<usize>,
    draining: Cell<Option<Tick>>,
    /// A connection has ended.
    freed: Notify,
    /// The first request after a quiet time has begun.
    busy: Notify,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, clock: Clock) -> Self {
        let table = RefCell::new(Rc::new(shared.table.load_full()));
        Self {
            shared,
            pools: Pools::default(),
            links: Links::new(clock),
            scratch: ScratchPool::default(),
            timers: Timers::default(),
            clock,
            table,
            // Xorshift must not start at zero.
            random: Cell::new(RandomState::new().hash_one(0) | 1),
            connections: Cell::new(0),
            requests: Cell::new(0),
            copies: Cell::new(0),
            draining: Cell::new(None),
            freed: Notify::new(),
            busy: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }

    /// The table in use, for as long as a request needs it.
    pub(crate) fn table(&self) -> PinnedTable {
        let current = self.shared.table.load();
        let mut kept = self.table.borrow_mut();
        if !Arc::ptr_eq(&current, &kept) {
            *kept = Rc::new(Arc::clone(&current));
        }
        Rc::clone(&kept)
    }

    /// A number that a client cannot foresee from the outside; no secret may depend on it.
    pub(crate) fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Since when connections are asked to end.
    pub(crate) fn draining(&self) -> Option<Tick> {
        self.draining.get()
    }

    /// Counts a client's connection as open until the result is dropped.
    pub(crate) fn connection_begins(self: &Rc<Self>) -> Open {
        self.connections.set(self.connections.get() + 1);
        self.shared.traffic.connection_begins();
        Open(Rc::clone(self))
    }

    /// Counts a request as under way until the result is dropped.
    pub(crate) fn request_begins(self: &Rc<Self>) -> UnderWay {
        let before = self.requests.get();
        self.requests.set(before + 1);
        if before == 0 {
            self.busy.notify_one();
        }
        UnderWay(Rc::clone(self))
    }
}

/// An open connection of a client.
#[derive(Debug)]
pub(crate) struct Open(Rc<Worker>);

impl Drop for Open {
    fn drop(&mut self) {
        let worker = &self.0;
        worker.connections.set(worker.connections.get() - 1);
        worker.shared.traffic.connection_ends();
        worker.freed.notify_one();
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct UnderWay(Rc<Worker>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get() - 1);
    }
}
