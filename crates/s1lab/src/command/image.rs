//! `s1lab image`.

use super::dmc::{load, say};
use crate::args::{Global, ImageCommand, ShelfArgs};
use crate::failure::Failure;

pub(crate) fn run(global: &Global, shelf: &ShelfArgs, command: &ImageCommand) -> Result<(), Failure> {
    let catalogue = load(global, shelf)?;
    let said = match command {
        ImageCommand::Make { profile, file, octets } => catalogue.make_image(profile, *octets, file),
        ImageCommand::List { folder } => catalogue.list_images(folder),
    };
    say(global, said)
}
