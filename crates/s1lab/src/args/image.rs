//! The commands below `s1lab image`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand, Debug)]
pub(crate) enum ImageCommand {
    /// Make a firmware image that turns devices of a model into a profile
    #[command(
        after_help = "The image is the lab's own form: what real ones look like inside is not public. Its base64 form is the \
        FirmwareImage\nof 11.1, its SHA-256 the FirmwareHash of 11.3.\n\n\
        Example:\n  s1lab image make as300p@LAB-E001 as300p.img"
    )]
    Make {
        /// model@firmware that devices are afterwards
        profile: String,
        /// File to write
        file: PathBuf,
        /// Length in octets, filler included
        #[arg(long, value_name = "N")]
        octets: Option<usize>,
    },
    /// Say what the images in a folder make of which devices, with their hashes and rows for a product list
    #[command(after_help = "Example:\n  s1lab image list images --json")]
    List {
        /// Folder with images
        folder: PathBuf,
    },
}
