//! Polls as the original does: what it takes is taken for good, whether it got it or not.

use super::{Ask, Desk};
use crate::record::Event;

pub(crate) fn run(mut desk: Desk) -> Vec<Event> {
    while !desk.is_over() {
        let ask = match desk.dice.below(3) {
            0 => Ask::default(),
            1 => Ask {
                max: Some(desk.dice.between(1, 30) as usize),
                ..Ask::default()
            },
            _ => Ask {
                wait: desk.dice.between(1, 2),
                ..Ask::default()
            },
        };
        desk.poll(ask, None);
        desk.pause(10, 200);
    }
    desk.events
}
