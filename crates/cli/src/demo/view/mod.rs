//! The live view in a terminal: drawn in place, five times a second, and taken away without a trace.

mod render;

use std::io::{self, Write};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue};
use tokio::sync::mpsc;

pub(crate) use render::{Model, Row, State};

use crate::values::Fault;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Act on the cluster with this index from now on.
    Choose(usize),
    /// Break it.
    Fail(Fault),
    /// Heal it.
    Heal,
    /// End the demo.
    Quit,
    /// The terminal has another size.
    Redraw,
}

/// The terminal, taken over until dropped.
#[derive(Debug)]
pub(crate) struct View {
    keys: mpsc::UnboundedReceiver<Key>,
}

impl View {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When stdout is not a terminal that can be controlled.
    pub(crate) fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        if let Err(error) = execute!(io::stdout(), EnterAlternateScreen, Hide) {
            terminal::disable_raw_mode()?;
            return Err(error);
        }
        // A panic must not leave the person with a terminal that shows nothing.
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            earlier(info);
        }));
        let (sender, keys) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read_keys(&sender))?;
        Ok(Self { keys })
    }

    /// The next key that means something.
    pub(crate) async fn key(&mut self) -> Key {
        match self.keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }

    /// Draws `model` over what was there.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn draw(&self, model: &Model) -> io::Result<()> {
        let (width, height) = terminal::size()?;
        let mut out = io::stdout().lock();
        queue!(out, BeginSynchronizedUpdate)?;
        let mut row = 0;
        for line in render::render(model, usize::from(width), usize::from(height)) {
            queue!(
                out,
                MoveTo(0, row),
                Print(line),
                Clear(ClearType::UntilNewLine)
            )?;
            row += 1;
        }
        if row < height {
            queue!(out, MoveTo(0, row), Clear(ClearType::FromCursorDown))?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // Whatever fails here, the process ends all the same, and there is nowhere left to say so.
    let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

fn read_keys(keys: &mpsc::UnboundedSender<Key>) {
    while let Ok(event) = event::read() {
        let key = match event {
            Event::Key(key) if key.kind == KeyEventKind::Press => meaning(key),
            Event::Resize(..) => Some(Key::Redraw),
            _ => None,
        };
        if key.is_some_and(|key| keys.send(key).is_err()) {
            return;
        }
    }
}

fn meaning(key: KeyEvent) -> Option<Key> {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('1') => Some(Key::Choose(0)),
        KeyCode::Char('2') => Some(Key::Choose(1)),
        KeyCode::Char('k') => Some(Key::Fail(Fault::Kill)),
        KeyCode::Char('h') => Some(Key::Fail(Fault::Hang)),
        KeyCode::Char('e') => Some(Key::Fail(Fault::Errors)),
        KeyCode::Char('r') => Some(Key::Heal),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        _ => None,
    }
}
